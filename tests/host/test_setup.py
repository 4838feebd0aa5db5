"""The two ways in which the other host tests reach the pack: in this process, and in a server."""

import importlib

from scripts import workflow


def test_the_host_in_this_process_knows_the_pack(pack, comfyui):
    assert "ImagicOptimizeEmbedding" in pack.NODE_CLASS_MAPPINGS
    assert set(pack.NODE_DISPLAY_NAME_MAPPINGS) == set(pack.NODE_CLASS_MAPPINGS)


def test_the_hosts_own_modules_are_the_hosts(comfyui):
    import comfy.model_management
    import nodes

    assert nodes.__file__ == str(comfyui.path / "nodes.py")
    assert comfy.model_management.get_torch_device().type == "cpu"


def test_the_server_knows_the_pack(client, pack):
    info = client.object_info()
    for name, title in pack.NODE_DISPLAY_NAME_MAPPINGS.items():
        assert info[name]["display_name"] == title


def test_the_photos_of_the_templates_are_where_load_image_looks(server):
    photos = list(workflow.FOLDER.glob("*.png"))
    assert photos
    for photo in photos:
        assert (server.home / "input" / photo.name).read_bytes() == photo.read_bytes()


def test_what_the_user_has_under_such_a_name_stays_and_no_folder_is_no_error(pack, comfyui, tmp_path, monkeypatch):
    examples = importlib.import_module(f"{pack.__name__}.nodes.host.examples")
    own = tmp_path / workflow.PHOTO.name
    own.write_text("the user's")
    for folder in (tmp_path, tmp_path / "none"):
        monkeypatch.setattr(examples.folder_paths, "get_input_directory", lambda folder=folder: str(folder))
        examples.place_photos()
    assert own.read_text() == "the user's"
    assert (tmp_path / workflow.MASKED_PHOTO.name).is_file()


def test_a_graph_runs_and_its_picture_comes_back(client):
    name = client.upload_image(workflow.PHOTO, "unseen.png")  # under its usual name it may be in the host's cache
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "same"}},
    }
    result = client.run(graph)
    assert result.ran == ["1", "2"]
    assert client.view(result.outputs["2"]["images"][0]).startswith(b"\x89PNG")


def test_what_did_run_before_is_not_run_again(client):
    name = client.upload_image(workflow.PHOTO)
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "first"}},
    }
    client.run(graph)
    graph["2"]["inputs"]["filename_prefix"] = "second"
    assert client.run(graph).ran == ["2"]
