"""What must not change an edit on the host: the scale of its text encoder."""

import pytest
import torch

from demo.scenes import render
from demo.scenes.edits import draw_edits

EDIT = draw_edits(1, seed=20)[0]


class Rescaled:
    """The demo MODEL's own edit of a photo, its text scaled and what its network makes of text scaled by the inverse.

    Which is the same model.
    """

    @torch.inference_mode()
    def __init__(self, studio, scale: float):
        self.studio, self.scale = studio, scale
        self.model = studio.nodes["ImagicDemoCheckpoint"]().load()[0]
        for name, layer in self.model.model.diffusion_model.named_modules():
            if name.endswith(("attn2.to_k", "attn2.to_v")):
                layer.weight.copy_(layer.weight / scale)

    def text(self, text: str) -> list:
        return [[tokens * self.scale, extras] for tokens, extras in self.studio.text(text)]

    @torch.inference_mode()
    def edit(self) -> tuple[list[float], torch.Tensor]:
        """The validation losses and those of all steps, and the edit: all by default but for the numbers of steps."""
        nodes, latent = self.studio.nodes, self.studio.encode(torch.tensor(render(EDIT.scene))[None] / 255)
        target = self.text(EDIT.target_caption)
        a, b = (defaults(nodes[name]) for name in ("ImagicOptimizeEmbedding", "ImagicFineTuneUNet"))
        inputs = {"model": self.model, "latent": latent}
        first = nodes["ImagicOptimizeEmbedding"]().optimize(**a | inputs | {"conditioning": target, "steps": 12})
        optimized = first["result"][0]
        second = nodes["ImagicFineTuneUNet"]().tune(**b | inputs | {"conditioning": optimized, "steps": 6})
        tuned = self.studio.keep(second["result"][0], latent, optimized, target, 0.4)[0]
        (mixed,) = self.studio.interpolate(optimized, target, 1.2)
        sampled = self.studio.sample(tuned, mixed, latent_image=latent, negative=self.text(""), steps=5)
        history = []
        for answer in (first, second):
            summary = answer["ui"]["imagic"][0]
            history += [summary["validation_before"], summary["validation_after"], *answer["result"][-1]["loss"]]
        return history, self.studio.decode(sampled)


def defaults(node: type) -> dict:
    """What a node's widgets are set to when it is made."""
    widgets = node.INPUT_TYPES()["required"]
    return {name: options["default"] for name, (_, options) in widgets.items() if "default" in options}


@pytest.fixture(scope="module")
def expected(studio):
    return Rescaled(studio, 1.0).edit()


@pytest.mark.parametrize("scale", [0.1, 0.2, 5, 30, 300])
def test_the_scale_of_the_text_changes_nothing(studio, expected, scale):
    history, picture = Rescaled(studio, scale).edit()
    assert history == pytest.approx(expected[0], rel=1e-2)
    assert expected[0][1] < 0.99 * expected[0][0]
    assert (picture - expected[1]).square().mean() < 1e-4  # 40 dB
