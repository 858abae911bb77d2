"""The English words that `mini` is trained on, written beside its weights so that a server can name the others.

.venv/bin/python -m mini.world.words src/danqing/checkpoints/mini/words.json
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mini.world import noise_words
from mini.world.captions import caption, short_prompt
from mini.world.detailed_captions import detailed_caption
from mini.world.layout import sample_scene
from mini.world.scene import Grid
from mini.world.vocabulary import NOUNS

# So many that the rarest phrase of the world is met dozens of times.
NUM_SCENES = 60_000
GRID = Grid(columns=8, rows=8)
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")


def words_of(text: str) -> set[str]:
    """Return the words of a caption in lower case; a word with a hyphen also in its parts."""
    found = set(_WORD.findall(text.lower()))
    return found | {part for word in found for part in word.split("-")}


def world_words(*, num_scenes: int = NUM_SCENES, seed: int = 0) -> list[str]:
    """Return every word of the nouns and noise words, and of the captions of so many scenes, in order."""
    return sorted(set().union(*map(words_of, _texts(num_scenes=num_scenes, seed=seed))))


def _texts(*, num_scenes: int, seed: int) -> Iterator[str]:
    yield from noise_words.WORDS
    for noun in NOUNS.values():
        yield from (noun.name, noun.plural, *noun.synonyms)
    rng = Random(seed)
    for _ in range(num_scenes):
        scene = sample_scene(rng, GRID)
        for text in (caption(scene, rng), short_prompt(scene, rng), detailed_caption(scene)):
            # What a sign says is drawn as letters, whatever the word.
            yield re.sub(rf"\b{scene.word}\b", "", text, flags=re.IGNORECASE) if scene.word else text


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps({"words": world_words()}, indent=0) + "\n", encoding="utf-8")
