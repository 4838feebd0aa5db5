"""The README's dozen lines, on the model that ships with the pack."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo import classifier
from demo.scenes import VALUES
from imagic import interpolate
from imagic.diffusers import ImagicEdit, pictures
from imagic.region import edit_region
from tests.editbench.metrics import psnr
from tests.editbench.pack import THRESHOLD, draw
from tests.editbench.studio import Studio

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the lines leave behind, run as they stand in the README."""
    folder = tmp_path_factory.mktemp("readme")
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL).group(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        script = folder / "readme.py"
        script.write_text(code.replace("demo/photo.png", str(ROOT / "demo" / "photo.png")), encoding="utf-8")
        names = runpy.run_path(str(script))
    return folder, names


def seen(picture: Image.Image) -> dict[str, str]:
    """The attributes that the classifier reads off a picture."""
    found = classifier.predict(classifier.load(), np.array(picture)[None])
    return {name: VALUES[name][int(chances.argmax())] for name, chances in found.items()}


def test_the_edit_shows_the_target_and_keeps_all_else(results):
    folder, names = results
    photo = Image.open(ROOT / "demo" / "photo.png").convert("RGB")
    edited = Image.open(folder / "hat.png")
    assert seen(edited) == {**seen(photo), "accessory": "hat"}
    edit = names["edit"]
    region = edit.region()
    assert 0.05 < float(region.mean()) < 0.6
    outside = torch.nn.functional.interpolate(region, edited.size[::-1]).squeeze().numpy() == 0
    ceiling = pictures.decode(edit.pipeline, edit.photo)
    assert psnr(np.asarray(edited)[outside], np.asarray(ceiling)[outside]) > 24


def test_the_files_edit_goes_on(results):
    folder, names = results
    again = ImagicEdit.load(folder / "hat.safetensors", names["edit"].pipeline)
    assert again.prompt == names["edit"].prompt
    np.testing.assert_array_equal(
        np.asarray(again.sample(num_inference_steps=2)), np.asarray(names["edit"].sample(num_inference_steps=2))
    )


def test_the_picture_is_the_one_that_the_nodes_and_the_bench_draw(results):
    """The bench merges the tuning into the weights, and is held to the host's picture in tests/host."""
    edit, bench = results[1]["edit"], Studio()
    with bench.tuned(edit.update):
        region = edit_region(bench.denoiser, edit.photo, edit.optimized, edit.anchor, threshold=THRESHOLD)
        conditioning = interpolate(edit.optimized, edit.anchor, 1.2)
        theirs = draw(bench, edit.photo, edit.optimized, conditioning, region)
    ours = np.asarray(Image.open(results[0] / "hat.png"))
    assert psnr(ours, theirs) > 45
