"""The checkpoint's `tokenizer.json`: byte-level BPE learned from captions, plus the special tokens of the template."""

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from danqing.hunyuan_image3.tokenizer import SPECIAL_TOKENS

TEXT_TAGS = ("<think>", "</think>", "<recaption>", "</recaption>", "<answer>", "</answer>", "<pad>")


def train_tokenizer(captions: Iterable[str], *, vocabulary_size: int, base_size_px: int, num_ratios: int) -> Tokenizer:
    """Learn merges from captions; ids of special tokens follow those of text."""
    ratios = [f"<img_ratio_{i}>" for i in range(num_ratios)]
    special = [*SPECIAL_TOKENS.values(), *TEXT_TAGS, f"<img_size_{base_size_px}>", *ratios]
    tokenizer = Tokenizer(BPE())
    # Capitals stand alone, so that the words on signs are spelled letter by letter.
    capitals = pre_tokenizers.Split(Regex("[A-Z]"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([capitals, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocabulary_size - len(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    return tokenizer
