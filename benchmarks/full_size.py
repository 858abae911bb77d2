"""The published size on one GPU, experts in fp8: `PYTHONPATH=src python3 benchmarks/full_size.py --out DIR`.

Random weights, made on the device; guidance on (two branches); 1024 x 1024. Needs nothing but the model's own packages
(torch, safetensors). Every stage is tried whatever became of the ones before it. What was measured is printed and,
after each stage, written to DIR/full_size.json. `--tiny` runs the same stages on a CPU in seconds. Exits with 1 if one
failed.
"""

import argparse
import json
import math
import re
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from danqing.hunyuan_image3 import fp8_experts
from danqing.hunyuan_image3.config import LayerConfig, ModelConfig, VaeConfig
from danqing.hunyuan_image3.experts import gated
from danqing.hunyuan_image3.fp8 import expert_products, grouped_product, looped_product
from danqing.hunyuan_image3.model import Branch, HunyuanImage3
from danqing.hunyuan_image3.moe import route
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.sampler import denoise, schedule, start_noise
from danqing.hunyuan_image3.weights import Places, empty_model, meta_model

STARTED = time.perf_counter()
NUM_PREFIX_TOKENS = 100
NUM_WARM_UP_STEPS = 2
GUIDANCE_SCALE = 7.5
# Of one step with guidance at full size, and what bfloat16 arithmetic alone would need for it on an H200.
FLOP_PER_STEP = 2.4e14
BFLOAT16_FLOOR_SECONDS = 0.30
ERROR_LIMIT = 0.1

FULL = ModelConfig(
    vocabulary_size=133_120,
    hidden_size=4096,
    num_query_heads=32,
    num_kv_heads=8,
    head_size=128,
    max_positions=22_800,
    rms_norm_eps=1e-5,
    rope_base=10_000.0,
    layers=(LayerConfig(num_experts=64, num_experts_per_token=8, num_shared_experts=1, width=3072),) * 32,
    patch_size=1,
    patch_embed_hidden_size=1024,
    base_size_px=1024,
    cfg_distilled=False,
    use_meanflow=False,
    vae=VaeConfig(
        pixel_channels=3,
        latent_channels=32,
        block_channels=(128, 256, 512, 1024, 1024),
        num_blocks=2,
        spatial_factor=16,
        temporal_factor=4,
        scaling_factor=0.562679178327931,
        shift_factor=0.0,
        match_channels_down=True,
        match_channels_up=True,
        output_patch_size=1,
        kernel_dims=3,
    ),
)
TINY = replace(
    FULL,
    vocabulary_size=512,
    hidden_size=64,
    num_query_heads=4,
    num_kv_heads=2,
    head_size=16,
    layers=(LayerConfig(num_experts=8, num_experts_per_token=2, num_shared_experts=1, width=32),) * 2,
    patch_embed_hidden_size=32,
    base_size_px=128,
    # One frame: a processor that emulates bfloat16 takes minutes for the published four.
    vae=replace(FULL.vae, block_channels=(32,) * 5, num_blocks=0, temporal_factor=1, kernel_dims=2),
)


def say(text: str) -> None:
    print(f"[{time.perf_counter() - STARTED:6.1f} s] {text}", flush=True)


@dataclass
class Bench:
    """What the stages share: the model once it is built, and the figures so far."""

    config: ModelConfig
    device: torch.device
    num_steps: int
    figures: dict[str, Any] = field(default_factory=dict)
    model: HunyuanImage3 | None = None

    @property
    def built(self) -> HunyuanImage3:
        if self.model is None:
            raise RuntimeError("there is no model")
        return self.model

    @property
    def side(self) -> int:
        return self.config.base_size_px // self.config.pixels_per_token

    def timed(self, action: Callable[[], Any]) -> tuple[Any, float]:
        """The result and the seconds it took on the device."""
        if self.device.type == "cpu":
            start = time.perf_counter()
            return action(), time.perf_counter() - start
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        result = action()
        end.record()
        end.synchronize()
        return result, begin.elapsed_time(end) / 1000

    def memory_gb(self, *, peak: bool = True) -> float:
        if self.device.type == "cpu":
            return math.nan
        count = torch.cuda.max_memory_allocated if peak else torch.cuda.memory_allocated
        return count(self.device) / 1e9

    def forget_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


def environment(bench: Bench) -> None:
    bench.figures.update(full_size=bench.config == FULL)
    bench.figures.update(torch=torch.__version__, cuda=torch.version.cuda, device=str(bench.device))
    if bench.device.type == "cuda":
        gpu = torch.cuda.get_device_properties(bench.device)
        bench.figures.update(gpu=gpu.name, gpu_memory_gb=gpu.total_memory / 1e9, capability=f"{gpu.major}.{gpu.minor}")
    say(json.dumps(bench.figures))


