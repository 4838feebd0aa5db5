"""An edit of a photo by a diffusers pipeline: learned once, sampled as often as wanted, kept in a file."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from .. import checks, edit_file
from ..adapters import LoRA
from ..denoiser import Conditioning
from ..embedding import optimize_embedding
from ..finetuning import fine_tune
from ..fingerprint import Fingerprint, fingerprint
from ..frozen import frozen
from ..interpolation import interpolate
from ..region import edit_region
from ..training import History, Step
from . import lora_names, options, pictures
from .denoiser import DiffusersDenoiser
from .families import family_of
from .sampling import sample_edit

PREVIEW_SIZE = 256


@dataclass
class ImagicEdit:
    """What stages A and B learned about a photo. `tune` makes one."""

    pipeline: DiffusionPipeline
    photo: Tensor  # its latent, [1, C, ...], in the network's scale
    text: str  # that stage A started from
    anchor: Conditioning  # its embedding
    optimized: Conditioning
    update: dict[str, Tensor]  # the LoRA, by layer of the pipeline's network
    histories: tuple[History, ...] = ()  # of stages A and B; not kept in files

    def sample(
        self,
        eta: float = 1.2,
        target: str | None = None,
        *,
        steps: int = 20,
        guidance: float | None = None,
        threshold: float = 0.4,
        region: Tensor | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """Stage C: the edited picture. Nothing is trained, and the pipeline is as it was afterwards.

        Args:
            eta: how far to go from the photo (0: the photo itself, as the autoencoder has it) to the target (1).
            target: another text than the one the edit was learned with.
            steps: of a deterministic sampler over the noise levels of the pipeline's own scheduler.
            guidance: classifier-free, or what a network distilled from it is given; default: the family's usual.
            threshold, region: where the photo may change, see `region`; a region that is given needs no threshold.
            seed: of the noise.

        Raises:
            ValueError: one of them is of a type or in a range that makes no picture, or the picture holds NaN.
        """
        eta = checks.number("eta", eta, *options.ETA)
        steps = checks.integer("steps", steps, *options.SAMPLER_STEPS)
        self._check(target, threshold, seed)
        if guidance is not None:
            guidance = checks.number("guidance", guidance, *options.GUIDANCE)
        if region is not None:
            region = options.check_region(region, self.photo).to(self.pipeline._execution_device)
        with _ready(self.pipeline, self.photo) as denoiser, self._lora(denoiser).attached():
            wanted, empty = self._texts(denoiser, target)
            denoiser.family.guidance = guidance = denoiser.family.guidance if guidance is None else guidance
            start, end = self._ends(denoiser, wanted)
            photo = self.photo.to(denoiser.device)
            if region is None:
                region = edit_region(denoiser, photo, start, end, threshold=threshold, seed=seed)
            wanted = interpolate(start, end, eta)
            latent = sample_edit(
                denoiser, photo, start, wanted, empty, region, steps=steps, guidance=guidance, seed=seed
            )
        return pictures.decode(self.pipeline, latent)

    def region(self, target: str | None = None, *, threshold: float = 0.4, seed: int = 0) -> Tensor:
        """Where the target changes the photo, found by the model: [1, 1, ...], 0..1, of the latent's size.

        `sample` finds it by itself; several samples for one target are quicker with a region found once.

        Raises:
            ValueError: as `sample`.
        """
        self._check(target, threshold, seed)
        with _ready(self.pipeline, self.photo) as denoiser, self._lora(denoiser).attached():
            start, end = self._ends(denoiser, self._texts(denoiser, target)[0])
            return edit_region(denoiser, self.photo.to(denoiser.device), start, end, threshold=threshold, seed=seed)

    def _check(self, target: str | None, threshold: float, seed: int) -> None:
        if target is not None:
            checks.text("target", target)
        checks.number("threshold", threshold, *options.THRESHOLD)
        checks.integer("seed", seed, *checks.SEEDS)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that `load` reads, and diffusers' `load_lora_weights` and ComfyUI's Load LoRA too.

        Those two take the LoRA alone; embeddings and photo are in the file's metadata.

        Raises:
            ValueError: the path leads to a folder, or into one that is not there.
        """
        path = options.file_path(path)
        picture = pictures.decode(self.pipeline, self.photo.to(self.pipeline._execution_device))
        size = picture.size
        picture.thumbnail((PREVIEW_SIZE, PREVIEW_SIZE))
        family = family_of(self.pipeline)
        kind = type(self.pipeline).__name__
        about = {"pipeline": kind, "base": self.pipeline.config.get("_name_or_path") or kind}
        edit = edit_file.Edit(
            optimized=self.optimized,
            anchor=self.anchor,
            update=lora_names.to_file(self.update, family.part),
            preview=torch.from_numpy(np.array(picture)),
            base=_fingerprint(family.network),
            photo=self.photo,
            about={**about, "text": self.text, "size": size, "settings": [], "optimized": {}, "anchor": {}},
        )
        edit_file.save(edit, path, as_lora=True)

    @classmethod
    def load(cls, path: str | Path, pipeline: DiffusionPipeline) -> "ImagicEdit":
        """Read an edit that `save` wrote, to go on with on the pipeline that it was learned with.

        Warns if the pipeline's network is of the same layout but has other weights.

        Raises:
            NotAnEdit: the file cannot be read, or ComfyUI's nodes wrote it.
            ValueError: the pipeline's network is of another kind.
        """
        path, family = options.file_path(path), family_of(pipeline)
        size = sum(weight.numel() for weight in family.network.parameters())
        saved, name = edit_file.load(path, size), path.name
        if saved.photo is None or "text" not in saved.about:
            raise edit_file.NotAnEdit(f"{name} was saved by Save Imagic Edit: load it in ComfyUI.")
        base = _fingerprint(family.network)
        if not saved.base.same_kind(base):
            raise ValueError(f"{name} was tuned on another kind of model, {saved.about['base']}: load that pipeline.")
        if not saved.base.same_weights(base):
            warnings.warn(f"{name} was tuned on {saved.about['base']}, and this is another model.", stacklevel=2)
        update = lora_names.from_file(saved.update, family.network, family.part)
        LoRA.restored(family.network, update, torch.device("cpu"))  # to refuse one of another model
        return cls(pipeline, saved.photo, saved.about["text"], saved.anchor, saved.optimized, update)

    def _texts(self, denoiser: DiffusersDenoiser, target: str | None) -> tuple[Conditioning, Conditioning | None]:
        """What is wanted, and the counterpart for guidance."""
        wanted, empty = denoiser.family.texts(self.text if target is None else target)
        return (_on(self.anchor, denoiser.device) if target is None else wanted), empty

    def _ends(self, denoiser: DiffusersDenoiser, wanted: Conditioning) -> tuple[Conditioning, Conditioning]:
        """What explains the photo and what is wanted, of one length: joint attention weighs tokens by their number."""
        optimized = _on(self.optimized, denoiser.device)
        return interpolate(optimized, wanted, 0), interpolate(optimized, wanted, 1)

    def _lora(self, denoiser: DiffusersDenoiser) -> LoRA:
        return LoRA.restored(denoiser.network, self.update, denoiser.device)


