"""Loading is strict in both directions, independent of how files are cut, and frugal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_checkpoints import config_values, random_model, stored_tensors, vae_values, write_checkpoint, write_sharded
from torch import Tensor

from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.fp8 import FP8
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.summary import summarise
from danqing.hunyuan_image3.weights import Places, empty_model, load_model, stored_precision

CONFIG = parse_model_config(config_values())
INDEX = "model.safetensors.index.json"
GATE = "model.layers.0.mlp.gate.wg.weight"
EXPERT = "model.layers.1.mlp.experts.3.down_proj.weight"


@pytest.fixture
def tensors(tiny_model: HunyuanImage3) -> dict[str, Tensor]:
    return stored_tensors(tiny_model)


def load(folder: Path, *, precision: Precision = Precision.FLOAT32) -> HunyuanImage3:
    return load_model(folder, CONFIG, precision=precision, device=torch.device("cpu"))


def write_single(folder: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, folder / "model.safetensors")
    return folder


def halves(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    keys = sorted(tensors)
    return {
        "model-00001-of-00002.safetensors": {key: tensors[key] for key in keys[::2]},
        "model-00002-of-00002.safetensors": {key: tensors[key] for key in keys[1::2]},
    }


def edit_index(folder: Path, **weight_map: str) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"].update(weight_map)
    (folder / INDEX).write_text(json.dumps(index))


def assert_same(a: HunyuanImage3, b: HunyuanImage3) -> None:
    theirs = b.state_dict()
    for name, value in a.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_drawing_loads_no_encoder_and_training_does(tiny_folder: Path) -> None:
    assert not hasattr(Pipeline.load(tiny_folder, precision=Precision.FLOAT32).model.vae, "encoder")
    assert hasattr(load(tiny_folder).vae, "encoder")


def test_a_single_file_fills_every_parameter_with_its_own_tensor(
    tmp_path: Path, tiny_model: HunyuanImage3, tensors: dict[str, Tensor]
) -> None:
    assert_same(load(write_single(tmp_path, tensors)), tiny_model)


def test_sharded_and_single_files_load_to_the_same_bits(
    tmp_path: Path, tiny_model: HunyuanImage3, tensors: dict[str, Tensor]
) -> None:
    assert_same(load(write_sharded(tmp_path, halves(tensors))), tiny_model)


@pytest.mark.parametrize(
    "key", ["model.layers.2.input_layernorm.weight", "vae.decoder.conv_in.weights", "lm_head.bias"]
)
def test_an_unknown_key_is_named(tmp_path: Path, tensors: dict[str, Tensor], key: str) -> None:
    with pytest.raises(CheckpointError, match=key):
        load(write_single(tmp_path, {**tensors, key: torch.zeros(64)}))


@pytest.mark.parametrize("key", ["lm_head.weight", GATE, EXPERT])
def test_a_missing_key_is_named(tmp_path: Path, tensors: dict[str, Tensor], key: str) -> None:
    del tensors[key]
    with pytest.raises(CheckpointError, match=f"'{key}' is missing"):
        load(write_single(tmp_path, tensors))


@pytest.mark.parametrize("key", ["model.ln_f.weight", EXPERT])
def test_a_wrong_shape_is_named_with_both_shapes(tmp_path: Path, tensors: dict[str, Tensor], key: str) -> None:
    asked = list(tensors[key].shape)
    tensors[key] = torch.zeros(7, 5)
    with pytest.raises(CheckpointError) as caught:
        load(write_single(tmp_path, tensors))
    for part in (key, "[7, 5]", str(asked)):
        assert part in str(caught.value)


def test_a_transposed_matrix_is_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    tensors[EXPERT] = tensors[EXPERT].T.contiguous()
    with pytest.raises(CheckpointError, match=EXPERT):
        load(write_single(tmp_path, tensors))


def test_integers_are_not_taken_for_weights(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    tensors["lm_head.weight"] = tensors["lm_head.weight"].to(torch.int8)
    with pytest.raises(CheckpointError, match=r"lm_head\.weight.*int8.*danqing model convert"):
        load(write_single(tmp_path, tensors))


def test_a_key_in_two_files_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    shards = halves(tensors)
    first, second = shards.values()
    key = next(iter(first))
    folder = write_sharded(tmp_path, {**shards, "model-00002-of-00002.safetensors": {**second, key: first[key]}})
    edit_index(folder, **{key: "model-00001-of-00002.safetensors"})
    with pytest.raises(CheckpointError, match=key):
        load(folder)


def test_an_empty_weight_map_leaves_keys_missing(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text('{"weight_map": {}}')
    with pytest.raises(CheckpointError, match="missing from the checkpoint"):
        load(tmp_path)


def test_image_understanding_is_skipped(tmp_path: Path, tiny_model: HunyuanImage3, tensors: dict[str, Tensor]) -> None:
    extra = {"vision_model.encoder.weight": torch.zeros(3), "vision_aligner.layers.0.weight": torch.zeros(3)}
    assert_same(load(write_single(tmp_path, {**tensors, **extra})), tiny_model)


def test_progress_counts_up_to_the_total_whatever_is_skipped(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    write_single(tmp_path, {**tensors, "vision_model.a": torch.zeros(1), "vision_aligner.b": torch.zeros(1)})
    seen: list[tuple[int, int]] = []
    load_model(
        tmp_path,
        CONFIG,
        precision=Precision.FLOAT32,
        device=torch.device("cpu"),
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i + 1, len(tensors)) for i in range(len(tensors))]


def test_routers_stay_float32_under_bfloat16(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    model = load(write_single(tmp_path, tensors), precision=Precision.BFLOAT16)
    for name, parameter in model.named_parameters():
        expected = torch.float32 if ".gate.wg." in name else torch.bfloat16
        assert parameter.dtype == expected, name
    assert torch.equal(model.state_dict()[GATE], tensors[GATE])


def test_bfloat16_files_load_into_float32_without_a_change(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    stored = {key: value if key.endswith("gate.wg.weight") else value.bfloat16() for key, value in tensors.items()}
    model = load(write_single(tmp_path, stored))
    assert model.lm_head.weight.dtype == torch.float32
    assert torch.equal(model.lm_head.weight, stored["lm_head.weight"].float())


def test_all_but_the_experts_stays_as_it_is(tiny_folder: Path) -> None:
    model = Pipeline.load(tiny_folder, precision=Precision.FP8).model
    for name, parameter in model.named_parameters():
        expected = FP8 if ".mlp.experts." in name else torch.float32 if ".gate.wg." in name else torch.bfloat16
        assert parameter.dtype == expected, name
    assert model.dtype == torch.bfloat16


def test_each_expert_is_rounded_with_scales_of_its_own(tiny_folder: Path, tiny_model: HunyuanImage3) -> None:
    model = Pipeline.load(tiny_folder, precision=Precision.FP8).model
    ours, theirs = model.model.layers[1].mlp, tiny_model.model.layers[1].mlp
    for name in ("gate_and_up_proj", "down_proj"):
        scale = getattr(ours.experts, f"{name}_scale")
        back = getattr(ours.experts, name).float() * scale[..., None]
        exact = getattr(theirs.experts, name)
        assert torch.allclose(scale, exact.abs().amax(-1) / 448), name
        assert (back - exact).norm() / exact.norm() < 0.04, name


def test_a_checkpoint_loads_and_draws_without_the_compiler(tiny_folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage\n"
        "pipeline = Pipeline.load(Path(sys.argv[1]))\n"
        "asked = TextToImage(prompt='A dog', num_inference_steps=1, guidance_scale=2, width_px=128, height_px=128)\n"
        "list(pipeline.denoise(pipeline.prefill(asked), seed=1))\n"
        "sys.exit('torch._dynamo' in sys.modules or 'sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, tiny_folder], check=False, timeout=120).returncode == 0


@pytest.mark.parametrize("precision", Precision)
def test_every_place_counts_once(tiny_model: HunyuanImage3, precision: Precision) -> None:
    held = empty_model(CONFIG, precision=precision, device=torch.device("cpu"))
    assert dict(Places(held)).keys() == dict(Places(tiny_model)).keys()


def in_fp8(tensors: dict[str, Tensor], *, per_row: bool = False) -> dict[str, Tensor]:
    """The tensors as others store them: matrices of layers in fp8 with a `weight_scale`, the rest in bfloat16."""
    stored = {}
    for key, value in tensors.items():
        if ".layers." in key and key.endswith("proj.weight"):
            largest = value.abs().amax(-1, keepdim=True) if per_row else value.abs().max()
            stored[key] = (value / largest * 448).to(FP8)
            stored[key + "_scale"] = largest / 448
        else:
            stored[key] = value if key.endswith("gate.wg.weight") else value.bfloat16()
    return stored


@pytest.mark.parametrize("per_row", [False, True], ids=["a scale a tensor", "a scale a row"])
def test_experts_stored_in_fp8_stay_as_they_are(tmp_path: Path, tensors: dict[str, Tensor], per_row: bool) -> None:
    stored = in_fp8(tensors, per_row=per_row)
    write_single(tmp_path, stored)
    model = load(tmp_path, precision=Precision.FP8)
    experts = model.model.layers[1].mlp.experts
    assert torch.equal(experts.down_proj[3].view(torch.uint8), stored[EXPERT].view(torch.uint8))
    assert torch.equal(experts.down_proj_scale[3], stored[EXPERT + "_scale"].flatten().expand(64))
    # What is no expert is bfloat16 in this precision.
    key = "model.layers.0.self_attn.o_proj.weight"
    assert torch.equal(model.get_parameter(key), (stored[key].float() * stored[key + "_scale"]).bfloat16())


def test_weights_stored_in_fp8_are_widened_for_other_precisions(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    stored = in_fp8(tensors)
    model = load(write_single(tmp_path, stored), precision=Precision.FLOAT32)
    assert torch.equal(
        model.model.layers[1].mlp.experts.down_proj[3], stored[EXPERT].float() * stored[EXPERT + "_scale"]
    )


def test_fp8_without_a_scale_means_its_numbers(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    stored = {**tensors, EXPERT: tensors[EXPERT].to(FP8)}
    write_single(tmp_path, stored)
    assert torch.equal(load(tmp_path).model.layers[1].mlp.experts.down_proj[3], stored[EXPERT].float())
    experts = load(tmp_path, precision=Precision.FP8).model.layers[1].mlp.experts
    assert torch.equal(experts.down_proj[3].float(), stored[EXPERT].float())
    assert torch.equal(experts.down_proj_scale[3], torch.ones(64))


def test_a_scale_in_blocks_is_refused_by_its_name(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    stored = {**in_fp8(tensors), EXPERT + "_scale": torch.ones(2, 3)}
    with pytest.raises(CheckpointError, match=rf"{EXPERT}_scale.*\[2, 3\].*danqing model convert"):
        load(write_single(tmp_path, stored))


def test_a_checkpoint_in_fp8_is_drawn_in_fp8_unless_told_otherwise(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    folder = write_checkpoint(
        tmp_path, {**config_values(), "quantization_config": {"quant_method": "fp8"}}, in_fp8(tensors)
    )
    assert stored_precision(folder) is Precision.FP8
    assert ", fp8, cpu" in Pipeline.load(folder).description
    assert ", float32, cpu" in Pipeline.load(folder, precision=Precision.FLOAT32).description


def test_a_checkpoint_in_another_format_is_refused_before_its_weights_are_read(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    values = {**config_values(), "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    packed = {**tensors, EXPERT: torch.zeros(1024, 1, dtype=torch.uint8)}
    folder = write_checkpoint(tmp_path, values, packed)
    with pytest.raises(CheckpointError, match=r"'bitsandbytes'.*danqing model convert"):
        Pipeline.load(folder)
    with pytest.raises(CheckpointError, match="'bitsandbytes'"):
        summarise(folder)


def test_three_dimensional_kernels_give_their_middle_slice_to_a_single_frame(tmp_path: Path) -> None:
    values = config_values(vae=vae_values(kernel_dims=3))
    model = random_model(values)
    tensors = stored_tensors(model)
    stored = {}
    for key, value in tensors.items():
        if key.startswith("vae.") and value.ndim == 4:
            depth = value.shape[-1]
            kernel = torch.full((*value.shape[:2], depth, *value.shape[2:]), 9.0)
            kernel[:, :, depth // 2] = value
            stored[key] = kernel
        else:
            stored[key] = value
    save_file(stored, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path, parse_model_config(values), precision=Precision.FLOAT32, device=torch.device("cpu"))
    assert_same(loaded, model)


# Runs alone: another test's memory would blur the figure. A thread samples between the calls of on_progress too.
MEASURE = """
import json, sys, threading, time
from pathlib import Path
import torch
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.weights import load_model

