"""The published size with random weights: `PYTHONPATH=src:. python3 benchmarks/full_size.py --out DIR`.

`--folder F` measures a random checkpoint on disk, made first where F does not exist; without it the weights are made in
memory. They are placed by the product's own plan, within `--device-memory` and `--host-memory`. Measured are loading,
reading a prompt, steps, decoding, the memory of each, and in the same run what the machine needs for the arithmetic and
the transfers alone. Needs nothing but the model's own packages (torch, safetensors). Every stage is tried whatever
became of the ones before it; after each, the figures are written to DIR/full_size.json. `--tiny` runs the same stages
on a CPU in seconds. Exits with 1 if one failed.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.random_checkpoint import CHECKPOINTS, config_values, random_tensors, write_random
from danqing.hunyuan_image3.checkpoint_folder import CONFIG_FILE
from danqing.hunyuan_image3.config import ModelConfig, parse_model_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.linear import linear
from danqing.hunyuan_image3.model import Branch, HunyuanImage3
from danqing.hunyuan_image3.placement.fitting import plan_folder
from danqing.hunyuan_image3.placement.machine import machine
from danqing.hunyuan_image3.placement.plan import Plan, Store, gigabytes, resident_plan
from danqing.hunyuan_image3.placement.sizes import step_work
from danqing.hunyuan_image3.placement.streaming import StreamedLayer
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.sampler import DenoiseStep, denoise, schedule, start_noise
from danqing.hunyuan_image3.weights import Places, empty_model, load_placed, stored_precision

STARTED = time.perf_counter()
GUIDANCE_SCALE = 2.5
FLOW_SHIFT = 3.0
# Read from the files, or copied to the device, to learn the rate.
SAMPLE_BYTES = 2 * 10**9
CHUNK_BYTES = 16 * 2**20
# Tokens of the product whose speed stands for all arithmetic: those of one expert on a CPU; a GPU takes all at once.
CPU_TOKENS, GPU_TOKENS = 512, 16_384


def say(text: str) -> None:
    print(f"[{time.perf_counter() - STARTED:6.1f} s] {text}", flush=True)


def resident_bytes(*, peak: bool) -> int:
    """Memory of this process on the host, now or at most since `forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


@dataclass
class Bench:
    """What the stages share: the model once it is loaded, and the figures so far."""

    options: argparse.Namespace
    figures: dict[str, Any] = field(default_factory=dict)
    model: HunyuanImage3 | None = None
    plan: Plan | None = None
    last: DenoiseStep | None = None

    @property
    def folder(self) -> Path | None:
        folder: Path | None = self.options.folder
        return folder

    @property
    def loaded(self) -> HunyuanImage3:
        if self.model is None:
            raise RuntimeError("no model was loaded")
        return self.model

    @property
    def config(self) -> ModelConfig:
        return self.loaded.config

    @property
    def on_gpu(self) -> bool:
        return str(self.options.device).startswith("cuda")

    def wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()

    def timed(self, action: Callable[[], Any]) -> tuple[Any, float]:
        """The result, and the seconds until the device has it."""
        self.wait()
        start = time.perf_counter()
        result = action()
        self.wait()
        return result, time.perf_counter() - start

    def forget_peak(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        for d in range(torch.cuda.device_count() if self.on_gpu else 0):
            torch.cuda.reset_peak_memory_stats(d)

    def record_memory(self, stage: str) -> None:
        """Peaks since `forget_peak`."""
        self.figures[f"{stage}_host_peak_gb"] = resident_bytes(peak=True) / 1e9
        if self.on_gpu:
            peaks = [torch.cuda.max_memory_allocated(d) / 1e9 for d in range(torch.cuda.device_count())]
            self.figures[f"{stage}_device_peaks_gb"] = peaks


def environment(bench: Bench) -> None:
    options = bench.options
    bench.figures.update(
        torch=torch.__version__,
        device=options.device,
        threads=torch.get_num_threads(),
        load_average=os.getloadavg()[0],
        tiny=options.tiny,
    )
    if bench.on_gpu:
        bench.figures.update(gpu=torch.cuda.get_device_name(), cuda=torch.version.cuda)


def make(bench: Bench) -> None:
    """Write the random checkpoint unless it is there."""
    folder, options = bench.folder, bench.options
    if folder is None or folder.exists():
        return
    values = config_values(options.checkpoint, options.precision, tiny=options.tiny, num_layers=options.layers)
    _, seconds = bench.timed(lambda: write_random(folder, values, options.precision, say))
    bench.figures.update(make_seconds=seconds)


def load(bench: Bench) -> None:
    """As a server does: plan, then load as planned."""
    options = bench.options
    bench.forget_peak()
    (bench.model, bench.plan), seconds = bench.timed(lambda: loaded(bench, bench.folder))
    bench.record_memory("load")
    bench.figures.update(
        load_seconds=seconds,
        precision=options.precision,
        num_layers=len(bench.config.layers),
        # Counted on the device and in pinned memory; a reader of files holds no weights.
        plan=asdict(bench.plan) | {"layers": {store: bench.plan.count(store) for store in Store}},
        loaded_gb=resident_bytes(peak=False) / 1e9,
    )
    watch_layers(bench.model)


def loaded(bench: Bench, folder: Path | None) -> tuple[HunyuanImage3, Plan]:
    options = bench.options
    if folder is None:
        return made_in_memory(options)
    there = machine(options.device, device_memory=options.device_memory, host_memory=options.host_memory)
    config = parse_model_config(read_json(folder / CONFIG_FILE))
    options.precision = stored_precision(folder) or options.precision
    plan = plan_folder(folder, config, options.precision, there)
    for device in plan.devices:
        say(f"planned: {device.name} {gigabytes(device.used_bytes)} of {gigabytes(device.memory_bytes)}")
    say(f"planned: layers {', '.join(f'{plan.count(store)} on {store}' for store in Store)}")
    return load_placed(folder, config, precision=options.precision, plan=plan), plan


def made_in_memory(options: argparse.Namespace) -> tuple[HunyuanImage3, Plan]:
    values = config_values(options.checkpoint, options.precision, tiny=options.tiny, num_layers=options.layers)
    config = parse_model_config(values)
    model = empty_model(config, precision=options.precision, device=torch.device(options.device))
    places = Places(model)
    for stored in random_tensors(config, options.precision):
        places.fill(stored.key, stored.read(), parts={suffix: part.read() for suffix, part in stored.parts.items()})
    places.finish()
    return model, resident_plan(len(config.layers), options.device)


def watch_layers(model: HunyuanImage3) -> None:
    """Tell when each layer has been passed, as far as the CPU knows."""
    for i, layer in enumerate(model.model.layers):
        bare = layer.layer if isinstance(layer, StreamedLayer) else layer
        bare.mlp.register_forward_hook(lambda *_, i=i: say(f"layer {i}, {resident_bytes(peak=False) / 1e9:.1f} GB"))


def floors(bench: Bench) -> None:
    """Seconds a step takes for its arithmetic alone and for its transfers alone."""
    plan = bench.plan
    if plan is None:
        raise RuntimeError("no model was loaded")
    flop, rate = step_work(bench.config).flop, flop_rate(bench)
    bench.figures.update(gflop_per_second=rate / 1e9, arithmetic_floor_seconds=flop / rate)
    transfer = 0.0
    if plan.disk_bytes_moved and bench.folder:
        rate = disk_rate(bench.folder)
        bench.figures.update(disk_gb_per_second=rate / 1e9)
        transfer += plan.disk_bytes_moved / rate
    if plan.host_bytes_moved and bench.on_gpu:
        rate = host_rate(bench)
        bench.figures.update(host_gb_per_second=rate / 1e9)
        transfer += plan.host_bytes_moved / rate
    bench.figures.update(transfer_floor_seconds=transfer)


def flop_rate(bench: Bench) -> float:
    """Operations a second of the product that a step consists of most, in the type of activations."""
    width, hidden = bench.config.layers[-1].width, bench.config.hidden_size
    tokens = GPU_TOKENS if bench.on_gpu else CPU_TOKENS
    x = torch.randn(tokens, hidden, dtype=bench.loaded.dtype, device=bench.options.device)
    weight = torch.randn(2 * width, hidden, dtype=bench.loaded.dtype, device=bench.options.device)
    linear(x, weight)
    times = [bench.timed(lambda: linear(x, weight))[1] for _ in range(5)]
    return 2 * tokens * hidden * 2 * width / statistics.median(times)


def disk_rate(folder: Path) -> float:
    """Bytes a second, of files that the system has forgotten."""
    buffer, read_bytes, seconds = bytearray(CHUNK_BYTES), 0, 0.0
    for path in sorted(folder.glob("*.safetensors")):
        file = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            start = time.perf_counter()
            while read_bytes < SAMPLE_BYTES and (count := os.readv(file, [buffer])):
                read_bytes += count
            seconds += time.perf_counter() - start
        finally:
            os.close(file)
    return read_bytes / seconds


def host_rate(bench: Bench) -> float:
    """Bytes a second from pinned memory to the device."""
    source = torch.empty(SAMPLE_BYTES // 8, dtype=torch.uint8, pin_memory=True)
    target = torch.empty_like(source, device=bench.options.device)
    _, seconds = bench.timed(lambda: [target.copy_(source, non_blocking=True) for _ in range(8)])
    return 8 * source.nbytes / seconds


def new_branches(bench: Bench) -> list[Branch]:
    side = bench.config.base_size_px // bench.config.pixels_per_token
    ids = list(range(bench.options.prompt_tokens))
    count = 1 if bench.config.cfg_distilled else 2
    return [bench.loaded.branch(ids, height=side, width=side) for _ in range(count)]


def steps(bench: Bench) -> None:
    """Read the prompt, then denoise as the pipeline does; the first step warms up where there are more."""
    bench.forget_peak()
    branches, prefill_seconds = bench.timed(lambda: new_branches(bench))
    side = bench.config.base_size_px // bench.config.vae.spatial_factor
    noise = start_noise(1, channels=bench.config.vae.latent_channels, height=side, width=side).to(bench.loaded.device)
    denoised = denoise(
        lambda latent, conditions: bench.loaded.velocity(latent, conditions, branches),
        noise,
        sigmas=schedule(bench.options.steps, shift=FLOW_SHIFT),
        guidance_scale=GUIDANCE_SCALE,
    )
    times = []
    for _ in range(bench.options.steps):
        bench.last, seconds = bench.timed(lambda: next(denoised))
        times.append(seconds)
        say(f"step {len(times)}: {seconds:.2f} s")
    bench.record_memory("step")
    step = statistics.median(times[1:] or times)
    bench.figures.update(prefill_seconds=prefill_seconds, step_times=times, step_seconds=step)
    floor = max(bench.figures.get(f"{kind}_floor_seconds", math.nan) for kind in ("arithmetic", "transfer"))
    bench.figures.update(step_over_larger_floor=step / floor)
    check_finite(bench.last.latent if bench.last else None, "latent")


def decode(bench: Bench) -> None:
    """The autoencoder's decoder, on the last step's latent."""
    if bench.last is None:
        raise RuntimeError("no step was made")
    bench.forget_peak()
    latent = bench.last.latent.to(bench.loaded.dtype)
    before = resident_bytes(peak=False)
    picture, seconds = bench.timed(lambda: bench.loaded.vae.decode(latent))
    bench.record_memory("decode")
    growth = (resident_bytes(peak=True) - before) / 1e9
    bench.figures.update(decode_seconds=seconds, decode_host_growth_gb=growth)
    check_finite(picture, "picture")


def check_finite(numbers: Tensor | None, name: str) -> None:
    if numbers is None or not numbers.isfinite().all():
        raise AssertionError(f"the {name} has numbers that are not finite")


STAGES: tuple[Callable[[Bench], None], ...] = (environment, make, load, floors, steps, decode)


def run(bench: Bench) -> list[str]:
    """Try every stage; returns those that failed or found no time."""
    failed: list[str] = []
    for stage in STAGES:
        name = stage.__name__
        before = set(bench.figures)
        say(f"{name} ...")
        try:
            if time.perf_counter() - STARTED > bench.options.budget:
                raise TimeoutError(f"no time left of {bench.options.budget:.0f} s")
            stage(bench)
        except Exception:
            failed.append(name)
            print(traceback.format_exc(), flush=True)
        new = {key: value for key, value in bench.figures.items() if key not in before}
        say(f"{name}: {'FAILED' if name in failed else 'done'} {json.dumps(new)}")
        (bench.options.out / "full_size.json").write_text(json.dumps({**bench.figures, "failed": failed}, indent=1))
    return failed


def num_bytes(text: str) -> int:
    """A number of gigabytes."""
    return int(float(text) * 1e9)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR")
    parser.add_argument("--folder", type=Path, help="a random checkpoint, made if it is not there")
    parser.add_argument("--checkpoint", choices=list(CHECKPOINTS), default="distil", help="which one to make")
    parser.add_argument("--precision", type=Precision, default=Precision.INT4, help="of the one to make")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu", help="or several")
    parser.add_argument("--device-memory", type=num_bytes, metavar="GB")
    parser.add_argument("--host-memory", type=num_bytes, metavar="GB")
    parser.add_argument("--tiny", action="store_true", help="sizes that a CPU manages in seconds")
    parser.add_argument("--layers", type=int, help="make this many layers instead of all")
    parser.add_argument("--prompt-tokens", type=int, default=100, help="a CPU reads every expert for many of them")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--budget", type=float, default=math.inf, metavar="SECONDS", help="begin no stage after this")
    return parser.parse_args()


@torch.inference_mode()
def main() -> int:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    failed = run(bench)
    for key, value in bench.figures.items():
        if isinstance(value, float):
            print(f"{key:30} {value:.4g}")
    print(f"failed: {', '.join(failed) or 'none'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
