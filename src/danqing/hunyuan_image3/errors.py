"""What can be wrong with a checkpoint or with a prompt. Each message names the file, the key or the limit."""


class CheckpointError(ValueError):
    """The folder is not a checkpoint this runtime can load; the message names the file or key."""


class PromptTooLong(ValueError):
    """The prompt has more tokens than the model has positions for; the message names both numbers."""
