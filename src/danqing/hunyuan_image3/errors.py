"""Errors of a checkpoint, a device, a prompt or a caption.

Each message names the file, the key or the limit.
"""


class CheckpointError(ValueError):
    """The folder is not a checkpoint this runtime can load; the message names the file or key."""


class UnsuitableSetting(CheckpointError):
    """A setting asks for something that the checkpoint lacks; `setting` is the field of `PromptSettings`."""

    def __init__(self, message: str, *, setting: str, value: str) -> None:
        super().__init__(message)
        self.setting, self.value = setting, value


class ConversionError(ValueError):
    """A conversion cannot begin or end; the message names the folder, and the room needed and there."""


class UnsupportedDevice(ValueError):
    """The device cannot compute in the requested precision; the message says what it takes."""


class CompilationFailed(RuntimeError):
    """PyTorch's compiler could not compile a region; the message names it and begins the compiler's own."""


class CaptionError(ValueError):
    """The model has no detailed caption to give; the message says why."""


class PromptTooLong(ValueError):
    """A prompt has more tokens than are allowed; the message names the field and both numbers."""

    def __init__(self, message: str, *, field: str) -> None:
        """`field` is `prompt` or `negative_prompt`."""
        super().__init__(f"{field}: {message}")
        self.field = field


class PlacementError(ValueError):
    """The model does not fit the memory there is; the message names the setting, the bytes needed and those there."""
