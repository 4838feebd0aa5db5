"""The host's MODEL and a diffusers pipeline are two implementations of one Denoiser: they must agree in numbers."""

import pytest
import torch

from demo.load import pipeline
from imagic.diffusers import DiffusersDenoiser
from imagic.training import keeping_overwritten

from .ready import ready_to_train


def measure(objective, denoiser, latent, text, sigma=None):
    """Losses at four levels, `sigma` or the denoiser's own.

    And the gradients to the conditioning and to a weight at either end of the network.
    """
    noise = torch.randn(4, *latent.shape[1:], generator=torch.Generator().manual_seed(0))
    sigma = denoiser.sigma(torch.tensor([0.1, 0.35, 0.6, 0.9])) if sigma is None else sigma
    tokens = text["cross_attn"].detach().clone().requires_grad_()
    weights = [weight for name, weight in sorted(end_weights(denoiser.network).items())]
    for weight in weights:
        weight.requires_grad_()
    with keeping_overwritten(denoiser):
        losses, _ = objective.denoising_loss(denoiser, latent, {**text, "cross_attn": tokens}, noise, sigma)
        gradients = torch.autograd.grad(losses.mean(), [tokens, *weights])
    return sigma, losses.detach(), gradients


def end_weights(network) -> dict[str, torch.Tensor]:
    """The first and the last layer, under the names of either layout of either demo model."""
    state = dict(network.named_parameters())
    first = ("conv_in.weight", "input_blocks.0.0.weight", "pos_embed.proj.weight", "x_embedder.proj.weight")
    last = ("conv_out.weight", "out.2.weight", "proj_out.weight", "final_layer.linear.weight")
    return {
        "first": next(state[name] for name in first if name in state),
        "last": next(state[name] for name in last if name in state),
    }


@pytest.mark.cpu
def test_loss_and_gradients_agree(studio):
    objective = studio.module("imagic.objective")
    with ready_to_train(studio, studio.model, studio.latent["samples"], studio.target) as (denoiser, latent, text):
        host = measure(objective, denoiser, latent, text)
        diffusers = measure(objective, DiffusersDenoiser(pipeline()), latent, text)
    torch.testing.assert_close(diffusers[0], host[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(diffusers[1], host[1], atol=1e-4, rtol=1e-4)
    for ours, theirs in zip(diffusers[2], host[2], strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.cpu
def test_the_hosts_text_encoder_and_autoencoder_are_the_pipelines(studio):
    pipe = pipeline()
    ids = torch.tensor([studio.clip.tokenize("a red cat sitting on the grass")["l"][0]])[..., 0].long()
    with torch.no_grad():
        embedded = pipe.text_encoder(ids).last_hidden_state
        pixels = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(0))
        latent = pipe.vae.encode(pixels.movedim(-1, 1) * 2 - 1).latents
        decoded = (pipe.vae.decode(latent).sample.movedim(1, -1) + 1) / 2
    torch.testing.assert_close(studio.text("a red cat sitting on the grass")[0][0], embedded, atol=1e-4, rtol=1e-4)
    in_model = studio.model.model.process_latent_in(studio.encode(pixels)["samples"])
    torch.testing.assert_close(in_model, latent, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(studio.decode(studio.encode(pixels)), decoded.clamp(0, 1), atol=1e-4, rtol=1e-4)
