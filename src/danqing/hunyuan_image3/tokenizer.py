"""The tokenizer of a checkpoint, from its own `tokenizer.json`: text to token ids and back, and the special tokens."""

import itertools
from pathlib import Path

from tokenizers import Tokenizer as BpeTokenizer

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.stand_ins import stand_in

SPECIAL_TOKENS = {
    "start": "<|startoftext|>",
    "end": "<|endoftext|>",
    "image_begin": "<boi>",
    "image_end": "<eoi>",
    "image": "<img>",
    "unconditional": "<cfg>",
    "timestep": "<timestep>",
}


class Tokenizer:
    """Byte-level BPE. Special tokens inside a user's text are plain text: a prompt cannot forge the sequence."""

    def __init__(self, bpe: BpeTokenizer) -> None:
        self._bpe = bpe
        # Some files add control tokens without marking them special; a prompt must not reach those either.
        self._bpe.add_special_tokens(list(self._bpe.get_added_tokens_decoder().values()))
        self._bpe.encode_special_tokens = True
        self.start, self.end, self.image_begin, self.image_end, self.image, self.unconditional, self.timestep = (
            self.special(text) for text in SPECIAL_TOKENS.values()
        )

    @classmethod
    def from_file(cls, path: Path) -> "Tokenizer":
        """Load `tokenizer.json`. Raises CheckpointError naming the file or the missing special token."""
        if not path.is_file():
            raise CheckpointError(f"{path}: file not found; a checkpoint folder must contain it")
        try:
            bpe = BpeTokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path}: {stand_in(path) or f'cannot be read as a tokenizer: {error}'}") from None
        return cls(bpe)

    def special(self, text: str) -> int:
        """Id of a special token such as `<boi>`. Raises CheckpointError when the vocabulary lacks it."""
        token_id = self._bpe.token_to_id(text)
        if token_id is None:
            raise CheckpointError(f"tokenizer.json: special token {text!r} is missing")
        return int(token_id)

    def image_size(self, base_size_px: int) -> int:
        """Id of `<img_size_B>`."""
        return self.special(f"<img_size_{base_size_px}>")

    def image_ratio(self, ratio_index: int) -> int:
        """Id of `<img_ratio_R>`."""
        return self.special(f"<img_ratio_{ratio_index}>")

    @property
    def num_image_ratios(self) -> int:
        """How many size numbers the vocabulary has tokens for, counted from `<img_ratio_0>` on."""
        return next(index for index in itertools.count() if self._bpe.token_to_id(f"<img_ratio_{index}>") is None)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, without any automatic special token."""
        return list(self._bpe.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: list[int]) -> str:
        """Text of the ids, special tokens left out."""
        return str(self._bpe.decode(token_ids, skip_special_tokens=True))
