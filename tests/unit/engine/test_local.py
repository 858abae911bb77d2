"""The engine keeps a child alive, retries what a crash interrupted, and never hangs. Real processes, fake painter."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from danqing.engine.child import ChildLimits
from danqing.engine.interface import EngineCrashed, EngineFailed, EngineState, ExpansionFailed, ImageResult, Progress
from danqing.engine.local import LocalEngine, LocalLimits
from danqing.errors import InvalidRequest, Overloaded, ServiceError
from danqing.pictures.request import Expansion, ImageRequest

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
LIMITS = LocalLimits(
    child=ChildLimits(load_silence_seconds=20, task_silence_seconds=20, exit_seconds=5),
    ready_wait_seconds=20,
    retry_wait_seconds=20,
    first_backoff_seconds=0.01,
    max_backoff_seconds=0.02,
    max_failed_starts=3,
)

StartEngine = Callable[..., Awaitable[LocalEngine]]


def fake_command(folder: Path) -> list[str]:
    return [sys.executable, str(FAKE_WORKER), "--model", str(folder), "--device", "cpu"]


@pytest.fixture
async def start_engine(tmp_path: Path) -> AsyncIterator[StartEngine]:
    engines: list[LocalEngine] = []

    async def start(*, folder: Path = tmp_path, limits: LocalLimits = LIMITS) -> LocalEngine:
        engine = LocalEngine(fake_command(folder), model=folder.name, checkpoint=folder, limits=limits)
        engines.append(engine)
        await engine.start()
        return engine

    yield start
    for engine in engines:
        await engine.stop()


def request(
    prompt: str = "a cat", *, num_images: int = 1, seed: int = 7, num_steps: int = 3, preview_every_steps: int = 0
) -> ImageRequest:
    return ImageRequest(
        prompt=prompt,
        negative_prompt="",
        width_px=None,
        height_px=None,
        num_images=num_images,
        seed=seed,
        num_inference_steps=num_steps,
        guidance_scale=7.5,
        preview_every_steps=preview_every_steps,
    )


async def draw(engine: LocalEngine, asked: ImageRequest) -> list[Progress | ImageResult]:
    async with aclosing(engine.generate(asked)) as events:
        return [event async for event in events]


def images_of(events: list[Progress | ImageResult]) -> list[ImageResult]:
    return sorted((event for event in events if isinstance(event, ImageResult)), key=lambda image: image.image_index)


async def eventually(condition: Callable[[], bool], *, limit_seconds: float = 20) -> None:
    async with asyncio.timeout(limit_seconds):
        while not condition():
            await asyncio.sleep(0.01)


def num_loads(folder: Path) -> int:
    loads = folder / "num_loads"
    return len(loads.read_text()) if loads.exists() else 0


async def test_it_becomes_ready_and_says_what_draws(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = await start_engine()
    assert engine.status().state is EngineState.STARTING
    assert engine.status().model == tmp_path.name
    await eventually(lambda: engine.status().state is EngineState.READY)
    assert engine.status().model == "fake (0 parameters)"
    await engine.stop()
    assert engine.status().state is EngineState.STOPPED


async def test_it_tells_every_step_and_delivers_every_image(start_engine: StartEngine) -> None:
    engine = await start_engine()
    events = await draw(engine, request(num_images=2, preview_every_steps=2))
    steps = [(event.image_index, event.step) for event in events if isinstance(event, Progress)]
    assert steps == [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3)]
    assert [image.seed for image in images_of(events)] == [7, 8]
    assert [image.raster.rgb[0] for image in images_of(events)] == [7, 8]
    assert [event.step for event in events if isinstance(event, Progress) and event.preview] == [2, 2]


async def test_jobs_at_once_draw_the_same_as_alone(start_engine: StartEngine) -> None:
    engine = await start_engine()
    alone = [images_of(await draw(engine, request(seed=seed, num_images=2))) for seed in range(5)]
    together = await asyncio.gather(*(draw(engine, request(seed=seed, num_images=2)) for seed in range(5)))
    assert [images_of(events) for events in together] == alone


async def test_a_short_job_overtakes_a_long_one(start_engine: StartEngine) -> None:
    engine = await start_engine()
    async with aclosing(engine.generate(request("slow", num_steps=1000))) as long_job:
        await anext(long_job)
        async with asyncio.timeout(5):
            assert images_of(await draw(engine, request("slow", num_steps=3)))


async def test_closing_the_generator_frees_the_engine_within_a_step(start_engine: StartEngine) -> None:
    engine = await start_engine()
    async with aclosing(engine.generate(request("slow", num_steps=100_000))) as events:
        await anext(events)
    child = engine._child
    assert child is not None
    await eventually(lambda: not child._tasks, limit_seconds=2)
    assert images_of(await draw(engine, request()))


async def test_a_reader_that_stops_reading_stalls_nobody_and_misses_no_image(start_engine: StartEngine) -> None:
    engine = await start_engine()
    async with aclosing(engine.generate(request(num_images=4, num_steps=500, preview_every_steps=1))) as lazy:
        first = await anext(lazy)
        for seed in range(3):
            assert images_of(await draw(engine, request(seed=seed, num_steps=50)))
        rest = [event async for event in lazy]
    assert len(images_of([first, *rest])) == 4


async def test_a_crash_in_mid_job_is_retried_from_scratch_and_nothing_is_delivered_twice(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = await start_engine()
    undisturbed = images_of(await draw(engine, request(num_images=3)))
    events = await draw(engine, request("crash once", num_images=3))
    assert (tmp_path / "crashed").exists()
    assert images_of(events) == undisturbed
    assert len([event for event in events if isinstance(event, ImageResult)]) == 3
    assert num_loads(tmp_path) == 2


async def test_killed_between_two_images_only_the_missing_one_is_drawn_again(start_engine: StartEngine) -> None:
    engine = await start_engine()
    undisturbed = images_of(await draw(engine, request("slow", num_images=2, num_steps=5)))
    delivered: list[ImageResult] = []
    steps_after_the_crash: set[int] = set()
    async with aclosing(engine.generate(request("slow", num_images=2, num_steps=5))) as events:
        async for event in events:
            if isinstance(event, ImageResult):
                delivered.append(event)
                if len(delivered) == 1:
                    os.kill(engine.child_pid or 0, signal.SIGKILL)
            elif len(delivered) == 1:
                steps_after_the_crash.add(event.image_index)
    assert sorted(delivered, key=lambda image: image.image_index) == undisturbed
    assert steps_after_the_crash <= {1}


async def test_a_job_that_crashes_twice_is_given_up_and_the_engine_lives(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = await start_engine()
    with pytest.raises(EngineCrashed):
        await draw(engine, request("crash"))
    assert images_of(await draw(engine, request()))
    assert num_loads(tmp_path) == 3


async def test_a_job_that_crashes_twice_takes_no_other_with_it(start_engine: StartEngine) -> None:
    engine = await start_engine()
    innocent = [draw(engine, request("slow", seed=seed, num_steps=20)) for seed in range(3)]
    results = await asyncio.gather(draw(engine, request("crash")), *innocent, return_exceptions=True)
    assert isinstance(results[0], EngineCrashed)
    assert all(isinstance(result, list) and images_of(result) for result in results[1:])


async def test_a_lost_accelerator_is_a_crash(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = await start_engine()
    with pytest.raises(EngineCrashed):
        await draw(engine, request("lost"))
    assert num_loads(tmp_path) >= 2


async def test_the_end_of_a_process_is_described_exactly(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = await start_engine(limits=LocalLimits(first_backoff_seconds=5))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await draw(engine, request("lost"))
    assert engine.status().detail == "The engine process ended with exit status 1."


async def test_a_rejected_prompt_names_the_field_and_costs_no_restart(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = await start_engine()
    with pytest.raises(InvalidRequest, match="at most 8") as caught:
        await draw(engine, request("too long"))
    assert caught.value.param == "prompt"
    assert num_loads(tmp_path) == 1


async def test_a_rejected_negative_prompt_is_named(start_engine: StartEngine) -> None:
    engine = await start_engine()
    with pytest.raises(InvalidRequest, match="at most 8") as caught:
        await draw(engine, replace(request(), negative_prompt="too long"))
    assert caught.value.param == "negative_prompt"


async def test_closing_the_generator_frees_the_engine_while_a_prompt_is_read(start_engine: StartEngine) -> None:
    engine = await start_engine()
    reading = asyncio.ensure_future(draw(engine, request("slow to read")))
    await eventually(lambda: engine._child is not None and bool(engine._child._tasks))
    assert images_of(await draw(engine, request()))
    reading.cancel()
    await eventually(lambda: engine._child is not None and not engine._child._tasks, limit_seconds=2)


async def test_an_error_of_the_model_fails_one_job_with_a_message_that_tells_no_secrets(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = await start_engine()
    with pytest.raises(ServiceError) as caught:
        await draw(engine, request("bug"))
    assert caught.value.code == "server_error"
    assert "kernel" not in caught.value.message
    assert num_loads(tmp_path) == 1


async def test_what_a_library_prints_does_not_reach_the_pipe(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = await start_engine()
    assert images_of(await draw(engine, request("print")))
    assert num_loads(tmp_path) == 1


async def test_it_expands_a_prompt_the_same_way_for_the_same_seed(start_engine: StartEngine) -> None:
    engine = await start_engine()
    expansions = await asyncio.gather(*(engine.expand(request("狗 🐕", seed=seed)) for seed in (2**63 - 1, 3, 3)))
    captions = [f"狗 🐕, in detail {2**63 - 1}", "狗 🐕, in detail 3", "狗 🐕, in detail 3"]
    assert expansions == [Expansion(caption=caption, thought="letter by letter") for caption in captions]


async def test_it_draws_with_the_expansion_also_after_a_crash(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = await start_engine()
    expansion = Expansion(caption="crash once")
    async with aclosing(engine.generate(request(num_images=2), expansion=expansion)) as events:
        images = images_of([event async for event in events])
    assert (tmp_path / "crashed").exists()
    assert [image.raster.rgb[0] for image in images] == [len("crash once"), len("crash once") + 1]


async def test_neither_an_expansion_nor_a_drawing_waits_for_the_other(start_engine: StartEngine) -> None:
    engine = await start_engine()
    async with aclosing(engine.generate(request("slow", num_steps=1000))) as long_job:
        await anext(long_job)
        async with asyncio.timeout(5):
            assert (await engine.expand(request("a cat", seed=1))).caption == "a cat, in detail 1"
            long_expansion = asyncio.ensure_future(engine.expand(request(f"slow {'x' * 1000}", seed=1)))
            assert images_of(await draw(engine, request(num_steps=3)))
            assert not long_expansion.done()
            long_expansion.cancel()


async def test_giving_up_an_expansion_frees_the_engine(start_engine: StartEngine) -> None:
    engine = await start_engine()
    await eventually(lambda: engine.status().state is EngineState.READY)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await engine.expand(request("slow", seed=1))
    child = engine._child
    assert child is not None
    await eventually(lambda: not child._tasks, limit_seconds=2)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("too long", "prompt: 9 tokens, at most 8 are allowed"),
        ("endless", "The model did not finish its caption of 20 tokens."),
        ("bug", "The model could not expand this prompt."),
    ],
)
async def test_a_prompt_that_cannot_be_expanded_is_reported_and_costs_no_restart(
    start_engine: StartEngine, tmp_path: Path, prompt: str, message: str
) -> None:
    engine = await start_engine()
    with pytest.raises(ExpansionFailed) as caught:
        await engine.expand(request(prompt, seed=1))
    assert caught.value.message == message
    assert images_of(await draw(engine, request()))
    assert num_loads(tmp_path) == 1


@pytest.mark.parametrize("prompt", ["crash", "lost"])
async def test_a_crash_while_expanding_is_reported_and_the_engine_draws_on(
    start_engine: StartEngine, tmp_path: Path, prompt: str
) -> None:
    engine = await start_engine()
    bystander = asyncio.ensure_future(draw(engine, request("slow", num_steps=20)))
    with pytest.raises(EngineCrashed, match="ended unexpectedly"):
        await engine.expand(request(prompt, seed=1))
    assert images_of(await bystander)
    assert num_loads(tmp_path) == 2


async def test_a_child_that_hangs_while_expanding_is_replaced(start_engine: StartEngine) -> None:
    limits = LocalLimits(child=ChildLimits(task_silence_seconds=0.5, exit_seconds=1), first_backoff_seconds=0.01)
    engine = await start_engine(limits=limits)
    await eventually(lambda: engine.status().state is EngineState.READY)
    with pytest.raises(EngineCrashed):
        await engine.expand(request("hang", seed=1))
    assert await engine.expand(request("a cat", seed=1))


async def test_a_missing_checkpoint_is_a_failure_with_its_reason_and_no_restart(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = await start_engine(folder=tmp_path / "nowhere")
    await eventually(lambda: engine.status().state is EngineState.FAILED)
    assert engine.status().detail == f"{tmp_path / 'nowhere'}: no such folder"
    assert engine.status().public_detail == "nowhere: no such folder"
    for work in (draw(engine, request()), engine.expand(request())):
        with pytest.raises(EngineFailed, match="cannot start: nowhere: no such folder"):
            await work


async def test_callers_learn_no_folder_of_the_machine(start_engine: StartEngine, tmp_path: Path) -> None:
    folder = tmp_path / "x y"
    folder.mkdir()
    (folder / "on_load").write_text("refuse")
    engine = await start_engine(folder=folder)
    await eventually(lambda: engine.status().state is EngineState.FAILED)
    rest = "is not found; see {}b.txt, https://host/a/b and a/b"
    assert engine.status().detail == f"{folder}/config.json " + rest.format("/opt/a/")
    assert engine.status().public_detail == "x y/config.json " + rest.format("")


async def test_crashes_while_loading_are_retried_a_few_times_only(start_engine: StartEngine, tmp_path: Path) -> None:
    (tmp_path / "on_load").write_text("crash")
    engine = await start_engine()
    await eventually(lambda: engine.status().state is EngineState.FAILED)
    assert engine.status().detail == "The engine process ended with exit status 3, 3 times in a row."
    assert num_loads(tmp_path) == 3


async def test_a_failed_load_tells_its_reason_and_may_succeed_later(start_engine: StartEngine, tmp_path: Path) -> None:
    (tmp_path / "on_load").write_text("fail")
    limits = LocalLimits(first_backoff_seconds=1, max_backoff_seconds=1)
    engine = await start_engine(limits=limits)
    await eventually(lambda: engine.status().state is EngineState.RESTARTING)
    assert "out of accelerator memory" in engine.status().detail
    (tmp_path / "on_load").unlink()
    await eventually(lambda: engine.status().state is EngineState.READY)


async def test_a_request_waits_a_little_for_an_engine_that_starts(start_engine: StartEngine) -> None:
    engine = await start_engine()
    assert engine.status().state is EngineState.STARTING
    assert images_of(await draw(engine, request()))


async def test_a_request_does_not_wait_forever_for_an_engine_that_starts(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    (tmp_path / "on_load").write_text("hang")
    engine = await start_engine(limits=LocalLimits(ready_wait_seconds=0.1))
    with pytest.raises(Overloaded) as caught:
        await draw(engine, request())
    assert caught.value.retry_after_seconds


async def test_a_child_that_hangs_while_loading_is_replaced(start_engine: StartEngine, tmp_path: Path) -> None:
    (tmp_path / "on_load").write_text("hang")
    limits = LocalLimits(child=ChildLimits(load_silence_seconds=1, exit_seconds=1), max_failed_starts=1)
    engine = await start_engine(limits=limits)
    await eventually(lambda: engine.status().state is EngineState.FAILED)
    assert "no sign of life for 1 seconds" in engine.status().detail


async def test_a_child_that_hangs_in_a_job_is_replaced(start_engine: StartEngine, tmp_path: Path) -> None:
    limits = LocalLimits(child=ChildLimits(task_silence_seconds=0.5, exit_seconds=1), first_backoff_seconds=0.01)
    engine = await start_engine(limits=limits)
    await eventually(lambda: engine.status().state is EngineState.READY)
    with pytest.raises(EngineCrashed):
        await draw(engine, request("hang"))
    assert images_of(await draw(engine, request()))


async def test_an_idle_child_may_be_silent(start_engine: StartEngine, tmp_path: Path) -> None:
    limits = LocalLimits(child=ChildLimits(task_silence_seconds=0.1))
    engine = await start_engine(limits=limits)
    await draw(engine, request())
    await asyncio.sleep(0.5)
    assert images_of(await draw(engine, request()))
    assert num_loads(tmp_path) == 1


async def test_too_many_tasks_at_once_are_refused(start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danqing.engine.child.MAX_TASKS", 1)
    engine = await start_engine()
    async with aclosing(engine.generate(request("slow", num_steps=1000))) as events:
        await anext(events)
        with pytest.raises(Overloaded):
            await draw(engine, request())


async def test_stopping_ends_the_child_and_its_tasks(start_engine: StartEngine) -> None:
    engine = await start_engine()
    async with aclosing(engine.generate(request("hang"))) as events:
        drawing = asyncio.ensure_future(anext(events))
        await eventually(lambda: engine.status().state is EngineState.READY)
        await asyncio.sleep(0.1)
        pid = engine.child_pid
        assert pid is not None
        await engine.stop()
        with pytest.raises(ServiceError):
            await drawing
    assert not Path(f"/proc/{pid}").exists()


async def test_a_signal_for_the_whole_group_does_not_end_a_running_job(start_engine: StartEngine) -> None:
    engine = await start_engine()
    async with aclosing(engine.generate(request("slow", num_steps=20))) as events:
        first = await anext(events)
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            os.kill(engine.child_pid or 0, signal_number)
        rest = [event async for event in events]
    assert len(rest) == 20
    assert images_of([first, *rest])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says whom to kill first")
async def test_when_memory_runs_out_the_child_goes_before_the_server(start_engine: StartEngine) -> None:
    engine = await start_engine()
    await eventually(lambda: engine.status().state is EngineState.READY)
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(Path(f"/proc/{engine.child_pid}/oom_score_adj").read_text()) > own


PARENT = """
import asyncio, sys
from pathlib import Path
from danqing.engine.local import LocalEngine

async def main():
    engine = LocalEngine(sys.argv[1:], model="fake", checkpoint=Path(sys.argv[4]))
    await engine.start()
    while engine.status().state != "ready":
        await asyncio.sleep(0.01)
    print(engine.child_pid, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_the_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, *fake_command(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    await eventually(lambda: not Path(f"/proc/{pid}").exists(), limit_seconds=5)


def test_the_parent_side_never_imports_torch() -> None:
    program = "import sys; import danqing.engine.local, danqing.engine.child; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
