"""Progress of a run on the node and in the console, and cancelling."""

import html
import sys
import time
from collections.abc import Callable
from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths
import latent_preview
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ...imagic.checks import one_line
from ...imagic.training import History, Step

SECONDS_BETWEEN_LINES = 1.0  # and between previews
LONGEST_LINE = 300  # characters


class Progress:
    """Shows a run on the node and in the console, and ends it within a step when the user cancels."""

    def __init__(self, model, title: str, steps: int, node_id: str | None):
        self.bar = comfy.utils.ProgressBar(steps)
        self.console = tqdm(total=steps, desc=title, disable=not comfy.utils.PROGRESS_BAR_ENABLED)
        self.previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        self.say = text_sender(node_id)
        self.started = time.monotonic()
        self.next_line = 0.0
        self.done = 0

    def __call__(self, step: Step) -> None:
        # Newer hosts call their progress hook, which would notice, only a few times a second.
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.done = step.number
        now = time.monotonic()
        due = now >= self.next_line or step.number in (1, step.total)
        preview = None
        if due and self.previewer is not None:
            with torch.no_grad():
                preview = self.previewer.decode_latent_to_preview_image("JPEG", step.denoised)
        self.bar.update_absolute(step.number, step.total, preview)
        self.console.set_postfix_str(f"loss {step.loss:.4f}", refresh=False)
        self.console.update()
        if due:
            self.next_line = now + SECONDS_BETWEEN_LINES
            left = (now - self.started) / step.number * (step.total - step.number)
            self.say(
                f"step {step.number} of {step.total}, loss {step.loss:.4f}, "
                f"validation ~{step.validation:.4f}, {left:.0f} s left"
            )

    def sum_up(self, history: History) -> None:
        """The last line on the node. The validation loss is what to compare between runs."""
        before, after = history.validation_before, history.validation_after
        seconds = time.monotonic() - self.started
        self.say(f"{len(history.losses)} steps in {seconds:.0f} s, validation loss {before:.4f} -> {after:.4f}")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, exception: type | None, *_) -> None:
        self.console.close()
        if exception is comfy.model_management.InterruptProcessingException:
            self.say(f"cancelled after step {self.done}, the model is as it was")


def counter(total: int) -> Callable[..., None]:
    """Moves a bar on the node by one or more at each call, and ends the run when the user cancels."""
    bar = comfy.utils.ProgressBar(total)

    def count(steps: int = 1) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update(steps)

    return count


def text_sender(node_id: str | None) -> Callable[[str], None]:
    """Writes a line on the node, on hosts that can. Their pages take it as HTML, so it is escaped."""
    # Not imported: a host used as a library has no server, and loading it then would start half of one.
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    send = getattr(getattr(server, "instance", None), "send_progress_text", None)
    if send is None or node_id is None:
        return lambda text: None
    return lambda text: send(html.escape(one_line(text, LONGEST_LINE)), node_id)


def preview(image: Tensor) -> dict:
    """What shows an IMAGE on the node itself: a file in the host's temporary folder, as Preview Image makes one."""
    folder = folder_paths.get_temp_directory()
    height, width = image.shape[1:3]
    path, name, counter, subfolder, _ = folder_paths.get_save_image_path("imagic", folder, width, height)
    file = f"{name}_{counter:05}_.png"
    Image.fromarray((image[0] * 255).round().to(torch.uint8).cpu().numpy()).save(Path(path) / file)
    return {"images": [{"filename": file, "subfolder": subfolder, "type": "temp"}]}
