"""Sizes of a model in a precision, from its configuration alone, and the arithmetic of a step.

Letters: T tokens of a step, K experts per token.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.experts import RoutedExperts, outputs_at_once
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.placement.plan import LayerSize, ModelSize
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.transformer import Layer
from danqing.hunyuan_image3.weights import meta_model

# PyTorch itself and its libraries, on a CPU or beside a GPU's context.
PROCESS_BYTES = 800_000_000
# Text before the image that keys and values get room for: a prompt and a caption of usual length.
PREFIX_TOKENS = 1024
# Of the decoder's level at full resolution, convolved slab by slab (slabs.py): 3.3 were measured in float32 on a CPU.
DECODER_COPIES = 4


@dataclass(frozen=True, kw_only=True)
class StepWork:
    """Multiplications and additions of one step at the base size, with all branches of guidance."""

    num_tokens: int
    flop: float


# The doctor asks for every precision several times.
@lru_cache(maxsize=32)
def model_size(config: ModelConfig, precision: Precision, *, activations: torch.dtype, on_cpu: bool) -> ModelSize:
    """Bytes of the weights as they are held for drawing, and of working memory for one image at the base size."""
    model = meta_model(config, precision=precision, activations=activations)
    del model.vae.encoder
    layers = [layer_size(layer) for layer in model.model.layers]
    decoder_bytes = num_bytes(model.vae.decoder)
    all_the_time = PROCESS_BYTES + _cache_bytes(model)
    return ModelSize(
        layers=layers,
        end_bytes=num_bytes(model) - decoder_bytes - sum(map(num_bytes, model.model.layers)),
        decoder_bytes=decoder_bytes,
        denoising_bytes=all_the_time + _layer_working_bytes(model, precision, on_cpu=on_cpu),
        decoding_bytes=all_the_time + _decoder_working_bytes(model),
    )


def layer_size(layer: Layer) -> LayerSize:
    """Bytes of a layer on any device, the meta device too."""
    experts = sum(num_bytes(module) for module in layer.modules() if isinstance(module, RoutedExperts))
    in_matrices = sum(num_bytes(module) for _, module in layer.matrices())
    return LayerSize(
        expert_bytes=experts, matrix_bytes=in_matrices, other_bytes=num_bytes(layer) - experts - in_matrices
    )


def num_bytes(module: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def step_work(config: ModelConfig) -> StepWork:
    """What a step computes: the matrices each token meets, and attention over the image."""
    tokens = _image_tokens(config) * _num_branches(config)
    per_token = 0
    for layer in config.layers:
        visited = layer.num_experts_per_token + layer.num_shared_experts if layer.num_experts else 1
        projections = (2 * config.num_query_heads + 2 * config.num_kv_heads) * config.head_size * config.hidden_size
        attention = 2 * config.num_query_heads * config.head_size * (_image_tokens(config) + PREFIX_TOKENS)
        per_token += 3 * config.hidden_size * layer.width * visited + projections + attention
    return StepWork(num_tokens=tokens, flop=2.0 * per_token * tokens)


def _cache_bytes(model: HunyuanImage3) -> int:
    """Keys and values of one image, with all branches of guidance."""
    config = model.config
    num_tokens = (_image_tokens(config) + PREFIX_TOKENS) * _num_branches(config)
    return 2 * len(config.layers) * config.num_kv_heads * config.head_size * num_tokens * model.dtype.itemsize


def _layer_working_bytes(model: HunyuanImage3, precision: Precision, *, on_cpu: bool) -> int:
    config, item, rows = model.config, model.dtype.itemsize, 0
    for layer in config.layers:
        # Each chosen expert's input, both halves of its first product, their product, and its output.
        chosen = _image_tokens(config) * _num_branches(config) * max(1, layer.num_experts_per_token)
        rows = max(rows, chosen * (3 * config.hidden_size + 3 * layer.width) * item)
    if not precision.widens_experts:
        return rows
    experts = [each for each in model.modules() if isinstance(each, RoutedExperts)]
    return rows + max((_widening_bytes(each, model.dtype, on_cpu=on_cpu) for each in experts), default=0)


def _decoder_working_bytes(model: HunyuanImage3) -> int:
    config, vae = model.config, model.config.vae
    return config.base_size_px**2 * vae.temporal_factor * vae.block_channels[0] * model.dtype.itemsize * DECODER_COPIES


def _widening_bytes(experts: RoutedExperts, dtype: torch.dtype, *, on_cpu: bool) -> int:
    """What is widened at once: at most a matrix of one expert, or on a GPU some outputs of all experts of a layer.

    Looking a pair of numbers up in a table takes an int32 beside them.
    """
    hidden_size, num_outputs = experts.down_proj.shape[1], experts.gate_and_up_proj.shape[1]
    if not on_cpu:
        num_outputs = min(num_outputs, outputs_at_once(experts.num_experts, hidden_size, dtype)) * experts.num_experts
    return num_outputs * hidden_size * (dtype.itemsize + 2)


def _image_tokens(config: ModelConfig) -> int:
    return (config.base_size_px // config.pixels_per_token) ** 2 + config.num_condition_tokens


def _num_branches(config: ModelConfig) -> int:
    return 1 if config.cfg_distilled else 2
