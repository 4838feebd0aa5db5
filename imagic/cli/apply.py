"""Draw from an edit that was saved: another strength, seed or sentence. Nothing is trained.

The file is one that `imagic edit --save-edit`, `ImagicEdit.save` or ComfyUI's Save Imagic Edit wrote, and the model
the one it was learned with. ComfyUI's may hold a small picture of the photo alone: then give --photo as well.

examples:
  imagic apply dog.safetensors --model sd15.safetensors --strength 1.4 --photo dog.jpg -o more.png
  imagic apply dog.safetensors "a dog wearing a crown" --model sd15.safetensors -o crown.png

exit status: 0 done, 1 the work failed, 2 misused: an option or a name is wrong, 130 stopped by Ctrl-C
"""

import argparse
from pathlib import Path

from . import arguments, files

USAGE = "imagic apply EDIT [SENTENCE] --model NAME [-o FILE] [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("edit", type=Path, help="The file of the edit, .safetensors.")
    parser.add_argument(
        "sentence",
        nargs="?",
        help="What the finished photo shows. Default: the text it was learned with, which after --caption is that of "
        "the photo as it was.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="The picture to write: .png, .jpg, .webp, .tif, .bmp or .avif. A file that is there is replaced. Default: "
        "EDIT-edited.png in the current folder.",
    )
    arguments.add_model(parser)
    drawing = arguments.add_sampling(parser)
    drawing.add_argument(
        "--photo",
        type=Path,
        metavar="FILE",
        help="The photo, to put the edit into it at its full size. Default: the picture as the model drew it.",
    )


def check(options: argparse.Namespace) -> None:
    arguments.check_sentence(options.sentence)
    arguments.check_file(options.edit)
    if options.photo is not None:
        files.check_photo(options.photo)
    files.check_output(options.output or files.default_output(options.edit), options.photo)
    arguments.check_sampling(options)
    arguments.check_model(options)

    from .. import edit_file  # last: PyTorch, which it needs, takes seconds

    edit_file.check(options.edit)


def run(options: argparse.Namespace) -> int:
    output = options.output or files.default_output(options.edit)
    photo = None if options.photo is None else files.read_photo(options.photo)
    kind = files.check_output(output, options.photo)
    drawing = arguments.sampling(options)
    pipeline = arguments.load(options)

    from ..diffusers import ImagicEdit

    edit = ImagicEdit.load(options.edit, pipeline, photo)
    picture = arguments.draw(edit, options.sentence, drawing, photo)
    files.write_picture(picture, output, kind)
    print(output)
    return 0
