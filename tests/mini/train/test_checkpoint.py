"""The checkpoint folder: config files that the runtime reads, a vocabulary with every control token, named weights."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer as BpeTokenizer

from danqing.engines import BUNDLED_CHECKPOINT
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.generation_config import parse_generation_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.tokenizer import SPECIAL_TOKENS, Tokenizer
from danqing.hunyuan_image3.vae import Vae
from danqing.hunyuan_image3.weights import load_model
from mini.train.checkpoint import TEXT_TAGS, export, generation_config_json, model_config, train_tokenizer
from mini.train.recipe import BASE_SIZE_PX, PIXELS_PER_TOKEN, Recipe
from mini.train.transformer import PROBE, TransformerTraining, new_network

CPU = torch.device("cpu")
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


def test_the_bundled_checkpoint_has_the_recipes_defaults_and_its_bound_on_guidance() -> None:
    values = read_json(BUNDLED_CHECKPOINT / "generation_config.json")
    assert values == generation_config_json()
    assert parse_generation_config(values).guidance_max_push == 1.0


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


@pytest.fixture
def vae(tmp_path: Path, recipe: Recipe) -> Vae:
    """A trained autoencoder, as its training leaves it in the run's folder."""
    torch.manual_seed(3)
    vae = Vae(model_config(recipe).vae)
    torch.save({"vae": vae.state_dict()}, tmp_path / "autoencoder.pt")
    return vae


def test_an_export_holds_the_network_under_published_names_and_loads(
    tmp_path: Path, recipe: Recipe, vae: Vae, tokenizer_file: Path
) -> None:
    network = TransformerTraining(recipe, tmp_path, dtype=torch.float32, device=CPU).network()
    checkpoint = tmp_path / "mini"
    checkpoint.mkdir()
    shutil.copy(tokenizer_file, checkpoint / "tokenizer.json")
    path = export(recipe, tmp_path, network=network)

    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        for name in names:
            wanted = "F32" if name.endswith(".gate.wg.weight") else "BF16"
            assert file.get_slice(name).get_dtype() == wanted, name
    assert "model.layers.1.mlp.experts.2.down_proj.weight" in names
    assert not [name for name in names if PROBE in name]

    config = parse_model_config(read_json(checkpoint / "config.json"))
    model = load_model(checkpoint, config, precision=Precision.FLOAT32, device=CPU)
    loaded = model.state_dict()
    expected = {**network, **{f"vae.{name}": value for name, value in vae.state_dict().items()}}
    assert loaded.keys() == expected.keys()
    for name, value in expected.items():
        stored = value if ".gate.wg." in name else value.bfloat16().float()
        assert torch.equal(loaded[name], stored), name

    pipeline = Pipeline.load(checkpoint, precision=Precision.FLOAT32)
    request = TextToImage(prompt="a cat", num_inference_steps=1, guidance_scale=3.0, width_px=1280, height_px=768)
    prefix = pipeline.prefill(request)
    *_, last = pipeline.denoise(prefix, seed=1)
    assert pipeline.decode(last.latent, prefix).shape == (768, 1280, 3)


def test_what_a_run_did_not_train_comes_from_a_finished_checkpoint(tmp_path: Path, recipe: Recipe, vae: Vae) -> None:
    (tmp_path / "mini").mkdir()
    network = new_network(recipe, dtype=torch.float32, device=CPU).state_dict()
    finished = export(recipe, tmp_path, network=network)

    only_autoencoder = tmp_path / "only an autoencoder"
    (only_autoencoder / "mini").mkdir(parents=True)
    other = {name: value + 1 for name, value in vae.state_dict().items()}
    torch.save({"vae": other}, only_autoencoder / "autoencoder.pt")
    got, stored = (
        load_file(path) for path in (export(recipe, only_autoencoder, network={}, finished=finished.parent), finished)
    )
    assert got.keys() == stored.keys()
    for name, value in got.items():
        expected = other[name.removeprefix("vae.")].bfloat16() if name.startswith("vae.") else stored[name]
        assert torch.equal(value, expected), name

    only_network = tmp_path / "only a network"
    (only_network / "mini").mkdir(parents=True)
    path = export(
        recipe, only_network, network={name: 2 * value for name, value in network.items()}, finished=finished.parent
    )
    got = load_file(path)
    assert torch.equal(got["vae.decoder.conv_in.bias"], stored["vae.decoder.conv_in.bias"])
    assert torch.equal(got["model.wte.weight"], 2 * stored["model.wte.weight"])
