"""The prompt check: refuses prompts by `policy`. It needs no model and no network."""

from danqing.safety.lexicon import load_lexicon
from danqing.safety.policy import POLICY_NAME, violated_category
from danqing.safety.verdict import PromptVerdict


class PolicyPromptCheck:
    """Refuses what `policy` names; the same texts always get the same verdict."""

    def __init__(self) -> None:
        """Read the word lists, so that the first request does not wait for them."""
        load_lexicon()

    async def check(self, prompt: str, *, negative_prompt: str = "", essential_only: bool = False) -> PromptVerdict:
        """Say whether the prompt may be drawn beside the negative prompt, which names what to avoid.

        `essential_only` refuses only what nobody may switch on.
        """
        category = violated_category(prompt, negative_prompt=negative_prompt, essential_only=essential_only)
        if category is None:
            return PromptVerdict(allowed=True, checker=POLICY_NAME)
        reason = f"Your request was rejected by the safety system: {category}."
        return PromptVerdict(allowed=False, checker=POLICY_NAME, reason=reason)
