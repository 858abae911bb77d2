"""The whole network under the checkpoint's names, and its three uses: reading text, predicting the velocity, and
finding the next token.

Letters: B branches, T text tokens, N image tokens, C latent channels, S condition tokens, D hidden size, V vocabulary.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.kv_cache import KvCache
from danqing.hunyuan_image3.linear import Linear
from danqing.hunyuan_image3.patch_embed import FinalLayer, PatchEmbed, TimeEmbedder
from danqing.hunyuan_image3.pieces import finish
from danqing.hunyuan_image3.rope import Rotation, image_positions, rotation, text_positions
from danqing.hunyuan_image3.sampler import Conditions
from danqing.hunyuan_image3.transformer import Transformer
from danqing.hunyuan_image3.vae import Vae

# Longer texts are read in pieces: other work runs between them, and the scores of a piece stay small.
PREFILL_TOKENS = 512


@dataclass(frozen=True)
class Branch:
    """One branch of guidance: its text prefix, read once, and the rotation of the condition and image tokens."""

    cache: KvCache
    rotation: Rotation


def told_guidance(guidance_scale: float) -> Tensor:
    """What a distilled network is told: 1000 times the scale, rounded to bfloat16 as it was in training; [1]."""
    return torch.tensor([1000 * guidance_scale], dtype=torch.bfloat16).float()


class HunyuanImage3(nn.Module):
    """Parameter names are the checkpoint's own, except that experts are stacked; see weights.py."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Transformer(config)
        self.lm_head = Linear(config.hidden_size, config.vocabulary_size)
        self.patch_embed = PatchEmbed(config)
        self.final_layer = FinalLayer(config)
        self.timestep_emb = TimeEmbedder(config.hidden_size)
        if config.cfg_distilled:
            self.guidance_emb = TimeEmbedder(config.hidden_size)
        if config.use_meanflow:
            self.timestep_r_emb = TimeEmbedder(config.hidden_size)
        self.time_embed = TimeEmbedder(config.hidden_size)
        self.time_embed_2 = TimeEmbedder(config.hidden_size)
        self.vae = Vae(config.vae)

    @property
    def dtype(self) -> torch.dtype:
        """The type of activations."""
        return self.model.ln_f.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.lm_head.weight.device

    def new_cache(self, capacity: int) -> KvCache:
        """An empty cache for one sequence of at most `capacity` tokens, where the layers are."""
        return KvCache(
            layer_devices=[layer.device for layer in self.model.layers],
            capacity=capacity,
            num_heads=self.config.num_kv_heads,
            head_size=self.config.head_size,
            dtype=self.dtype,
        )

    def read_by_piece(self, token_ids: Sequence[int], cache: KvCache) -> Generator[None, None, Tensor]:
        """Append text to the sequence in `cache`, pausing between pieces of PREFILL_TOKENS.

        Returns the last layer's output for the last piece, [1, T, D].
        """
        first, *others = torch.tensor(token_ids, device=self.device).split(PREFILL_TOKENS)
        hidden = self._read_piece(first, cache)
        for piece in others:
            yield
            hidden = self._read_piece(piece, cache)
        return hidden

    def read(self, token_ids: Sequence[int], cache: KvCache) -> Tensor:
        """`read_by_piece` without pauses."""
        return finish(self.read_by_piece(token_ids, cache))

    def next_token_logits(self, hidden_1TD: Tensor) -> Tensor:
        """Logits after the last token, [V]."""
        return self.lm_head(self.model.ln_f(hidden_1TD[0, -1]))

    def branch_by_piece(self, prefix_ids: Sequence[int], *, height: int, width: int) -> Generator[None, None, Branch]:
        """Read a prefix and prepare the steps of an image of `height` x `width` tokens after it."""
        image = len(prefix_ids) + self.config.num_condition_tokens
        cache = self.new_cache(image + height * width)
        yield from self.read_by_piece(prefix_ids, cache)
        positions = [text_positions(len(prefix_ids), image), image_positions(image, height=height, width=width)]
        return Branch(cache, self._rotation(torch.cat(positions)))

    def branch(self, prefix_ids: Sequence[int], *, height: int, width: int) -> Branch:
        """`branch_by_piece` without pauses."""
        return finish(self.branch_by_piece(prefix_ids, height=height, width=width))

    def velocity(self, latent_1CHW: Tensor, conditions: Conditions, branches: Sequence[Branch]) -> Tensor:
        """Predicted d(latent)/d(sigma) of every branch, float32 [B, C, H, W]."""
        B, p = len(branches), self.config.patch_size
        height, width = latent_1CHW.shape[2] // p, latent_1CHW.shape[3] // p
        t = self._on_device(conditions.t)
        tokens = self.patch_embed(latent_1CHW.to(self.dtype), self.time_embed(t))
        x = torch.cat([self.condition_tokens(conditions), tokens], dim=1).expand(B, -1, -1)
        x = self.model.image(
            x, Rotation.stack([branch.rotation for branch in branches]), [branch.cache for branch in branches]
        )
        out: Tensor = self.final_layer(x, self.time_embed_2(t).expand(B, -1), height=height, width=width)
        return out.float()

    def condition_tokens(self, conditions: Conditions) -> Tensor:
        """The embeddings at `<timestep> [<guidance>] [<timestep_r>]`, [1, S, D]."""
        embedded = [self.timestep_emb(self._on_device(conditions.t))]
        if self.config.cfg_distilled:
            embedded.append(self.guidance_emb(self._on_device(told_guidance(conditions.guidance_scale))))
        if self.config.use_meanflow:
            embedded.append(self.timestep_r_emb(self._on_device(conditions.next_t)))
        return torch.stack(embedded, dim=1)

    def _read_piece(self, ids_T: Tensor, cache: KvCache) -> Tensor:
        rotation_Td = self._rotation(text_positions(cache.length, cache.length + len(ids_T)))
        return self.model.text(ids_T, rotation_Td, cache)

    def _rotation(self, positions_T2: Tensor) -> Rotation:
        rotation_Td = rotation(positions_T2, head_size=self.config.head_size, base=self.config.rope_base)
        return rotation_Td.to(self.device)

    def _on_device(self, number: Tensor) -> Tensor:
        """A single number of the CPU, [1]. Filled in rather than copied, so that the CPU waits for nothing."""
        return torch.full((1,), float(number), device=self.device)


@cache
def num_parameters(config: ModelConfig) -> int:
    """How many numbers the network has, whatever the form in which they are held."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in HunyuanImage3(config).parameters())
