"""A checkpoint rewrites a prompt: the caption it has learned, reproducibly, or a clear word why there is none."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import config_values, random_model, stored_tensors, write_checkpoint

from danqing.hunyuan_image3.errors import CaptionError, PromptTooLong
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.tokenizer import Tokenizer

PROMPT = "a cat"
CAPTION = "A fat red cat sits in snow, 雪."
BY_LOT = {"do_sample": True, "temperature": 0.6, "top_k": 1024, "top_p": 0.95}


def answering(folder: Path, answer: Sequence[int], *, template: str = "pretrain", **generation: object) -> Pipeline:
    """A random network whose head is solved so that it continues PROMPT with these tokens."""
    values = config_values(image_base_size=256) if template == "instruct" else config_values()
    model = random_model(values)
    generation = {"recaption": True, **generation}
    write_checkpoint(folder, values, stored_tensors(model), template=template, generation=generation)
    prefix = Pipeline.load(folder, dtype=torch.float32).template.recaption_prefix(PROMPT)
    hidden = model.read([*prefix, *answer[:-1]], model.new_cache(len(prefix) + len(answer)))
    asked = model.model.ln_f(hidden[0, len(prefix) - 1 :])
    logits = 20 * torch.nn.functional.one_hot(torch.tensor(answer), values["vocab_size"]).float()
    model.lm_head.weight.copy_((torch.linalg.pinv(asked) @ logits).T)
    write_checkpoint(folder, values, stored_tensors(model), template=template, generation=generation)
    return Pipeline.load(folder, dtype=torch.float32)


def ids_of(tokenizer: Tokenizer, text: str, end: str) -> list[int]:
    return [*tokenizer.encode(text), tokenizer.special(end)]


@pytest.mark.parametrize("template", ["pretrain", "instruct"])
@pytest.mark.parametrize("generation", [{}, BY_LOT], ids=["greedy", "by lot"])
def test_the_caption_that_was_learned_is_written(
    tmp_path: Path, tokenizer: Tokenizer, template: str, generation: dict[str, object]
) -> None:
    answer = ids_of(tokenizer, CAPTION, "</recaption>")
    pipeline = answering(tmp_path, answer, template=template, **generation)
    assert list(pipeline.write_caption(PROMPT, seed=7)) == answer
    assert pipeline.recaption(PROMPT, seed=7) == CAPTION


def test_a_caption_by_lot_follows_its_seed(tiny_folder: Path, tmp_path: Path, tokenizer: Tokenizer) -> None:
    pipeline = answering(tmp_path, ids_of(tokenizer, CAPTION, "</recaption>"), **{**BY_LOT, "temperature": 9.0})

    def first_tokens(seed: int) -> list[int]:
        return [token_id for token_id, _ in zip(pipeline.write_caption(PROMPT, seed=seed), range(8), strict=False)]

    first = first_tokens(1)
    torch.manual_seed(99)
    assert first_tokens(1) == first
    assert first_tokens(2) != first


def test_drawing_between_two_tokens_changes_neither(tmp_path: Path, tokenizer: Tokenizer) -> None:
    pipeline = answering(tmp_path, ids_of(tokenizer, CAPTION, "</recaption>"))
    buckets, token_ids = [], []
    for token_id in pipeline.write_caption(PROMPT, seed=1):
        token_ids.append(token_id)
        buckets.append(pipeline.choose_bucket("a tower"))
    assert pipeline.read_caption(token_ids) == CAPTION
    assert set(buckets) == {pipeline.choose_bucket("a tower")}


@pytest.mark.parametrize("end", ["<|endoftext|>", "</answer>", "<img>", "<boi>"])
def test_any_other_mark_ends_the_text_and_leaves_no_caption(tmp_path: Path, tokenizer: Tokenizer, end: str) -> None:
    answer = ids_of(tokenizer, "A cat", end)
    pipeline = answering(tmp_path, answer)
    assert list(pipeline.write_caption(PROMPT, seed=1)) == answer
    with pytest.raises(CaptionError, match="did not end"):
        pipeline.recaption(PROMPT, seed=1)


def test_a_text_without_end_is_cut_off_and_is_no_caption(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danqing.hunyuan_image3.pipeline.MAX_CAPTION_TOKENS", 5)
    pipeline = answering(tmp_path, ids_of(tokenizer, CAPTION, "</recaption>"))
    assert len(list(pipeline.write_caption(PROMPT, seed=1))) == 5
    with pytest.raises(CaptionError, match="within 5 tokens"):
        pipeline.recaption(PROMPT, seed=1)


def test_a_caption_gets_what_room_the_prompt_leaves(tmp_path: Path, tokenizer: Tokenizer) -> None:
    writer = answering(tmp_path, ids_of(tokenizer, CAPTION, "</recaption>"))
    # One token a letter.
    num_letters = writer.config.max_positions - len(writer.template.recaption_prefix(""))
    assert 1 <= len(list(writer.write_caption("x" * (num_letters - 3), seed=1))) <= 3
    with pytest.raises(PromptTooLong, match="1025 tokens"):
        writer.recaption("x" * num_letters, seed=1)


def test_a_checkpoint_that_has_not_learned_it_says_so(pipeline: Pipeline) -> None:
    with pytest.raises(CaptionError, match="has not learned"):
        pipeline.recaption(PROMPT, seed=1)
