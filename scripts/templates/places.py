"""Where the nodes of each example workflow stand, and what the notes over them say."""

from scripts.templates.layout import Place

SIZES = {
    "ImagicDemoCheckpoint": (300, 98),
    "CheckpointLoaderSimple": (300, 98),
    "UNETLoader": (300, 82),
    "DualCLIPLoader": (300, 130),
    "VAELoader": (300, 58),
    "LoadImage": (300, 360),
    "ImageScale": (300, 130),
    "CLIPTextEncode": (300, 110),
    "FluxGuidance": (300, 58),
    "GrowMask": (300, 82),
    "VAEEncode": (300, 46),
    "ImagicOptimizeEmbedding": (320, 420),
    "ImagicFineTuneUNet": (320, 480),
    "ImagicInterpolateEmbedding": (320, 130),
    "ImagicKeepPhoto": (320, 200),
    "ImagicSaveEdit": (320, 150),
    "ImagicPickEdit": (320, 320),
    "ImagicEditSheet": (320, 130),
    "ImagicLossChart": (320, 90),
    "KSampler": (300, 480),
    "VAEDecode": (220, 46),
    "ImageCompositeMasked": (300, 146),
    "SaveImage": (320, 320),
    "PreviewImage": (480, 300),
}
STAGES = [
    [("A: optimize the embedding", 0)],
    [("B: tune the model", 0)],
    [("Keep the photo", 0), ("C: a sweep of eta", 300)],
    [("Sample each eta", 0)],
    [("Decode the row", 0)],
]
CHOICE = [
    [("Pick the edit", 0)],
    [("The edit", 0), ("Why this one", 390), ("Sheet of all eta", 760)],
    [("The sheet", 700)],
]
DESCRIBE = (
    "The target text describes the finished picture: a photo of a sitting dog. It is not an order (make the dog sit)."
)
MEMORY = "Memory short? Scale to fewer pixels, and turn on gradient_checkpointing in B, one of its advanced inputs."
CHOOSING = (
    "Pick Edit asks the base model which pictures show the target text, and of those gives the one that keeps most of "
    "the photo. It is framed on the sheet. Let the sweep go far enough: nothing can be picked that was not drawn.\n\n"
    "Too weak everywhere: a lower threshold in Keep Photo. The edit spills over: a higher one."
)
TWO_TEXTS = (
    "A and B learn the photo, once. C then goes several ways towards the target text: one for each number of the "
    "sweep. Everything after C runs once for each of them. Keep Photo has the sampler draw only what the target "
    "changes."
)

PICK = Place(
    columns=[
        [("Demo model", 0), ("Photo", 240)],
        [("Target text", 0), ("Negative text", 190), ("Encode the photo", 380)],
        *STAGES[:2],
        [*STAGES[2], ("Chart of B", 540)],
        [("Sample each eta", 0), ("How B went", 560)],
        *STAGES[4:],
        *CHOICE,
    ],
    sizes={**SIZES, "How B went": (300, 240), "The sheet": (900, 300), "The edit": (480, 320)},
    above=["A: optimize the embedding/0", "Encode the photo/0", "Demo model/2", "Demo model/0"],
    below=["Target text/0", "Decode the row/0", "Negative text/0", "Photo/0", "C: a sweep of eta/1"],
    sections=[
        (
            "Photo and sentence",
            0,
            1,
            "Photo and sentence",
            "Load your photo, and write as target text what the picture shall show when done.\n\nFor real photos put "
            "Load Checkpoint in place of the demo model, and scale the photo to the size it draws, as the template "
            "imagic_photo_sd15_sdxl does. This example's photo comes with the pack.",
        ),
        ("Imagic", 2, 4, "Imagic", TWO_TEXTS),
        ("Sample", 5, 6, "Sample", "Another seed, sampler or eta trains nothing again."),
        ("Choose", 7, 9, "Choosing", CHOOSING),
    ],
)


PHOTO = Place(
    columns=[
        [("Checkpoint", 0), ("Photo", 260)],
        [("Target text", 0), ("Negative text", 190), ("Scale to what the model knows", 380)],
        [("Encode the photo", 0)],
        *STAGES,
        [("Pick the edit", 0), ("Each eta", 480)],
        [("Sheet of all eta", 0)],
        [("The sheet", 0)],
    ],
    sizes={**SIZES, "The sheet": (900, 420)},
    above=[
        "A: optimize the embedding/0",
        "Encode the photo/0",
        "Checkpoint/2",
        "Checkpoint/0",
        "Scale to what the model knows/0",
        "Decode the row/0",
    ],
    below=["Target text/0", "Negative text/0", "C: a sweep of eta/1"],
    sections=[
        (
            "Photo and sentence",
            0,
            2,
            "Your photo",
            "Any checkpoint of the Stable Diffusion 1.5 or SDXL kind. Scale to 512 pixels for the first, 1024 for the "
            f"second; the photo is cropped to that shape from its middle.\n\n{DESCRIBE}",
        ),
        ("Imagic", 3, 5, "Imagic", f"{TWO_TEXTS}\n\n{MEMORY}"),
        ("Sample", 6, 7, "Sample", "Another seed, sampler or eta trains nothing again."),
        ("Choose", 8, 10, "Choosing", CHOOSING),
    ],
)

