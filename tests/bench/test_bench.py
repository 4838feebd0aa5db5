"""Both benchmarks end in a report: read as they are published, edited by every method, measured with what is there."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from imagic.bench import paper, piebench, report, tedbench
from imagic.bench.metrics import CLIP, DINO, LPIPS, Metrics
from imagic.bench.pairs import NotABenchmark
from imagic.bench.report import interval
from imagic.cli import main
from imagic.diffusers import load_pipeline
from imagic.diffusers.encoders import clip_similarity

from . import miniatures

SHORT = [
    "--model",
    "demo",
    "--size",
    "64",
    "--num-inference-steps",
    "1",
    "--embedding-steps",
    "1",
    "--tuning-steps",
    "1",
]


def test_tedbench_is_read(tmp_path):
    folder = miniatures.tedbench(tmp_path)
    first, second = tedbench.read(tmp_path, {"cat 2.jpeg": "a cat"})
    assert tedbench.read(folder)[0] == first
    assert (first.name, first.target, first.caption) == ("000", "A photo of a blue dog.", "")
    assert first.photo == folder / "originals" / "dog_1.png"
    assert first.published == folder / "imagic" / "dog_1.png-A_photo_of_a_blue_dog.png"
    assert second.caption == "a cat"
    assert second.published.is_file()


def test_piebench_is_read(tmp_path):
    first, second = piebench.read(miniatures.piebench(tmp_path))
    assert (first.name, first.target, first.caption) == ("011000000000", "a blue dog", "a brown dog")
    assert (first.kind, second.kind) == ("change object", "change style")
    mask = np.asarray(first.mask) > 0
    assert mask[1:-1, 1:-1].sum() == 100 * 30
    assert mask[100:200, 50:80].all()
    assert mask[:, -1].all()
    assert mask[0].all()  # the rim, as in the authors' evaluation
    assert (np.asarray(second.mask) > 0).all()


@pytest.mark.parametrize("damage", ["no list", "no JSON", "no photo", "other keys"])
@pytest.mark.parametrize("name", ["tedbench", "piebench"])
def test_a_folder_that_is_none(tmp_path, name, damage):
    folder = getattr(miniatures, name)(tmp_path)
    list_name = {"tedbench": "input_list.json", "piebench": "mapping_file.json"}[name]
    if damage == "no list":
        (folder / list_name).unlink()
    elif damage == "no photo":
        shutil.rmtree(folder / {"tedbench": "originals", "piebench": "annotation_images"}[name])
    else:
        (folder / list_name).write_text("{" if damage == "no JSON" else '{"a": {"b": 1}}')
    with pytest.raises(NotABenchmark, match="give --data the folder"):
        {"tedbench": tedbench, "piebench": piebench}[name].read(folder)


def test_tedbench_ends_in_a_report(tmp_path, capsys):
    folder, output = miniatures.tedbench(tmp_path), tmp_path / "out"
    command = ["bench", "tedbench", "--data", str(folder), "-o", str(output), *SHORT]
    assert main(command) == 0
    content = json.loads((output / "results.json").read_text())
    assert set(content["summary"]) == {"default", "paper", "sdedit", "the paper's own pictures"}
    assert content["summary"]["paper"]["seconds"]["pairs"] == 2
    text = (output / "RESULTS.md").read_text()
    assert "Not run: instant, which needs captions of the photos; give --captions." in text
    assert "Not measured, since it is missing: clip-vit-large-patch14 (the model openai/clip" in text
    assert "Not run: ledits. LEDITS++ needs an AutoencoderKL, and this pipeline has AutoencoderTiny." in text
    with Image.open(output / "sheet-1.jpg") as sheet:
        assert sheet.width == 5 * report.SIDE  # photo, three methods, the paper's
    before = (output / "paper" / "results.csv").read_bytes()
    capsys.readouterr()
    assert main(command) == 0
    assert (output / "paper" / "results.csv").read_bytes() == before  # nothing is done twice


def test_piebench_ends_in_a_report(tmp_path):
    folder, output = miniatures.piebench(tmp_path), tmp_path / "out"
    assert main(["bench", "piebench", "--data", str(folder), "-o", str(output), *SHORT, "--methods", "instant"]) == 0
    content = json.loads((output / "results.json").read_text())
    assert content["summary"]["instant"]["seconds"]["pairs"] == 2
    text = (output / "RESULTS.md").read_text()
    assert "published: Direct Inversion + Prompt-to-Prompt (arXiv 2310.01506" in text


def test_a_later_run_measures_what_is_asked_for_now(tmp_path):
    folder, output = miniatures.piebench(tmp_path), tmp_path / "out"
    command = ["bench", "piebench", "--data", str(folder), "-o", str(output), *SHORT, "--methods", "instant"]

    def figures(*more: str) -> dict:
        assert main([*command, *more]) == 0
        return json.loads((output / "results.json").read_text())

    both = figures()["pairs"]["instant"]
    fewer = figures("--pairs", "1")
    assert fewer["summary"]["instant"]["seconds"]["pairs"] == 1
    assert "could not be edited" not in (output / "RESULTS.md").read_text()
    entries = json.loads((folder / "mapping_file.json").read_text())
    entries["011000000000"]["mask"] = [0, 2**17]  # the upper half
    (folder / "mapping_file.json").write_text(json.dumps(entries))
    after = figures()["pairs"]["instant"]
    assert after["011000000000"]["psnr_outside"] != both["011000000000"]["psnr_outside"]
    assert after["111000000000"] == both["111000000000"]


def weights(folder):
    """CLIP and DINO of the real classes, tiny and untrained."""
    from transformers import (
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        CLIPProcessor,
        CLIPTokenizer,
        ViTConfig,
        ViTModel,
    )

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {**small, "image_size": 32, "patch_size": 8}
    text = {**small, "vocab_size": 54, "bos_token_id": 52, "eos_token_id": 53}  # of the vocabulary below
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision)).save_pretrained(folder / CLIP)
    letters = [chr(code) for code in range(97, 123)]
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / CLIP / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (folder / CLIP / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder / CLIP)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(processor, tokenizer).save_pretrained(folder / CLIP)
    ViTModel(ViTConfig(**vision), add_pooling_layer=False).save_pretrained(folder / DINO)
    return folder


def test_metrics_with_weights(tmp_path):
    metrics = Metrics(weights(tmp_path))
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    edit = photo.copy()
    edit.paste((0, 0, 255), (16, 16, 32, 32))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 32, 32))
    same, changed = (metrics.of(picture, photo, "a dog", mask) for picture in (photo, edit))
    assert same["structure"] < 1e-6 < changed["structure"]
    assert {"clip", "clip_inside"} <= set(changed)
    similarity = clip_similarity(tmp_path / CLIP, "cpu")
    assert len({similarity(photo, "a dog"), similarity(edit, "a dog"), similarity(photo, "cat")}) == 3
    assert not [missing for missing in metrics.missing if CLIP in missing or DINO in missing]
    assert ["squeezenet" in missing for missing in metrics.missing] == [True]


def test_dino_sees_the_shorter_side_at_224_pixels(tmp_path, monkeypatch):
    sizes = []

    def keys(folder, device):
        return lambda pixels: sizes.append(tuple(pixels.shape[2:])) or torch.ones(4, 2)

    monkeypatch.setattr("imagic.diffusers.encoders.dino_keys", keys)
    metrics = Metrics(weights(tmp_path))
    for side in range(32, 700, 7):
        picture = Image.new("RGB", (side, 2 * side))
        metrics._dino(picture, picture)
    assert set(sizes) == {(448, 224)}


def squeezenet(folder):
    """A checkpoint as torchvision hands it out, untrained."""
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    (folder / LPIPS).parent.mkdir(parents=True)
    torch.save(squeezenet1_1(weights=None).state_dict(), folder / LPIPS)
    return folder


def test_lpips_with_weights(tmp_path):
    metrics = Metrics(squeezenet(tmp_path))
    assert not [missing for missing in metrics.missing if "squeezenet" in missing]
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 32, 32))
    edits = [photo.copy() for _ in range(3)]
    edits[1].paste((0, 0, 255), (16, 16, 32, 32))
    edits[2].paste((0, 0, 255), (40, 40, 48, 48))
    same, inside, outside = (metrics.of(edit, photo, "a dog", mask) for edit in edits)
    assert same["lpips"] == same["lpips_outside"] == 0
    assert inside["lpips"] > 1e-4
    assert inside["lpips_outside"] == 0
    assert outside["lpips_outside"] > 0.1  # in thousandths
    again = metrics.of(edits[2], photo, "a dog", None)
    assert again["lpips"] == outside["lpips"]  # nothing is carried over from one edit to the next


def test_lpips_measures_by_the_checkpoint(tmp_path):
    photo, edit = (
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)) for seed in (0, 1)
    )
    path = squeezenet(tmp_path) / LPIPS
    first = Metrics(tmp_path).of(edit, photo, "a dog", None)["lpips"]
    torch.save({name: value * 1.5 for name, value in torch.load(path, weights_only=True).items()}, path)
    assert Metrics(tmp_path).of(edit, photo, "a dog", None)["lpips"] != first


class Harmful:
    """What a checkpoint can hold that somebody has tampered with."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("kind", ["harmful", "cut off", "of another model", "empty"])
