"""The families whose network is the UNet of Stable Diffusion."""

from .family import Family


def unet(context: int, depths: list[int], **changes) -> dict:
    """A UNet's config as detection gives it, from the depths of the transformers at each resolution."""
    return {
        "image_size": 32,
        "use_checkpoint": False,
        "use_spatial_transformer": True,
        "legacy": False,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 320,
        "num_res_blocks": [2 for _ in depths],
        "channel_mult": [1, 2, 4, 4][: len(depths)],
        "transformer_depth": [depth for depth in depths for _ in range(2)],
        "transformer_depth_output": [depth for depth in depths for _ in range(3)],
        "transformer_depth_middle": depths[-1] or depths[-2],
        "use_linear_in_transformer": True,
        "context_dim": context,
        "adm_in_channels": None,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        **changes,
    }


def sdxl(depths: list[int], **changes) -> dict:
    return unet(2048, depths, **{"adm_in_channels": 2816, "num_classes": "sequential", **changes})


def koala(depth: int, middle: int) -> dict:
    output = [0, 0, 2, 2, depth, depth]
    return sdxl(
        [0, 2, depth],
        num_res_blocks=[1, 1, 1],
        transformer_depth=[0, 2, depth],
        transformer_depth_output=output,
        transformer_depth_middle=middle,
    )


def small(config: dict) -> dict:
    """Narrow, of two resolutions with one block and every transformer one block deep."""
    # With transformers or without, as a real one's first resolution has it.
    depths = [min(1, config["transformer_depth_output"][0]), 1]
    return {
        "model_channels": 32,  # group norms need as many
        "channel_mult": [1, 1],
        "num_res_blocks": [1, 1],
        "transformer_depth": depths,
        "transformer_depth_output": [depth for depth in depths for _ in range(2)],
        "transformer_depth_middle": min(1, config["transformer_depth_middle"]),
        "num_heads": -1,
        "num_head_channels": 16,
        "context_dim": 24,
    }


def family(name: str, config: str, full: dict, **rest) -> Family:
    # What unCLIP models have in its place comes from a picture.
    pooled = {"pooled_output": (1280,)} if full["adm_in_channels"] in (2816, 2560) else {}
    text = {"cross_attn": (77, 24), **pooled}
    return Family(name, config, full, small(full), (4, 16, 16), text, **rest)


SD15 = unet(768, [1, 1, 1, 0], use_linear_in_transformer=False)
SD2 = unet(1024, [1, 1, 1, 0])
SDXL = sdxl([0, 2, 10])
REFINER = sdxl([0, 4, 4, 0], model_channels=384, context_dim=1280, adm_in_channels=2560)
SSD1B = sdxl([0, 2, 4], transformer_depth_output=[0, 0, 0, 1, 1, 2, 10, 4, 4], transformer_depth_middle=-1)
VEGA = sdxl([0, 1, 2], transformer_depth_output=[0, 0, 0, 1, 1, 1, 2, 2, 2], transformer_depth_middle=-1)

UNETS = [
    family("SD 1.x", "SD15", SD15),
    family("SD 2.x (noise prediction)", "SD20", SD2),
    family(
        "SD 2.x (v-prediction)",
        "SD20",
        SD2,
        # How the host tells them apart: the spread of a bias.
        markers={"{}output_blocks.11.1.transformer_blocks.0.norm1.bias": (-1.0, 1.0)},
        variant=True,
    ),
    *(
        family(
            f"SD 2.1 unCLIP {size}",
            f"SD21Unclip{size}",
            {**SD2, "adm_in_channels": width, "num_classes": "sequential"},
            note="reads the text alone, no picture's embedding",
        )
        for size, width in (("L", 1536), ("H", 2048))
    ),
    family("SDXL", "SDXL", SDXL),
    family("SDXL (v-prediction)", "SDXL", SDXL, markers={"v_pred": ()}, variant=True),
    family("SDXL (v-prediction, zero terminal SNR)", "SDXL", SDXL, markers={"v_pred": (), "ztsnr": ()}, variant=True),
    family("CosXL", "SDXL", SDXL, markers={"edm_vpred.sigma_max": 120.0}, variant=True),
    family("Playground 2.5", "SDXL", SDXL, markers={"edm_mean": (0.0,), "edm_std": (1.0,)}, variant=True),
    family("SDXL Refiner", "SDXLRefiner", REFINER, note="sees the lowest fifth of the noise levels in use, here all"),
    family("SSD-1B", "SSD1B", SSD1B),
    family("Segmind Vega", "Segmind_Vega", VEGA, variant=True),
    family("KOALA 700M", "KOALA_700M", koala(5, -2)),
    family("KOALA 1B", "KOALA_1B", koala(6, 6)),
]
