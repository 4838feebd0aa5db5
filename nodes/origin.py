"""Reads out of the queued graph how an input came to be."""

MODEL_SUFFIXES = (".safetensors", ".ckpt", ".sft", ".gguf", ".pt", ".pth", ".bin")


def checkpoint(graph: dict, node_id: str) -> str:
    """Name of the file, or else of the node, that the model wired into a node was loaded from; "" if unknown."""
    node = graph.get(node_id, {})
    while _is_link(node.get("inputs", {}).get("model")):
        node = graph.get(node["inputs"]["model"][0], {})
    files = [value for value in node.get("inputs", {}).values() if str(value).lower().endswith(MODEL_SUFFIXES)]
    return str(files[0]) if files else node.get("class_type", "")


def settings(graph: dict, node_id: str) -> list[dict]:
    """Widgets of the Imagic nodes and texts that a node depends on, nearest first."""
    found, waiting, seen = [], [node_id], {node_id}
    while waiting:
        node = graph.get(waiting.pop(0), {})
        inputs = node.get("inputs", {})
        sources = [value[0] for value in inputs.values() if _is_link(value)]
        waiting += [source for source in dict.fromkeys(sources) if source not in seen]
        seen.update(sources)
        if node.get("class_type", "").startswith(("Imagic", "CLIPTextEncode")):
            widgets = {name: value for name, value in inputs.items() if not _is_link(value)}
            found.append({"node": node["class_type"], **widgets})
    return found


def _is_link(value) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
