"""A photo of any size goes in, its edit of the same size comes out, and outside of the edit each pixel is its own."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from imagic.resampling import resize

SETTINGS = {"align": False, "threshold": 0.0, "feather": 1.0}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def crop(pack):
    def run(photo, region=None, size=64, multiple=16, context=1.5):
        with torch.inference_mode():
            return pack.NODE_CLASS_MAPPINGS["ImagicCropPhoto"]().crop(photo, size, multiple, context, region)

    return run


@pytest.fixture
def restore(pack):
    def run(edited, **inputs):
        with torch.inference_mode():
            return pack.NODE_CLASS_MAPPINGS["ImagicRestorePhoto"]().restore(edited, **{**SETTINGS, **inputs})["result"]

    return run


def test_a_phone_photo_comes_back_upright_at_its_size_with_its_own_pixels(client, tmp_path):
    """From a file on disk to a file on disk, over the host's own nodes."""
    pixels = (noise(300, 404, 3) * 255).byte().numpy()
    turned, painted = Image.Exif(), Image.new("L", (404, 300))
    painted.paste(255, (150, 100, 250, 200))
    file, masked = tmp_path / "phone.png", tmp_path / "painted.png"
    turned[0x0112] = 6  # taken upright: turn right to see it
    Image.fromarray(np.rot90(pixels).copy()).save(file, exif=turned.tobytes())
    Image.merge("RGBA", [*Image.fromarray(pixels).split(), painted.point(lambda value: 255 - value)]).save(masked)

    def node(kind: str, **inputs) -> dict:
        return {"class_type": kind, "inputs": inputs}

    graph = {
        "photo": node("LoadImage", image=client.upload_image(file)),
        "painted": node("LoadImage", image=client.upload_image(masked)),
        "crop": node("ImagicCropPhoto", photo=["photo", 0], size=256, multiple=16, context=1.5, region=["painted", 1]),
        "edit": node("ImageInvert", image=["crop", 1]),
        "restore": node("ImagicRestorePhoto", edited=["edit", 0], stitcher=["crop", 0], **SETTINGS),
        "save": node("SaveImage", images=["restore", 0], filename_prefix="full"),
    }
    (saved,) = client.run(graph).outputs["save"]["images"]
    restored = np.asarray(Image.open(io.BytesIO(client.view(saved))))
    assert restored.shape == pixels.shape
    inside = np.asarray(painted) > 0
    assert (restored == pixels)[~inside].all()
    # The crop is drawn pixel for pixel, so the middle of it is the edit itself.
    np.testing.assert_allclose(restored[120:180, 170:230], 255 - pixels[120:180, 170:230].astype(int), atol=1)


def test_the_part_is_the_whole_frame_in_the_photos_shape(crop):
    photo = noise(2, 300, 400, 3)
    _, part, region = crop(photo, size=128)
    assert part.shape == (2, 112, 144, 3)
    assert region.shape == (1, 112, 144)
    assert (region == 1).all()
    torch.testing.assert_close(part[1], resize(photo[1], 112, 144).clamp(0, 1))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_grey_alpha_16_bits_and_halves_are_kept(crop, restore, channels, dtype):
    photo = ((noise(1, 90, 70, channels) * 65535).round() / 65535).to(dtype)
    region = torch.zeros(1, 90, 70)
    region[:, 30:60, 20:50] = 1
    stitcher, part, _ = crop(photo, region)
    image, changed = restore(1 - part, stitcher=stitcher)
    assert part.shape[-1] == 3
    assert image.dtype == dtype
    assert image.shape == (1, 90, 70, max(3, channels))
    assert torch.equal(image[region == 0], photo.expand(1, 90, 70, max(3, channels))[region == 0])
    assert changed.shape == (1, 90, 70)
    assert changed.max() == 1
    if channels == 4:
        assert torch.equal(image[..., 3], photo[..., 3])


def test_any_editors_picture_goes_into_the_photo_it_was_made_from(restore):
    photo = resize(noise(30, 40, 3), 240, 320).clamp(0, 1)[None]
    edited = resize(photo[0], 96, 144).clamp(0, 1)[None]  # of a shape of its own
    edited[:, 40:60, 60:90] = torch.tensor([0.9, 0.1, 0.1])
    image, changed = restore(edited, photo=photo, align=True, threshold=3.0)
    assert torch.equal(image[changed == 0], photo[changed == 0])
    assert 0.03 < (changed > 0).float().mean() < 0.15
    red = torch.tensor([0.9, 0.1, 0.1]).expand(40, 55, 3)
    torch.testing.assert_close(image[0, 105:145, 140:195], red, atol=0.03, rtol=0)


