"""A summary of a checkpoint folder, from its headers alone: no weight is read, whatever the size.

Every name and shape is checked as loading checks it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from danqing.hunyuan_image3.checkpoint_folder import check_folder
from danqing.hunyuan_image3.config import ModelConfig, parse_model_config
from danqing.hunyuan_image3.facts import CheckpointFacts, read_facts
from danqing.hunyuan_image3.generation_config import GenerationConfig, parse_generation_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.resolution import Bucket, Buckets
from danqing.hunyuan_image3.stored_tensors import shards, stored_tensors
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.hunyuan_image3.weights import Places


@dataclass(frozen=True, kw_only=True)
class CheckpointSummary:
    """A checkpoint at a glance.

    `num_active_parameters` act on one token, `num_expert_parameters` are those of routed experts;
    `stored_parameters` counts by dtype.
    """

    facts: CheckpointFacts
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
    check_folder(folder)
    config = parse_model_config(read_json(folder / "config.json"))
    generation = parse_generation_config(read_json(folder / "generation_config.json"))
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    PromptTemplate(
        tokenizer,
        name=generation.template,
        base_size_px=config.base_size_px,
        condition_tokens=config.condition_tokens,
    )
    with torch.device("meta"):
        model = HunyuanImage3(config)
    places = Places(model)
    stored: Counter[str] = Counter()
    for tensor in stored_tensors(folder):
        value = torch.empty(tensor.shape, device="meta")
        places.fill(tensor.key, value, scale=tensor.scale)
        stored[tensor.type_name] += value.numel()
    places.finish()
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    files = list(shards(folder))
    return CheckpointSummary(
        facts=read_facts(folder),
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
        buckets=Buckets.of_checkpoint(config, tokenizer).usable,
    )


def _num_resting(config: ModelConfig) -> int:
    """Count the parameters of the experts that a token does not visit."""
    # gate, up and down: three matrices an expert.
    return sum(
        (layer.num_experts - layer.num_experts_per_token) * 3 * config.hidden_size * layer.width
        for layer in config.layers
    )