def test_a_checkpoint_that_is_none_is_refused_and_runs_nothing(tmp_path, kind):
    path = squeezenet(tmp_path) / LPIPS
    if kind == "harmful":
        torch.save({"features.0.weight": Harmful(tmp_path / "ran")}, path)
    elif kind == "of another model":
        torch.save({"weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(path.read_bytes()[: 1000 if kind == "cut off" else 0])
    with pytest.raises(ValueError, match=r"is not torchvision's checkpoint of SqueezeNet 1\.1: download it again"):
        Metrics(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_what_lies_inside_the_mask_does_not_count_outside():
    metrics = Metrics(None)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    edit = photo.copy()
    edit.paste((0, 0, 255), (16, 16, 32, 32))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 32, 32))
    inside = metrics.of(edit, photo, "a dog", mask)
    edit.paste((0, 0, 255), (40, 40, 48, 48))
    outside = metrics.of(edit, photo, "a dog", mask)
    assert inside["psnr_outside"] == pytest.approx(58.92, abs=0.01)  # and not infinite, which no mean survives
    assert outside["psnr_outside"] < 40
    assert inside["ssim_outside"] == pytest.approx(100, abs=1e-3)
    assert outside["ssim_outside"] < 99


def test_an_interval_holds_the_mean():
    found = interval(list(range(100)))
    assert found["low"] < found["mean"] == 49.5 < found["high"]
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * np.std(range(100)) / 10, rel=0.1)
    assert found == interval(list(range(100)))


def test_the_papers_recipe_changes_all_weights_and_gives_them_back():
    pipeline = load_pipeline("demo", device="cpu")
    before = {name: weight.clone() for name, weight in pipeline.unet.state_dict().items()}
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    edit = paper.tune(pipeline, photo, "a blue dog", 1, 1)
    drawing = {"num_inference_steps": 2, "guidance_scale": 4.0}
    first, again = (edit.sample(0.7, **drawing, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    tuned, edit.update = edit.update, {}
    untuned = edit.sample(0.7, **drawing, generator=torch.Generator().manual_seed(0))
    assert untuned.tobytes() != first.tobytes()
    assert len(tuned) > 0.9 * len(list(pipeline.unet.parameters()))
    assert all(torch.equal(before[name], weight) for name, weight in pipeline.unet.state_dict().items())
