"""Judges prompts by the policy. Knows nothing of jobs, charging, or how a refusal is delivered."""

import unicodedata

from danqing.safety.policy import POLICY_NAME, violated_category
from danqing.safety.verdict import PromptVerdict


class PolicyPromptCheck:
    """Refuses what `policy` names; the same text always gets the same verdict."""

    async def check(self, prompt: str, *, essential_only: bool = False) -> PromptVerdict:
        """Say whether the prompt may be drawn; `essential_only` refuses only what nobody may switch on."""
        category = violated_category(normalise(prompt), essential_only=essential_only)
        if category is None:
            return PromptVerdict(allowed=True, checker=POLICY_NAME)
        reason = f"Your request was rejected by the safety system: {category}."
        return PromptVerdict(allowed=False, checker=POLICY_NAME, reason=reason)


def normalise(prompt: str) -> str:
    """Undo the cheap disguises: width and style variants, accents, invisible characters, case, stretched spaces."""
    decomposed = unicodedata.normalize("NFKD", prompt)
    # Mn are accents; Cf are zero-width and direction marks.
    visible = "".join(char for char in decomposed if unicodedata.category(char) not in ("Mn", "Cf"))
    return " ".join(visible.casefold().replace("_", " ").split())