def test_a_batch_of_edits_of_one_photo_is_a_batch(crop, restore):
    photo = noise(1, 90, 120, 3)
    stitcher, part, _ = crop(photo)
    edits = torch.cat([part, 1 - part, part * 0.5])
    image, changed = restore(edits, stitcher=stitcher)
    assert image.shape == (3, 90, 120, 3)
    for index in range(3):
        assert torch.equal(image[index], restore(edits[index : index + 1], stitcher=stitcher)[0][0])
    assert changed.shape == (3, 90, 120)


def test_a_region_of_the_parts_size_and_one_of_the_photos_size(crop, restore):
    photo = noise(1, 96, 128, 3)
    stitcher, part, _ = crop(photo)
    for height, width in (part.shape[1:3], (96, 128)):
        region = torch.zeros(1, height, width)
        region[:, : height // 2] = 1
        image, changed = restore(1 - part, stitcher=stitcher, region=region)
        assert torch.equal(image[:, 48:], photo[:, 48:])
        assert (changed[:, :44] == 1).all()


@pytest.mark.parametrize("size", [83, 166])
def test_the_region_of_keep_photo_leaves_no_cuts(crop, restore, size):
    """Its positions are squares of the part: of many of the photo's pixels, or of as many if the photo is small."""
    photo, positions = noise(1, 144, 192, 3), noise(9, 12, seed=1).clamp(0.2, 0.8)
    positions[:2] = 0
    stitcher, part, _ = crop(photo, size=size, multiple=24)
    side = part.shape[1] // 9
    region = positions.repeat_interleave(side, 0).repeat_interleave(side, 1)[None]
    results = [restore(1 - part, stitcher=stitcher, region=mask) for mask in (region, positions[None])]
    image, changed = results[0]
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))
    assert max(changed.diff(dim=axis).abs().max() for axis in (1, 2)) < 1.5 * 0.8 / 16
    assert torch.equal(image[:, :24], photo[:, :24])
    assert (changed[:, 40:] > 0.1).all()


@pytest.mark.parametrize("whole", [False, True])
def test_a_soft_mask_of_the_photos_size_stays_where_it_was_painted(crop, restore, whole):
    """Its edges lie on a grid, and the part has the photo's shape: it is still no region of a few positions."""
    photo, region, around = noise(1, 256, 256, 3), torch.zeros(1, 256, 256), torch.zeros(1, 256, 256)
    region[:, 160:192, 96:224] = 0.9
    region[:, 160:192, 96:128] = 0.6
    around[:, 128:, 96:224] = 1
    stitcher, part, _ = crop(photo, None if whole else around)
    image, changed = restore(1 - part, stitcher=stitcher, region=region, feather=0.0)
    assert part.shape[1] == part.shape[2]
    assert torch.equal(image[region == 0], photo[region == 0])
    assert (changed[:, 165:187, 132:220] > 0.85).all()


class OtherPack:
    """What ComfyUI-Inpaint-CropAndStitch says of its STITCHER, in a few lines of our own."""

    @staticmethod
    def crop(photo: torch.Tensor) -> tuple[dict, torch.Tensor]:
        """A part [10:50, 20:100] of a photo [1, 60, 90, 3] that hangs over its right edge by 10."""
        canvas = torch.cat([photo, photo[:, :, -1:].expand(-1, -1, 10, -1)], 2)
        mask = torch.zeros(1, 20, 40)
        mask[:, 5:15, 5:35] = 1
        numbers = {"canvas_to_orig": (0, 0, 90, 60), "cropped_to_canvas": (20, 10, 80, 40)}
        stitcher = {
            "downscale_algorithm": "bilinear",
            "upscale_algorithm": "bicubic",
            "blend_pixels": 32,
            "device_mode": "cpu (compatible)",
            "canvas_image": [canvas],
            "cropped_mask_for_blend": [mask],
        }
        stitcher |= {
            f"{key}_{side}": [value] for key, four in numbers.items() for side, value in zip("xywh", four, strict=True)
        }
        return stitcher, resize(canvas[0, 10:50, 20:100], 20, 40).clamp(0, 1)[None]

    @staticmethod
    def stitch(stitcher: dict, edited: torch.Tensor) -> torch.Tensor:
        """Of the first picture: mask x edit + (1 - mask) x canvas, then the photo of the canvas."""
        left, top, width, height = (stitcher[f"cropped_to_canvas_{side}"][0] for side in "xywh")
        big = resize(edited[0], height, width)
        share = resize(stitcher["cropped_mask_for_blend"][0][0][..., None], height, width).clamp(0, 1)
        canvas = stitcher["canvas_image"][0].clone()
        where = (0, slice(top, top + height), slice(left, left + width))
        canvas[where] = share * big + (1 - share) * canvas[where]
        left, top, width, height = (stitcher[f"canvas_to_orig_{side}"][0] for side in "xywh")
        return canvas[:, top : top + height, left : left + width]


