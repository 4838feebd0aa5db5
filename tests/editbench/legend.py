"""What RESULTS.md says of its figures."""

import json

from .methods import METHODS


def legend(results: dict) -> str:
    sampler, settings = results["sampler"], results["settings"]
    lines = [
        "## What the figures mean\n",
        "- One setting and one seed for all pairs, methods and models: "
        f"{', '.join(f'{name} ({model})' for model, name in sampler['name'].items())}, {sampler['steps']} steps, "
        f"guidance {sampler['guidance']:g}, seed {sampler['seed']}, as the example workflow has them.",
        "- **Edit score**: the share of pairs on which the classifier sees the target attribute and every other "
        "captioned one, and the region that the edit leaves alone is within 4 dB of what the autoencoder makes of the "
        "photo, or at 24 dB and more, against the true edit. That region is where source and true edit are equal, "
        "eroded by two pixels. A style changes every pixel, and night all but a few: where it is under 2 % of the "
        "picture, the attributes alone decide.",
        "- **Complete**: the share of pairs that count for the edit score and whose change is there in nearly all of "
        "its places. Of the places where source and true edit differ (by more than 24, summed over channels), at least "
        "three quarters must be nearer to the true edit than to the source, squared errors averaged over 7 x 7 pixels. "
        "**of the change** is the median of that share. **identity** are edits of subjects that no model has seen and "
        "no caption names (stripes, patches, ears of a third colour, another build, something carried) in pose, "
        "background or colour. There, of the places by which the true edit differs from the same picture of an "
        "ordinary animal, more than half must be nearer to the true edit: **of the subject**. An edit of one of two "
        "subjects is not measured: no caption names two, and no model here was trained to draw two. Frames on the "
        "sheets: green is complete, amber counts for the edit score alone, red for neither; the shares are said below. "
        "Intervals are percentile bootstraps over pairs.",
        "- **Poses**: a sentence names a pose and no place. So the true edit of a pose has its animal where the edit "
        "has it, the way it faces in the photo: up to 15 pixels to each side, up and down, and up to an eighth smaller "
        "or larger. By the 7 x 7 pixels a flawless pose counts up to some 20 pixels away. The edit score and the PSNR "
        "are against that true edit, too; the sheets show the renderer's. How far was settled by looking at these "
        "edits, of three methods.",
        "- **untouched**, **whole**: median PSNR against the true edit, in that region and of everything. **η = 0**: "
        "median distance of the reconstruction from what the autoencoder makes of the photo.",
        "- **Setting**: η, α, strength, guidance and share of the steps, guidance and threshold, or the text that was "
        "inverted under. This pack's are what it ships with; its rivals' are those most often complete on these very "
        "pairs, and among equals with the highest edit score, which favours them.",
        "- **Choosing**: the best single setting is the one η (or strength ...) for all pairs that does best on these "
        "very pairs; the best per pair is what one who sees the truth would choose, which is more than any method can. "
        "Pick Edit sees neither truth nor classifier, and pays for drawing every η and looking at it.",
        "- **Forward-equivalents**: one network evaluation on one latent is 1, a backward through activations 1 more, "
        "a weight gradient 1 more; counted by hooks. **Plain samples**: wall time over that of one 50-step sample with "
        "guidance in the same process, taken at every pair. Medians over pairs, one picture sampled. The default's "
        "further target is what it takes where it was tuned under a caption of the photo, with that row's edit score.",
        *(
            f"- {METHODS[name].title}: `{json.dumps(values)}`"
            for name, values in settings.items()
            if name in METHODS and values
        ),
        "",
    ]
    return "\n".join(lines)
