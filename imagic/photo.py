"""Any picture that Pillow opens as an upright RGB picture of 8 bits, which is what pipelines and hosts take."""

import io

import numpy as np
from PIL import Image, ImageCms, ImageOps

PAPER = (255, 255, 255)  # behind what is transparent, as browsers and viewers show it
UNPAINTED = (0, 0, 0)  # behind a mask, of which what is transparent was not painted
WHITES = (1, 2**8 - 1, 2**16 - 1)  # of pictures of numbers, which do not say theirs
HIGHLIGHTS = 4  # how far beyond white the brightest points of a picture of fractions may lie


def normalized(picture: Image.Image, paper: tuple[int, int, int] = PAPER) -> Image.Image:
    """The picture as it is meant to be seen: turned by its orientation tag, in sRGB, at 8 bits a channel, on paper.

    Of pictures of 16 bits, of whole numbers and of fractions, the white is the smallest usual one (1, 255, 65535) that
    holds what is in them; fractions may go a little beyond 1.

    Raises:
        ValueError: it is no picture, cannot be read, or holds numbers that are no brightness.
    """
    if not isinstance(picture, Image.Image):
        raise ValueError(f"The photo is of type {type(picture).__name__}: open it with PIL.Image.open first.")
    try:
        picture = ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError):
        raise ValueError("The photo cannot be read to its end: copy or save it again.") from None
    if picture.mode[0] in "IF":
        return Image.fromarray(_to_8_bits(picture)).convert("RGB")
    picture = _to_srgb(picture)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, paper), picture)
    return picture.convert("RGB")


def _to_srgb(picture: Image.Image) -> Image.Image:
    """The picture with its colours in sRGB. Phones store Display P3, whose numbers look paler if taken for sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return picture
        colours = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode=colours)
    except (KeyError, OSError, ImageCms.PyCMSError):  # no profile, a damaged one, or one for other channels
        return picture


def _to_8_bits(picture: Image.Image) -> np.ndarray:
    """A picture of one channel of numbers, "I;16", "I" or "F", as [H, W], uint8."""
    values = np.asarray(picture, dtype=np.float64)
    brightest = values.max(initial=0)
    if not np.isfinite(values).all() or brightest > WHITES[-1]:
        raise ValueError(f"The photo holds values up to {brightest:g}: convert it to 8 or 16 bits.")
    if picture.mode.startswith("I;16"):
        white = WHITES[-1]
    elif picture.mode == "F" and brightest <= HIGHLIGHTS:
        white = 1
    else:
        white = next(white for white in WHITES[1:] if brightest <= white)
    return (values.clip(0, white) * (255 / white)).round().astype(np.uint8)
