"""How a checkpoint reads a request: which system prompt, thought and caption stand with the prompt."""

from dataclasses import dataclass
from pathlib import Path

from danqing.hunyuan_image3.errors import CheckpointError, UnsuitableSetting
from danqing.hunyuan_image3.generation_config import GenerationConfig, TextTask
from danqing.hunyuan_image3.prompt_template import Prompt
from danqing.hunyuan_image3.system_prompt import system_prompt


@dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """What a service sets in place of the checkpoint's own choice; None leaves it to the checkpoint.

    `system_prompt` is a published name (`en_unified`, `dynamic`, `None`, ...) or `custom`, which is
    `system_prompt_text`. `text_task` is what an expansion writes.
    """

    system_prompt: str | None = None
    system_prompt_text: str | None = None
    text_task: TextTask | None = None


CHECKPOINTS_OWN = PromptSettings()


class PromptReading:
    """The choices of one checkpoint. Raises CheckpointError where a text it needs is not in the folder."""

    def __init__(self, folder: Path, generation: GenerationConfig, settings: PromptSettings) -> None:
        self.text_task = settings.text_task or generation.text_task
        self._is_chat = generation.template == "instruct"
        if not self._is_chat and self.text_task != TextTask.RECAPTION:
            raise UnsuitableSetting(
                f"{folder}: the text task {self.text_task.value!r} needs the instruct template; this checkpoint has the"
                f" plain one, whose only text task is {TextTask.RECAPTION.value!r}",
                setting="text_task",
                value=self.text_task.value,
            )
        name, text = settings.system_prompt or generation.system_prompt, settings.system_prompt_text
        try:
            self._for_image = system_prompt(folder, name=name, text=text, task="image")
            self._for_text = system_prompt(folder, name=name, text=text, task=self.text_task)
        except CheckpointError as error:
            if settings.system_prompt is None:
                raise
            raise UnsuitableSetting(str(error), setting="system_prompt", value=name) from None
        self._drops_thought = generation.drop_think
        self._for_caption_alone = self._for_text
        if self._drops_thought and self._for_text:
            self._for_caption_alone = system_prompt(folder, name="en_recaption", text=None, task=self.text_task)

    def to_expand(self, text: str) -> Prompt:
        """The prompt that an expansion continues."""
        return Prompt(text=text, system=self._for_text)

    def to_draw(self, text: str, *, thought: str | None, caption: str | None) -> Prompt:
        """The prompt that an image follows."""
        if thought is None and caption is None:
            return Prompt(text=text, system=self._for_image)
        if not self._is_chat:
            # Published weights with the plain template write no captions; ours draw them in the prompt's place.
            return Prompt(text=caption or text, system=self._for_image)
        if self._drops_thought and thought is not None and caption is not None:
            return Prompt(text=text, system=self._for_caption_alone, caption=caption)
        return Prompt(text=text, system=self._for_text, thought=thought, caption=caption)
