"""What was done, on disk: a run that ends early goes on where it was, and a changed method starts anew."""

import ast
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import diffusers
import numpy as np
from PIL import Image

from . import cost, methods, pack, pairs, studio
from .cost import Cost
from .outcome import Outcome

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "editbench"
DENOISER = [
    ROOT / "imagic" / "diffusers" / name for name in ("denoiser.py", "families.py", "pictures.py", "schedule.py")
]


@dataclass(frozen=True)
class Task:
    """One method on one pair, on one model."""

    method: str
    group: str
    index: int
    model: str = "demo"


def used(*names: str) -> list[Path]:
    """Modules of `imagic`, and those of it that they import, directly or not: what else changes is nothing to them."""
    found, left = set(), set(names)
    while left:
        path = ROOT / "imagic" / f"{left.pop()}.py"
        found.add(path)
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        own = [node for node in imports if node.level == 1]
        names = {node.module for node in own} | {name.name for node in own if not node.module for name in node.names}
        left |= names - {path.stem for path in found} - {None}
    return sorted(found)


def code(path: Path) -> bytes:
    """What a module does, without its comments, docstrings and layout; of another file, all of it."""
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).encode()


def key(method: methods.Method, model: str = "demo") -> str:
    """Of what decides a method's pictures and cost: its settings and code, sampler, model, what it uses of the pack."""
    shared = {
        "steps": studio.STEPS,
        "guidance": studio.GUIDANCE,
        "seed": studio.SEED,
        "diffusers": diffusers.__version__,
    }
    folder, _ = studio.MODELS[model]
    weights = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    files = [methods.source(method), *map(Path, (studio.__file__, cost.__file__)), *DENOISER, *weights]
    if method.trains:
        files += used("embedding", "finetuning", "interpolation")
    if method.keeps:
        sampling = ROOT / "imagic" / "diffusers" / "sampling.py"
        files += [*used("interpolation", "keeping", "region", "scoring"), sampling, Path(pack.__file__)]
    digest = hashlib.sha256(json.dumps([shared, method.settings]).encode())
    for file in files:
        digest.update(code(file))
    return digest.hexdigest()[:12]


class Store:
    """Outcomes under `folder`: a JSON file and a strip of pictures for each task."""

    def __init__(self, known: dict[str, methods.Method], folder: Path = FOLDER, models: tuple[str, ...] = ("demo",)):
        self.folders = {
            (name, model): folder / model / f"{method.like or name}-{key(method, model)}"
            for model in models
            for name, method in methods.on(model, known).items()
        }

    def _path(self, task: Task) -> Path:
        # By what the pair is, not by its place: other pairs may be put before it.
        pair = pairs.group(task.group)[task.index]
        return self.folders[task.method, task.model] / f"{pair.edit.kind}-{pair.digest}.json"

    def has(self, task: Task) -> bool:
        return self._path(task).is_file()

    def write(self, task: Task, outcome: Outcome, plain: Cost) -> None:
        path = self._path(task)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(list(outcome.pictures.values()), 1)).save(path.with_suffix(".png"))
        costs = {dial: asdict(outcome.samples[dial]) for dial in outcome.pictures}
        content = {"plain": plain, "photo": outcome.photo, "target": outcome.target}
        content = {name: asdict(cost) for name, cost in content.items()} | {"samples": costs}
        # The JSON file goes last and at once: it says that the task is done.
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(content))
        unfinished.replace(path)

    def read(self, task: Task) -> tuple[Outcome, Cost]:
        """The outcome, and the plain sample of the same run."""
        path = self._path(task)
        content = json.loads(path.read_text())
        samples = {dial: Cost(**cost) for dial, cost in content["samples"].items()}
        strip = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))
        pictures = dict(zip(samples, np.split(strip, len(samples), 1), strict=True))
        outcome = Outcome(Cost(**content["photo"]), Cost(**content["target"]), samples, pictures)
        return outcome, Cost(**content["plain"])
