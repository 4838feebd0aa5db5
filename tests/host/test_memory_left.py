"""What a run makes does not outlive it, whichever way it ends.

Counted with the cycle collector off: what only it would free is on a GPU as good as lost, for it wakes up by the number
of objects, not by their bytes.
"""

import ctypes
import gc
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

TUNE = ("LoRA", "LoRA all layers", "attention", "all weights")
ENDINGS = ("done", "fails at once", "fails soon", "fails later", "cancelled", "out of memory")
# At which evaluation of the network's first block it comes, where not at the first. A stage begins with two evaluations
# of its trial run and one of its validation set; the others with one for each text.
LATER = {"keep photo": 3, "pick": 5}
AT_ONCE, SOON, IN_A_STEP = 1, 2, 5


@pytest.fixture(scope="module")
def runs(studio) -> dict[str, Callable[[], object]]:
    """Every node that makes tensors, by what it does."""

    def call(name: str, *inputs, **widgets):
        node = studio.nodes[name]
        with torch.inference_mode():
            return getattr(node(), node.FUNCTION)(*inputs, **widgets)

    picture = studio.decode(studio.latent)
    text = studio.text("a red dog")
    optimized, loss = studio.optimize()["result"]
    lora = studio.tune()["result"][1]
    sweep = {"images": [picture, 1 - picture], "eta": [0.0, 1.0]}
    pick = {"model": [studio.model], "vae": [studio.vae], "source": [picture], "samples": [4], **sweep}
    pick |= {"optimized": [optimized], "target": [text]}
    found = {
        "optimize": studio.optimize,
        "optimize, checkpointed": lambda: studio.optimize(gradient_checkpointing=True),
        "keep photo": lambda: call("ImagicKeepPhoto", studio.model, studio.latent, optimized, text, 0.4),
        "pick": lambda: call("ImagicPickEdit", **pick),
        "sheet": lambda: call("ImagicEditSheet", sweep["images"], [64], [picture], sweep["eta"], [1]),
        "interpolate": lambda: call("ImagicInterpolateEmbedding", optimized, text, 0.5, "0, 0.5, 1"),
        "chart": lambda: call("ImagicLossChart", loss, "Loss"),
        "strength": lambda: call("ImagicTuningStrength", studio.model, lora, 0.5),
        "checkpoint": lambda: call("ImagicDemoCheckpoint"),
    }
    for tune in TUNE:
        found[f"tune {tune}"] = lambda tune=tune: studio.tune(tune=tune)
        found[f"tune {tune}, checkpointed"] = lambda tune=tune: studio.tune(tune=tune, gradient_checkpointing=True)
    return found


ASK_THE_MODEL = [
    "optimize",
    "optimize, checkpointed",
    *(f"tune {tune}{how}" for tune in TUNE for how in ("", ", checkpointed")),
]
ASK_THE_MODEL += ["keep photo", "pick"]
OTHERS = ["sheet", "interpolate", "chart", "strength", "checkpoint"]


@contextmanager
def ending(studio, kind: str, call: int) -> Iterator[None]:
    """Inside, a run of the model ends in this way."""
    management, calls = importlib.import_module("comfy.model_management"), 0

    def end(*_):
        nonlocal calls
        calls += 1
        if kind == "done" or calls != call:
            return
        if kind == "out of memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        if kind == "cancelled":
            management.interrupt_current_processing()
            return
        raise RuntimeError("a layer fails")

    hook = studio.model.model.diffusion_model.input_blocks[1][0].register_forward_pre_hook(end)
    try:
        yield
    finally:
        hook.remove()
        management.interrupt_current_processing(False)


def tensors() -> tuple[int, int]:
    """How many are alive, and the bytes of their storages."""
    # By their type: to ask some of the host's objects for their class runs code of theirs.
    alive = [thing for thing in gc.get_objects() if issubclass(type(thing), Tensor)]
    storages = {thing.untyped_storage().data_ptr(): thing.untyped_storage().nbytes() for thing in alive}
    return len(alive), sum(storages.values())


def allocated(run: Callable[[], None]) -> int:
    """Bytes that a run allocates and does not free, those that only a graph in C++ holds too."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    events = recorded.profiler.kineto_results.events()
    return sum(event.nbytes() for event in events if event.name() == "[memory]")


def runs_and_forgets(run: Callable[[], object], kind: str) -> None:
    """One run, and nothing of what it gave or of how it failed is held."""
    failed = False
    try:
        run()
    except BaseException:  # a cancel is none of `Exception` on some hosts
        failed = True
    assert failed == (kind != "done")


CASES = dict.fromkeys(ASK_THE_MODEL, ENDINGS) | dict.fromkeys(OTHERS, ("done",))


@pytest.mark.parametrize("name", CASES)
def test_after_a_second_run_as_much_is_alive_as_after_the_first(studio, runs, name):
    """Whichever way each of the two ends."""

    def once(kind: str) -> None:
        call = {"fails at once": AT_ONCE, "fails soon": SOON}.get(kind, LATER.get(name, IN_A_STEP))
        with ending(studio, kind, call):
            runs_and_forgets(runs[name], kind)

    gc.collect()
    gc.disable()
    try:
        for kind in CASES[name]:
            once(kind)
        first = tensors()
        assert {kind: allocated(lambda kind=kind: once(kind)) for kind in CASES[name]} == dict.fromkeys(CASES[name], 0)
        assert tensors() == first
    finally:
        gc.enable()


EDITS = int(os.environ.get("EDITS", 5))
# MB an edit. Over few, what is loaded once counts as well, yet less than the smallest activation that one could leave.
GROWTH = 0.1 if EDITS >= 60 else 1.0


@pytest.mark.long
def test_edit_after_edit_takes_no_more_memory(studio, figures):
    """A: EDITS=60 pytest -s -k no_more_memory tests/host/test_memory_left.py"""

    def edit(seed: int) -> None:
        optimized = studio.optimize(seed=seed)["result"][0]
        tuned = studio.tune(conditioning=optimized, seed=seed)["result"][0]
        keeping = studio.keep(tuned, studio.latent, optimized, studio.target, 0.4)[0]
        between = studio.interpolate(optimized, studio.target, 0.8)[0]
        studio.decode(studio.sample(keeping, between, seed=seed))

    for seed in range(3):
        edit(seed)
    gc.collect()
    before, counted = resident(), tensors()
    for seed in range(EDITS):
        edit(seed)
    gc.collect()
    growth = (resident() - before) / EDITS
    if EDITS >= 60:
        figures["soak_mb_per_edit"] = round(max(growth, 0.0), 3)
    print(f"\n{EDITS} edits, {growth:.3f} MB an edit")
    assert tensors() == counted
    assert growth < GROWTH


def resident() -> float:
    """MB that this process holds now, less what its allocator has back and keeps for later, which comes and goes."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