def tune(
    pipeline: DiffusionPipeline,
    photo: Image.Image,
    text: str,
    *,
    embedding: Mapping[str, Any] = {},
    tuning: Mapping[str, Any] = {},
    on_step: Callable[[Step], None] = lambda step: None,
) -> ImagicEdit:
    """Stages A and B: find the embedding that explains the photo, and tune the model until it does.

    Args:
        pipeline: text-to-image; the same bits afterwards, its modules wanting gradients or not as before.
        photo: at the size the pipeline is to draw; its sides are scaled down to multiples of 8 or 16 pixels.
        text: the target, or a caption of the photo for an edit that is to serve many targets.
        embedding, tuning: what `optimize_embedding` and `fine_tune` are to do differently, e.g. {"steps": 40}.
        on_step: called after every step of either; what it raises ends the run.

    Raises:
        ValueError: Imagic does not know this pipeline or its scheduler, the photo is no picture, an option is of a type
            or in a range that a stage does not take, or the tuning is not to be a LoRA.
        NonFiniteLoss: the loss became NaN or infinite.
    """
    checks.text("text", text)
    options.check_stage("embedding", optimize_embedding, embedding)
    options.check_stage("tuning", fine_tune, tuning)
    options.check_callback("on_step", on_step)
    if not tuning.get("tune", "LoRA").startswith("LoRA"):
        raise ValueError(f"An edit is kept as a LoRA: tune {tuning['tune']} by imagic.fine_tune itself.")
    latent = pictures.encode(pipeline, photo, family_of(pipeline).multiple)
    with _ready(pipeline, latent) as denoiser:
        anchor, _ = denoiser.family.texts(text)
        optimized, first = optimize_embedding(denoiser, latent, anchor, **{"on_step": on_step, **embedding})
        update, second = fine_tune(denoiser, latent, optimized, **{"on_step": on_step, **tuning})
    return ImagicEdit(pipeline, latent, text, anchor, optimized, update, (first, second))


@contextmanager
def _ready(pipeline: DiffusionPipeline, latent: Tensor) -> Iterator[DiffusersDenoiser]:
    """The pipeline as a denoiser that can be trained through, put back as it was."""
    network = family_of(pipeline).network
    with torch.inference_mode(False), torch.enable_grad(), frozen(network), _interpreted(network):
        yield DiffusersDenoiser(pipeline, latent.shape[-2:])


@contextmanager
def _interpreted(network: torch.nn.Module) -> Iterator[None]:
    """Inside, modules that were compiled in place run as written: a compiled one does not see hooks added since."""
    compiled = {module: call for module in network.modules() if (call := module._compiled_call_impl) is not None}
    try:
        for module in compiled:
            module._compiled_call_impl = None
        yield
    finally:
        for module, call in compiled.items():
            module._compiled_call_impl = call


def _on(conditioning: Conditioning, device: torch.device) -> Conditioning:
    return {name: tensor.to(device) for name, tensor in conditioning.items()}


def _fingerprint(network: torch.nn.Module) -> Fingerprint:
    weights = network.state_dict()
    return fingerprint({name: weight.shape for name, weight in weights.items()}, weights.__getitem__)
