"""What the server's settings say reaches the engine process unchanged."""

from pathlib import Path

import pytest

from danqing.engine.worker_options import WorkerOptions, read_options, worker_command

MODULE = "danqing.engine.worker"


@pytest.mark.parametrize(
    "options",
    [
        WorkerOptions(model=Path("/models/80b"), device="cpu"),
        WorkerOptions(
            model=Path("-models/80 b"),
            device="cuda:1",
            precision="bfloat16",
            system_prompt="custom",
            system_prompt_text="--draw = what\nis asked, 画 🎨",
            expansion_task="think",
            kernel_folder=Path("/data/the kernels"),
        ),
    ],
)
def test_a_command_line_carries_every_option(options: WorkerOptions) -> None:
    command = worker_command(options)
    assert read_options(command[command.index(MODULE) + 1 :]) == options


def test_what_is_left_to_the_checkpoint_is_not_on_the_command_line() -> None:
    command = worker_command(WorkerOptions(model=Path("/models/80b"), device="cpu"))
    assert command[command.index(MODULE) + 1 :] == ["--model=/models/80b", "--device=cpu"]
