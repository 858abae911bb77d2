"""The decoder: embeddings, layers, final norm. Runs text (causal) and image steps over request-owned caches.

Letters: B branches, T text tokens, C condition tokens, N image tokens, D hidden size.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.attention import Attention, RmsNorm
from danqing.hunyuan_image3.config import LayerConfig, ModelConfig
from danqing.hunyuan_image3.kv_cache import KvCache
from danqing.hunyuan_image3.linear import Linear
from danqing.hunyuan_image3.moe import feed_forward
from danqing.hunyuan_image3.rope import Rotation


class Layer(nn.Module):
    """Norm, attention, add; norm, mixture of experts, add."""

    def __init__(self, config: ModelConfig, layer_config: LayerConfig) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = feed_forward(config.hidden_size, layer_config)

    @property
    def device(self) -> torch.device:
        return self.input_layernorm.weight.device

    def matrices(self) -> Iterator[tuple[str, Linear]]:
        """Its linear layers by name, without the router: what a plan may stream beside routed experts."""
        for name, module in self.named_modules():
            if isinstance(module, Linear):
                yield name, module

    def text(self, x_1TD: Tensor, rotation: Rotation, cache: KvCache, index: int) -> Tensor:
        """Text tokens after what `cache` holds for the layer of this index."""
        return self._feed(x_1TD + self.self_attn.text(self.input_layernorm(x_1TD), rotation, cache, index))

    def image(self, x_BTD: Tensor, rotation: Rotation, caches: Sequence[KvCache], index: int) -> Tensor:
        """Condition and image tokens of each branch over its prefix."""
        return self._feed(x_BTD + self.self_attn.image(self.input_layernorm(x_BTD), rotation, caches, index))

    def _feed(self, x_BTD: Tensor) -> Tensor:
        normed = self.post_attention_layernorm(x_BTD)
        return x_BTD + self.mlp(normed.flatten(0, 1)).view_as(x_BTD)


class Embedding(nn.Embedding):
    """An embedding that sets no numbers where there are none."""

    def reset_parameters(self) -> None:
        """Set random numbers, except on the meta device: PyTorch imports its whole compiler for them, in 2 seconds."""
        if not self.weight.is_meta:
            super().reset_parameters()


class Transformer(nn.Module):
    """Knows neither latents nor time: it is given embeddings and returns the last layer's output, before `ln_f`.

    Layers may be on different devices; what goes in and what comes out is on that of the embeddings.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_condition_tokens = config.num_condition_tokens
        self.wte = Embedding(config.vocabulary_size, config.hidden_size)
        self.layers: Sequence[Layer] = nn.ModuleList(Layer(config, layer) for layer in config.layers)  # type: ignore[assignment]
        self.ln_f = RmsNorm(config.hidden_size, eps=config.rms_norm_eps)

    def text(self, token_ids_T: Tensor, rotation: Rotation, cache: KvCache) -> Tensor:
        """Read text tokens after what `cache` holds, and keep them there; returns [1, T, D]."""
        x = self.wte(token_ids_T)[None].to(self.ln_f.weight.dtype)
        for i, layer in enumerate(self.layers):
            x, rotation = x.to(layer.device), rotation.to(layer.device)
            x = layer.text(x, rotation, cache, i)
        cache.keep(len(token_ids_T))
        return x.to(self.ln_f.weight.device)

    def image(self, x_BTD: Tensor, rotation: Rotation, caches: Sequence[KvCache]) -> Tensor:
        """One step: condition and image tokens of each branch over that branch's prefix; the caches stay as they
        were. [B, C + N, D] -> the image tokens, [B, N, D]."""
        x = x_BTD
        for i, layer in enumerate(self.layers):
            x, rotation = x.to(layer.device), rotation.to(layer.device)
            x = layer.image(x, rotation, caches, i)
        return x[:, self.num_condition_tokens :].to(self.ln_f.weight.device)
