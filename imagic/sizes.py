"""How large activations are, robustly: the unit that steps of the optimizer are in.

Encoders differ in scale by orders of magnitude, and a few channels of a transformer may be a thousand times as large as
all others (massive activations, arXiv 2402.17762). Neither says how far a step should go.
"""

import torch
from torch import Tensor

MASSIVE = 5.0  # times the median channel; what is larger counts as this large
# CLIP-L and OpenCLIP bigG, side by side in the tokens of SDXL and Stable Diffusion 3, and in the pooled embedding of the
# latter and of HiDream. Over the 1,632 Parti prompts SDXL's vary by 3.6 and 3.3 a channel (its extremes are in
# malthee/evolutionary-diffusion). Another encoder as wide as both is taken for two, whose sizes then are the same.
BOTH_CLIPS = (768, 1280)


def robust_rms(channels: Tensor) -> Tensor:
    """The root mean square over channels whose own ones are given, [width], of which massive ones count little.

    Channels that are zero are not there: hosts pad with zeros. It scales as its argument does.
    """
    used = channels[channels > 0]
    return used.clamp(max=MASSIVE * used.median()).square().mean().sqrt() if len(used) else channels.new_zeros(())


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
