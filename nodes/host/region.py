"""The region of an edit, found by the host's model."""

from torch import Tensor

from ...imagic.denoiser import Conditioning
from ...imagic.region import FORWARD_EQUIVALENTS, PAIRS, edit_region
from .evaluating import evaluating
from .progress import counter


def find_region(
    model, samples: Tensor, optimized: Conditioning, target: Conditioning, fixed: dict, threshold: float
) -> tuple[Tensor, int]:
    """`edit_region` on MODEL, loaded as for sampling: [1, 1, ...] on the CPU, and the evaluations it took.

    The node shows how far it is.

    Args:
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        fixed: entries of the CONDITIONING that are no text tensors.
    """
    with evaluating(model, samples, [optimized, target], fixed) as (denoiser, latent, texts):
        most, spent = FORWARD_EQUIVALENTS + PAIRS, []  # that a local edit takes less is known only when it is done
        moved = counter(most)

        def evaluated(count: int) -> None:
            spent.append(count)
            moved(count)

        area = edit_region(denoiser, latent, *texts, threshold=threshold, on_evaluation=evaluated)
        moved(most - sum(spent))
        return area.cpu(), sum(spent)
