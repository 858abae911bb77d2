"""Slices are fair, cancelling is immediate, and one bad task harms no other."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import pytest

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.interleaver import TOKENS_PER_SLICE, Interleaver, PromptRejected
from danqing.engine.messages import TaskEnded, TaskEvent, TaskOutcome
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest


@dataclass(frozen=True, kw_only=True)
class Step:
    step: int
    num_steps: int
    latent: int


class DeviceLost(Exception):
    pass


class Painter:
    description = "counts"
    fatal_errors: tuple[type[Exception], ...] = (DeviceLost,)

    def __init__(self) -> None:
        self.num_prefills = 0
        self.num_pieces_read = 0
        self.num_steps_done = 0
        self.num_tokens_made = 0

    def prefill(self, request: ImageRequest, *, expansion: Expansion | None) -> Generator[None, None, ImageRequest]:
        self.num_prefills += 1
        if request.prompt == "too long":
            raise PromptRejected("9 tokens, at most 8 are allowed")
        for _ in range(NUM_PIECES if request.prompt == "long" else 1):
            self.num_pieces_read += 1
            yield
        return request if expansion is None else replace(request, seed=len(expansion.caption or ""))

    def denoise(self, prefix: ImageRequest, *, image_index: int) -> Iterator[Step]:
        for step in range(1, prefix.num_inference_steps + 1):
            self.num_steps_done += 1
            if prefix.prompt == "bug" and step == 2:
                raise RuntimeError("no such kernel")
            if prefix.prompt == "lost":
                raise DeviceLost
            yield Step(step=step, num_steps=prefix.num_inference_steps, latent=100 * (prefix.seed + image_index) + step)

    def decode(self, latent: int, prefix: ImageRequest) -> Raster:
        return Raster(width_px=prefix.width_px or 1, height_px=prefix.height_px or 1, rgb=latent.to_bytes(3))

    def preview(self, step: Step) -> Raster:
        return Raster(width_px=1, height_px=1, rgb=step.latent.to_bytes(3))

    def expand(self, request: ImageRequest) -> Generator[int | None, None, Expansion]:
        prompt, seed = request.prompt, request.seed
        if prompt == "too long":
            raise PromptRejected("9 tokens, at most 8 are allowed")
        for _ in range(NUM_PIECES if prompt == "long" else 0):
            self.num_pieces_read += 1
            yield None
        for token_id in range(seed, seed + NUM_TOKENS):
            self.num_tokens_made += 1
            if prompt == "bug" and self.num_tokens_made == 2:
                raise RuntimeError("no such kernel")
            yield token_id
        return Expansion(caption=" ".join(map(str, range(seed, seed + NUM_TOKENS))))


NUM_PIECES = 50
NUM_TOKENS = 2 * TOKENS_PER_SLICE + 3


def request(*, prompt: str = "a cat", num_steps: int = 3, seed: int = 7, preview_every_steps: int = 0) -> ImageRequest:
    return ImageRequest(
        prompt=prompt,
        negative_prompt="",
        width_px=None,
        height_px=None,
        num_images=1,
        seed=seed,
        num_inference_steps=num_steps,
        guidance_scale=7.5,
        preview_every_steps=preview_every_steps,
    )


def run(interleaver: Interleaver) -> list[TaskEvent | TaskEnded]:
    reports = []
    while not interleaver.idle:
        report = interleaver.run_slice()
        if report is not None:
            reports.append(report)
    return reports


def outcome_of(reports: list[TaskEvent | TaskEnded], task_id: int) -> TaskOutcome:
    (ended,) = [report for report in reports if isinstance(report, TaskEnded) and report.task_id == task_id]
    return ended.outcome


def test_a_task_reports_every_step_then_its_image_then_its_end() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(num_steps=2), image_indexes=[0])
    assert run(interleaver) == [
        TaskEvent(task_id=1, event=Progress(image_index=0, step=1, num_steps=2)),
        TaskEvent(task_id=1, event=Progress(image_index=0, step=2, num_steps=2)),
        TaskEvent(
            task_id=1,
            event=ImageResult(image_index=0, seed=7, raster=Raster(width_px=1, height_px=1, rgb=(702).to_bytes(3))),
        ),
        TaskEnded(task_id=1, outcome=TaskOutcome.COMPLETED),
    ]


def test_two_tasks_alternate_step_by_step() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(), image_indexes=[0])
    interleaver.add_images(2, request=request(), image_indexes=[0])
    steps = [report.task_id for report in run(interleaver) if _is_step(report)]
    assert steps == [1, 2, 1, 2, 1, 2]


def test_the_images_of_a_task_alternate_and_share_one_prefill() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add_images(1, request=request(num_steps=2), image_indexes=[0, 1, 2])
    reports = run(interleaver)
    assert [report.event.image_index for report in reports if _is_step(report)] == [0, 1, 2, 0, 1, 2]
    assert [report.event.seed for report in reports if _is_image(report)] == [7, 8, 9]
    assert painter.num_prefills == 1


def test_a_task_of_four_images_gets_no_more_slices_than_one_of_a_single_image() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(num_steps=10), image_indexes=[0, 1, 2, 3])
    interleaver.add_images(2, request=request(num_steps=10), image_indexes=[0])
    reports = run(interleaver)
    first_end = next(index for index, report in enumerate(reports) if isinstance(report, TaskEnded))
    assert reports[first_end].task_id == 2
    assert sum(_is_step(report) and report.task_id == 1 for report in reports[:first_end]) <= 12


def test_a_short_task_that_comes_late_does_not_wait_for_a_long_one() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(num_steps=1000), image_indexes=[0])
    for _ in range(10):
        interleaver.run_slice()
    interleaver.add_images(2, request=request(num_steps=2), image_indexes=[0])
    num_slices = 0
    while not isinstance(interleaver.run_slice(), TaskEnded):
        num_slices += 1
    assert num_slices <= 2 * 5


def test_cancelling_takes_effect_before_the_next_step() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add_images(1, request=request(num_steps=100), image_indexes=[0, 1])
    for _ in range(4):
        interleaver.run_slice()
    num_steps_done = painter.num_steps_done
    assert interleaver.cancel(1) == TaskEnded(task_id=1, outcome=TaskOutcome.CANCELLED)
    assert interleaver.idle
    assert painter.num_steps_done == num_steps_done


def test_a_short_task_does_not_wait_for_a_long_prompt_to_be_read() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add_images(1, request=request(prompt="long"), image_indexes=[0])
    interleaver.add_expansion(2, request=request(prompt="long"))
    interleaver.add_images(3, request=request(num_steps=2), image_indexes=[0])
    while not isinstance(interleaver.run_slice(), TaskEnded):
        pass
    assert painter.num_pieces_read <= 1 + 2 * 5
    assert outcome_of(run(interleaver), 1) is TaskOutcome.COMPLETED


@pytest.mark.parametrize("expand", [False, True])
def test_a_cancelled_task_reads_no_further_piece_of_its_prompt(expand: bool) -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    if expand:
        interleaver.add_expansion(1, request=request(prompt="long"))
    else:
        interleaver.add_images(1, request=request(prompt="long"), image_indexes=[0])
    interleaver.run_slice()
    interleaver.cancel(1)
    assert interleaver.idle
    assert painter.num_pieces_read == 1


def test_cancelling_leaves_the_others_in_their_order() -> None:
    interleaver = Interleaver(Painter())
    for task_id in (1, 2, 3):
        interleaver.add_images(task_id, request=request(), image_indexes=[0])
    interleaver.cancel(2)
    steps = [report.task_id for report in run(interleaver) if _is_step(report)]
    assert steps == [1, 3, 1, 3, 1, 3]


def test_cancelling_what_is_over_does_nothing() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(), image_indexes=[0])
    run(interleaver)
    assert interleaver.cancel(1) is None
    assert interleaver.cancel(99) is None


def test_the_images_are_the_same_alone_and_under_load() -> None:
    def pixels(num_others: int) -> bytes:
        interleaver = Interleaver(Painter())
        for other in range(num_others):
            interleaver.add_images(100 + other, request=request(seed=50 + other), image_indexes=[0, 1])
        interleaver.add_images(1, request=request(), image_indexes=[0])
        (image,) = [report for report in run(interleaver) if report.task_id == 1 and _is_image(report)]
        return image.event.raster.rgb

    assert pixels(0) == pixels(5)


def test_previews_come_as_often_as_asked_and_not_with_the_last_step() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(num_steps=6, preview_every_steps=2), image_indexes=[0])
    steps = [report.event for report in run(interleaver) if _is_step(report)]
    assert [step.step for step in steps if step.preview is not None] == [2, 4]


def test_images_are_drawn_with_the_expansion_of_their_prompt() -> None:
    interleaver = Interleaver(Painter())
    expansion = Expansion(caption="x" * 40)
    interleaver.add_images(1, request=request(num_steps=1), image_indexes=[0], expansion=expansion)
    (image,) = [report for report in run(interleaver) if _is_image(report)]
    assert image.event.raster.rgb == (4001).to_bytes(3)


def test_a_rejected_prompt_ends_its_task_alone() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(prompt="too long"), image_indexes=[0])
    interleaver.add_images(2, request=request(), image_indexes=[0])
    reports = run(interleaver)
    assert reports[0] == TaskEnded(
        task_id=1, outcome=TaskOutcome.REJECTED, reason="9 tokens, at most 8 are allowed", field="prompt"
    )
    assert outcome_of(reports, 2) is TaskOutcome.COMPLETED


def test_an_unexpected_error_fails_its_task_alone() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(prompt="bug"), image_indexes=[0])
    interleaver.add_images(2, request=request(), image_indexes=[0])
    reports = run(interleaver)
    assert outcome_of(reports, 1) is TaskOutcome.FAILED
    assert outcome_of(reports, 2) is TaskOutcome.COMPLETED


def test_an_expansion_comes_with_the_end_of_its_task() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_expansion(1, request=request(prompt="a cat", seed=100))
    caption = " ".join(str(100 + i) for i in range(NUM_TOKENS))
    assert run(interleaver) == [
        TaskEnded(task_id=1, outcome=TaskOutcome.COMPLETED, expansion=Expansion(caption=caption))
    ]


def test_an_expansion_alternates_with_images_a_few_tokens_at_a_time() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add_images(1, request=request(num_steps=10), image_indexes=[0])
    interleaver.add_expansion(2, request=request(prompt="a cat", seed=1))
    tokens_at_step = {}
    while not interleaver.idle:
        interleaver.run_slice()
        tokens_at_step[painter.num_steps_done] = painter.num_tokens_made
    assert tokens_at_step[1] == 2 * TOKENS_PER_SLICE
    assert (tokens_at_step[0], tokens_at_step[2]) == (TOKENS_PER_SLICE, NUM_TOKENS)


def test_a_cancelled_expansion_makes_no_further_token() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add_expansion(1, request=request(prompt="a cat", seed=1))
    interleaver.run_slice()
    assert interleaver.cancel(1) == TaskEnded(task_id=1, outcome=TaskOutcome.CANCELLED)
    assert interleaver.idle
    assert painter.num_tokens_made == TOKENS_PER_SLICE


def test_an_expansion_that_is_rejected_or_fails_harms_no_other_task() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_expansion(1, request=request(prompt="too long", seed=1))
    interleaver.add_expansion(2, request=request(prompt="bug", seed=1))
    interleaver.add_images(3, request=request(), image_indexes=[0])
    reports = run(interleaver)
    assert reports[0] == TaskEnded(
        task_id=1, outcome=TaskOutcome.REJECTED, reason="9 tokens, at most 8 are allowed", field="prompt"
    )
    assert [outcome_of(reports, task_id) for task_id in (2, 3)] == [TaskOutcome.FAILED, TaskOutcome.COMPLETED]


def test_a_fatal_error_is_raised() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_images(1, request=request(prompt="lost"), image_indexes=[0])
    interleaver.run_slice()
    with pytest.raises(DeviceLost):
        interleaver.run_slice()


def _is_step(report: TaskEvent | TaskEnded) -> bool:
    return isinstance(report, TaskEvent) and isinstance(report.event, Progress)


def _is_image(report: TaskEvent | TaskEnded) -> bool:
    return isinstance(report, TaskEvent) and isinstance(report.event, ImageResult)
