"""The nodes. Their ids are part of every saved workflow and never change."""

from .demo_checkpoint import DemoCheckpoint
from .fine_tune_unet import FineTuneUNet
from .interpolate_embedding import InterpolateEmbedding
from .keep_photo import KeepPhoto
from .optimize_embedding import OptimizeEmbedding

NODE_CLASS_MAPPINGS = {
    "ImagicOptimizeEmbedding": OptimizeEmbedding,
    "ImagicFineTuneUNet": FineTuneUNet,
    "ImagicInterpolateEmbedding": InterpolateEmbedding,
    "ImagicKeepPhoto": KeepPhoto,
    "ImagicDemoCheckpoint": DemoCheckpoint,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "ImagicOptimizeEmbedding": "Imagic Optimize Embedding",
    "ImagicFineTuneUNet": "Imagic Fine-Tune UNet",
    "ImagicInterpolateEmbedding": "Imagic Interpolate Embedding",
    "ImagicKeepPhoto": "Imagic Keep Photo",
    "ImagicDemoCheckpoint": "Imagic Demo Checkpoint",
}
