"""An edit of a photo by a diffusers pipeline: learned once, sampled as often as wanted, kept in a file."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from ..fingerprint import Fingerprint, fingerprint
from ..interpolation import interpolate
from ..region import edit_region
from ..training import History
from ..weights import Weights
from . import host_edit, lora_names, options, own_photo, pictures
from .borrowing import borrowed, weight_of
from .denoiser import DiffusersDenoiser
from .families import family_of
from .images import OUTPUT_TYPES, as_region, from_latent
from .sampling import sample_edit

PREVIEW_SIZE = 256
_CPU = torch.device("cpu")


@dataclass(repr=False)
class ImagicEdit:
    """What stages A and B learned about a photo. `tune` or `instant` makes one."""

    pipeline: DiffusionPipeline
    photo: Tensor  # its latent, [1, C, ...], in the network's scale
    prompt: str  # that stage A started from
    anchor: Conditioning  # its embedding
    optimized: Conditioning
    update: dict[str, Tensor]  # by layer of the pipeline's network: a LoRA, or what ComfyUI tuned of the full weights
    histories: tuple[History, ...] = ()  # of stages A and B; not kept in files
    guidance_scale: float | None = None  # that it was learned with, where it is an input of the network

    def __repr__(self) -> str:
        height, width = (length * self.pipeline.vae_scale_factor for length in self.photo.shape[-2:])
        layers = len({name.partition(".lora_")[0] for name in self.update if ".lora_" in name})
        learned = f"a LoRA of {layers} layers" if layers else "full weights" if self.update else "nothing tuned"
        kind = type(self.pipeline).__name__
        return f"ImagicEdit({checks.quoted(repr(self.prompt))}, {width} x {height} pixels, {learned} for {kind})"

    def sample(
        self,
        eta: float = 1.2,
        prompt: str | None = None,
        *,
        negative_prompt: str | None = None,
        num_inference_steps: int = 20,
        guidance_scale: float | None = None,
        generator: torch.Generator | None = None,
        threshold: float = 0.4,
        mask_image: Image.Image | np.ndarray | Tensor | None = None,
        output_type: str = "pil",
        callback_on_step_end: Callable[[DiffusionPipeline, int, Tensor, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> Any:
        """Stage C: the edited picture. Nothing is trained, and the pipeline is as it was afterwards.

        The pipeline's `set_progress_bar_config` is heeded. Source: arXiv 2210.09276, Eq. 3, and `imagic.keeping`.

        Args:
            eta: how far to go from the photo (0: the photo itself, as the autoencoder has it) to the target (1), -2..3.
            prompt: another target than the text the edit was learned with.
            negative_prompt: what guidance leads away from, in the place of an empty text.
            num_inference_steps: of a deterministic sampler over the noise levels of the pipeline's own scheduler.
            guidance_scale: classifier-free, or what a network distilled from it is given; default: that of the
                edit, else the family's usual.
            generator: of the noise. Default: seeded with 0, so that the same call gives the same picture.
            threshold: how large a change must be to be drawn, as a share of the largest, see `region`, 0..0.95.
            mask_image: where the photo may change, in the place of a region that the model finds: what `region` gave,
                or a picture of any size, white may change, as PIL, array [H, W] or tensor.
            output_type: "pil"; "np" for an array [H, W, 3] or "pt" for a tensor [3, H, W] in 0..1; "latent" for
                [C, ...] in the network's scale.
            callback_on_step_end: as in diffusers, called with the pipeline, the step's number and timestep, and
                {"latents": [1, C, ...]}; the latents that it gives back go on. What it raises ends the run.

        Raises:
            ValueError: an argument is of a type or in a range that makes no picture, or the picture holds NaN.
        """
        eta = checks.number("eta", eta, *options.ETA)
        steps = checks.integer("num_inference_steps", num_inference_steps, *options.STEPS)
        checks.choice("output_type", output_type, OUTPUT_TYPES)
        self._check(prompt, threshold, guidance_scale)
        if negative_prompt is not None:
            checks.text("negative_prompt", negative_prompt)
        generator = options.check_generator(torch.Generator().manual_seed(0) if generator is None else generator)
        if callback_on_step_end is not None:
            options.check_callback("callback_on_step_end", callback_on_step_end)
        if mask_image is not None:
            mask_image = as_region("mask_image", mask_image, self.photo).to(self.pipeline._execution_device)
        with self._tuned(guidance_scale) as denoiser, self.pipeline.progress_bar(total=steps) as bar:
            bar.set_description("Drawing")
            wanted, empty = self._texts(denoiser, prompt, negative_prompt)
            start, end = self._ends(denoiser, wanted)
            photo = self.photo.to(denoiser.device)
            region = edit_region(denoiser, photo, start, end, threshold=threshold) if mask_image is None else mask_image

            def after(number: int, timestep: Tensor, latents: Tensor) -> Tensor:
                bar.update()
                if callback_on_step_end is None:
                    return latents
                given = callback_on_step_end(self.pipeline, number, timestep, {"latents": latents})
                return (given or {}).get("latents", latents)

            latent = sample_edit(
                denoiser,
                photo,
                start,
                interpolate(start, end, eta),
                empty,
                region,
                num_inference_steps=steps,
                guidance_scale=denoiser.family.guidance,
                generator=generator,
                on_step=after,
            )
        return from_latent(self.pipeline, latent, output_type)

    def region(
        self, prompt: str | None = None, *, threshold: float = 0.4, guidance_scale: float | None = None
    ) -> Tensor:
        """Where the target changes the photo, found by the model: [1, 1, ...], 0..1, of the latent's size.

        `sample` finds it by itself; several samples for one target are quicker with a region found once. The noise that
        it is found with is always the same. Source: DiffEdit, arXiv 2210.11427, Sec. 3.2.

        Args:
            prompt: another target than the text the edit was learned with.
            threshold: how large a change must be to count, as a share of the largest, 0..0.95; 0 counts all.
            guidance_scale: as `sample`. It matters to networks distilled from guidance alone.

        Raises:
            ValueError: as `sample`.
        """
        self._check(prompt, threshold, guidance_scale)
        with self._tuned(guidance_scale) as denoiser:
            start, end = self._ends(denoiser, self._texts(denoiser, prompt, None)[0])
            return edit_region(denoiser, self.photo.to(denoiser.device), start, end, threshold=threshold)

    def _check(self, prompt: str | None, threshold: float, guidance_scale: float | None) -> None:
        if prompt is not None:
            checks.text("prompt", prompt)
        checks.number("threshold", threshold, *options.THRESHOLD)
        if guidance_scale is not None:
            checks.number("guidance_scale", guidance_scale, *options.GUIDANCE)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that `load` reads, and diffusers' `load_lora_weights` and ComfyUI's Load LoRA too.

        Those two take the LoRA alone; embeddings and photo are in the file's metadata.

        Raises:
            ValueError: the path leads to a folder, or into one that is not there; or nothing was tuned.
        """
        path = options.file_path(path)
        if not self.update:
            raise ValueError("This edit learned nothing that a file could keep: make it by tune, not by instant.")
        if not all(key.endswith(lora_names.SUFFIXES) for key in self.update):
            raise ValueError("This edit has full weights, which save does not write: copy the file that it came from.")
        picture = pictures.decode(self.pipeline, self.photo.to(self.pipeline._execution_device))
        size = picture.size
        picture.thumbnail((PREVIEW_SIZE, PREVIEW_SIZE))
        family = family_of(self.pipeline)
        kind = type(self.pipeline).__name__
        rest = {} if self.guidance_scale is None else {"guidance": self.guidance_scale}
        about: dict[str, Any] = {"pipeline": kind, "base": str(self.pipeline.config.get("_name_or_path") or kind)}
        about |= {"text": self.prompt, "size": size, "settings": [], "optimized": rest, "anchor": rest}
        edit = edit_file.Edit(
            optimized=self.optimized,
            anchor=self.anchor,
            update=lora_names.to_file(self.update, family.part),
            preview=torch.from_numpy(np.array(picture)),
            base=_fingerprint(family.network),
            photo=self.photo,
            about=about,
        )
        edit_file.save(edit, path, as_lora=True)

    @classmethod
    def load(
        cls,
        path: str | Path,
        pipeline: DiffusionPipeline,
        image: Image.Image | np.ndarray | Tensor | None = None,
    ) -> "ImagicEdit":
        """Read an edit that `save` or ComfyUI's Save Imagic Edit wrote, to go on with on the model that was tuned.

        Warns if the pipeline's network is of the same layout but has other weights.

        Args:
            image: the photo, as `tune` takes it, for files of ComfyUI that hold a small picture of it alone. Of all
                files it is checked: another photo is refused, and one in another size or file format is not.

        Raises:
            NotAnEdit: the file cannot be read, or lacks the photo, or its text is none for the pipeline.
            ValueError: the pipeline's network is of another kind, or the image is another photo or has another shape.
        """
        path, family = options.file_path(path), family_of(pipeline)
        size = sum(weight.numel() for weight in family.network.parameters())
        saved, name = edit_file.load(path, size), path.name
        told = saved.about["base"] or "an unknown checkpoint"
        if "pipeline" in saved.about:
            base = _fingerprint(family.network)
            if not saved.base.same_kind(base):
                raise ValueError(f"{name} was tuned on another kind of model, {told}: load that pipeline.")
            saved.update = lora_names.from_file(saved.update, family.network, family.part)
        else:
            base = host_edit.base_of(family)
            saved = host_edit.translated(saved, name, family)
        saved = host_edit.read(saved, name, family)
        _tuning(family.network, saved.update)  # to refuse one of another model
        if not saved.base.same_weights(base):
            warnings.warn(f"{name} was tuned on {told}, and this is another model.", stacklevel=2)
        photo, about = own_photo.latent_of(saved, name, image, pipeline, family.multiple), saved.about
        guidance = about.get("optimized", {}).get("guidance")
        return cls(pipeline, photo, about["text"], saved.anchor, saved.optimized, saved.update, (), guidance)

    def _texts(
        self, denoiser: DiffusersDenoiser, prompt: str | None, negative_prompt: str | None
    ) -> tuple[Conditioning, Conditioning | None]:
        """What is wanted, and the counterpart for guidance."""
        wanted, empty = denoiser.family.texts(self.prompt if prompt is None else prompt)
        if negative_prompt is not None:
            if empty is None:
                kind = type(self.pipeline).__name__
                raise ValueError(f"negative_prompt has no use with {kind}, which is not guided by two texts: omit it.")
            empty, _ = denoiser.family.texts(negative_prompt)
        return (_on(self.anchor, denoiser.device) if prompt is None else wanted), empty

    def _ends(self, denoiser: DiffusersDenoiser, wanted: Conditioning) -> tuple[Conditioning, Conditioning]:
        """What explains the photo and what is wanted, of one length: joint attention weighs tokens by their number."""
        optimized = _on(self.optimized, denoiser.device)
        return interpolate(optimized, wanted, 0), interpolate(optimized, wanted, 1)

    @contextmanager
    def _tuned(self, guidance_scale: float | None) -> Iterator[DiffusersDenoiser]:
        """The pipeline as a denoiser, with what was tuned, and with the guidance that is asked for, else the edit's,
        else the family's usual."""
        with borrowed(self.pipeline, self.photo) as denoiser, ExitStack() as stack:
            asked = self.guidance_scale if guidance_scale is None else guidance_scale
            if asked is not None:
                denoiser.family.guidance = float(asked)
            for part in _tuning(denoiser.network, self.update, denoiser.device):
                stack.enter_context(part.attached())
            yield denoiser


def _tuning(network: torch.nn.Module, update: dict[str, Tensor], device: torch.device = _CPU) -> list[LoRA | Weights]:
    """What was tuned, ready to be attached.

    Raises:
        ValueError: the network has no such layers, or they are of another size.
    """
    low_rank = {key: tensor for key, tensor in update.items() if key.endswith(lora_names.SUFFIXES)}
    full = {key: tensor for key, tensor in update.items() if key not in low_rank}
    parts: list[LoRA | Weights] = [LoRA.restored(network, low_rank, device)] if low_rank else []
    return [*parts, Weights.restored(network, full)] if full else parts


def _on(conditioning: Conditioning, device: torch.device) -> Conditioning:
    return {name: tensor.to(device) for name, tensor in conditioning.items()}


def _fingerprint(network: torch.nn.Module) -> Fingerprint:
    shapes = {name: weight.shape for name, weight in network.state_dict().items()}
    return fingerprint(shapes, lambda name: weight_of(network, name))
