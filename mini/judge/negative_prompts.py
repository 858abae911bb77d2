"""The negative-prompt test: does a negative prompt remove what it names?

The prompt leaves open which animal, vehicle or building to draw. The thing of that kind that the detector sees becomes
the negative prompt, and the picture is drawn again with the same seed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mini.judge.detector import Detection
from mini.judge.prompts import WHERE, sentence
from mini.world.phrases import with_article
from mini.world.vocabulary import KINDS

NUM_PROMPTS = 40
ASKED_KINDS = ("animal", "building", "vehicle", "fruit", "food", "person", "dessert", "musical instrument")
# The step through the places from one prompt to the next.
STRIDE = 3

See = Callable[[str, str], Sequence[Detection]]  # Prompt and negative prompt to what is seen in the picture.


@dataclass(frozen=True)
class OpenPrompt:
    """A prompt that names the kind of a thing and leaves the rest open."""

    kind: str
    place: str

    @property
    def text(self) -> str:
        return sentence(f"{with_article(self.kind)} {WHERE[self.place]}")

    def of_kind(self, seen: Iterable[Detection]) -> list[str]:
        """The nouns among these that are of the kind, most certain first."""
        return [detection.noun for detection in seen if detection.noun in KINDS[self.kind].nouns]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The unwanted noun, and the nouns of its kind that were seen with it in the negative prompt."""

    prompt: OpenPrompt
    unwanted: str
    seen: tuple[str, ...]

    @property
    def is_removed(self) -> bool:
        return self.unwanted not in self.seen

    @property
    def is_replaced(self) -> bool:
        """Whether another thing of the kind replaced it."""
        return self.is_removed and bool(self.seen)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """All attempts; a prompt counts only where something of its kind was seen without a negative prompt."""

    num_prompts: int
    attempts: tuple[Attempt, ...]

    @property
    def num_removed(self) -> int:
        return sum(attempt.is_removed for attempt in self.attempts)

    @property
    def num_replaced(self) -> int:
        return sum(attempt.is_replaced for attempt in self.attempts)


def open_prompts(num_prompts: int = NUM_PROMPTS) -> list[OpenPrompt]:
    """Every kind in turn, each time in another place, no prompt twice; a shorter set is the beginning of a longer."""
    places = tuple(WHERE)
    return [
        OpenPrompt(ASKED_KINDS[n % len(ASKED_KINDS)], places[(STRIDE * n + n // len(places)) % len(places)])
        for n in range(num_prompts)
    ]


def measure_removal(prompts: Iterable[OpenPrompt], see: See) -> Removal:
    """Draw each prompt, and again with the noun seen first as the negative prompt."""
    attempts: list[Attempt] = []
    num_prompts = 0
    for prompt in prompts:
        num_prompts += 1
        found = prompt.of_kind(see(prompt.text, ""))
        if found:
            left = prompt.of_kind(see(prompt.text, found[0]))
            attempts.append(Attempt(prompt=prompt, unwanted=found[0], seen=tuple(left)))
    return Removal(num_prompts=num_prompts, attempts=tuple(attempts))
