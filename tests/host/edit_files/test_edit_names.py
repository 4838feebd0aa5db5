"""Names of edits: what not every system can hold is refused, and no name leads out of the folder."""

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "/",
        ".",
        "..",
        "../edit",
        "a/../../edit",
        "/tmp/edit",
        "..\\edit",
        "C:\\edit",
        "c:edit",
        "a\0b",
        "a\nb",
        "a//b",
        "a/",
        ".hidden",
        "cats/.tom",
        ".cats/tom",
        "nul",
        "nul/x",
        "com1/edit",
        "trail./x",
        "nul .txt",
        "CONIN$",
        "COM1/tom",
        "cats/aux.old",
        "lpt¹",
        "trail./tom",
        "cats /tom",
        "cats/ tom",
        "tom.",
        "x" * 181,
        "é" * 91,
        "cats/" * 200 + "tom",
        "\udcff",
    ],
)
def test_names_that_not_every_system_can_hold_are_refused_before_the_graph_runs(studio, save, output, name):
    with pytest.raises(ValueError, match=r"^name is .*\.$") as error:
        save(name)
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS(name=name) == str(error.value)
    assert len(str(error.value)) < 250
    assert [path for path in output.parents[1].rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["x" * 180, "猫" * 60, "a b/c.d", "com/nulls", "100 % & more", "cats\\tom"])
def test_whatever_is_saved_is_listed_and_loaded(studio, save, load, name, listed):
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS(name=name) is True
    saved = save(name)
    assert listed() == [saved]
    assert load(saved)[4].shape[0] == 1


def test_what_no_edit_is_saved_as_is_neither_listed_nor_loaded(studio, save, load, output, listed):
    name = save()
    for other in (".hidden", "cats/.tom", ".cats/tom", "trail./tom"):
        path = output / f"{other}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((output / name).read_bytes())
        with pytest.raises(ValueError, match=r"choose an edit from the list\.$"):
            load(f"{other}.safetensors")
    assert listed() == [name]


def test_a_name_that_comes_over_a_link_is_checked_when_it_is_known(studio):
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS() is True
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS(name=None) is True


def test_no_link_leads_out_of_the_folder(studio, save, load, output, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    name = save()
    (output / "out").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ValueError, match="leads out of"):
        save("out/edit")
    assert list(elsewhere.iterdir()) == []
    secret = elsewhere / "secret.safetensors"
    (output / name).rename(secret)
    for outside in (
        "../../elsewhere/secret.safetensors",
        "out/secret.safetensors",
        str(elsewhere / "secret.safetensors"),
    ):
        with pytest.raises(ValueError, match="outside of ComfyUI's output folder"):
            load(outside)
