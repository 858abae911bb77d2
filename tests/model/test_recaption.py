"""A checkpoint expands a prompt: the caption it has learned, reproducibly, or the reason why there is none."""

import itertools
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import write_answering

from danqing.hunyuan_image3.errors import CaptionError, PromptTooLong
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.tokenizer import Tokenizer

PROMPT = "a cat"
CAPTION = "A fat red cat sits in snow, 雪."
BY_LOT = {"do_sample": True, "temperature": 0.6, "top_k": 1024, "top_p": 0.95}


def loaded(folder: Path) -> Pipeline:
    return Pipeline.load(folder, precision=Precision.FLOAT32)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A checkpoint that rewrites PROMPT as CAPTION."""
    return loaded(write_answering(tmp_path_factory.mktemp("writer"), PROMPT, CAPTION))


@pytest.mark.parametrize("template", ["pretrain", "instruct"])
@pytest.mark.parametrize("generation", [{}, BY_LOT], ids=["greedy", "by lot"])
def test_the_caption_that_was_learned_is_written(
    tmp_path: Path, tokenizer: Tokenizer, template: str, generation: dict[str, object]
) -> None:
    pipeline = loaded(write_answering(tmp_path, PROMPT, CAPTION, template=template, generation=generation))
    written = list(pipeline.expand_by_token(PROMPT, seed=7))
    assert written == [*tokenizer.encode(CAPTION), pipeline.template.recaption_end_id]
    assert pipeline.expand(PROMPT, seed=7) == CAPTION


def test_a_caption_by_lot_follows_its_seed(tmp_path: Path) -> None:
    generation = {**BY_LOT, "temperature": 9.0}
    pipeline = loaded(write_answering(tmp_path, PROMPT, CAPTION, generation=generation))

    def first_tokens(seed: int) -> list[int]:
        return [token_id for token_id, _ in zip(pipeline.expand_by_token(PROMPT, seed=seed), range(8), strict=False)]

    first = first_tokens(1)
    torch.manual_seed(99)
    assert first_tokens(1) == first
    assert first_tokens(2) != first


def test_two_texts_at_once_read_the_same_as_alone(writer: Pipeline) -> None:
    other = "a tower by the sea"
    alone = [list(itertools.islice(writer.expand_by_token(prompt, seed=1), 8)) for prompt in (PROMPT, other)]
    both = zip(writer.expand_by_token(PROMPT, seed=1), writer.expand_by_token(other, seed=1), strict=False)
    together = zip(*itertools.islice(both, 8), strict=True)
    assert [list(tokens) for tokens in together] == alone


@pytest.mark.parametrize("end", ["<|endoftext|>", "</answer>", "<img>", "<boi>"])
def test_any_other_mark_ends_the_text_and_leaves_no_caption(tmp_path: Path, tokenizer: Tokenizer, end: str) -> None:
    pipeline = loaded(write_answering(tmp_path, PROMPT, "A cat", end=end))
    with pytest.raises(CaptionError, match="did not finish"):
        pipeline.expand(PROMPT, seed=1)


def test_a_text_without_end_is_cut_off_and_is_no_caption(writer: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danqing.hunyuan_image3.pipeline.MAX_CAPTION_TOKENS", 5)
    with pytest.raises(CaptionError, match="of 5 tokens"):
        writer.expand(PROMPT, seed=1)


def test_a_caption_gets_what_room_the_prompt_leaves(writer: Pipeline) -> None:
    # One token a letter.
    num_letters = writer.config.max_positions - len(writer.template.recaption_prefix(""))
    with pytest.raises(CaptionError, match="of 3 tokens"):
        writer.expand("x" * (num_letters - 3), seed=1)
    with pytest.raises(PromptTooLong, match="1025 tokens"):
        writer.expand("x" * num_letters, seed=1)


def test_a_checkpoint_that_has_not_learned_it_says_so(pipeline: Pipeline) -> None:
    with pytest.raises(CaptionError, match="has not learned"):
        pipeline.expand(PROMPT, seed=1)