def build(bench: Bench) -> None:
    """Fill every place of the checkpoint, as loading does, with random numbers that keep signals at unit scale."""
    start = time.perf_counter()
    torch.manual_seed(0)
    model = empty_model(bench.config, precision=Precision.FP8, device=bench.device)
    places = Places(model)
    # In bfloat16 every place has the shape of what files store.
    keys = list(Places(meta_model(bench.config, precision=Precision.BFLOAT16, activations=torch.bfloat16)))
    for i, (key, place) in enumerate(keys):
        if place.ndim == 1:
            value = torch.full(place.shape, 0.0 if key.endswith("bias") else 1.0, device=bench.device)
        else:
            std = place[0].numel() ** -0.5
            value = torch.empty(place.shape, device=bench.device).normal_(std=std)
        places.fill(key, value)
        if i % 2000 == 0:
            say(f"filled {i} of {len(keys)} places, {bench.memory_gb(peak=False):.1f} GB")
    places.finish()
    bench.timed(lambda: None)
    bench.model = model
    bench.figures.update(
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        weights_gb=sum(t.numel() * t.element_size() for t in model.state_dict().values()) / 1e9,
        build_seconds=time.perf_counter() - start,
        build_peak_gb=bench.memory_gb(),
    )


def new_branches(bench: Bench) -> list[Branch]:
    ids = torch.arange(NUM_PREFIX_TOKENS).tolist()
    return [bench.built.branch(ids, height=bench.side, width=bench.side) for _ in range(2)]


def prefill(bench: Bench) -> None:
    """Read the caption for both branches; the second time counts."""
    new_branches(bench)
    _, seconds = bench.timed(lambda: new_branches(bench))
    bench.figures.update(prefill_seconds=seconds)


def dense_weight(values: Tensor, scale: Tensor) -> Tensor:
    return values.float() * scale[:, None]


def exact_mlp(x: Tensor, gate_and_up: Tensor, down: Tensor) -> Tensor:
    return gated(x @ gate_and_up.T) @ down.T


def exact_mixture(mixture: Any, x_TD: Tensor) -> Tensor:
    """The layer in float32 with the same weights, dequantised: what is left is mostly the error of tokens in fp8."""
    weight_TK, expert_TK = route(mixture.gate(x_TD), num_experts_per_token=mixture.num_experts_per_token)
    x, shared, experts = x_TD.float(), mixture.shared_mlp, mixture.experts
    out = exact_mlp(x, shared.gate_and_up_proj.weight.float(), shared.down_proj.weight.float())
    for e in range(len(experts.down_proj)):
        token, k = (expert_TK == e).nonzero(as_tuple=True)
        gate_and_up = dense_weight(experts.gate_and_up_proj[e], experts.gate_and_up_proj_scale[e])
        down = dense_weight(experts.down_proj[e], experts.down_proj_scale[e])
        out.index_add_(0, token, weight_TK[token, k, None] * exact_mlp(x[token], gate_and_up, down))
    return out


def correctness(bench: Bench, way: str) -> None:
    """One layer's mixture of experts on random tokens against float32."""
    mixture = bench.built.model.layers[0].mlp
    x_TD = torch.randn(1000, bench.config.hidden_size, device=bench.device).bfloat16()
    exact = exact_mixture(mixture, x_TD)
    use(way)
    error = ((mixture(x_TD).float() - exact).norm() / exact.norm()).item()
    bench.figures[f"moe_error_{way}"] = error
    if not error < ERROR_LIMIT:
        raise AssertionError(f"relative error {error:.4f}, allowed {ERROR_LIMIT}")


WAYS = {"grouped": grouped_product, "looped": looped_product}


def use(way: str) -> None:
    """Let the experts multiply in this way, whatever the device would choose."""
    fp8_experts.expert_products = lambda _: WAYS[way]


def walk(bench: Bench, num_steps: int) -> tuple[list[float], Tensor]:
    """Seconds of each denoising step as the pipeline takes it, and the last latent."""
    branches, side = new_branches(bench), bench.side * bench.config.patch_size
    noise = start_noise(1, channels=bench.config.vae.latent_channels, height=side, width=side).to(bench.device)
    steps = denoise(
        lambda latent, conditions: bench.built.velocity(latent, conditions, branches),
        noise,
        sigmas=schedule(num_steps, shift=3.0),
        guidance_scale=GUIDANCE_SCALE,
    )
    times = []
    for _ in range(num_steps):
        step, seconds = bench.timed(lambda: next(steps))
        times.append(seconds)
    return times, step.latent


def speed(bench: Bench, way: str, *, name: str) -> None:
    use(way)
    bench.forget_peak()
    times, latent = walk(bench, NUM_WARM_UP_STEPS + bench.num_steps)
    bench.figures[f"step_times_{name}"] = times
    bench.figures[f"step_seconds_{name}"] = statistics.median(times[NUM_WARM_UP_STEPS:])
    bench.figures[f"step_peak_gb_{name}"] = bench.memory_gb()
    if not latent.isfinite().all():
        raise AssertionError("the latent has numbers that are not finite")


