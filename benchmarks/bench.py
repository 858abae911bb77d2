"""The figures that matter in one table, beside the last recorded ones: `make bench`, under five minutes.

Start, a picture of `mini` as the machine is and beside two busy processes, memory of the engine's process, the medium
case against its floor, PNG encoding. Other programs on the machine make it longer. On another machine, or a busier one,
only ratios tell anything; the machine's own speed is the first of them. The other scripts of this folder look into one
of these figures each.
"""

import argparse
import asyncio
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.denoise import measure_in_child
from benchmarks.memory import curve, draw, ready_engine
from benchmarks.record import Figure, Record, newest_record, read_record, table
from benchmarks.threads import busy
from danqing.engine.local import LocalEngine
from danqing.hunyuan_image3.precision import Precision, multiplies_bfloat16
from danqing.pictures.encoding import Provenance, encode
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest

DANQING = Path(sys.executable).with_name("danqing")
OUT = Path("build/bench.json")
NUM_STARTS = 2
NUM_PICTURES = 3
NUM_BUSY = 2
NUM_SMALL_REQUESTS = 20
NUM_MEDIUM_STEPS = 3
NUM_ENCODINGS = 5
PICTURE = ImageRequest(
    prompt="a red fox in the snow", seed=1, width_px=1280, height_px=768, num_inference_steps=28, guidance_scale=7.5
)
CPU_SECONDS_PER_TICK = 1 / os.sysconf("SC_CLK_TCK")


def start_figures() -> Iterator[Figure]:
    """From a command to its first picture, and to a server that can draw."""
    for name, run in (("`danqing generate`, a picture", _generate), ("`danqing serve`, ready and ended", _serve)):
        wall, processor = zip(*(run() for _ in range(NUM_STARTS)), strict=True)
        yield Figure(group="start", name=name, unit="s", value=min(wall))
        yield Figure(group="start", name=name, unit="processor s", value=min(processor))


def _generate() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        output = ["--output", f"{folder}/picture.png"]
        cpu_start, start = _processor_seconds_of_children(), time.perf_counter()
        subprocess.run(
            [DANQING, "generate", PICTURE.prompt, "--seed", "1", "--no-show", *output],
            env=_environment(folder),
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - start, _processor_seconds_of_children() - cpu_start


def _serve() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        cpu_start, start = _processor_seconds_of_children(), time.perf_counter()
        with subprocess.Popen(
            [DANQING, "serve", "--port", "0"],
            env=_environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server:
            assert server.stdout is not None
            ready = any(line.startswith("Ready") for line in server.stdout)
            seconds = time.perf_counter() - start
            server.terminate()
        if not ready:
            raise RuntimeError(f"danqing serve ended with {server.returncode} before it was ready")
        return seconds, _processor_seconds_of_children() - cpu_start


def _environment(folder: str) -> dict[str, str]:
    """Without settings but a data folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DANQING_")}
    return kept | {"DANQING_DATA_DIR": folder}


def _processor_seconds_of_children() -> float:
    """Of all that have ended, and of what they waited for themselves."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def picture_figures() -> tuple[list[Figure], Raster]:
    """A picture of `mini` in the engine's process, on a machine left alone and on one that is not; and the picture."""
    figures = []
    async with ready_engine() as engine:
        raster, _, _ = await _timed_picture(engine)
        for name, num_busy in (("as the machine is", 0), (f"beside {NUM_BUSY} busy processes", NUM_BUSY)):
            with busy(num_busy):
                samples = [await _timed_picture(engine) for _ in range(NUM_PICTURES)]
            _, wall, processor = zip(*samples, strict=True)
            group = f"picture of mini, {PICTURE.num_inference_steps} steps"
            figures.append(Figure(group=group, name=name, unit="s", value=statistics.median(wall)))
            figures.append(Figure(group=group, name=name, unit="processor s", value=statistics.median(processor)))
    return figures, raster


async def _timed_picture(engine: LocalEngine) -> tuple[Raster, float, float]:
    pid = engine.child_pid
    assert pid is not None
    cpu_start, start = _processor_seconds(pid), time.perf_counter()
    raster = await draw(engine, PICTURE)
    return raster, time.perf_counter() - start, _processor_seconds(pid) - cpu_start


def _processor_seconds(pid: int) -> float:
    """What a process has used so far, on Linux."""
    # After the name, which may hold spaces: user and system time are the twelfth and thirteenth.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * CPU_SECONDS_PER_TICK


async def memory_figures() -> list[Figure]:
    """Memory of the engine's process, before and after requests of different length."""
    found = [memory_mib async for _, memory_mib in curve(NUM_SMALL_REQUESTS)]
    return [
        Figure(group="memory", name="ready", unit="MiB", value=found[0]),
        Figure(group="memory", name=f"after {NUM_SMALL_REQUESTS} requests", unit="MiB", value=found[-1]),
    ]


def medium_figures() -> Iterator[Figure]:
    """The machine's own speed and a step of the medium case; bfloat16 only where it is not emulated."""
    precisions = [Precision.FLOAT32]
    if multiplies_bfloat16(torch.device("cpu")):
        precisions.append(Precision.BFLOAT16)
    for precision in precisions:
        result = measure_in_child("medium", precision, num_steps=NUM_MEDIUM_STEPS)
        step, floor = result.seconds_per_step, result.floor_seconds
        yield Figure(group="machine", name=f"product, {precision}", unit="GFLOP/s", value=result.product_flops / 1e9)
        yield Figure(group="medium case", name=f"a step, {precision}", unit="s", value=step)
        yield Figure(group="medium case", name=f"a step, {precision}", unit="times its floor", value=step / floor)


def encoding_figures(raster: Raster) -> list[Figure]:
    """The picture as a PNG."""
    provenance = Provenance(model="mini", seed=1)
    seconds = []
    for _ in range(NUM_ENCODINGS):
        start = time.process_time()
        encoded = encode(raster, output_format="png", output_compression=None, provenance=provenance)
        seconds.append(time.process_time() - start)
    return [
        Figure(group="PNG", name="encoding", unit="processor ms", value=1000 * min(seconds)),
        Figure(group="PNG", name="size", unit="KiB", value=len(encoded.data) / 1024),
    ]


def measure() -> Record:
    """Measure everything."""
    load = os.getloadavg()[0]
    figures = []
    _say("medium case")
    figures += medium_figures()
    _say("start")
    figures += start_figures()
    _say("pictures")
    pictures, raster = asyncio.run(picture_figures())
    figures += pictures
    _say("memory")
    figures += asyncio.run(memory_figures())
    return Record(
        date=datetime.now(UTC).date().isoformat(),
        processor=_processor(),
        num_processors=os.cpu_count() or 1,
        load=round(load, 1),
        versions={"Python": platform.python_version(), "PyTorch": version("torch")},
        figures=[*figures, *encoding_figures(raster)],
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _say(part: str) -> None:
    print(f"measuring: {part}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="the file for the record [default: %(default)s]")
    out = parser.parse_args().out
    path = newest_record()
    recorded = read_record(path) if path else None
    start = time.perf_counter()
    now = measure()
    now.write(out)
    print(table(now, recorded))
    print(f"\nmeasured in {time.perf_counter() - start:.0f} s, written to {out}")


if __name__ == "__main__":
    main()
