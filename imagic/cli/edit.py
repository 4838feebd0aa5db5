"""Edit one photo by a sentence.

Describe how the photo should look. You get it back at its own size, changed that way: where nothing changed, each
pixel is the photo's own.

examples:
  imagic edit photo.jpg "a dog wearing a hat" --model stabilityai/stable-diffusion-xl-base-1.0 -o hat.png
  imagic edit photo.jpg "a dog wearing a hat" --model sd15.safetensors --save-edit dog.safetensors
  imagic edit photo.jpg "a dog wearing a hat" --model demo --instant "a dog"        no training: seconds

Too weak? More --strength, or a lower --threshold. Does it spill over? A higher --threshold.

exit status: 0 done, 1 the work failed, 2 misused: an option or a name is wrong, 130 stopped by Ctrl-C
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import arguments, files

USAGE = "imagic edit PHOTO SENTENCE --model NAME [-o FILE] [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", type=Path, help="The photo: a picture file of any kind and size.")
    parser.add_argument("sentence", help="What the finished photo shows.")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="The picture to write: .png, .jpg, .webp, .tif, .bmp or .avif. A file that is there is replaced. Default: "
        "PHOTO-edited.png in the current folder.",
    )
    arguments.add_model(parser)
    learning = parser.add_argument_group("learning the photo")
    learning.add_argument(
        "--instant",
        metavar="CAPTION",
        help="Train nothing: this caption says what the photo shows now. Quicker; on average it keeps less.",
    )
    learning.add_argument(
        "--caption",
        metavar="TEXT",
        help="What the photo shows now. An edit that is learned with it serves other sentences as well. Default: the "
        "sentence itself is learned.",
    )
    learning.add_argument(
        "--save-edit",
        type=Path,
        metavar="FILE",
        help="Also keep what was learned, in a .safetensors file for imagic apply, ComfyUI or diffusers.",
    )
    arguments.add_learning(learning)
    drawing = arguments.add_sampling(parser)
    drawing.add_argument(
        "--as-drawn",
        action="store_true",
        help="Write the picture at the size that the model drew, not put back into the photo. Default: off.",
    )


def check(options: argparse.Namespace) -> None:
    arguments.check_sentence(options.sentence)
    arguments.check_caption("--caption", options.caption)
    arguments.check_caption("--instant", options.instant)
    files.check_photo(options.photo)
    files.check_output(options.output or files.default_output(options.photo), options.photo)
    if options.instant is not None:
        if options.caption is not None:
            raise ValueError("--instant has a caption of its own: leave out --caption.")
        if options.save_edit is not None:
            raise ValueError("--instant learns nothing that --save-edit could keep: leave one of them out.")
    if options.save_edit is not None:
        files.check_edit_file(options.save_edit)
    arguments.check_sampling(options)
    arguments.check_learning(options)
    arguments.check_model(options)


def run(options: argparse.Namespace) -> int:
    photo = files.read_photo(options.photo)
    output = options.output or files.default_output(options.photo)
    kind = files.check_output(output, options.photo)
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
        kind(gradient_checkpointing=chosen["gradient_checkpointing"]) for kind in (EmbeddingSettings, TuningSettings)
    )
    if chosen["embedding_steps"] is not None:
        embedding = replace(embedding, steps=chosen["embedding_steps"])
    if chosen["tuning_steps"] is not None:
        tuning = replace(tuning, steps=chosen["tuning_steps"])
    return {"embedding": embedding, "tuning": tuning}
