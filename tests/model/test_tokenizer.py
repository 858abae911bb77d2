"""Text to ids: what a user writes is never more than text."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_checkpoints import PARITY

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.tokenizer import Tokenizer

STORED = json.loads((PARITY / "pretrain" / "tokenizer.json").read_text())
SPECIAL = [token["content"] for token in STORED["added_tokens"]]
SPECIAL_IDS = {token["id"] for token in STORED["added_tokens"]}
TOKENIZER = Tokenizer.from_file(PARITY / "pretrain" / "tokenizer.json")


@pytest.mark.parametrize("text", ["<boi>", "a<img>b", "<|startoftext|>", "<cfg><cfg>", "<timestep>", "<img_ratio_3>"])
def test_special_tokens_in_a_users_text_stay_plain_text(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert len(ids) > 1
    assert not SPECIAL_IDS & set(ids)
    assert TOKENIZER.decode(ids) == text


def test_every_special_token_of_the_vocabulary_stays_plain_text() -> None:
    assert len(SPECIAL) > 20
    assert not SPECIAL_IDS & set(TOKENIZER.encode(" ".join(SPECIAL)))


@given(st.text(max_size=60))
def test_any_text_becomes_text_tokens_and_comes_back_whole(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert not SPECIAL_IDS & set(ids)
    assert TOKENIZER.decode(ids) == text


def test_no_text_is_no_token() -> None:
    assert TOKENIZER.encode("") == []


def test_added_tokens_that_are_not_marked_special_stay_plain_text_too(tmp_path: Path) -> None:
    stored = json.loads(json.dumps(STORED))
    for token in stored["added_tokens"]:
        token["special"] = False
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(stored))
    tokenizer = Tokenizer.from_file(path)
    assert tokenizer.encode("a <boi> and <img>") == TOKENIZER.encode("a <boi> and <img>")
    assert tokenizer.image_begin == TOKENIZER.image_begin
    assert tokenizer.decode([tokenizer.start, *tokenizer.encode("a cat")]) == "a cat"


def test_special_tokens_have_the_ids_of_the_file() -> None:
    ids = {token["content"]: token["id"] for token in STORED["added_tokens"]}
    assert (TOKENIZER.start, TOKENIZER.end) == (ids["<|startoftext|>"], ids["<|endoftext|>"])
    assert (TOKENIZER.image_begin, TOKENIZER.image, TOKENIZER.image_end) == (ids["<boi>"], ids["<img>"], ids["<eoi>"])
    assert (TOKENIZER.unconditional, TOKENIZER.timestep) == (ids["<cfg>"], ids["<timestep>"])
    assert TOKENIZER.image_ratio(12) == ids["<img_ratio_12>"]


@pytest.mark.parametrize(("case", "num_ratios"), [("pretrain", 33), ("instruct-system", 37)])
def test_size_numbers_are_counted_by_name(case: str, num_ratios: int) -> None:
    tokenizer = Tokenizer.from_file(PARITY / case / "tokenizer.json")
    assert tokenizer.num_image_ratios == num_ratios
    # Elsewhere in the vocabulary, not next to the others.
    if num_ratios == 37:
        assert tokenizer.image_ratio(33) != tokenizer.image_ratio(32) + 1


def test_decoding_leaves_special_tokens_out() -> None:
    assert TOKENIZER.decode([TOKENIZER.start, *TOKENIZER.encode("a cat"), TOKENIZER.image_end]) == "a cat"


def test_a_size_the_vocabulary_lacks_is_named() -> None:
    with pytest.raises(CheckpointError, match="<img_size_999>"):
        TOKENIZER.image_size(999)


def test_a_vocabulary_without_a_special_token_is_refused_by_its_name(tmp_path: Path) -> None:
    stored = json.loads(json.dumps(STORED).replace("<timestep>", "<something>"))
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match="<timestep>"):
        Tokenizer.from_file(path)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.from_file(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"<!doctype html>", "web page")],
)
def test_a_stand_in_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"tokenizer\.json: is a {reason}"):
        Tokenizer.from_file(path)