FLUX = Place(
    columns=[
        [("Diffusion model", 0), ("Text encoders", 150), ("VAE", 350), ("Photo", 480)],
        [("Target text", 0), ("Negative text", 190), ("Scale to what the model knows", 380)],
        [("Guidance", 0), ("Encode the photo", 130)],
        *STAGES,
        [("Pick the edit", 0), ("Each eta", 480)],
        [("Sheet of all eta", 0)],
        [("The sheet", 0)],
    ],
    sizes={**SIZES, "The sheet": (900, 420)},
    above=["A: optimize the embedding/0", "Diffusion model/0", "Scale to what the model knows/0", "Decode the row/0"],
    below=["Encode the photo/0", "Guidance/0", "Negative text/0", "VAE/0", "C: a sweep of eta/1"],
    sections=[
        (
            "Photo and sentence",
            0,
            2,
            "Your photo",
            "Flux.1 dev in 16 bits: flux1-dev in models/diffusion_models, clip_l and t5xxl in models/text_encoders, "
            f"ae in models/vae. The sampler's cfg stays at 1: Flux has its guidance in the text.\n\n{DESCRIBE}",
        ),
        (
            "Imagic",
            3,
            5,
            "Imagic",
            f"{TWO_TEXTS}\n\nA and B are set to spare memory: leave gradient_checkpointing on. On a card of 24 GB "
            "choose fp8_e4m3fn as weight_dtype of the diffusion model. In 16 bits the weights alone are 24 GB.",
        ),
        ("Sample", 6, 7, "Sample", "Another seed, sampler or eta trains nothing again."),
        ("Choose", 8, 10, "Choosing", CHOOSING),
    ],
)

MASK = Place(
    columns=[
        [("Demo model", 0), ("Photo with a mask", 240)],
        [("Target text", 0), ("Negative text", 190), ("Encode the photo", 380), ("A little larger", 510)],
        *STAGES[:2],
        [("Keep the photo", 0), ("C: from the photo to the target", 300)],
        [("Sample the edit", 0)],
        [("Decode the edit", 0)],
        [("Photo outside, edit inside", 0)],
        [("The edit", 0)],
    ],
    sizes={**SIZES, "The edit": (480, 480)},
    above=["Encode the photo/0", "Demo model/0"],
    below=[
        "A: optimize the embedding/0",
        "Target text/0",
        "Negative text/0",
        "A little larger/0",
        "Demo model/2",
        "Photo with a mask/0",
    ],
    sections=[
        (
            "Photo, mask and sentence",
            0,
            1,
            "Draw where it may change",
            "Open the photo in the mask editor (right click on Photo) and paint the part that may change. The photo of "
            "this example, which comes with the pack, has its mask already: above and around "
            "the head.",
        ),
        (
            "Imagic",
            2,
            4,
            "Your region instead of the model's",
            "Keep Photo takes the mask as its region; threshold is then unused. A and B learn the photo as always.",
        ),
        (
            "Sample and put back",
            5,
            8,
            "Exactly the photo",
            "The mask goes through stock nodes as well: outside of it the photo's own pixels are put back, which not "
            "even the autoencoder has touched.",
        ),
    ],
)

ROW = 640
MANY = Place(
    columns=[
        [("Demo model", ROW), ("Photo", ROW + 240)],
        [("What the photo shows", ROW), ("Negative text", ROW + 190), ("Encode the photo", ROW + 380)],
        [("A: optimize the caption", ROW)],
        [("B: tune the model", ROW)],
        [("Target 1", 0), ("Target 2", ROW), ("Target 3", 2 * ROW), ("Keep the tuning", ROW + 250)],
        [
            (f"{what} {number}", (number - 1) * ROW + top)
            for number in (1, 2, 3)
            for what, top in (("Keep the photo, target", 0), ("C: towards target", 300))
        ],
        *(
            [(f"{what} {number}", (number - 1) * ROW) for number in (1, 2, 3)]
            for what in ("Sample target", "Decode target")
        ),
        [(f"Edit {number}", (number - 1) * ROW) for number in (1, 2, 3)],
    ],
    sizes={**SIZES, **{f"Edit {number}": (480, 480) for number in (1, 2, 3)}},
    gap=360,
    above=["Demo model/0", "Demo model/1", "B: tune the model/0", "Encode the photo/0"],
    below=["A: optimize the caption/0", "What the photo shows/0", "Negative text/0", "Photo/0", "Demo model/2"],
    sections=[
        (
            "Photo and caption",
            0,
            1,
            "A caption, not a target",
            "Write what the photo shows now, in the words you would use for the targets. The tuning then belongs to "
            "the photo alone and serves any target.",
        ),
        (
            "Learn the photo, once",
            2,
            3,
            "Once",
            "A and B run once. Save Imagic Edit keeps what they learned: Load Imagic Edit goes on from the file "
            "tomorrow or on another machine.",
        ),
        (
            "Edit, as often as you like",
            4,
            8,
            "Many",
            "Change a target, add a fourth, change eta: only sampling runs again.",
        ),
    ],
)

PLACES = {
    "imagic_pick_eta": PICK,
    "imagic_photo_sd15_sdxl": PHOTO,
    "imagic_flux": FLUX,
    "imagic_keep_with_mask": MASK,
    "imagic_tune_once_edit_many": MANY,
}
