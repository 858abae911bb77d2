"""Threads and how they wait for each other: `python -m benchmarks.threads`, about five minutes.

Seconds of a picture of `mini` (7 steps, 1280x768) and of a step of the medium case, as the machine is and beside two
busy processes. The settings take turns, round after round, so that all meet the same load; the least of a setting's
samples stands for a quiet machine, the median for this one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "PyTorch's own": {},
    "short spin": {"GOMP_SPINCOUNT": "1000"},
    "no spin": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
NUM_STEPS = 7
CASES = {"mini": 3, "medium": 2}
"""How many samples a process takes of each."""
Sample = tuple[float, float]
"""Wall and processor seconds."""


@contextmanager
def busy(num_processes: int) -> Iterator[None]:
    """Other programs that use a processor each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(num_processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def samples_in_child(case: str, setting: Mapping[str, str]) -> list[Sample]:
    """Samples of a process of its own: OpenMP reads its settings once."""
    command = [sys.executable, "-m", "benchmarks.threads", "--case", case]
    output = subprocess.run(command, env={**os.environ, **setting}, check=True, capture_output=True, text=True).stdout
    return [(wall, cpu) for wall, cpu in json.loads(output)]


def samples(case: str) -> Iterator[Sample]:
    """Samples of this process, after a first run that warms caches up."""
    run = _mini() if case == "mini" else _medium()
    run()
    for _ in range(CASES[case]):
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        yield time.perf_counter() - start, time.process_time() - cpu_start


def _mini() -> Callable[[], object]:
    from benchmarks.latency import BUNDLED, draw
    from danqing.hunyuan_image3.pipeline import Pipeline

    pipeline = Pipeline.load(BUNDLED)
    return lambda: draw(pipeline, num_steps=NUM_STEPS)


def _medium() -> Callable[[], object]:
    from benchmarks.denoise import MEDIUM, steps
    from danqing.hunyuan_image3.precision import Precision

    running = steps(MEDIUM, Precision.FLOAT32, num_steps=CASES["medium"] + 1)
    return lambda: next(running)


def table(num_busy: int, *, num_rounds: int) -> None:
    """Measure and print beside so many busy processes."""
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    with busy(num_busy):
        for _ in range(num_rounds):
            for case in CASES:
                for name, setting in SETTINGS.items():
                    found[case, name] += samples_in_child(case, setting)
    print(f"\n| {num_busy} busy processes | least, s | median, s | processor, median, s |\n|---|---|---|---|")
    for (case, name), samples in found.items():
        wall, cpu = zip(*samples, strict=True)
        print(f"| {case}, {name} | {min(wall):.2f} | {statistics.median(wall):.2f} | {statistics.median(cpu):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--case", choices=CASES, help="sample this case in this process and print JSON")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(list(samples(arguments.case))))
        return
    for num_busy in (0, 2):
        table(num_busy, num_rounds=arguments.rounds)


if __name__ == "__main__":
    main()
