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
    return ModelSize(
        layers=layers,
        end_bytes=num_bytes(model) - sum(map(num_bytes, model.model.layers)),
        working_bytes=_working_bytes(model, precision, on_cpu=on_cpu),
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


def _working_bytes(model: HunyuanImage3, precision: Precision, *, on_cpu: bool) -> int:
    config, item = model.config, model.dtype.itemsize
    tokens, branches = _image_tokens(config), _num_branches(config)
    keys = 2 * len(config.layers) * config.num_kv_heads * config.head_size * item
    cache = keys * (tokens + PREFIX_TOKENS) * branches
    rows = 0
    for layer in config.layers:
        # Each chosen expert's input, both halves of its first product, their product, and its output.
        chosen = tokens * branches * max(1, layer.num_experts_per_token)
        rows = max(rows, chosen * (3 * config.hidden_size + 3 * layer.width) * item)
    experts = [each for each in model.modules() if isinstance(each, RoutedExperts)]
    widening = max((_widening_bytes(each, model.dtype, on_cpu=on_cpu) for each in experts), default=0)
    decoder = config.base_size_px**2 * config.vae.temporal_factor * config.vae.block_channels[0] * item * DECODER_COPIES
    # The decoder runs when no layer does.
    return PROCESS_BYTES + cache + max(rows + (widening if precision.widens_experts else 0), decoder)


def _widening_bytes(experts: RoutedExperts, dtype: torch.dtype, *, on_cpu: bool) -> int:
    """What is widened at once: a matrix of one expert, or on a GPU some outputs of all experts of a layer.

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