def anonymous_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

folder, peak, loading = Path(sys.argv[1]), 0, True

def sample():
    global peak
    peak = max(peak, anonymous_bytes())

def watch():
    while loading:
        sample()
        time.sleep(0.001)

config = parse_model_config(read_json(folder / "config.json"))
before = anonymous_bytes()
watcher = threading.Thread(target=watch)
watcher.start()
cpu = torch.device("cpu")
model = load_model(folder, config, precision=Precision.FLOAT32, device=cpu, on_progress=lambda *_: sample())
loading = False
watcher.join()
sizes = [p.numel() * p.element_size() for p in model.parameters()]
print(json.dumps({"peak": peak - before, "final": sum(sizes), "largest": max(sizes)}))
"""


def test_loading_never_holds_more_than_the_finished_model_and_one_tensor(tmp_path: Path) -> None:
    values = config_values(vocab_size=15_000, hidden_size=1024, moe_intermediate_size=256)
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in stored_tensors(HunyuanImage3(parse_model_config(values))).items()}
    tensors = {key: torch.zeros(shape, dtype=torch.bfloat16) for key, shape in shapes.items()}
    write_checkpoint(tmp_path, values, tensors)
    measured = json.loads(
        subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path)], check=True, capture_output=True, text=True, timeout=120
        ).stdout
    )
    allocator = 12 * 2**20
    assert measured["final"] > 150e6
    assert measured["final"] * 0.9 < measured["peak"] <= measured["final"] + measured["largest"] + allocator


# Runs alone: another test's memory would blur the figure.
MEASURE_FP8 = """
import json, sys
from pathlib import Path
import torch
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.weights import empty_model, load_model

