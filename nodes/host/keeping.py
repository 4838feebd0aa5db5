"""Keep Photo on ComfyUI's own samplers, through the host's wrappers.

The photo goes along in every run as a second half of the batch: with the same noise, through the same sampler and the
same nodes. Whatever they do, they do to both halves, so at eta 0 both stay equal, and the photo comes back. After each
prediction the photo's half is told that the photo is what was predicted, the edit's half what `kept_prediction` makes.
"""

import comfy.patcher_extension
import comfy.sampler_helpers
import torch
from comfy.model_patcher import create_model_options_clone
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...imagic.denoiser import Conditioning
from ...imagic.interpolation import interpolate
from ...imagic.keeping import kept_prediction
from .latents import Drawn, fitted_to, starting_points
from .rehearsal import Rehearsal, twice, with_the_same_noise

KEY = "imagic_keep_photo"


def keeps_photo(model) -> bool:
    """Whether MODEL keeps a photo already."""
    return bool(model.get_wrappers(WrappersMP.OUTER_SAMPLE, KEY))


def keep_photo(model, samples: Tensor, optimized: Conditioning, region: Tensor):
    """A clone of MODEL whose samplers draw an edit of the photo.

    Args:
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        optimized: the text tensors that explain the photo.
        region: where the photo may change, [1, 1, ...], 0..1.
    """
    keeping = model.clone()
    keeper = PhotoKeeper(samples, optimized, region)
    keeping.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, keeper)
    return keeping


class PhotoKeeper:
    """An OUTER_SAMPLE wrapper: begins a `Run`, and ends it whatever happens.

    Of a run only what it drew is remembered, for the sampler that goes on with it.
    """

    def __init__(self, photo: Tensor, optimized: Conditioning, region: Tensor):
        self.photo, self.optimized, self.region = photo, optimized, region
        self.drawn = Drawn()

    def __call__(
        self,
        executor,
        noise: Tensor,
        latent: Tensor,
        sampler,
        sigmas: Tensor,
        mask: Tensor | None = None,
        callback=None,
        disable_pbar: bool = False,
        seed: int | None = None,
        **rest,
    ) -> Tensor:
        guider, count = executor.class_obj, len(noise)
        if len(rest.get("latent_shapes", [None])) > 1:
            raise ValueError(
                "Keep Photo works on pictures, and this latent also holds video or sound: use a picture's latent."
            )
        if not guider.conds.get("positive"):
            raise ValueError("Keep Photo finds no positive conditioning in this guider: take a CFGGuider.")
        edit, companion, steps = starting_points(noise, latent, self.photo, self.region, self.drawn)
        both = torch.cat([edit, companion])
        if "latent_shapes" in rest:
            rest["latent_shapes"] = [both.shape]
        if mask is not None and mask.shape != noise.shape:  # newer hosts have prepared it
            mask = comfy.sampler_helpers.prepare_mask(mask, noise.shape, guider.model_patcher.load_device)
        # Some samplers write into their levels, which a cached node may hold.
        sigmas, finishes = sigmas.clone(), float(sigmas[-1]) == 0
        run, options = Run(guider, self, mask, count, steps), guider.model_options
        guider.model_options = run.options(options)
        show = callback and (lambda step, clean, noisy, total: callback(step, clean[:count], noisy[:count], total))
        sampler = with_the_same_noise(sampler, noise, seed)
        try:
            # The mask stays with the run: samplers mix in noise of their own around one.
            done = executor(twice(noise), both, sampler, sigmas, None, show, disable_pbar, seed, **rest)
        finally:
            guider.model_options = options
        edit, companion = done.chunk(2)
        if not finishes:
            self.drawn.leave(edit, companion, run.steps)
            return edit
        edit = edit + self.left_over(companion)
        self.drawn.finish(edit)
        return edit

    def left_over(self, companion: Tensor) -> Tensor:
        """What a sampler is short of, as the photo shows: some stop before all noise is gone."""
        return fitted_to(companion, self.photo) - companion


