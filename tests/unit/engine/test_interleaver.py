"""Turns are fair, cancelling is immediate, and one bad drawing harms no other."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.interleaver import TOKENS_PER_TURN, Interleaver, PromptRejected
from danqing.engine.messages import Drew, Ended, Outcome
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest


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
        self.num_steps_done = 0
        self.num_tokens_written = 0

    def prefill(self, request: ImageRequest) -> ImageRequest:
        self.num_prefills += 1
        if request.prompt == "too long":
            raise PromptRejected("9 tokens, at most 8 are allowed")
        return request

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

    def expand(self, prompt: str, *, seed: int) -> Generator[int, None, str]:
        if prompt == "too long":
            raise PromptRejected("9 tokens, at most 8 are allowed")
        for token_id in range(seed, seed + NUM_TOKENS):
            self.num_tokens_written += 1
            if prompt == "bug" and self.num_tokens_written == 2:
                raise RuntimeError("no such kernel")
            yield token_id
        return " ".join(map(str, range(seed, seed + NUM_TOKENS)))


NUM_TOKENS = 2 * TOKENS_PER_TURN + 3


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


def run(interleaver: Interleaver) -> list[Drew | Ended]:
    reports = []
    while not interleaver.idle:
        report = interleaver.turn()
        if report is not None:
            reports.append(report)
    return reports


def outcome_of(reports: list[Drew | Ended], draw_id: int) -> Outcome:
    (ended,) = [report for report in reports if isinstance(report, Ended) and report.draw_id == draw_id]
    return ended.outcome


def test_a_drawing_tells_every_step_then_its_picture_then_its_end() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(num_steps=2), image_indexes=[0])
    assert run(interleaver) == [
        Drew(draw_id=1, event=Progress(image_index=0, step=1, num_steps=2)),
        Drew(draw_id=1, event=Progress(image_index=0, step=2, num_steps=2)),
        Drew(
            draw_id=1,
            event=ImageResult(image_index=0, seed=7, raster=Raster(width_px=1, height_px=1, rgb=(702).to_bytes(3))),
        ),
        Ended(draw_id=1, outcome=Outcome.COMPLETED),
    ]


def test_two_drawings_take_turns_step_by_step() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(), image_indexes=[0])
    interleaver.add(2, request=request(), image_indexes=[0])
    steps = [report.draw_id for report in run(interleaver) if _is_step(report)]
    assert steps == [1, 2, 1, 2, 1, 2]


def test_the_images_of_a_drawing_take_turns_and_share_one_prefill() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add(1, request=request(num_steps=2), image_indexes=[0, 1, 2])
    reports = run(interleaver)
    assert [report.event.image_index for report in reports if _is_step(report)] == [0, 1, 2, 0, 1, 2]
    assert [report.event.seed for report in reports if _is_image(report)] == [7, 8, 9]
    assert painter.num_prefills == 1


def test_a_drawing_of_four_images_gets_no_more_turns_than_one_of_a_single_image() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(num_steps=10), image_indexes=[0, 1, 2, 3])
    interleaver.add(2, request=request(num_steps=10), image_indexes=[0])
    reports = run(interleaver)
    first_end = next(index for index, report in enumerate(reports) if isinstance(report, Ended))
    assert reports[first_end].draw_id == 2
    assert sum(_is_step(report) and report.draw_id == 1 for report in reports[:first_end]) <= 12


def test_a_short_drawing_that_comes_late_does_not_wait_for_a_long_one() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(num_steps=1000), image_indexes=[0])
    for _ in range(10):
        interleaver.turn()
    interleaver.add(2, request=request(num_steps=2), image_indexes=[0])
    num_turns = 0
    while not isinstance(interleaver.turn(), Ended):
        num_turns += 1
    assert num_turns <= 2 * 5


def test_cancelling_takes_effect_before_the_next_step() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add(1, request=request(num_steps=100), image_indexes=[0, 1])
    for _ in range(4):
        interleaver.turn()
    num_steps_done = painter.num_steps_done
    assert interleaver.cancel(1) == Ended(draw_id=1, outcome=Outcome.CANCELLED)
    assert interleaver.idle
    assert painter.num_steps_done == num_steps_done


def test_cancelling_leaves_the_others_in_their_order() -> None:
    interleaver = Interleaver(Painter())
    for draw_id in (1, 2, 3):
        interleaver.add(draw_id, request=request(), image_indexes=[0])
    interleaver.cancel(2)
    steps = [report.draw_id for report in run(interleaver) if _is_step(report)]
    assert steps == [1, 3, 1, 3, 1, 3]


def test_cancelling_what_is_over_does_nothing() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(), image_indexes=[0])
    run(interleaver)
    assert interleaver.cancel(1) is None
    assert interleaver.cancel(99) is None


def test_the_pictures_are_the_same_alone_and_under_load() -> None:
    def picture(num_others: int) -> bytes:
        interleaver = Interleaver(Painter())
        for other in range(num_others):
            interleaver.add(100 + other, request=request(seed=50 + other), image_indexes=[0, 1])
        interleaver.add(1, request=request(), image_indexes=[0])
        (image,) = [report for report in run(interleaver) if report.draw_id == 1 and _is_image(report)]
        return image.event.raster.rgb

    assert picture(0) == picture(5)


def test_previews_come_as_often_as_asked_and_not_with_the_last_step() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(num_steps=6, preview_every_steps=2), image_indexes=[0])
    steps = [report.event for report in run(interleaver) if _is_step(report)]
    assert [step.step for step in steps if step.preview is not None] == [2, 4]


def test_a_rejected_prompt_ends_its_drawing_alone() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(prompt="too long"), image_indexes=[0])
    interleaver.add(2, request=request(), image_indexes=[0])
    reports = run(interleaver)
    assert reports[0] == Ended(draw_id=1, outcome=Outcome.REJECTED, reason="9 tokens, at most 8 are allowed")
    assert outcome_of(reports, 2) is Outcome.COMPLETED


def test_an_unexpected_error_fails_its_drawing_alone() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(prompt="bug"), image_indexes=[0])
    interleaver.add(2, request=request(), image_indexes=[0])
    reports = run(interleaver)
    assert outcome_of(reports, 1) is Outcome.FAILED
    assert outcome_of(reports, 2) is Outcome.COMPLETED


def test_a_text_is_told_once_with_its_end() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_expansion(1, prompt="a cat", seed=100)
    caption = " ".join(str(100 + i) for i in range(NUM_TOKENS))
    assert run(interleaver) == [Ended(draw_id=1, outcome=Outcome.COMPLETED, caption=caption)]


def test_a_text_takes_turns_with_drawings_a_few_tokens_at_a_time() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add(1, request=request(num_steps=10), image_indexes=[0])
    interleaver.add_expansion(2, prompt="a cat", seed=1)
    tokens_at_step = {}
    while not interleaver.idle:
        interleaver.turn()
        tokens_at_step[painter.num_steps_done] = painter.num_tokens_written
    assert tokens_at_step[1] == 2 * TOKENS_PER_TURN
    assert (tokens_at_step[0], tokens_at_step[2]) == (TOKENS_PER_TURN, NUM_TOKENS)


def test_a_cancelled_text_writes_no_further_token() -> None:
    painter = Painter()
    interleaver = Interleaver(painter)
    interleaver.add_expansion(1, prompt="a cat", seed=1)
    interleaver.turn()
    assert interleaver.cancel(1) == Ended(draw_id=1, outcome=Outcome.CANCELLED)
    assert interleaver.idle
    assert painter.num_tokens_written == TOKENS_PER_TURN


def test_a_text_that_is_refused_or_fails_harms_no_drawing() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add_expansion(1, prompt="too long", seed=1)
    interleaver.add_expansion(2, prompt="bug", seed=1)
    interleaver.add(3, request=request(), image_indexes=[0])
    reports = run(interleaver)
    assert reports[0] == Ended(draw_id=1, outcome=Outcome.REJECTED, reason="9 tokens, at most 8 are allowed")
    assert [outcome_of(reports, draw_id) for draw_id in (2, 3)] == [Outcome.FAILED, Outcome.COMPLETED]


def test_a_fatal_error_is_passed_on() -> None:
    interleaver = Interleaver(Painter())
    interleaver.add(1, request=request(prompt="lost"), image_indexes=[0])
    interleaver.turn()
    with pytest.raises(DeviceLost):
        interleaver.turn()


def _is_step(report: Drew | Ended) -> bool:
    return isinstance(report, Drew) and isinstance(report.event, Progress)


def _is_image(report: Drew | Ended) -> bool:
    return isinstance(report, Drew) and isinstance(report.event, ImageResult)