def anonymous_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

folder, seen = Path(sys.argv[1]), []
config = parse_model_config(read_json(folder / "config.json"))
# PyTorch imports much on the first use of a type on the meta device.
empty_model(config, precision=Precision.FP8, device=torch.device("meta"))
before = anonymous_bytes()
def on_progress(done, total):
    seen.append(anonymous_bytes())

cpu = torch.device("cpu")
model = load_model(folder, config, precision=Precision.FP8, device=cpu, on_progress=on_progress)
size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
print(json.dumps({"peak": max(seen) - before, "final": size, "stored": sum(p.numel() * 2 for p in model.parameters())}))
"""


def test_loading_holds_the_fp8_model_and_never_the_stored_one(tmp_path: Path) -> None:
    values = config_values(hidden_size=512, moe_intermediate_size=512, num_experts=64)
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in stored_tensors(HunyuanImage3(parse_model_config(values))).items()}
    write_checkpoint(tmp_path, values, {key: torch.zeros(shape, dtype=torch.bfloat16) for key, shape in shapes.items()})
    measured = json.loads(
        subprocess.run(
            [sys.executable, "-c", MEASURE_FP8, str(tmp_path)], check=True, capture_output=True, text=True, timeout=120
        ).stdout
    )
    assert measured["final"] > 100e6
    assert measured["final"] < 0.55 * measured["stored"]
    allocator = 12 * 2**20
    assert measured["final"] * 0.9 < measured["peak"] < measured["final"] + allocator
