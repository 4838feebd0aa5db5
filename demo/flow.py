"""Stable Diffusion 3's pipeline with one text encoder in the place of three."""

from diffusers import StableDiffusion3Pipeline
from torch import Tensor


class FlowPipeline(StableDiffusion3Pipeline):
    """Its texts are the last states of the text encoder, tokens and pooled, as they are."""

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        prompt_2: str | list[str] | None = None,
        prompt_3: str | list[str] | None = None,
        do_classifier_free_guidance: bool = True,
        num_images_per_prompt: int = 1,
        negative_prompt: str | list[str] | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        pooled_prompt_embeds: Tensor | None = None,
        negative_pooled_prompt_embeds: Tensor | None = None,
        **_,
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
        """Tokens (N, 24, 128), those of the negative prompt, and both pooled (N, 128)."""

        def embed(texts: str | list[str]) -> tuple[Tensor, Tensor]:
            ids = self.tokenizer(texts).input_ids.repeat_interleave(num_images_per_prompt, dim=0)
            encoded = self.text_encoder(ids.to(self._execution_device))
            return encoded.last_hidden_state, encoded.pooler_output

        if prompt_embeds is None:
            prompt_embeds, pooled_prompt_embeds = embed(prompt)
        if do_classifier_free_guidance and negative_prompt_embeds is None:
            count = len(prompt_embeds) // num_images_per_prompt
            negative = negative_prompt or ""
            negative_prompt_embeds, negative_pooled_prompt_embeds = embed(
                [negative] * count if isinstance(negative, str) else negative
            )
        return prompt_embeds, negative_prompt_embeds, pooled_prompt_embeds, negative_pooled_prompt_embeds
