"""The native pipeline behind the interleaver, on a tiny random checkpoint, in this process."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import (
    CAPTION,
    CHOSEN_SIZE_PX,
    SYSTEM_PROMPT,
    THOUGHT,
    write_answering,
    write_instruct,
)

from danqing.engine.interface import ImageResult
from danqing.engine.interleaver import Interleaver, PromptRejected
from danqing.engine.messages import TaskEvent
from danqing.engine.painter import PipelinePainter
from danqing.engine.worker_options import WorkerOptions
from danqing.hunyuan_image3.errors import CheckpointError, CompilationFailed, UnsupportedDevice
from danqing.hunyuan_image3.pieces import finish
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.pictures.request import Expansion, ImageRequest


@pytest.fixture(scope="module")
def painter(tiny_checkpoint: Path) -> PipelinePainter:
    return load(tiny_checkpoint)


@pytest.fixture(scope="module")
def instruct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_instruct(tmp_path_factory.mktemp("checkpoints") / "instruct")


def load(folder: Path, *, device: str = "cpu", precision: str | None = None, **prompts: str) -> PipelinePainter:
    options = WorkerOptions(model=folder, device=device, precision=precision, **prompts)
    return PipelinePainter.load(options, on_progress=lambda *_: None)


def request(
    *, prompt: str = "A brown dog", seed: int = 7, num_images: int = 1, size_px: tuple[int, int] | None = (100, 60)
) -> ImageRequest:
    return ImageRequest(
        prompt=prompt,
        negative_prompt="blurry",
        width_px=size_px[0] if size_px else None,
        height_px=size_px[1] if size_px else None,
        num_images=num_images,
        seed=seed,
        num_inference_steps=2,
        guidance_scale=7.5,
        preview_every_steps=1,
    )


def pictures(
    painter: PipelinePainter, *requests: ImageRequest, expansion: Expansion | None = None
) -> dict[tuple[int, int], bytes]:
    """Draw the requests at once, all with the same expansion; the images by task and image index."""
    interleaver = Interleaver(painter)
    for task_id, asked in enumerate(requests):
        interleaver.add_images(task_id, request=asked, image_indexes=range(asked.num_images), expansion=expansion)
    drawn = {}
    while not interleaver.idle:
        report = interleaver.run_slice()
        if isinstance(report, TaskEvent) and isinstance(report.event, ImageResult):
            drawn[report.task_id, report.event.image_index] = report.event.raster.rgb
    return drawn


@pytest.mark.parametrize(("setting", "num_threads"), [(None, 1), ("3", 3)])
def test_a_small_network_computes_on_one_thread_unless_told_how_many(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None, num_threads: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if setting is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
    torch.set_num_threads(3)
    try:
        load(tiny_checkpoint)
        assert torch.get_num_threads() == num_threads
    finally:
        torch.set_num_threads(before)


def test_it_says_which_checkpoint_draws(painter: PipelinePainter) -> None:
    assert painter.description.startswith("tiny (")
    assert painter.description.endswith(", cpu)")


def test_a_picture_has_exactly_the_size_asked_for(painter: PipelinePainter) -> None:
    drawn = pictures(painter, request(size_px=(100, 60)))
    assert len(drawn[0, 0]) == 3 * 100 * 60


def test_without_a_size_the_model_chooses_one_of_its_own(painter: PipelinePainter) -> None:
    prepared = finish(painter.prefill(request(size_px=None), expansion=None))
    (step, *_) = painter.denoise(prepared, image_index=0)
    raster = painter.decode(step.latent, prepared)
    assert (raster.height_px, raster.width_px) in {
        (bucket.height_px, bucket.width_px) for bucket in painter._pipeline.buckets.usable
    }
    assert len(raster.rgb) == 3 * raster.width_px * raster.height_px


def test_a_preview_is_a_whole_picture(painter: PipelinePainter) -> None:
    (step, *_) = painter.denoise(finish(painter.prefill(request(), expansion=None)), image_index=0)
    preview = painter.preview(step)
    assert len(preview.rgb) == 3 * preview.width_px * preview.height_px > 0


def test_the_same_seed_gives_the_same_bytes_alone_and_under_load(painter: PipelinePainter) -> None:
    alone = pictures(painter, request(seed=7))[0, 0]
    together = pictures(painter, request(seed=7), request(seed=100, prompt="A red car on a road", num_images=2))
    assert together[0, 0] == alone
    assert together[1, 0] != alone


def test_image_i_of_a_seed_is_image_0_of_seed_plus_i(painter: PipelinePainter) -> None:
    drawn = pictures(painter, request(seed=7, num_images=3))
    assert drawn[0, 2] == pictures(painter, request(seed=9))[0, 0]
    assert drawn[0, 2] != drawn[0, 0]


def test_after_the_largest_seed_comes_the_first(painter: PipelinePainter) -> None:
    largest = request(seed=2**63 - 1, num_images=4)
    drawn = pictures(painter, largest)
    assert [largest.image_seed(i) for i in range(4)] == [2**63 - 1, 1, 2, 3]
    for image_index in (1, 3):
        assert drawn[0, image_index] == pictures(painter, request(seed=image_index))[0, 0]


def test_a_prompt_that_is_too_long_is_rejected_with_both_numbers(painter: PipelinePainter) -> None:
    with pytest.raises(PromptRejected, match="4096"):
        finish(painter.prefill(request(prompt="dog " * 5000), expansion=None))


def test_a_checkpoint_that_has_not_learned_to_expand_says_so(painter: PipelinePainter) -> None:
    with pytest.raises(PromptRejected, match="has not learned"):
        next(painter.expand(request()))


def test_with_the_plain_template_a_caption_is_drawn_in_the_place_of_the_prompt(tmp_path: Path) -> None:
    painter = load(write_answering(tmp_path / "answering", "a dog", " A fat dog,\n in snow. "))
    expansion = finish(painter.expand(request(prompt="a dog")))
    # To the letter: what is shown on one line is drawn as it was written.
    assert expansion == Expansion(caption=" A fat dog,\n in snow. ")
    drawn = pictures(painter, request(prompt="a dog"), expansion=expansion)
    assert drawn == pictures(painter, request(prompt=" A fat dog,\n in snow. "))
    assert drawn != pictures(painter, request(prompt="A fat dog, in snow."))


def test_an_instruct_checkpoint_thinks_writes_and_chooses_the_size_it_then_draws(instruct: Path) -> None:
    painter = load(instruct)
    asked = request(size_px=None)
    expansion = finish(painter.expand(asked))
    width_px, height_px = CHOSEN_SIZE_PX
    assert expansion == Expansion(caption=CAPTION, thought=THOUGHT, width_px=width_px, height_px=height_px)
    prepared = finish(painter.prefill(asked, expansion=expansion))
    (*_, step) = painter.denoise(prepared, image_index=0)
    raster = painter.decode(step.latent, prepared)
    assert (raster.width_px, raster.height_px) == CHOSEN_SIZE_PX


def test_caption_and_thought_are_drawn_beside_the_prompt_to_the_letter(instruct: Path) -> None:
    painter = load(instruct)
    expansions = [
        None,
        Expansion(caption="a b"),
        Expansion(caption="a  b"),
        Expansion(thought="a b"),
        Expansion(caption="a b", thought="c"),
        Expansion(caption="a b", thought="c "),
    ]
    drawn = [pictures(painter, request(), expansion=expansion)[0, 0] for expansion in expansions]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(
    ("task", "expansion"),
    [
        ("think", Expansion(thought=THOUGHT)),
        ("recaption", Expansion(caption=CAPTION)),
        ("think_recaption", Expansion(caption=CAPTION, thought=THOUGHT)),
    ],
)
def test_a_setting_chooses_what_an_expansion_writes(instruct: Path, task: str, expansion: Expansion) -> None:
    assert finish(load(instruct, expansion_task=task).expand(request())) == expansion


def test_a_setting_replaces_the_system_prompt(instruct: Path, caplog: pytest.LogCaptureFixture) -> None:
    def drawn(**prompts: str) -> bytes:
        return pictures(load(instruct, **prompts), request())[0, 0]

    by_the_checkpoint = drawn()
    assert drawn(system_prompt="custom", system_prompt_text=SYSTEM_PROMPT) == by_the_checkpoint
    none = drawn(system_prompt="None")
    assert none != by_the_checkpoint
    assert drawn(system_prompt="custom", system_prompt_text="Be brief.") not in (none, by_the_checkpoint)
    with caplog.at_level("INFO"):
        assert drawn(system_prompt="custom") == none
    assert "'custom' and no text is given" in caplog.text


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"system_prompt": "en_poetry"}, r"DANQING_SYSTEM_PROMPT is en_poetry: .*system_prompt\.py"),
        ({"expansion_task": "think"}, r"DANQING_EXPANSION_TASK is think: .*needs the instruct template"),
    ],
)
def test_a_prompt_setting_that_the_checkpoint_cannot_follow_is_named(
    tiny_checkpoint: Path, prompts: dict[str, str], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(tiny_checkpoint, **prompts)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_fp8_draws_too_and_says_so(tiny_checkpoint: Path) -> None:
    painter = load(tiny_checkpoint, precision="fp8")
    assert "fp8, cpu" in painter.description
    drawn = pictures(painter, request())
    assert len(drawn[0, 0]) == 3 * 100 * 60


def test_a_device_without_fp8_is_refused_by_the_name_of_the_setting(tiny_checkpoint: Path) -> None:
    with pytest.raises(UnsupportedDevice, match=r"DANQING_PRECISION is fp8: .*compute capability"):
        load(tiny_checkpoint, device="mps", precision="fp8")


def test_a_failed_compilation_is_reported_by_the_name_of_the_setting(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CompilationFailed("region norm: no C compiler")

    monkeypatch.setattr(Pipeline, "fuse", fail)
    options = WorkerOptions(model=tiny_checkpoint, device="cpu", kernel_folder=Path("kernels"))
    with pytest.raises(CompilationFailed, match="DANQING_COMPILE is true: region norm: no C compiler"):
        PipelinePainter.load(options, on_progress=lambda *_: None)


@pytest.mark.parametrize(
    ("device", "said"), [("gpu", "it must be cpu"), ("cuda:99", "finds no GPU"), ("", "must be cpu")]
)
def test_a_device_that_is_not_there_is_refused_by_the_name_of_the_setting(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, device: str, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnsupportedDevice, match=f"DANQING_DEVICE is {device}.*{said}"):
        load(tiny_checkpoint, device=device)


def test_a_request_for_step_reuse_reaches_the_pipeline(painter: PipelinePainter) -> None:
    asked = replace(request(), num_inference_steps=6, preview_every_steps=0)
    reusing = replace(asked, step_reuse="half")
    assert pictures(painter, reusing) == pictures(painter, reusing)
    assert pictures(painter, reusing) != pictures(painter, asked)
