"""How large activations are, robustly: the unit that steps of the optimizer are in.

Encoders differ in scale by orders of magnitude, and a few channels of a transformer may be a thousand times as large as
all others (massive activations, arXiv 2402.17762). Neither says how far a step should go.
"""

import torch
from torch import Tensor

MASSIVE = 5.0  # times the median channel; what is larger counts as this large
# CLIP-L and OpenCLIP bigG, side by side in the tokens of SDXL and Stable Diffusion 3, and in the pooled embeddings of
# Stable Diffusion 3 and HiDream. In SDXL both are of one size: over the 1,632 Parti prompts their channels range over
# 3.6 and 3.3 (github.com/malthee/evolutionary-diffusion has the extremes). Tuned encoders need not be. Another encoder
# that is as wide as both is taken for two, which does no harm: its two parts have the same size.
BOTH_CLIPS = (768, 1280)


def robust_rms(channels: Tensor) -> Tensor:
    """The root mean square over channels whose own ones are given, [width], of which massive ones count little.

    Channels that are zero are not there: hosts pad with zeros. It scales as its argument does.
    """
    used = channels[channels > 0]
    return used.clamp(max=MASSIVE * used.median()).square().mean().sqrt() if len(used) else channels.new_zeros(())


def rms(tensor: Tensor) -> Tensor:
    """The root mean square of all numbers, computed in fp32."""
    return tensor.float().square().mean().sqrt()


def output_size(output: Tensor, channels: int) -> Tensor:
    """The robust size of what a layer computes, whose channels are along the axis `channels`."""
    others = [axis for axis in range(output.ndim) if axis != channels % output.ndim]
    return robust_rms(output.float().square().mean(others).sqrt())


def text_sizes(text: Tensor) -> Tensor:
    """The size of each number of a text embedding: of the encoder that it comes from, and 0 where it is padding.

    Args:
        text: [1, width], [1, tokens, width] or [1, layers, tokens, width]. Layers differ in scale, so each has its own
            size. So have encoders that are joined token by token, told apart by how far each is padded with zeros (the
            CLIP and T5 tokens of Stable Diffusion 3), and those joined channel by channel, by `BOTH_CLIPS`.

    Returns:
        Of the same shape.
    """
    sizes = torch.zeros_like(text)
    width = text.shape[-1]
    layers = text.reshape(-1, text.shape[-2] if text.ndim > 2 else 1, width)
    for layer, size in zip(layers, sizes.view_as(layers), strict=True):
        used = ((layer != 0) * torch.arange(1, width + 1, device=text.device)).amax(1)  # channels of each token
        for encoder in used.unique().tolist():
            tokens = used == encoder
            parts = BOTH_CLIPS if encoder == sum(BOTH_CLIPS) else (encoder,)
            channels = layer[tokens, :encoder].square().mean(0).sqrt()
            size[tokens, :encoder] = torch.cat([robust_rms(part).expand(len(part)) for part in channels.split(parts)])
    return sizes.where(text != 0, 0)