class Run:
    """One run of a sampler over a batch of edits and as many photos."""

    def __init__(self, guider, keeper: PhotoKeeper, mask: Tensor | None, count: int, steps: int):
        """
        Args:
            mask: a LATENT's mask, [count, C, ...]; outside of it the sampler's latent stays.
            count: of edits, half of the batch.
            steps: predictions that a sampler before this one has had.
        """
        self.guider, self.keeper, self.mask, self.count, self.steps = guider, keeper, mask, count, steps
        self.photo = self.region = self.latent = self.sigmas = None
        self.rehearsal: Rehearsal | None = None
        self.renews_noise = True

    def options(self, options: dict) -> dict:
        """The guider's options with this run around all else that wraps a prediction."""
        options = create_model_options_clone(options)
        inside = options.setdefault("transformer_options", {})
        wrappers = inside["wrappers"] = dict(inside.get("wrappers", {}))
        for kind, wrapper in ((WrappersMP.SAMPLER_SAMPLE, self.sample), (WrappersMP.PREDICT_NOISE, self.predict)):
            wrappers[kind] = {KEY: [wrapper], **wrappers.get(kind, {})}
        self._add_photo_texts()
        return options

    def _add_photo_texts(self) -> None:
        """Give each positive entry a twin with the photo's text, which the host then prepares like all others.

        Guidance, sizes, areas, timestep ranges and controls are the entry's own.
        """
        conds, optimized = self.guider.conds, self.keeper.optimized
        edits, photos = [], []
        for entry in conds["positive"]:
            own = {name: entry[name] for name in optimized if entry.get(name) is not None}
            # Of one length, as far as the host does not see to it itself.
            ends = (interpolate(optimized, own, eta) for eta in (1, 0))
            for entries, text in zip((edits, photos), ends, strict=True):
                entries.append({**entry, **text})
        conds["positive"], conds[KEY] = edits, photos

    def _join_texts(self) -> None:
        """One entry for both halves of the batch: its tensors hold the edit's text, then the photo's."""
        conds = self.guider.conds
        # The host may have added entries, for the areas of other conditionings, and to both lists the same.
        pairs = zip(conds["positive"], conds.pop(KEY), strict=True)
        conds["positive"] = [
            {**edit, "model_conds": self._joined(edit["model_conds"], photo["model_conds"])} for edit, photo in pairs
        ]

    def _joined(self, edit: dict, photo: dict) -> dict:
        joined = {}
        for name, cond in edit.items():
            pair = [
                half.process_cond(batch_size=self.count, device=self.latent.device, area=None)
                for half in (cond, photo[name])
            ]
            if not pair[0].can_concat(pair[1]):
                raise ValueError(
                    "The edit's text and the photo's do not fit into one batch of this model: encode both with the "
                    "same text encoder, in texts of about the same length."
                )
            joined[name] = cond._copy_with(pair[0].concat(pair[1:]))
        return joined

    def sample(self, executor, guider, sigmas, extra_args, callback, noise, latent, mask=None, disable_pbar=False):
        """A SAMPLER_SAMPLE wrapper: the host has prepared everything, and no step has been taken."""
        self.sigmas, self.latent = sigmas, latent[: self.count]
        self.photo = guider.inner_model.process_latent_in(fitted_to(latent, self.keeper.photo))
        self.region = fitted_to(latent, self.keeper.region)
        self._join_texts()

        def without_model(noise: Tensor, latent: Tensor) -> Tensor:
            return executor(guider, sigmas.clone(), {**extra_args}, None, noise, latent, None, True)

        self.rehearsal = Rehearsal(self.photo)
        self.rehearsal.run(without_model, noise[self.count :], latent[self.count :], executor.class_obj)
        # A sampler that goes by the unguided prediction takes its next noise from what it was shown.
        self.renews_noise = not self.rehearsal.reads_unguided
        self.rehearsal = None
        return executor(guider, sigmas, extra_args, callback, noise, latent, mask, disable_pbar)

    def predict(self, executor, noisy, sigma, model_options, seed):
        """A PREDICT_NOISE wrapper: the clean latents of edits and photos, [2 count, C, ...]."""
        if self.rehearsal:
            return self.rehearsal.predict(self.guider, noisy, sigma, model_options)
        photos = self.photo.expand(self.count, *self.photo.shape[1:])
        sample, noisy_photo = noisy.chunk(2)
        level = sigma[: self.count].view(-1, *[1] * (noisy.ndim - 1))

        def predict(*views: Tensor) -> tuple[Tensor, ...]:
            return executor(torch.cat(views), sigma, model_options, seed).chunk(2)

        def add_noise(clean: Tensor, noise: Tensor) -> Tensor:
            return self.guider.inner_model.model_sampling.noise_scaling(level, noise, clean)

        step = self.steps if self.renews_noise else 0
        edit = kept_prediction(predict, sample, noisy_photo, self.photo, self.region, add_noise, step)
        self.steps += 1
        return torch.cat([self._masked(edit, sigma, model_options), photos])

    def _masked(self, edit: Tensor, sigma: Tensor, model_options: dict) -> Tensor:
        """The sampler's latent outside of its mask, as the host's samplers have it."""
        if self.mask is None:
            return edit
        change = model_options.get("denoise_mask_function")
        about = {"model": self.guider, "sigmas": self.sigmas}
        mask = change(sigma[: self.count], self.mask, extra_options=about) if change else self.mask
        return torch.lerp(self.latent, edit, mask.to(edit))
