"""Prompts in, pictures out: reproducible to the byte, whatever else runs; sizes, limits and languages."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import (
    SYSTEM_PROMPT,
    config_values,
    stored_tensors,
    write_checkpoint,
    write_distil,
    write_instruct,
)
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError, PromptTooLong
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.prompt_template import Prompt
from danqing.hunyuan_image3.resolution import all_buckets
from danqing.hunyuan_image3.sampler import Conditions, DenoiseStep, schedule, start_noise

SEED = 11
REQUEST = TextToImage(prompt="a red cube", num_inference_steps=3, guidance_scale=4.0, width_px=128, height_px=128)


def changed(**changes: object) -> TextToImage:
    return dataclasses.replace(REQUEST, **changes)  # type: ignore[arg-type]


def drawing(pipeline: Pipeline, request: TextToImage, *, seed: int = SEED) -> Iterator[DenoiseStep]:
    return pipeline.denoise(pipeline.prefill(request), seed=seed)


def picture(pipeline: Pipeline, request: TextToImage, *, seed: int = SEED) -> np.ndarray:
    prefix = pipeline.prefill(request)
    *_, last = pipeline.denoise(prefix, seed=seed)
    return pipeline.decode(last.latent, prefix)


def decoded(pipeline: Pipeline, latent: Tensor, *, width_px: int | None, height_px: int | None) -> np.ndarray:
    """A latent as the picture of a request for this size."""
    prefix = pipeline.prefill(changed(width_px=width_px, height_px=height_px))
    return pipeline.decode(latent, prefix)


def test_the_same_seed_gives_the_same_bytes(pipeline: Pipeline) -> None:
    first = picture(pipeline, REQUEST)
    torch.manual_seed(1)
    assert picture(pipeline, REQUEST).tobytes() == first.tobytes()
    assert picture(pipeline, REQUEST, seed=12).tobytes() != first.tobytes()


def test_a_job_between_its_steps_changes_no_byte(pipeline: Pipeline) -> None:
    other = changed(prompt="a long blue road at night", width_px=256, height_px=64, negative_prompt="fog")
    alone = [list(drawing(pipeline, request))[-1].latent for request in (REQUEST, other)]
    turns = [drawing(pipeline, REQUEST), drawing(pipeline, other)]
    last: list[DenoiseStep | None] = [None, None]
    for _ in range(3):
        for i, turn in enumerate(turns):
            last[i] = next(turn)
    for step, latent in zip(last, alone, strict=True):
        assert step is not None
        assert torch.equal(step.latent, latent)


def test_images_of_a_request_share_its_prefix_without_touching_each_other(pipeline: Pipeline) -> None:
    prefix = pipeline.prefill(REQUEST)
    together = [list(pipeline.denoise(prefix, seed=seed))[-1].latent for seed in (11, 12, 11)]
    assert torch.equal(together[0], together[2])
    assert torch.equal(list(drawing(pipeline, REQUEST, seed=12))[-1].latent, together[1])


@pytest.mark.parametrize(("width", "height"), [(128, 128), (100, 77), (1, 300), (333, 64), (200, 200)])
def test_a_custom_size_comes_out_exactly(pipeline: Pipeline, width: int, height: int) -> None:
    pixels = picture(pipeline, changed(width_px=width, height_px=height, num_inference_steps=1))
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8


def test_a_buckets_own_size_is_not_resampled(pipeline: Pipeline) -> None:
    *_, last = drawing(pipeline, REQUEST)
    exact = decoded(pipeline, last.latent, width_px=128, height_px=128)
    assert exact.tobytes() == decoded(pipeline, last.latent, width_px=None, height_px=None).tobytes()


def test_a_custom_size_is_cropped_around_the_centre(pipeline: Pipeline) -> None:
    *_, last = drawing(pipeline, REQUEST)
    whole = decoded(pipeline, last.latent, width_px=128, height_px=128).astype(int)
    tall = decoded(pipeline, last.latent, width_px=64, height_px=128).astype(int)
    assert np.abs(tall - whole[:, 32:96]).max() <= 1


def test_levels_are_half_the_output_plus_a_half(pipeline: Pipeline) -> None:
    *_, last = drawing(pipeline, REQUEST)
    with torch.inference_mode():
        out = pipeline.model.vae.decode(last.latent)[0].clone()
    expected = ((out / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert (decoded(pipeline, last.latent, width_px=None, height_px=None) == expected).all()


def test_without_a_size_the_model_is_asked(pipeline: Pipeline) -> None:
    request = changed(width_px=None, height_px=None)
    bucket = pipeline.choose_bucket(request)
    assert bucket in pipeline.buckets.usable
    assert pipeline.prefill(request).bucket == bucket
    pixels = picture(pipeline, request)
    assert pixels.shape == (bucket.height_px, bucket.width_px, 3)


def test_the_models_answer_is_its_likeliest_ratio_token(pipeline: Pipeline) -> None:
    tokenizer, usable = pipeline.tokenizer, pipeline.buckets.usable
    start = [tokenizer.start, *tokenizer.encode("a tree"), tokenizer.image_begin, tokenizer.image_size(128)]
    with torch.inference_mode():
        hidden = pipeline.model.read(start, pipeline.model.new_cache(len(start)))
        logits = pipeline.model.next_token_logits(hidden).tolist()
    expected = max(usable, key=lambda bucket: logits[tokenizer.image_ratio(bucket.ratio_index)])
    assert pipeline.choose_bucket(changed(prompt="a tree")) == expected


def test_the_model_does_not_answer_every_prompt_alike(pipeline: Pipeline) -> None:
    assert (
        len({pipeline.choose_bucket(changed(prompt=f"{word} {i}")) for word in ("cat", "road") for i in range(6)}) > 1
    )


@pytest.mark.parametrize("size", [{}, {"width_px": None, "height_px": None}])
def test_a_prompt_beyond_the_positions_is_refused_with_both_numbers(pipeline: Pipeline, size: dict[str, None]) -> None:
    with pytest.raises(PromptTooLong, match=r"prompt: .* need \d+ tokens; this checkpoint has 1024"):
        pipeline.prefill(changed(prompt="zebra " * 2000, **size))


def test_the_longest_prompt_that_fits_is_drawn(pipeline: Pipeline) -> None:
    overhead = 1 + 3 + 1 + 64  # start, image head, <timestep>, image tokens
    prompt = "z" * 2000
    ids = pipeline.tokenizer.encode(prompt)
    while len(ids) > 1024 - overhead:
        prompt = prompt[:-1]
        ids = pipeline.tokenizer.encode(prompt)
    assert len(ids) == 1024 - overhead
    assert len(list(drawing(pipeline, changed(prompt=prompt, num_inference_steps=1)))) == 1
    with pytest.raises(PromptTooLong):
        pipeline.prefill(changed(prompt=prompt + " q"))


def test_a_negative_prompt_too_long_is_refused_too(pipeline: Pipeline) -> None:
    with pytest.raises(PromptTooLong, match="negative_prompt: ") as caught:
        pipeline.prefill(changed(negative_prompt="zebra " * 2000))
    assert caught.value.field == "negative_prompt"


def test_reading_pauses_after_each_piece_of_each_text(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    request = changed(prompt="a zebra beside a tree", width_px=None, height_px=None)
    whole = picture(pipeline, request)
    monkeypatch.setattr("danqing.hunyuan_image3.model.PREFILL_TOKENS", 16)
    lengths: list[int] = []
    read_piece = pipeline.model._read_piece
    monkeypatch.setattr(
        pipeline.model, "_read_piece", lambda ids, cache: (lengths.append(len(ids)), read_piece(ids, cache))[1]
    )
    assert len(list(pipeline.prefill_by_piece(request))) == len(lengths) >= 3
    assert max(lengths) <= 16
    assert np.abs(picture(pipeline, request).astype(int) - whole).max() <= 2


def test_a_negative_prompt_changes_the_picture(pipeline: Pipeline) -> None:
    plain = picture(pipeline, REQUEST)
    fog, snow = (picture(pipeline, changed(negative_prompt=text)) for text in ("fog", "snow"))
    assert len({plain.tobytes(), fog.tobytes(), snow.tobytes()}) == 3


def test_the_prompt_and_the_guidance_change_the_picture(pipeline: Pipeline) -> None:
    pictures = [REQUEST, changed(prompt="a blue cube"), changed(guidance_scale=7.5), changed(guidance_scale=1.0)]
    assert len({picture(pipeline, request).tobytes() for request in pictures}) == 4


def test_guidance_one_runs_one_branch_and_needs_no_negative_prompt(pipeline: Pipeline) -> None:
    assert len(pipeline.prefill(REQUEST).branches) == 2
    assert len(pipeline.prefill(changed(guidance_scale=1.0)).branches) == 1
    a, b = (picture(pipeline, changed(guidance_scale=1.0, negative_prompt=text)) for text in ("", "fog"))
    assert a.tobytes() == b.tobytes()


def test_below_the_checkpoints_noise_level_the_conditional_branch_runs_alone(
    tmp_path: Path, tiny_model: HunyuanImage3
) -> None:
    pipelines = {
        level: Pipeline.load(
            write_checkpoint(
                tmp_path / str(level),
                config_values(),
                stored_tensors(tiny_model),
                generation={"guidance_min_sigma": level},
            ),
            precision=Precision.FLOAT32,
        )
        for level in (0.0, 0.9, 1.0)
    }
    always, first, never = (list(drawing(pipelines[level], REQUEST)) for level in (0.0, 0.9, 1.0))
    alone = list(drawing(pipelines[0.0], changed(guidance_scale=1.0)))
    assert torch.equal(never[-1].latent, alone[-1].latent)
    # The first of the three steps stands at 1, the second below 0.9.
    assert torch.equal(first[0].latent, always[0].latent)
    assert not torch.equal(first[1].latent, always[1].latent)


def test_without_a_bound_the_bytes_are_the_plain_formulas_and_a_bound_of_the_checkpoint_acts(
    tmp_path: Path, tiny_model: HunyuanImage3, pipeline: Pipeline
) -> None:
    folder = write_checkpoint(
        tmp_path / "bounded", config_values(), stored_tensors(tiny_model), generation={"guidance_max_push": 0.5}
    )
    bounded = Pipeline.load(folder, precision=Precision.FLOAT32)
    assert (pipeline.generation.guidance_max_push, bounded.generation.guidance_max_push) == (None, 0.5)
    request = changed(guidance_scale=7.5)
    for one, bound in ((pipeline, None), (bounded, 0.5)):
        first = next(drawing(one, request))
        assert torch.equal(first.latent, _first_latent(one, request, bound))
    assert not torch.equal(next(drawing(pipeline, request)).latent, next(drawing(bounded, request)).latent)


def _first_latent(pipeline: Pipeline, request: TextToImage, bound: float | None) -> Tensor:
    """The first step of a drawing, worked out beside the sampler."""
    prefix = pipeline.prefill(request)
    channels, factor = pipeline.config.vae.latent_channels, pipeline.config.vae.spatial_factor
    noise = start_noise(
        SEED, channels=channels, height=prefix.bucket.height_px // factor, width=prefix.bucket.width_px // factor
    )
    sigmas = schedule(request.num_inference_steps, shift=pipeline.generation.flow_shift)
    at = Conditions(1000 * sigmas[0], 1000 * sigmas[1], request.guidance_scale)
    with torch.inference_mode():
        conditional, unconditional = pipeline.model.velocity(noise, at, prefix.branches).split(1)
    velocity = unconditional + request.guidance_scale * (conditional - unconditional)
    if bound is not None:
        push = (request.guidance_scale - 1) * (conditional - unconditional)
        share = bound * conditional.norm(dim=1, keepdim=True) / push.norm(dim=1, keepdim=True)
        velocity = conditional + push * share.clamp(max=1)
    return noise + velocity * (sigmas[1] - sigmas[0])


def test_guidance_near_one_is_near_the_single_branch(pipeline: Pipeline) -> None:
    one, near = (list(drawing(pipeline, changed(guidance_scale=g)))[-1].latent for g in (1.0, 1.0001))
    torch.testing.assert_close(near, one, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    "prompt", ["", " ", "\0", "狗在草地上跑", "🦖🏖️😎", "العربية", "e\u0301\u200d\n\t", "<boi><img>"]
)
def test_any_language_and_no_text_at_all_are_drawn(pipeline: Pipeline, prompt: str) -> None:
    for size in ((128, 128), (None, None)):
        request = changed(prompt=prompt, width_px=size[0], height_px=size[1], num_inference_steps=1)
        assert len(list(drawing(pipeline, request))) == 1


def test_steps_are_counted_and_a_dropped_drawing_harms_nothing(pipeline: Pipeline) -> None:
    prefix = pipeline.prefill(REQUEST)
    first = next(pipeline.denoise(prefix, seed=SEED))
    assert (first.step, first.num_steps) == (1, 3)
    assert [step.step for step in pipeline.denoise(prefix, seed=SEED)] == [1, 2, 3]


def test_without_a_size_the_likeliest_usable_ratio_is_drawn(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    unusable = next(b for b in all_buckets(128) if b not in pipeline.buckets.usable)
    wanted = pipeline.buckets.usable[3]
    logits = torch.zeros(pipeline.config.vocabulary_size)
    logits[pipeline.tokenizer.end] = 9.0
    logits[pipeline.tokenizer.image_ratio(unusable.ratio_index)] = 8.0
    logits[pipeline.tokenizer.image_ratio(wanted.ratio_index)] = 7.0
    monkeypatch.setattr(pipeline.model, "next_token_logits", lambda hidden: logits)
    prefix = pipeline.prefill(changed(width_px=None, height_px=None))
    assert prefix.bucket == wanted
    *_, last = pipeline.denoise(prefix, seed=SEED)
    pixels = pipeline.decode(last.latent, prefix)
    assert pixels.shape == (wanted.height_px, wanted.width_px, 3)


def test_the_question_of_size_is_put_to_the_network_with_the_prompt(pipeline: Pipeline) -> None:
    prompts = [f"a {colour} {thing}" for colour in ("red", "blue", "green") for thing in ("cat", "tower", "road", "x")]
    assert len({pipeline.choose_bucket(changed(prompt=prompt)) for prompt in prompts}) > 1


def test_a_preview_is_small_and_heads_for_the_picture(pipeline: Pipeline) -> None:
    steps = list(drawing(pipeline, REQUEST))
    preview = pipeline.preview(steps[0])
    assert preview.dtype == np.uint8
    assert max(preview.shape[:2]) <= 512
    # The last step's aim is the picture itself.
    assert pipeline.preview(steps[-1]).tobytes() == picture(pipeline, REQUEST).tobytes()


def test_it_describes_itself(pipeline: Pipeline) -> None:
    assert pipeline.description == "tiny (1 M parameters, float32, cpu)"


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_lacking_a_file_is_refused_by_its_name(tmp_path: Path, tiny_model: HunyuanImage3, file: str) -> None:
    folder = write_checkpoint(tmp_path, config_values(), stored_tensors(tiny_model))
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        Pipeline.load(folder, precision=Precision.FLOAT32)


def test_the_instruct_template_draws_too(tmp_path: Path, tiny_model: HunyuanImage3) -> None:
    folder = write_checkpoint(
        tmp_path, config_values(image_base_size=256), stored_tensors(tiny_model), template="instruct"
    )
    pipeline = Pipeline.load(folder, precision=Precision.FLOAT32)
    assert pipeline.generation.template == "instruct"
    pixels = picture(pipeline, changed(width_px=None, height_px=None, num_inference_steps=1))
    assert max(pixels.shape) <= 512


def test_bfloat16_draws_the_same_bytes_twice(tiny_folder: Path) -> None:
    pipeline = Pipeline.load(tiny_folder, precision=Precision.BFLOAT16)
    first = picture(pipeline, REQUEST)
    assert picture(pipeline, REQUEST).tobytes() == first.tobytes()
    assert first.std() > 0


@pytest.fixture(scope="module")
def distil(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = write_distil(tmp_path_factory.mktemp("checkpoint") / "distil")
    return Pipeline.load(folder, precision=Precision.FLOAT32)


@pytest.fixture(scope="module")
def instruct(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = write_instruct(tmp_path_factory.mktemp("checkpoint") / "instruct")
    return Pipeline.load(folder, precision=Precision.FLOAT32)


@pytest.mark.parametrize("guidance_scale", [0.5, 1.0, 2.5, 7.5])
def test_a_distilled_checkpoint_has_one_branch_at_any_guidance(distil: Pipeline, guidance_scale: float) -> None:
    assert len(distil.prefill(changed(guidance_scale=guidance_scale)).branches) == 1


def test_guidance_changes_the_picture_of_a_distilled_checkpoint(distil: Pipeline) -> None:
    pictures = [picture(distil, changed(guidance_scale=guidance_scale)) for guidance_scale in (1.0, 2.5, 7.5)]
    assert len({pixels.tobytes() for pixels in pictures}) == 3


def test_a_negative_prompt_cannot_act_on_a_distilled_checkpoint(distil: Pipeline) -> None:
    a, b = (picture(distil, changed(negative_prompt=text)) for text in ("", "fog"))
    assert a.tobytes() == b.tobytes()


def test_one_step_of_a_distilled_checkpoint_draws(distil: Pipeline) -> None:
    assert picture(distil, changed(num_inference_steps=1)).shape == (128, 128, 3)


def test_thought_and_caption_change_the_picture(instruct: Pipeline) -> None:
    requests = [changed(), changed(caption="A cube."), changed(thought="Hm.", caption="A cube.")]
    assert len({picture(instruct, request).tobytes() for request in requests}) == 3


def test_the_size_is_asked_with_thought_and_caption(instruct: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    of_model = instruct.model.read_by_piece
    monkeypatch.setattr(instruct.model, "read_by_piece", lambda ids, cache: (read.extend(ids), of_model(ids, cache))[1])
    instruct.choose_bucket(changed(thought="Hm.", caption="A cube.", width_px=None, height_px=None))
    said = Prompt(text=REQUEST.prompt, system=SYSTEM_PROMPT, thought="Hm.", caption="A cube.")
    assert read == instruct.template.size_question(said)


def test_the_plain_template_draws_a_caption_as_its_prompt(pipeline: Pipeline) -> None:
    a, b = (picture(pipeline, request) for request in (changed(caption="a cube"), changed(prompt="a cube")))
    assert a.tobytes() == b.tobytes()


def test_a_checkpoints_longest_sequence_is_kept(tmp_path: Path, tiny_model: HunyuanImage3) -> None:
    folder = write_checkpoint(tmp_path, config_values(), stored_tensors(tiny_model), generation={"max_length": 80})
    pipeline = Pipeline.load(folder, precision=Precision.FLOAT32)
    pipeline.prefill(changed(prompt="a"))
    with pytest.raises(PromptTooLong, match="this checkpoint has 80"):
        pipeline.prefill(changed(prompt="a red cube and many others"))


def test_it_describes_itself_by_its_repository_in_a_hub_cache(tmp_path: Path, tiny_model: HunyuanImage3) -> None:
    snapshot = tmp_path / "models--org--Hunyuan-3.0" / "snapshots" / "0a1b2c"
    folder = write_checkpoint(snapshot, config_values(), stored_tensors(tiny_model))
    assert Pipeline.load(folder, precision=Precision.FLOAT32).description.startswith("Hunyuan-3.0 (")
