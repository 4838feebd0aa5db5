"""What the tests of one family do with its model."""

import importlib
import json
from contextlib import nullcontext

import pytest
import torch

from scripts import families, hosts
from tests.host.ready import ready_to_train

FOUND: dict[str, dict] = {}


class Workbench:
    """A tiny model of a family, a photo, a target text, and the nodes."""

    def __init__(self, pack, row, model=None):
        # Not at the top: pytest reads this file before the host can be imported.
        family, texts = (importlib.import_module(f"{__package__}.{name}") for name in ("family", "texts"))
        self.pack, self.row = pack, row
        self.nodes, self.host = pack.NODE_CLASS_MAPPINGS, importlib.import_module("nodes")
        self.model = model or family.build(row)
        self.latent = family.photo(row)
        self.target, self.negative = texts.conditioning(row, 1), texts.conditioning(row, 2)
        if not (model or row.refusal):
            self.calibrate(texts)
        self.before = {name: tensor.clone().cpu() for name, tensor in self.model.model.state_dict().items()}

    def target_entries(self) -> dict:
        return {"cross_attn": self.target[0][0], **self.target[0][1]}

    @torch.inference_mode()
    def calibrate(self, texts) -> None:
        """Make the random network listen to all channels of the text."""
        text, fixed = self.module("nodes.inputs").single_entry(self.target)
        denoiser = self.module("nodes.host.denoiser").HostDenoiser(self.model, fixed)
        device = self.model.load_device
        importlib.import_module("comfy.model_management").load_models_gpu([self.model])
        text = {name: tensor.to(device) for name, tensor in text.items()}
        with texts.calibrating(denoiser.network, text):
            denoiser(self.latent["samples"].to(device), denoiser.sigma(torch.tensor([0.5])), text)

    def weights_are_untouched(self) -> bool:
        after = self.model.model.state_dict()
        # As numbers, for torch does not compare tensors of 8-bit floats. Some weights of refused models are NaN, for
        # their classes leave them as memory happened to be.
        same = {"rtol": 0, "atol": 0, "equal_nan": True}
        return all(
            torch.allclose(after[name].float().cpu(), tensor.float(), **same) for name, tensor in self.before.items()
        )

    @torch.inference_mode()
    def optimize(self, **changes) -> dict:
        inputs = {"model": self.model, "latent": self.latent, "conditioning": self.target, "seed": 0}
        inputs |= self.defaults("ImagicOptimizeEmbedding")
        return self.nodes["ImagicOptimizeEmbedding"]().optimize(**{**inputs, **changes})

    @torch.inference_mode()
    def tune(self, conditioning: list, tune: str, **changes) -> dict:
        inputs = self.defaults("ImagicFineTuneUNet") | {"tune": tune}
        inputs |= {"model": self.model, "latent": self.latent, "conditioning": conditioning}
        return self.nodes["ImagicFineTuneUNet"]().tune(**{**inputs, **changes})

    def defaults(self, node: str) -> dict:
        """What a node's widgets are set to when it is made."""
        widgets = self.nodes[node].INPUT_TYPES()["required"]
        return {name: options["default"] for name, (_, options) in widgets.items() if "default" in options}

    @torch.inference_mode()
    def lora_gradients(self, conditioning: list) -> list[list[torch.Tensor]]:
        """The gradients of a LoRA of all layers that is not at its start, without checkpointing and with it."""
        objective, found = self.module("imagic.objective"), []
        with ready_to_train(self, self.model, self.latent["samples"], conditioning) as ready:
            denoiser, latent, text = ready
            lora = self.module("imagic.adapters").LoRA(denoiser.network, 4, 0, latent.device)
            generator = torch.Generator().manual_seed(0)
            for up in lora.up.values():
                up.data.copy_(0.05 * torch.randn(up.shape, generator=generator))
            noise, sigma = objective.NoiseSampler(latent, 2, 0).draw(denoiser)
            for checkpointed in (lambda *_: nullcontext(), self.module("imagic.checkpointing").checkpointed):
                keeping = self.module("imagic.training").keeping_overwritten(denoiser)
                with checkpointed(denoiser.network, denoiser.overwrites), keeping, lora.attached():
                    losses, _ = objective.denoising_loss(denoiser, latent, text, noise, sigma)
                    losses.sum().backward()  # `grad` would see nothing through a checkpoint of the reentrant kind
                # Some networks have layers that they do not run.
                gradients = {parameter: parameter.grad for parameter in lora.parameters()}
                found.append([torch.zeros_like(one) if g is None else g for one, g in gradients.items()])
                for parameter in lora.parameters():
                    parameter.grad = None
        return found

    @torch.inference_mode()
    def loss(self, model, conditioning: list, pairs: int = 4) -> float:
        """The validation loss of a MODEL, by default as the stages report it."""
        with ready_to_train(self, model, self.latent["samples"], conditioning) as ready:
            denoiser, latent, text = ready
            return self.module("imagic.validation").Validation(denoiser, latent, pairs).loss(denoiser, text)

    def module(self, name: str):
        """A module of the pack as the host imported it."""
        return importlib.import_module(f"{self.pack.__name__}.{name}")

    @torch.inference_mode()
    def interpolate(self, optimized: list, eta: float = 0.5) -> list:
        return self.nodes["ImagicInterpolateEmbedding"]().interpolate(optimized, self.target, eta)[0][0]

    @torch.inference_mode()
    def keep_photo(self, model, optimized: list):
        """A MODEL that keeps the photo."""
        answer = self.nodes["ImagicKeepPhoto"]().keep(model, self.latent, optimized, self.target, 0.4)
        return answer["result"][0]

    @torch.inference_mode()
    def sample(self, model, positive: list) -> torch.Tensor:
        """Two steps of the stock KSampler."""
        return self.host.common_ksampler(
            model, 0, 2, 2.0, "euler", "simple", positive, self.negative, self.latent, denoise=0.8
        )[0]["samples"]

    @torch.inference_mode()
    def sample_custom(self, model, positive: list) -> torch.Tensor:
        """The same by SamplerCustomAdvanced, or before it was, SamplerCustom."""
        custom = importlib.import_module("comfy_extras.nodes_custom_sampler")
        samplers = importlib.import_module("comfy.samplers")
        euler, sigmas = samplers.sampler_object("euler"), call(custom.BasicScheduler, model, "simple", 2, 0.8)[0]
        if hasattr(custom, "SamplerCustomAdvanced"):
            guider = samplers.CFGGuider(model)
            guider.set_conds(positive, self.negative)
            guider.set_cfg(2.0)
            noise = custom.Noise_RandomNoise(0)
            result = call(custom.SamplerCustomAdvanced, noise, guider, euler, sigmas, self.latent)
        else:
            arguments = (model, True, 0, 2.0, positive, self.negative, euler, sigmas, self.latent)
            result = call(custom.SamplerCustom, *arguments)
        return result[0]["samples"]


def call(node: type, *arguments):
    """Runs a node of either of the host's two kinds."""
    if hasattr(node, "execute"):
        return node.execute(*arguments).result
    return getattr(node(), node.FUNCTION)(*arguments)


def pytest_runtest_logreport(report):
    """Keep what a family's test found."""
    found = dict(report.user_properties)
    if report.when == "call" and "family" in found:
        status = found["status"] if report.passed else "fails"
        gain = {"gain": found["gain"]} if "gain" in found else {}
        FOUND[found["family"]] = {"status": status, "why": found["why"], **gain}


@pytest.fixture(scope="session", autouse=True)
def results(pytestconfig, comfyui):
    """Write down what was found, if asked to, when the last test of this folder is over."""
    yield
    if pytestconfig.getoption("--write-families"):
        path = families.RESULTS
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        known.setdefault(comfyui.version, {}).update(FOUND)
        newest_first = sorted(known.items(), key=lambda item: hosts.version_key(item[0]), reverse=True)
        path.write_text(json.dumps(dict(newest_first), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def workbench(pack):
    return lambda row, **model: Workbench(pack, row, **model)
