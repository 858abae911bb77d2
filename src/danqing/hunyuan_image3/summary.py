"""A summary of a checkpoint folder, from its headers alone: no weight is read, whatever the size.

Every name and shape is checked as loading checks it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from danqing.hunyuan_image3.checkpoint_folder import check_folder
from danqing.hunyuan_image3.config import LayerConfig, ModelConfig, parse_model_config
from danqing.hunyuan_image3.facts import CheckpointFacts, read_facts
from danqing.hunyuan_image3.generation_config import GenerationConfig, parse_generation_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.model import num_parameters
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.quantization_config import converted_precision
from danqing.hunyuan_image3.resolution import Bucket, Buckets
from danqing.hunyuan_image3.stored_tensors import StoredTensor, shards, stored_tensors
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.hunyuan_image3.weights import Places, meta_model


@dataclass(frozen=True, kw_only=True)
class CheckpointSummary:
    """A checkpoint at a glance.

    `num_active_parameters` act on one token, `num_expert_parameters` are those of routed experts; `converted_to` is the
    precision that `danqing model convert` rounded them to;
    `stored_parameters` counts by the file's name of the type.
    """

    facts: CheckpointFacts
    config: ModelConfig
    generation: GenerationConfig
    num_parameters: int
    num_active_parameters: int
    num_expert_parameters: int
    stored_parameters: Mapping[str, int]
    converted_to: Precision | None
    num_files: int
    size_bytes: int
    buckets: Sequence[Bucket]


def summarise(folder: Path) -> CheckpointSummary:
    """Read the folder's configuration and the headers of its files. Raises CheckpointError naming file or key."""
    check_folder(folder)
    values = read_json(folder / "config.json")
    config = parse_model_config(values)
    generation = parse_generation_config(read_json(folder / "generation_config.json"))
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    PromptTemplate(
        tokenizer,
        name=generation.template,
        base_size_px=config.base_size_px,
        condition_tokens=config.condition_tokens,
    )
    stored = check_headers(folder, config)
    files = list(shards(folder))
    expert_parameters = (layer.num_experts * _expert_parameters(config, layer) for layer in config.layers)
    return CheckpointSummary(
        facts=read_facts(folder),
        config=config,
        generation=generation,
        num_parameters=num_parameters(config),
        num_active_parameters=num_parameters(config) - _num_resting(config),
        num_expert_parameters=sum(expert_parameters),
        stored_parameters=stored,
        converted_to=converted_precision(values),
        num_files=len(files),
        size_bytes=sum(file.stat().st_size for file in files),
        buckets=Buckets.of_checkpoint(config, tokenizer).usable,
    )


def check_headers(folder: Path, config: ModelConfig) -> Mapping[str, int]:
    """Check every name, shape and type as loading does; returns how many numbers are stored as which type."""
    precision = converted_precision(read_json(folder / "config.json")) or Precision.BFLOAT16
    places = Places(meta_model(config, precision=precision, activations=torch.bfloat16))
    counts: Counter[str] = Counter()
    for stored in stored_tensors(folder):
        parts = {suffix: _on_meta(part) for suffix, part in stored.parts.items()}
        value = _on_meta(stored)
        places.fill(stored.key, value, parts=parts)
        packed = value.dtype == torch.uint8
        counts["INT4" if packed else stored.type_name] += value.numel() * (1 + packed)
    places.finish()
    return counts


def _on_meta(stored: StoredTensor) -> Tensor:
    return torch.empty(stored.shape, dtype=stored.dtype, device="meta")


def _num_resting(config: ModelConfig) -> int:
    """Count the parameters of the experts that a token does not visit."""
    return sum(
        (layer.num_experts - layer.num_experts_per_token) * _expert_parameters(config, layer) for layer in config.layers
    )


def _expert_parameters(config: ModelConfig, layer: LayerConfig) -> int:
    # gate, up and down.
    return 3 * config.hidden_size * layer.width
