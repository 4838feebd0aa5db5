"""The flow model by the host's own loader of Stable Diffusion 3, on random weights: none need be there."""

import importlib

import comfy.sd
import pytest
import torch

from demo.load import flow_pipeline
from imagic.diffusers import DiffusersDenoiser
from tests import flow

from .conftest import in_inference_mode
from .ready import ready_to_train
from .test_agreement import measure

TEXT = "a red cat sitting on the grass"

knows_it = hasattr(comfy.sd, "load_diffusion_model_state_dict")
newer_hosts = pytest.mark.skipif(not knows_it, reason="this host is older than Stable Diffusion 3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return flow.write(tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="module")
def loaded(studio, folder):
    with torch.inference_mode():
        return studio.module("nodes.host.flow_model").load(folder)


def encode(clip, text: str) -> list:
    with torch.inference_mode():
        return importlib.import_module("nodes").CLIPTextEncode().encode(clip, text)[0]


@newer_hosts
@in_inference_mode
def test_it_is_the_hosts_stable_diffusion_3(loaded):
    model = loaded[0].model
    assert type(model).__name__ == "SD3"
    assert type(model.diffusion_model).__name__ == "OpenAISignatureMMDITWrapper"
    assert type(model.latent_format).__name__ == "SD3"
    assert model.model_sampling.shift == 3
    assert torch.tensor(model.latent_format.latent_rgb_factors).shape == (16, 3)
    assert {p.dtype for p in model.diffusion_model.parameters()} == {torch.float32}


@pytest.mark.cpu
@newer_hosts
def test_losses_agree_with_diffusers(studio, loaded, folder):
    """And so do gradients to the texts: one prediction in two worlds."""
    objective = studio.module("imagic.objective")
    latent = torch.randn(1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    with ready_to_train(studio, loaded[0], latent, encode(loaded[1], TEXT)) as (denoiser, photo, text):
        host = measure(objective, denoiser, photo, text)
        # At the host's levels: diffusers counts a quantile from the first of a thousand, the host from none.
        diffusers = measure(objective, DiffusersDenoiser(flow_pipeline(folder)), photo, text, sigma=host[0])
    for theirs, ours in zip([host[1], *host[2]], [diffusers[1], *diffusers[2]], strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@newer_hosts
def test_texts_agree_with_diffusers(loaded, folder):
    with torch.no_grad():
        tokens, _, pooled, _ = flow_pipeline(folder).encode_prompt(TEXT)
    (host, options), *others = encode(loaded[1], TEXT)
    assert not others
    torch.testing.assert_close(host, tokens, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(options["pooled_output"], pooled, atol=1e-5, rtol=1e-4)


@pytest.mark.cpu
@newer_hosts
@in_inference_mode
def test_the_autoencoder_agrees_with_diffusers(loaded, folder):
    model, _, vae = loaded
    pipe = flow_pipeline(folder)
    pixels = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(0))
    latent = pipe.vae.encode(pixels.movedim(-1, 1) * 2 - 1).latents
    decoded = (pipe.vae.decode(latent).sample.movedim(1, -1) + 1) / 2
    encoded = vae.encode(pixels)
    torch.testing.assert_close(model.model.process_latent_in(encoded), latent, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vae.decode(encoded), decoded.clamp(0, 1), atol=1e-4, rtol=1e-4)


@newer_hosts
@in_inference_mode
def test_the_hosts_sampler_draws_with_it(studio, loaded):
    model, clip, vae = loaded
    latent = {"samples": torch.zeros(1, 16, 16, 16)}
    texts = {"negative": encode(clip, ""), "latent_image": latent, "sampler_name": "euler", "scheduler": "simple"}
    drawn = studio.sample(model, encode(clip, TEXT), **texts)
    assert vae.decode(drawn["samples"]).shape == (1, 128, 128, 3)


@newer_hosts
@in_inference_mode
def test_each_part_can_be_loaded_again(loaded):
    model, clip, vae = loaded
    for patcher in (model, clip.patcher, vae.patcher):
        load, arguments = patcher.cached_patcher_init
        others = load(*arguments, disable_dynamic=True).model.state_dict()
        assert all(torch.equal(tensor.cpu(), others[name].cpu()) for name, tensor in patcher.model.state_dict().items())


@newer_hosts
def test_where_it_is_missing_the_error_says_how_to_get_it(studio, tmp_path):
    with pytest.raises(FileNotFoundError, match="copy demo/flow_model from the pack's repository"):
        studio.module("nodes.host.flow_model").load(tmp_path)


@pytest.mark.skipif(knows_it, reason="this host knows such models")
def test_an_old_host_is_told(studio, folder):
    with pytest.raises(RuntimeError, match="too old"):
        studio.module("nodes.host.flow_model").load(folder)


def test_the_demo_node_gives_the_first_model_unless_asked(studio):
    node = studio.nodes["ImagicDemoCheckpoint"]
    ((kinds, options),) = node.INPUT_TYPES()["optional"].values()
    assert kinds == ["like SD 1.5", "like SD 3"]
    assert options["default"] == kinds[0]
    with torch.inference_mode():
        for model, *_ in (node().load(), node().load(kind=kinds[0])):
            assert type(model.model) is type(studio.model.model)
