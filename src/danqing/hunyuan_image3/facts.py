"""Facts about a checkpoint that a service needs before anything is drawn, read from its JSON files alone."""

from dataclasses import dataclass
from pathlib import Path

from danqing.hunyuan_image3.checkpoint_folder import checkpoint_name
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.generation_config import parse_generation_config
from danqing.hunyuan_image3.json_fields import read_json, take
from danqing.hunyuan_image3.resolution import Buckets
from danqing.hunyuan_image3.tokenizer import Tokenizer

# Ours, and optional: the English words that a checkpoint was trained on, in lower case.
WORDS_FILE = "words.json"


@dataclass(frozen=True, kw_only=True)
class CheckpointDefaults:
    """What the checkpoint's makers draw with."""

    num_inference_steps: int
    guidance_scale: float


@dataclass(frozen=True, kw_only=True)
class CheckpointFacts:
    """What a checkpoint is and can do.

    `distilled`: one branch at any guidance, so a negative prompt cannot act. `instruct`: trained on turns of talk.
    `expands`: it expands prompts itself. `num_sizes` is how many sizes it draws natively. `words` are the words that it
    was trained on; None where its folder has no list of them.
    """

    name: str
    defaults: CheckpointDefaults
    distilled: bool
    instruct: bool
    expands: bool
    num_sizes: int
    words: frozenset[str] | None

    @property
    def wants_own_defaults(self) -> bool:
        """Whether the documented model's defaults are wrong for it."""
        return self.distilled or self.instruct

    @property
    def takes_negative_prompt(self) -> bool:
        """Whether a negative prompt can act."""
        return not self.distilled


def read_facts(folder: Path) -> CheckpointFacts:
    """Read the folder's JSON files. Raises CheckpointError naming file or key."""
    config = parse_model_config(read_json(folder / "config.json"))
    generation = parse_generation_config(read_json(folder / "generation_config.json"))
    buckets = Buckets.of_checkpoint(config, Tokenizer.from_file(folder / "tokenizer.json"))
    return CheckpointFacts(
        name=checkpoint_name(folder),
        defaults=CheckpointDefaults(num_inference_steps=generation.num_steps, guidance_scale=generation.guidance_scale),
        distilled=config.cfg_distilled,
        instruct=generation.template == "instruct",
        expands=generation.expands,
        num_sizes=len(buckets.usable),
        words=_read_words(folder / WORDS_FILE),
    )


def _read_words(path: Path) -> frozenset[str] | None:
    if not path.is_file():
        return None
    words = take(read_json(path), "words", list, where=WORDS_FILE)
    if not all(isinstance(word, str) for word in words):
        raise CheckpointError(f"{WORDS_FILE}: 'words' must be a list of words")
    return frozenset(word.lower() for word in words)
