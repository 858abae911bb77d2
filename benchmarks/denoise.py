"""Seconds per denoising step and peak memory: `python benchmarks/denoise.py --config medium`.

Random weights, guidance on (two branches), on the CPU. Each number type runs in a process of its own, so that its peak
memory is its own. The floor is what the step's matrix products alone need at the rate that one large product of the
same type reaches in the same process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from danqing.child_process import limit_spinning
from danqing.engine.memory import Heap
from danqing.hunyuan_image3.config import LayerConfig, ModelConfig, VaeConfig
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.sampler import DenoiseStep, denoise, schedule, start_noise
from danqing.hunyuan_image3.weights import empty_model

PRECISIONS = (Precision.FLOAT32, Precision.BFLOAT16)
NUM_PREFIX_TOKENS = 20
NUM_BRANCHES = 2

VAE = VaeConfig(
    pixel_channels=3,
    latent_channels=32,
    block_channels=(32, 32, 32, 32, 32),
    num_blocks=1,
    spatial_factor=16,
    temporal_factor=1,
    scaling_factor=1.0,
    shift_factor=0.0,
    match_channels_down=True,
    match_channels_up=True,
    output_patch_size=1,
    kernel_dims=2,
)
MEDIUM = ModelConfig(
    vocabulary_size=1024,
    hidden_size=512,
    num_query_heads=8,
    num_kv_heads=2,
    head_size=64,
    max_positions=4096,
    rms_norm_eps=1e-5,
    rope_base=10000.0,
    layers=(LayerConfig(num_experts=16, num_experts_per_token=4, num_shared_experts=1, width=384),) * 6,
    patch_size=1,
    patch_embed_hidden_size=256,
    base_size_px=512,
    cfg_distilled=False,
    use_meanflow=False,
    vae=VAE,
)
SMALL = replace(MEDIUM, hidden_size=256, num_query_heads=4, layers=MEDIUM.layers[:4])
CONFIGS = {"medium": MEDIUM, "small": SMALL}


@dataclass(frozen=True)
class Result:
    """One number type's figures. `product_flops` are those of a second of one large product."""

    precision: str
    seconds_per_step: float
    floor_seconds: float
    product_flops: float
    peak_mib: float


def random_model(config: ModelConfig, precision: Precision) -> HunyuanImage3:
    model = empty_model(config, precision=precision, device=torch.device("cpu"))
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.normal_(std=0.02)
    return model


def flops_per_step(config: ModelConfig) -> float:
    """Of the matrix products and convolutions of one step with guidance, counted from shapes."""
    side = config.base_size_px // config.pixels_per_token
    N, D, d = side * side, config.hidden_size, config.head_size
    per_token = 0.0
    for layer in config.layers:
        attention = D * d * (2 * config.num_query_heads + 2 * config.num_kv_heads)
        scores = 2 * config.num_query_heads * d * (NUM_PREFIX_TOKENS + 1 + N)
        width = layer.width * (layer.num_experts_per_token + layer.num_shared_experts)
        per_token += attention + scores + 3 * D * width + D * layer.num_experts
    hidden, C = config.patch_embed_hidden_size, config.vae.latent_channels
    ends = 9 * (C * hidden + hidden * D + D * D + hidden * D + hidden * hidden + hidden * C) + 2 * hidden * D
    return 2 * N * NUM_BRANCHES * (per_token + ends)


def best_rate(dtype: torch.dtype) -> float:
    """Floating-point operations per second of one large matrix product, the best of five."""
    a, b = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return float(2 * 2048**3 / min(times))


@torch.inference_mode()
def steps(config: ModelConfig, precision: Precision, *, num_steps: int) -> Iterator[DenoiseStep]:
    """Steps of one image."""
    model = random_model(config, precision)
    side = config.base_size_px // config.pixels_per_token
    branches = [model.branch(list(range(NUM_PREFIX_TOKENS)), height=side, width=side) for _ in range(NUM_BRANCHES)]
    noise = start_noise(1, channels=config.vae.latent_channels, height=side, width=side)
    yield from denoise(
        lambda latent, conditions: model.velocity(latent, conditions, branches),
        noise,
        sigmas=schedule(num_steps, shift=3.0),
        guidance_scale=7.5,
    )


def measure(config: ModelConfig, precision: Precision, num_steps: int) -> Result:
    rate = best_rate(precision.dtype)
    times, start = [], time.perf_counter()
    for _ in steps(config, precision, num_steps=num_steps + 1):
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The first step warms caches up.
    return Result(precision, statistics.median(times[1:]), flops_per_step(config) / rate, rate, peak_mib)


def measure_in_child(name: str, precision: Precision, *, num_steps: int) -> Result:
    """Measure in a process of its own, whose threads wait and whose memory stays as in the engine's process."""
    environment = dict(os.environ)
    limit_spinning(environment)
    command = [sys.executable, __file__, "--config", name, "--precision", precision, "--steps", str(num_steps)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return Result(**json.loads(output))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", choices=CONFIGS, default="medium")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one that is not")
    parser.add_argument(
        "--precision", type=Precision, choices=PRECISIONS, help="measure this one only, in this process, as JSON"
    )
    arguments = parser.parse_args()
    if arguments.precision:
        Heap()
        print(json.dumps(vars(measure(CONFIGS[arguments.config], arguments.precision, arguments.steps))))
        return
    config = CONFIGS[arguments.config]
    print(f"{arguments.config}: {flops_per_step(config) / 1e9:.0f} GFLOP a step, {torch.get_num_threads()} threads")
    for name in PRECISIONS:
        result = measure_in_child(arguments.config, name, num_steps=arguments.steps)
        print(
            f"{name:9} {result.seconds_per_step:.3f} s a step, arithmetic floor {result.floor_seconds:.3f} s, "
            f"peak memory {result.peak_mib:.0f} MiB"
        )


if __name__ == "__main__":
    main()
