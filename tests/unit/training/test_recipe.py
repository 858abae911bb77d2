"""The recipe describes a checkpoint that the runtime reads, with a vocabulary that holds every control token."""

import pytest
from tokenizers import Tokenizer as BpeTokenizer

from danqing.hunyuan_image3.config import parse_generation_config
from danqing.hunyuan_image3.resolution import all_buckets
from danqing.hunyuan_image3.tokenizer import SPECIAL_TOKENS, Tokenizer
from danqing.training.recipe import (
    BASE_SIZE_PX,
    BUCKETS,
    GRID_SHARES,
    NUM_RATIOS,
    PIXELS_PER_TOKEN,
    PRESET_SHARES,
    Recipe,
    generation_config_json,
    model_config,
)
from danqing.training.scenes.grid import Grid
from danqing.training.vocabulary_training import TEXT_TAGS, train_tokenizer

CAPTIONS = ["a red cube on the beach", "a red hat", "the beach at night"] * 5


@pytest.fixture(scope="module")
def trained() -> BpeTokenizer:
    return train_tokenizer(CAPTIONS, vocabulary_size=340, base_size_px=512, num_ratios=33)


def test_the_shipped_recipe_is_a_config_the_runtime_reads() -> None:
    config = model_config(Recipe())
    assert config.pixels_per_token == PIXELS_PER_TOKEN
    assert config.base_size_px == BASE_SIZE_PX
    assert config.num_query_heads % config.num_kv_heads == 0
    assert all(layer.num_experts == Recipe().num_experts for layer in config.layers)


def test_the_generation_config_is_one_the_runtime_reads() -> None:
    assert parse_generation_config(generation_config_json()).num_steps == 28


def test_every_grid_trained_on_is_one_that_is_served_and_none_is_left_out() -> None:
    served = {
        Grid(bucket.width_px // PIXELS_PER_TOKEN, bucket.height_px // PIXELS_PER_TOKEN) for bucket in BUCKETS.usable
    }
    assert set(GRID_SHARES) == served
    assert min(GRID_SHARES.values()) > 0
    assert sum(GRID_SHARES.values()) == pytest.approx(1.0)
    assert len(all_buckets(BASE_SIZE_PX)) == NUM_RATIOS


def test_every_preset_of_the_wire_has_a_grid_of_its_own_shape() -> None:
    for width, height in [(1024, 1024), (896, 1152), (768, 1280), (1152, 896), (1280, 768)]:
        assert Grid(width // 2 // PIXELS_PER_TOKEN, height // 2 // PIXELS_PER_TOKEN) in PRESET_SHARES


def test_the_probe_reads_a_layer_that_others_follow() -> None:
    assert 0 <= Recipe().probe_layer_index < Recipe().num_layers - 1


def test_a_trained_vocabulary_holds_every_control_token(trained: BpeTokenizer) -> None:
    for text in [*SPECIAL_TOKENS.values(), *TEXT_TAGS, "<img_size_512>", "<img_ratio_0>", "<img_ratio_32>"]:
        assert trained.token_to_id(text) is not None, text
    assert trained.get_vocab_size() <= 340


def test_a_trained_vocabulary_has_learned_the_captions_words(trained: BpeTokenizer) -> None:
    assert len(trained.encode("a red beach").ids) < len("a red beach") / 2


def test_words_in_capitals_are_spelled_letter_by_letter() -> None:
    captions = ['a sign that says "OPEN"'] * 20
    tokens = train_tokenizer(captions, vocabulary_size=340, base_size_px=512, num_ratios=33).encode(captions[0]).tokens
    assert [token for token in tokens if token.isascii() and token.isupper()] == ["O", "P", "E", "N"]
    assert "Ġsign" in tokens


@pytest.mark.parametrize("text", ["a red cube", "狗 🦖", "<boi><cfg>", ""])
def test_a_trained_vocabulary_writes_any_text_and_reads_it_back(trained: BpeTokenizer, text: str) -> None:
    tokenizer = Tokenizer(BpeTokenizer.from_str(trained.to_str()))
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.image_begin not in ids


def test_the_same_captions_give_the_same_vocabulary(trained: BpeTokenizer) -> None:
    again = train_tokenizer(CAPTIONS, vocabulary_size=340, base_size_px=512, num_ratios=33)
    assert again.get_vocab() == trained.get_vocab()
