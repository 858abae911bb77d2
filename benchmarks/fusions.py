"""A step of the published size, eager and with fused regions: `PYTHONPATH=src:. python3 benchmarks/fusions.py --out D`.

Random weights, made in memory. In one run: eager, each region alone, all together, and eager again, which shows how
far two runs of the same code are apart. Each case has a first step, which compiles, then the timed ones; its velocity
is compared with the eager one. D/fusions-PRECISION.json is a record as `make bench` writes it, written after each
case. Needs nothing but the model's own packages (torch, safetensors). Exits with 1 if a case failed or found no time.
`--tiny --device cpu` runs the same in a minute.
"""

import argparse
import math
import os
import platform
import statistics
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.full_size import GUIDANCE_SCALE, Bench, made_in_memory, new_branches, say
from benchmarks.random_checkpoint import CHECKPOINTS
from benchmarks.record import Figure, Record
from danqing.hunyuan_image3.fusion import Region, fuse
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.sampler import Conditions, start_noise

STARTED = time.perf_counter()
CONDITIONS = Conditions(torch.tensor(900.0), torch.tensor(800.0), GUIDANCE_SCALE)
CASES: dict[str, Sequence[Region]] = {
    "eager": (),
    **{f"{region} fused": (region,) for region in Region},
    "all fused": tuple(Region),
    "eager again": (),
}


class Fusions:
    """The network with its branches, and the velocity that the cases are compared with."""

    def __init__(self, bench: Bench) -> None:
        options = bench.options
        self.bench, self.num_steps = bench, options.steps
        bench.model, bench.plan = made_in_memory(options)
        config = bench.config
        count = len(config.layers)
        layers = f"{count} layers" if options.layers else f"all {count} layers"
        self.group = f"{options.checkpoint} in {options.precision}, {layers}"
        fuse(())
        self.branches = new_branches(bench)
        side = config.base_size_px // config.vae.spatial_factor
        self.noise = start_noise(1, channels=config.vae.latent_channels, height=side, width=side).to(options.device)
        self.eager: Tensor | None = None

    def figures(self, case: str) -> Iterator[Figure]:
        """Measure one case."""
        fuse(CASES[case])
        velocity, first = self.bench.timed(self._step)
        times = [self.bench.timed(self._step)[1] for _ in range(self.num_steps)]
        self.eager = velocity if self.eager is None else self.eager
        difference = float((velocity - self.eager).norm() / self.eager.norm())
        if not math.isfinite(difference):
            raise AssertionError("the velocity has numbers that are not finite")
        yield self._figure(f"a step, {case}", "s", statistics.median(times))
        yield self._figure(f"slowest step, {case}", "s", max(times))
        yield self._figure(f"first step, {case}", "s", first)
        yield self._figure(f"difference from eager, {case}", "of its norm", difference)
        if self.bench.on_gpu:
            peak = torch.cuda.max_memory_allocated() / 1e9
            yield self._figure(f"peak so far, {case}", "GB", peak)

    def _step(self) -> Tensor:
        return self.bench.loaded.velocity(self.noise, CONDITIONS, self.branches)

    def _figure(self, name: str, unit: str, value: float) -> Figure:
        return Figure(group=self.group, name=name, unit=unit, value=value)


def measure(options: argparse.Namespace) -> list[str]:
    """Measure and record every case; returns those that failed or found no time."""
    bench, failed = Bench(options), []
    record = Record(
        date=datetime.now(UTC).date().isoformat(),
        processor=torch.cuda.get_device_name() if bench.on_gpu else platform.processor() or platform.machine(),
        num_processors=torch.cuda.device_count() if bench.on_gpu else os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 1),
        versions={"Python": platform.python_version(), "PyTorch": torch.__version__},
        figures=[],
    )
    fusions = Fusions(bench)
    say(f"made: {fusions.group}")
    for case in CASES:
        try:
            if time.perf_counter() - STARTED > options.budget:
                raise TimeoutError(f"no time left of {options.budget:.0f} s")
            new = list(fusions.figures(case))
        except Exception:
            failed.append(case)
            print(traceback.format_exc(), flush=True)
            continue
        record.figures.extend(new)
        record.write(options.out / f"fusions-{options.precision}.json")
        say(", ".join(f"{figure.name} {figure.value:.4g} {figure.unit}" for figure in new))
    return failed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), metavar="D")
    parser.add_argument("--checkpoint", choices=list(CHECKPOINTS), default="base")
    parser.add_argument("--precision", type=Precision, default=Precision.FP8)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="sizes that a CPU manages in seconds")
    parser.add_argument("--layers", type=int, help="this many layers instead of all")
    parser.add_argument("--prompt-tokens", type=int, default=100)
    parser.add_argument("--steps", type=int, default=5, help="timed ones of each case")
    parser.add_argument("--budget", type=float, default=math.inf, metavar="SECONDS", help="begin no case after this")
    return parser.parse_args()


@torch.inference_mode()
def main() -> int:
    failed = measure(arguments())
    print(f"failed: {', '.join(failed) or 'none'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
