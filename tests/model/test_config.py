"""What the config files may say: each rejected value is named, and what is not implemented is never ignored."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import PARITY, config_values, vae_values

from danqing.hunyuan_image3.config import (
    GREEDY,
    LayerConfig,
    TextSampling,
    parse_generation_config,
    parse_model_config,
    read_json,
)
from danqing.hunyuan_image3.errors import CheckpointError

GENERATION = {"diff_infer_steps": 50, "diff_guidance_scale": 7.5, "flow_shift": 3.0, "sequence_template": "pretrain"}
PER_LAYER = ["num_experts", "moe_topk", "num_shared_expert", "moe_intermediate_size"]
REQUIRED = [
    "vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers",
    "num_attention_heads", "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "use_qk_norm",
    "rope_theta", "num_experts", "use_mixed_mlp_moe", "num_shared_expert", "moe_topk", "vae_downsample_factor",
    "patch_size", "patch_embed_hidden_dim", "image_base_size", "vae",
]  # fmt: skip


def test_numbers_and_lists_per_layer_mean_the_same() -> None:
    number = parse_model_config(config_values())
    listed = parse_model_config(config_values(**{key: [config_values()[key]] * 2 for key in PER_LAYER}))
    assert number.layers == listed.layers
    expected = LayerConfig(num_experts=4, num_experts_per_token=2, num_shared_experts=1, width=32)
    assert number.layers == (expected, expected)


def test_a_list_may_differ_from_layer_to_layer() -> None:
    config = parse_model_config(config_values(num_experts=[4, 6], moe_topk=[2, 3], moe_intermediate_size=[32, 48]))
    assert [layer.num_experts for layer in config.layers] == [4, 6]
    assert [layer.num_experts_per_token for layer in config.layers] == [2, 3]
    assert [layer.width for layer in config.layers] == [32, 48]


def test_the_first_layers_may_be_dense() -> None:
    dense, sparse = parse_model_config(config_values(moe_layer_num_skipped=1)).layers
    assert (dense.num_experts, dense.width) == (0, 48)
    assert (sparse.num_experts, sparse.width) == (4, 32)


@pytest.mark.parametrize("key", PER_LAYER)
@pytest.mark.parametrize("value", [[2], [2, 2, 2], [2, "2"], "2", 2.5, True, {}])
def test_a_list_of_another_length_or_kind_is_named(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=key):
        parse_model_config(config_values(**{key: value}))


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(CheckpointError, match=key):
        parse_model_config(config_values(**{key: None}))


@pytest.mark.parametrize("key", sorted(vae_values().keys() - {"shift_factor", "kernel_dims", "out_channels"}))
def test_a_missing_key_of_the_autoencoder_is_named(key: str) -> None:
    values = vae_values()
    del values[key]
    with pytest.raises(CheckpointError, match=f"vae.*{key}"):
        parse_model_config(config_values(vae=values))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_qk_norm", False),
        ("norm_topk_prob", False),
        ("hidden_act", "gelu"),
        ("img_proj_type", "linear"),
        ("use_mixed_mlp_moe", False),
        ("moe_drop_tokens", True),
        ("tie_word_embeddings", True),
        ("cfg_distilled", True),
        ("use_meanflow", True),
        ("patch_size", 3),
        ("vae_downsample_factor", [8, 8]),
        ("vae_downsample_factor", [16, 8]),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=key):
        parse_model_config(config_values(**{key: value}))


@pytest.mark.parametrize("key", ["alpha", "factor"])
def test_rope_scaling_is_refused_by_name(key: str) -> None:
    with pytest.raises(CheckpointError, match=f"rope_scaling.*{key}"):
        parse_model_config(config_values(rope_scaling={key: 2.0}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocab_size", "432"),
        ("vocab_size", 432.0),
        ("hidden_size", True),
        ("rope_theta", "10000"),
        ("moe_layer_num_skipped", "1"),
        ("attention_head_dim", "16"),
        ("rope_scaling", 3),
        ("vae", []),
        ("moe_topk", 5),
        ("moe_topk", 0),
        ("num_key_value_heads", 3),
        ("num_key_value_heads", 0),
        ("hidden_size", 0),
        ("num_attention_heads", -4),
    ],
)
def test_a_value_of_the_wrong_kind_or_range_is_named(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=key):
        parse_model_config(config_values(**{key: value}))


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel_dims": 4},
        {"kernel_dims": 2, "ffactor_temporal": 4},
        {"scaling_factor": "x"},
        {"shift_factor": "x"},
        {"output_patch_size": "4"},
        {"output_patch_size": 0},
        {"block_out_channels": 32},
        {"block_out_channels": ["32"]},
    ],
)
def test_a_wrong_value_of_the_autoencoder_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=f"vae.*{next(iter(changes))}"):
        parse_model_config(config_values(vae=vae_values(**changes)))


def test_keys_of_training_and_image_understanding_are_ignored() -> None:
    extra = {"vit": {}, "attention_dropout": 0.1, "use_cache": True, "num_media_embeds": 257}
    assert parse_model_config(config_values(**extra)) == parse_model_config(config_values())


def test_the_recorded_configs_say_what_their_folders_hold() -> None:
    config = parse_model_config(read_json(PARITY / "instruct" / "config.json"))
    assert (config.patch_size, config.pixels_per_token, config.base_size_px) == (2, 32, 256)
    assert (config.vae.kernel_dims, config.vae.output_patch_size, config.vae.shift_factor) == (3, 1, 0.0)


@pytest.mark.parametrize("key", sorted(GENERATION))
def test_a_missing_key_of_the_generation_config_is_named(key: str) -> None:
    with pytest.raises(CheckpointError, match=rf"generation_config\.json.*{key}"):
        parse_generation_config({name: value for name, value in GENERATION.items() if name != key})


def test_an_unknown_template_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(CheckpointError, match=r"'chat'.*pretrain.*instruct"):
        parse_generation_config({**GENERATION, "sequence_template": "chat"})


def test_a_whole_number_serves_as_a_fraction() -> None:
    assert parse_generation_config({**GENERATION, "flow_shift": 3}).flow_shift == 3.0


@pytest.mark.parametrize(("template", "learned"), [("pretrain", False), ("instruct", True)])
def test_a_checkpoint_says_whether_it_rewrites_prompts_or_its_template_does(template: str, learned: bool) -> None:
    values = {**GENERATION, "sequence_template": template}
    assert parse_generation_config(values).recaption is learned
    assert parse_generation_config({**values, "recaption": not learned}).recaption is not learned


def test_text_is_greedy_unless_the_checkpoint_asks_for_a_lot() -> None:
    published = {"temperature": 0.6, "top_k": 1024, "top_p": 0.95}
    assert parse_generation_config({**GENERATION, **published}).sampling == GREEDY
    asked = parse_generation_config({**GENERATION, **published, "do_sample": True})
    assert asked.sampling == TextSampling(temperature=0.6, top_k=1024, top_p=0.95)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recaption", "true"),
        ("recaption", 1),
        ("do_sample", None),
        ("temperature", 0),
        ("temperature", "0.6"),
        ("top_k", -1),
        ("top_k", 0.5),
        ("top_p", 0),
        ("top_p", 1.1),
        ("repetition_penalty", 1.05),
    ],
)
def test_a_wrong_value_about_text_is_named(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=rf"generation_config\.json.*{key}"):
        parse_generation_config({**GENERATION, "do_sample": True, key: value})


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"3", json.dumps("x").encode()])
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_json(path)


def test_guidance_acts_at_every_noise_level_unless_the_checkpoint_says_otherwise() -> None:
    assert parse_generation_config(GENERATION).guidance_min_sigma == 0
    assert parse_generation_config({**GENERATION, "guidance_min_sigma": 0.6}).guidance_min_sigma == 0.6


@pytest.mark.parametrize("value", [-0.1, 1.5, "0.6", None])
def test_a_wrong_noise_level_for_guidance_is_named(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"generation_config\.json.*guidance_min_sigma"):
        parse_generation_config({**GENERATION, "guidance_min_sigma": value})
