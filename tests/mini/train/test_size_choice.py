"""The fit of the choice of size: it learns what the hidden states tell, and touches its own rows alone."""

from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from danqing.engines import BUNDLED_CHECKPOINT
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.vae import Vae
from mini.train.checkpoint import export, model_config
from mini.train.recipe import Recipe
from mini.train.size_choice import LM_HEAD, Questions, fit_size_choice, fitted_rows, never_in_text, rounded
from mini.train.transformer import TransformerTraining


def test_rows_learn_the_sizes() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(300, 8) @ torch.randn(8, 8)
    sizes = (hidden @ torch.randn(8, 3)).argmax(1)
    rows = fitted_rows(Questions(hidden, sizes), num_sizes=4)
    assert ((hidden @ rows.T).argmax(1) == sizes).float().mean() > 0.95


def test_sizes_are_held_far_below_the_words_of_a_text_and_not_at_a_question() -> None:
    torch.manual_seed(0)
    question = torch.randn(300, 8) + torch.tensor([0.0] * 7 + [20.0])
    text = torch.randn(300, 8) + torch.tensor([20.0] + [0.0] * 7)
    direction = never_in_text(question, text)
    assert (text @ direction).max() < -1000
    assert (question @ direction).abs().mean() < 100


def test_rounding_leaves_the_mean_questions_logits_where_they_were() -> None:
    torch.manual_seed(0)
    rows, mean = 300 * torch.randn(5, 256), torch.randn(256)
    result = rounded(rows, mean)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.float(), rows, rtol=2**-7, atol=0)
    expected = (rows.double() @ mean.double()).float()
    plain_error = (rows.bfloat16().double() @ mean.double()).float() - expected
    error = (result.double() @ mean.double()).float() - expected
    assert error.abs().max() < 0.05 < plain_error.abs().max()


@pytest.mark.usefixtures("emoji_font_installed")
def test_the_fit_writes_the_rows_of_usable_sizes_and_nothing_else(
    tmp_path: Path, recipe: Recipe, tokenizer_file: Path
) -> None:
    training = TransformerTraining(recipe, tmp_path, dtype=torch.float32, device=torch.device("cpu"))
    torch.save({"vae": Vae(model_config(recipe).vae).state_dict()}, tmp_path / "autoencoder.pt")
    folder = tmp_path / "mini"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    path = export(recipe, tmp_path, network=training.network())
    before = load_file(path)
    fit_size_choice(folder, num_texts=24, num_expansions=4)
    after = load_file(path)
    assert [name for name in before if not torch.equal(before[name], after[name])] == [LM_HEAD]
    pipeline = Pipeline.load(folder, precision=Precision.FLOAT32)
    ids = [pipeline.tokenizer.image_ratio(bucket.ratio_index) for bucket in pipeline.buckets.usable]
    changed = (before[LM_HEAD] != after[LM_HEAD]).any(1).nonzero().flatten().tolist()
    assert sorted(changed) == sorted(ids)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}


@pytest.mark.parametrize(
    ("prompt", "size"),
    [
        ("Three penguins in the snow.", (1280, 768)),
        ("A rocket on the left and a robot on the right, in space.", (1152, 896)),
        ("dog", (1024, 1024)),
        ("a bird above a house", (768, 1280)),
    ],
)
def test_the_bundled_checkpoint_chooses_a_size_by_the_prompt(prompt: str, size: tuple[int, int]) -> None:
    request = TextToImage(prompt=prompt, num_inference_steps=28, guidance_scale=7.5)
    bucket = bundled().choose_bucket(request)
    assert (bucket.width_px, bucket.height_px) == size


@cache
def bundled() -> Pipeline:
    return Pipeline.load(BUNDLED_CHECKPOINT)