def kernel_name(key: str) -> str:
    """What tells a kernel from others, which their common beginnings would crowd out."""
    return re.sub(r"\bvoid |\bat::native::|\(anonymous namespace\)::|\bgpu_kernel_impl(_nocast)?<", "", key)[:120]


def profiled(bench: Bench, way: str) -> None:
    use(way)
    on_gpu = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        walk(bench, 1)
    averages = profiler.key_averages()
    kind = "device" if on_gpu else "cpu"
    averages = sorted(averages, key=lambda each: getattr(each, f"self_{kind}_time_total"), reverse=True)
    # The prefill of the caption is in it too, and small.
    rows = [(kernel_name(each.key), each.count, getattr(each, f"self_{kind}_time_total") / 1000) for each in averages]
    rows = [row for row in rows if row[2] > 0][:25]
    bench.figures["profile"] = rows
    for key, count, milliseconds in rows:
        print(f"  {milliseconds:9.2f} ms {count:6}  {key}", flush=True)


def decode(bench: Bench) -> None:
    """The autoencoder's decoder; the first time includes the choice of kernels."""
    bench.forget_peak()
    side = bench.side * bench.config.patch_size
    latent = torch.randn(1, bench.config.vae.latent_channels, side, side, device=bench.device).bfloat16()
    vae = bench.built.vae
    _, first = bench.timed(lambda: vae.decode(latent))
    picture, seconds = bench.timed(lambda: vae.decode(latent))
    bench.figures.update(first_decode_seconds=first, decode_seconds=seconds, decode_peak_gb=bench.memory_gb())
    if picture.shape[2:] != (bench.config.base_size_px,) * 2 or not picture.isfinite().all():
        raise AssertionError(f"the picture has shape {list(picture.shape)} or numbers that are not finite")


def summary(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures that matter, in words."""
    rows = [(key, f"{value:.4g}") for key, value in figures.items() if isinstance(value, float)]
    times = [value for key, value in figures.items() if key in ("step_seconds_grouped", "step_seconds_looped")]
    if times:
        step = min(times)
        if figures.get("full_size"):
            rows.append(("step over bfloat16 floor of 0.30 s", f"{step / BFLOAT16_FLOOR_SECONDS:.2f}"))
            rows.append(("TFLOP/s", f"{FLOP_PER_STEP / step / 1e12:.0f}"))
        rest = figures.get("prefill_seconds", math.nan) + figures.get("decode_seconds", math.nan)
        rows += [(f"seconds an image of {n} steps", f"{n * step + rest:.2f}") for n in (28, 50)]
    return rows


def run(bench: Bench, stages: dict[str, Callable[[], None]], *, out: Path, budget_seconds: float) -> int:
    """Try every stage; returns how many failed or found no time."""
    failed = []
    for name, stage in stages.items():
        if time.perf_counter() - STARTED > budget_seconds:
            say(f"{name}: no time left")
            failed.append(name)
            continue
        say(f"{name} ...")
        before = set(bench.figures)
        try:
            stage()
        except Exception:
            failed.append(name)
            print(traceback.format_exc(), flush=True)
        new = {key: value for key, value in bench.figures.items() if key not in before and key != "profile"}
        say(f"{name}: {'FAILED' if name in failed else 'done'} {json.dumps(new)}")
        (out / "full_size.json").write_text(json.dumps({**bench.figures, "failed": failed}, indent=1))
    for key, value in summary(bench.figures):
        print(f"{key:45} {value}")
    print(f"failed: {', '.join(failed) or 'none'}", flush=True)
    return len(failed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="sizes that a CPU manages in seconds")
    parser.add_argument("--layers", type=int, help="this many layers instead of all")
    parser.add_argument("--steps", type=int, default=6, help="timed steps, after the warm-up")
    parser.add_argument("--budget", type=float, default=math.inf, metavar="SECONDS", help="begin no stage after this")
    return parser.parse_args()


@torch.inference_mode()
def main() -> int:
    options = arguments()
    config = TINY if options.tiny else FULL
    if options.layers:
        config = replace(config, layers=config.layers[:1] * options.layers)
    bench = Bench(config, torch.device(options.device), options.steps)
    options.out.mkdir(parents=True, exist_ok=True)
    stages: dict[str, Callable[[], None]] = {
        "environment": lambda: environment(bench),
        "build": lambda: build(bench),
        "prefill": lambda: prefill(bench),
        "decode": lambda: decode(bench),
    }
    # The product's own way first.
    chosen = expert_products(bench.device)
    ways = ["grouped", "looped"] if chosen is grouped_product else ["looped"]
    for way in ways:
        stages[f"correctness, {way}"] = partial(correctness, bench, way)
        stages[f"speed, {way}"] = partial(speed, bench, way, name=way)
    stages["profile"] = lambda: profiled(bench, ways[0])
    return min(run(bench, stages, out=options.out, budget_seconds=options.budget), 1)


if __name__ == "__main__":
    sys.exit(main())
