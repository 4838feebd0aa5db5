"""A MODEL as stages A and B have it while they train."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor


@contextmanager
def ready_to_train(bench, model, latent: Tensor, conditioning: list) -> Iterator[tuple]:
    """Load MODEL and try it out, as for training all weights.

    Args:
        bench: a `Studio` or a `Workbench`.
        latent: the LATENT's samples.

    Yields:
        The denoiser, the latent in the model's scale and the text's tensors, on the model's device.
    """
    text, fixed = bench.module("nodes.inputs").single_entry(conditioning)
    with bench.module("nodes.host.training").loaded(model, latent, text, fixed) as ready:
        ready.prepare(tune="all weights")
        yield ready.denoiser, ready.latent, ready.conditioning