def test_the_other_packs_stitcher_is_put_back_by_ours(restore):
    photo = noise(1, 60, 90, 3)
    stitcher, part = OtherPack.crop(photo)
    image, changed = restore(1 - part, stitcher=stitcher)
    assert image.shape == photo.shape
    assert torch.equal(image[changed == 0], photo[changed == 0])
    rows, columns = torch.nonzero(changed[0]).unbind(1)
    # The mask lies at 20..40 by 30..90, and a smooth filter reaches two pixels of the part further.
    assert rows.min() in range(16, 21)
    assert rows.max() in range(39, 44)
    assert columns.min() in range(26, 31)
    assert columns.max() == 89


def test_our_stitcher_is_put_back_by_the_other_pack(crop):
    photo, region = noise(1, 90, 120, 3), torch.zeros(1, 90, 120)
    region[:, 30:60, 40:80] = 1
    for mask in (None, region):
        stitcher, part, _ = crop(photo, mask)
        assert OtherPack.stitch(stitcher, part).shape == photo.shape
        image = OtherPack.stitch(stitcher, 1 - part)
        if mask is not None:
            assert torch.equal(image[region == 0], photo[region == 0])
            torch.testing.assert_close(image[:, 40:50, 50:70], 1 - photo[:, 40:50, 50:70])


def test_a_mask_that_nobody_painted_is_none(crop, restore):
    photo, blank = noise(1, 90, 120, 3), torch.zeros(1, 64, 64)
    assert crop(photo, blank)[1].shape == crop(photo)[1].shape
    edited = 1 - photo
    assert torch.equal(restore(edited, photo=photo, region=blank)[0], restore(edited, photo=photo)[0])


def test_leftovers_of_8_bits_are_not_painted(crop, restore):
    """Masks that were saved in 8 bits can hold 1/255 all over."""
    photo, painted = noise(1, 240, 320, 3), torch.zeros(1, 240, 320)
    painted[:, 100:150, 120:170] = 1
    leftovers = torch.full_like(painted, 1 / 255)
    for region, clean in ((painted.maximum(leftovers), painted), (leftovers, None)):
        (_, part, mask), (_, expected, white) = (crop(photo, one) for one in (region, clean))
        assert torch.equal(part, expected)
        assert torch.equal(mask, white)
        images = [restore(1 - part, stitcher=crop(photo)[0], region=one)[0] for one in (region, clean)]
        assert torch.equal(*images)


def test_bad_input_gets_one_sentence(crop, restore):
    photo = noise(1, 90, 120, 3)
    stitcher, part, _ = crop(photo)
    three = part.repeat(3, 1, 1, 1)
    odd = torch.ones(1, 90, 30)
    wrong = {**stitcher, "cropped_to_canvas_x": [100]}
    for sentence, call in {
        "Connect either the stitcher of Crop Photo or the full-size photo": lambda: restore(part),
        "Connect either": lambda: restore(part, stitcher=stitcher, photo=photo),
        "The stitcher does not say where the part lies: connect": lambda: restore(part, stitcher=wrong),
        "The region is 30 x 90 pixels and the photo 120 x 90": lambda: crop(photo, odd),
        "The region is 30 x 90": lambda: restore(part, stitcher=stitcher, region=odd),
        "There are 3 pictures, but 2 in before": lambda: restore(three, stitcher=stitcher, before=three[:2]),
        "size is 32: set it between": lambda: crop(photo, size=32),
    }.items():
        with pytest.raises(ValueError, match=f"^{sentence}.*\\.$"):
            call()
