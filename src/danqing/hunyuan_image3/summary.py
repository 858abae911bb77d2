"""What a checkpoint folder holds, told from its headers alone: no weight is read, whatever the size.

Every name and shape is checked as loading would check it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from danqing.hunyuan_image3.config import (
    GenerationConfig,
    ModelConfig,
    parse_generation_config,
    parse_model_config,
    read_json,
)
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.resolution import Bucket, Buckets
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.hunyuan_image3.weights import SKIPPED, Places, checked_keys, shards


@dataclass(frozen=True, kw_only=True)
class CheckpointSummary:
    """A checkpoint at a glance.

    `num_active_parameters` act on one token, `num_expert_parameters` are those of routed experts;
    `stored_parameters` counts by dtype.
    """

    config: ModelConfig
    generation: GenerationConfig
    num_parameters: int
    num_active_parameters: int
    num_expert_parameters: int
    stored_parameters: Mapping[str, int]
    num_files: int
    size_bytes: int
    buckets: Sequence[Bucket]


def summarise(folder: Path) -> CheckpointSummary:
    """Read the folder's configuration and the headers of its files. Raises CheckpointError naming file or key."""
    config = parse_model_config(read_json(folder / "config.json"))
    generation = parse_generation_config(read_json(folder / "generation_config.json"))
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    PromptTemplate(tokenizer, name=generation.template, base_size_px=config.base_size_px)
    with torch.device("meta"):
        model = HunyuanImage3(config)
    places = Places(model)
    stored: Counter[str] = Counter()
    for key, shape, dtype in _headers(folder):
        if key.startswith(SKIPPED):
            continue
        value = torch.empty(shape, device="meta")
        places.fill(key, value)
        stored[dtype] += value.numel()
    places.finish()
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    files = list(shards(folder))
    return CheckpointSummary(
        config=config,
        generation=generation,
        num_parameters=num_parameters,
        num_active_parameters=num_parameters - _num_resting(config),
        num_expert_parameters=sum(
            parameter.numel() for name, parameter in model.named_parameters() if ".mlp.experts." in name
        ),
        stored_parameters=stored,
        num_files=len(files),
        size_bytes=sum(file.stat().st_size for file in files),
        buckets=Buckets(base_size_px=config.base_size_px, pixels_per_token=config.pixels_per_token).usable,
    )


def _headers(folder: Path) -> Iterator[tuple[str, list[int], str]]:
    """Give key, shape and dtype of every stored tensor."""
    for path, expected in shards(folder).items():
        try:
            file: Any = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from None
        with file:
            for key in checked_keys(path, present=file.keys(), expected=expected):
                header = file.get_slice(key)
                yield key, header.get_shape(), header.get_dtype()


def _num_resting(config: ModelConfig) -> int:
    """Count the parameters of the experts that a token does not visit."""
    # gate, up and down: three matrices an expert.
    return sum(
        (layer.num_experts - layer.num_experts_per_token) * 3 * config.hidden_size * layer.width
        for layer in config.layers
    )
