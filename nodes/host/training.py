"""Everything around a training run inside ComfyUI: loading, autograd, progress, cancelling."""

import inspect
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import comfy.model_management
import comfy.sd
import comfy.utils
import latent_preview
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ...imagic.denoiser import Conditioning
from ...imagic.frozen import frozen
from ...imagic.objective import samples_per_forward
from ...imagic.training import History, Step
from .denoiser import HostDenoiser, running
from .kernels import give_a_backward
from .probe import probe

SECONDS_BETWEEN_PREVIEWS = 1.0


@contextmanager
def training(
    model, samples: Tensor, conditioning: Conditioning, fixed: dict
) -> Iterator[tuple[HostDenoiser, Tensor, Conditioning]]:
    """Load MODEL and make it trainable-through, without changing it.

    Args:
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        conditioning, fixed: the tensors and the other entries of a CONDITIONING.

    Yields:
        The denoiser, the latent in the model's scale and the conditioning, on the model's device.

    Raises:
        ValueError: the model does not fit on its device whole, or is not one to train, see `probe`.
    """
    give_a_backward()
    model = _load_whole(model, samples)
    # The host runs nodes in inference mode; leaving it does not unmark what was made in it, hence the clones.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        frozen(model.model),
        _host_knows_it_trains(),
        running(model),
    ):
        device = model.load_device
        latent = model.model.process_latent_in(samples.clone()).to(device, torch.float32)
        conditioning = {name: tensor.clone().to(device) for name, tensor in conditioning.items()}
        fixed = {name: value.clone() if isinstance(value, Tensor) else value for name, value in fixed.items()}
        denoiser = HostDenoiser(model, fixed)
        denoiser.overwrites = probe(denoiser, latent, conditioning)
        yield denoiser, latent, conditioning


def _load_whole(model, samples: Tensor):
    """Load MODEL with every weight on its device, for a layer that streams its weight in has none to train beside.

    Returns:
        What was loaded: MODEL, or where the host would stream its weights, the host's own stand-in for it.
    """
    if getattr(model, "is_dynamic", lambda: False)():
        model = model.get_non_dynamic_delegate()
    # Activations are kept for the backward pass, so ask for several times what sampling needs.
    required = model.model.memory_required([4 * samples_per_forward(samples), *samples.shape[1:]])
    load = comfy.model_management.load_models_gpu
    whole = {"force_full_load": True} if "force_full_load" in inspect.signature(load).parameters else {}
    load([model], memory_required=required, **whole)
    if any(weight.device.type != model.load_device.type for weight in model.model.diffusion_model.parameters()):
        raise ValueError(
            "The model does not fit on the GPU whole, which training needs: close what else uses the GPU, "
            "start ComfyUI without --lowvram and --novram, or take a smaller model."
        )
    return model


@contextmanager
def _host_knows_it_trains() -> Iterator[None]:
    """Newer hosts then leave out kernels that have no backward."""
    management = comfy.model_management
    if not hasattr(management, "in_training"):
        yield
        return
    before, management.in_training = management.in_training, True
    try:
        yield
    finally:
        management.in_training = before


def latent_channels(model) -> int:
    """Channels of the latents MODEL works on. Older hosts say it by what previews mix them by, a row a channel."""
    latent_format = model.model.latent_format
    return getattr(latent_format, "latent_channels", None) or len(latent_format.latent_rgb_factors)


def apply_update(model, update: dict[str, Tensor], strength: float = 1.0):
    """A clone of MODEL with the update as native patches, by the way the host's own Load LoRA takes.

    Raises:
        RuntimeError: the host did not take all of it; it only logs what it leaves out.
    """
    tuned = comfy.sd.load_lora_for_models(model, None, update, strength, 0.0)[0]
    # A LoRA's three tensors make one patch, full weights one each.
    wanted = sum(name.endswith((".lora_up.weight", ".lora_B.weight", ".diff", ".diff_b")) for name in update)
    taken = sum(map(len, tuned.patches.values())) - sum(map(len, model.patches.values()))
    if taken != wanted:
        raise RuntimeError(f"This ComfyUI took {taken} of {wanted} tuned layers: report the model's name as an issue.")
    return tuned


def lora_file_layout(update: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name an update as every host's LoRA loader knows it: "lora_unet_" and the layer's path with underscores."""
    named = {}
    for key, tensor in update.items():
        for suffix in (".lora_down.weight", ".lora_up.weight", ".alpha", ".diff", ".diff_b"):
            if key.endswith(suffix):
                layer = key.removesuffix(suffix).replace(".", "_")
                named[f"lora_unet_{layer}{suffix}"] = tensor.contiguous()
    return named


class Progress:
    """Shows a run on the node and in the console, and ends it within a step when the user cancels."""

    def __init__(self, model, title: str, steps: int, node_id: str | None):
        self.bar = comfy.utils.ProgressBar(steps)
        self.console = tqdm(total=steps, desc=title, disable=not comfy.utils.PROGRESS_BAR_ENABLED)
        self.previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        self.say = text_sender(node_id)
        self.started = time.monotonic()
        self.next_preview = 0.0
        self.done = 0

    def __call__(self, step: Step) -> None:
        # Newer hosts call their progress hook, which would notice, only a few times a second.
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.done = step.number
        now = time.monotonic()
        preview = None
        if self.previewer is not None and (now >= self.next_preview or step.number == step.total):
            with torch.no_grad():
                preview = self.previewer.decode_latent_to_preview_image("JPEG", step.denoised)
            self.next_preview = now + SECONDS_BETWEEN_PREVIEWS
        self.bar.update_absolute(step.number, step.total, preview)
        self.console.set_postfix_str(f"loss {step.loss:.4f}", refresh=False)
        self.console.update()
        if preview is not None or step.number in (1, step.total):
            left = (now - self.started) / step.number * (step.total - step.number)
            self.say(
                f"step {step.number} of {step.total}, loss {step.loss:.4f}, "
                f"validation ~{step.validation:.4f}, {left:.0f} s left"
            )

    def sum_up(self, history: History) -> None:
        """The last line on the node. The validation loss is what to compare between runs."""
        before, after = history.validation_before, history.validation_after
        seconds = time.monotonic() - self.started
        self.say(f"{len(history.losses)} steps in {seconds:.0f} s, validation loss {before:.4f} -> {after:.4f}")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, exception: type | None, *_) -> None:
        self.console.close()
        if exception is comfy.model_management.InterruptProcessingException:
            self.say(f"cancelled after step {self.done}, the model is as it was")


def counter(total: int) -> Callable[[], None]:
    """Moves a bar on the node by one at each call, and ends the run when the user cancels."""
    bar = comfy.utils.ProgressBar(total)

    def count() -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update(1)

    return count


def text_sender(node_id: str | None) -> Callable[[str], None]:
    """Writes a line on the node, on hosts that can."""
    # Not imported: a host used as a library has no server, and loading it then would start half of one.
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    send = getattr(getattr(server, "instance", None), "send_progress_text", None)
    if send is None or node_id is None:
        return lambda text: None
    return lambda text: send(text, node_id)
