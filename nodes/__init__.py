"""The nodes. Their ids are part of every saved workflow and never change."""

from .demo_checkpoint import DemoCheckpoint
from .edit_sheet import EditSheet
from .fine_tune_unet import FineTuneUNet
from .interpolate_embedding import InterpolateEmbedding
from .loss_chart import LossChart
from .optimize_embedding import OptimizeEmbedding

NODE_CLASS_MAPPINGS = {
    "ImagicOptimizeEmbedding": OptimizeEmbedding,
    "ImagicFineTuneUNet": FineTuneUNet,
    "ImagicInterpolateEmbedding": InterpolateEmbedding,
    "ImagicDemoCheckpoint": DemoCheckpoint,
    "ImagicEditSheet": EditSheet,
    "ImagicLossChart": LossChart,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "ImagicOptimizeEmbedding": "Imagic Optimize Embedding",
    "ImagicFineTuneUNet": "Imagic Fine-Tune UNet",
    "ImagicInterpolateEmbedding": "Imagic Interpolate Embedding",
    "ImagicDemoCheckpoint": "Imagic Demo Checkpoint",
    "ImagicEditSheet": "Imagic Edit Sheet",
    "ImagicLossChart": "Imagic Loss Chart",
}
