"""Edit one photo by a sentence.

Describe how the photo should look. You get it back at its own size, changed that way: where nothing changed, each
pixel is the photo's own.

examples:
  imagic edit photo.jpg "a dog wearing a hat" --model stabilityai/stable-diffusion-xl-base-1.0 -o hat.png
  imagic edit photo.jpg "a dog wearing a hat" --model sd15.safetensors --save-edit dog.safetensors
  imagic edit photo.jpg "a dog wearing a hat" --model demo --instant "a dog"        no training: seconds

Too weak? More --strength, or a lower --threshold. Does it spill over? A higher --threshold.

exit status: 0 done, 1 failed, 2 misused, 130 stopped by Ctrl-C
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import arguments, files

USAGE = "imagic edit PHOTO SENTENCE --model NAME [-o FILE] [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", type=Path, help="any picture file, of any size")
    parser.add_argument("sentence", help="what the finished photo shows")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the picture to write (default: PHOTO-edited.png, here)"
    )
    arguments.add_model(parser)
    learning = parser.add_argument_group("learning the photo")
    learning.add_argument(
        "--instant", metavar="CAPTION", help="train nothing: start from this caption of the photo as it is"
    )
    learning.add_argument(
        "--caption", metavar="TEXT", help="what the photo shows: one that is learned so serves other sentences as well"
    )
    learning.add_argument(
        "--save-edit", type=Path, metavar="FILE", help="keep what was learned, for imagic apply, ComfyUI or diffusers"
    )
    learning.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="draw as many pixels as a square of this side has (default: the model's own)",
    )
    learning.add_argument("--embedding-steps", type=int, metavar="N", help="of stage A (default: 25)")
    learning.add_argument("--tuning-steps", type=int, metavar="N", help="of stage B (default: 10)")
    learning.add_argument(
        "--gradient-checkpointing", action="store_true", help="a third slower, a fraction of the memory"
    )
    drawing = arguments.add_sampling(parser)
    drawing.add_argument(
        "--as-drawn", action="store_true", help="give the picture as the model drew it, not put back into the photo"
    )


def run(options: argparse.Namespace) -> int:
    arguments.check_sentence(options.sentence)
    arguments.check_caption("--caption", options.caption)
    arguments.check_caption("--instant", options.instant)
    photo = files.read_photo(options.photo)
    output = options.output or files.default_output(options.photo)
    kind = files.check_output(output, options.photo)
    if options.instant is not None:
        if options.caption is not None:
            raise ValueError("--instant has a caption of its own: leave out --caption.")
        if options.save_edit is not None:
            raise ValueError("--instant learns nothing that --save-edit could keep: leave one of them out.")
    if options.save_edit is not None:
        files.check_edit_file(options.save_edit)
    drawing, stages = arguments.sampling(options), _stages(options)
    pipeline = arguments.load(options)

    from ..diffusers import fitted, instant, tune

    image = fitted(pipeline, photo, options.size)
    prompt = None if options.caption is None and options.instant is None else options.sentence
    if options.instant is not None:
        edit = instant(pipeline, image, options.instant)
    else:
        edit = tune(pipeline, image, options.caption or options.sentence, **stages)
    try:
        picture = arguments.draw(edit, prompt, drawing, None if options.as_drawn else photo)
        files.write_picture(picture, output, kind)
    finally:  # whatever becomes of one of the two, the other is not lost
        if options.save_edit is not None:
            edit.save(options.save_edit)
    print(output)
    return 0


def _stages(options: argparse.Namespace) -> dict[str, Any]:
    from ..diffusers import EmbeddingSettings, TuningSettings

    chosen = arguments.learning(options)
    embedding, tuning = (
        kind(gradient_checkpointing=chosen["gradient_checkpointing"], seed=options.seed)
        for kind in (EmbeddingSettings, TuningSettings)
    )
    if chosen["embedding_steps"] is not None:
        embedding = replace(embedding, steps=chosen["embedding_steps"])
    if chosen["tuning_steps"] is not None:
        tuning = replace(tuning, steps=chosen["tuning_steps"])
    return {"embedding": embedding, "tuning": tuning}
