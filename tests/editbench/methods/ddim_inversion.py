"""Inversion (arXiv 2105.05233): the noise that gives the photo, sampled again under the target text.

DDIM inversion of a diffusion model; of a flow model the same along its own path (arXiv 2410.10792, uncontrolled).
"""

from ..outcome import Outcome


def edit(studio, pair) -> Outcome:
    """The dial is the text to invert under: none, a caption of the photo, or the target text itself."""
    outcome = Outcome()
    texts = {"no text": "", "source caption": pair.edit.source_caption, "target text": pair.edit.target_caption}
    for dial, text in texts.items():
        with studio.measured(outcome.sample(dial)):
            noise = studio.invert(studio.encode(pair.source), studio.text(text))
            clean = studio.denoise(noise, studio.text(pair.edit.target_caption), studio.levels())
            outcome.pictures[dial] = studio.decode(clean)
    return outcome
