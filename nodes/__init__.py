"""The nodes. Their ids are part of every saved workflow and never change."""

from .crop_photo import CropPhoto
from .demo_checkpoint import DemoCheckpoint
from .edit_region import EditRegion
from .edit_sheet import EditSheet
from .fine_tune_unet import FineTuneUNet
from .interpolate_embedding import InterpolateEmbedding
from .keep_photo import KeepPhoto
from .load_edit import LoadEdit
from .loss_chart import LossChart
from .optimize_embedding import OptimizeEmbedding
from .pick_edit import PickEdit
from .restore_photo import RestorePhoto
from .save_edit import SaveEdit
from .tuning_strength import TuningStrength

NODE_CLASS_MAPPINGS = {
    "ImagicOptimizeEmbedding": OptimizeEmbedding,
    "ImagicFineTuneUNet": FineTuneUNet,
    "ImagicInterpolateEmbedding": InterpolateEmbedding,
    "ImagicEditRegion": EditRegion,
    "ImagicKeepPhoto": KeepPhoto,
    "ImagicDemoCheckpoint": DemoCheckpoint,
    "ImagicEditSheet": EditSheet,
    "ImagicLossChart": LossChart,
    "ImagicSaveEdit": SaveEdit,
    "ImagicLoadEdit": LoadEdit,
    "ImagicTuningStrength": TuningStrength,
    "ImagicPickEdit": PickEdit,
    "ImagicCropPhoto": CropPhoto,
    "ImagicRestorePhoto": RestorePhoto,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "ImagicOptimizeEmbedding": "Imagic Optimize Embedding",
    "ImagicFineTuneUNet": "Imagic Fine-Tune UNet",
    "ImagicInterpolateEmbedding": "Imagic Interpolate Embedding",
    "ImagicEditRegion": "Imagic Edit Region",
    "ImagicKeepPhoto": "Imagic Keep Photo",
    "ImagicDemoCheckpoint": "Imagic Demo Checkpoint",
    "ImagicEditSheet": "Imagic Edit Sheet",
    "ImagicLossChart": "Imagic Loss Chart",
    "ImagicSaveEdit": "Save Imagic Edit",
    "ImagicLoadEdit": "Load Imagic Edit",
    "ImagicTuningStrength": "Imagic Tuning Strength",
    "ImagicPickEdit": "Imagic Pick Edit",
    "ImagicCropPhoto": "Imagic Crop Photo",
    "ImagicRestorePhoto": "Imagic Restore My Photo",
}
