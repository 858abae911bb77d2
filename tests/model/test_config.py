"""What the config files may say: each rejected value is named, and what is not implemented is never ignored."""

import subprocess
import sys
from typing import Any

import pytest
from tiny_checkpoints import PARITY, config_values, vae_values

from danqing.hunyuan_image3.config import LayerConfig, parse_model_config
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.json_fields import read_json

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
        ("tie_word_embeddings", True),
        ("use_cla", True),
        ("use_mla", True),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("group_limited_greedy", True),
        ("routed_scaling_factor", 2.5),
        ("rope_type", "default"),
        ("use_rotary_pos_emb", False),
        ("position_embedding_xdrope", True),
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


def test_a_published_config_may_spell_out_what_changes_nothing() -> None:
    spelled = {
        "use_cla": False, "use_mla": False, "attention_bias": False, "mlp_bias": False, "group_limited_greedy": False,
        "routed_scaling_factor": 1.0, "rope_type": "2d", "use_rotary_pos_emb": True, "cfg_distilled": False,
        "use_meanflow": False, "model_version": "HunyuanImage-3.0-Instruct", "moe_impl": "eager",
    }  # fmt: skip
    assert parse_model_config({**config_values(), **spelled}) == parse_model_config(config_values())
    # Published files write null for what they leave alone.
    assert parse_model_config({**config_values(), **dict.fromkeys(spelled)}) == parse_model_config(config_values())


@pytest.mark.parametrize(
    ("distillation", "tokens"),
    [
        ({}, ("<timestep>",)),
        ({"cfg_distilled": True}, ("<timestep>", "<guidance>")),
        ({"cfg_distilled": True, "use_meanflow": True}, ("<timestep>", "<guidance>", "<timestep_r>")),
    ],
)
def test_distillation_puts_tokens_before_the_image(distillation: dict[str, bool], tokens: tuple[str, ...]) -> None:
    config = parse_model_config(config_values(**distillation))
    assert config.condition_tokens == tokens
    assert config.num_condition_tokens == len(tokens)


def test_dropping_tokens_is_accepted_as_dropping_none_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        lossless = parse_model_config(config_values(moe_drop_tokens=True))
    assert lossless == parse_model_config(config_values())
    assert "moe_drop_tokens" in caplog.text


def test_config_reads_without_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import danqing.hunyuan_image3.facts
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
