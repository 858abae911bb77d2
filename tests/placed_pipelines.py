"""Pipelines with everything where a test wants it, and what they draw."""

from pathlib import Path

import pytest
from tiny_checkpoints import CAPTION, THOUGHT

from danqing.hunyuan_image3 import pipeline as pipeline_module
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.hunyuan_image3.placement.plan import LayerHome, Plan, Store, resident_plan
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.weights import stored_precision

# Where each layer's experts wait, in capitals its other matrices too; where each runs; and where the decoder waits.
WHERE = {
    "host": (["host"] * 5, ["cpu"] * 5, "host"),
    "disk": (["disk"] * 5, ["cpu"] * 5, "disk"),
    "one streamed layer": (["device", "device", "disk", "device", "device"], ["cpu"] * 5, "host"),
    "mixed": (["disk", "device", "host", "disk", "host"], ["cpu"] * 5, "device"),
    "whole layers on disk": (["DISK"] * 5, ["cpu"] * 5, "disk"),
    "whole layers mixed": (["DISK", "device", "HOST", "HOST", "disk"], ["cpu"] * 5, "host"),
    "decoder alone on disk": (["device"] * 5, ["cpu"] * 5, "disk"),
    # Names of two devices that are one: the code of a split without a second device.
    "split": (["device"] * 5, ["cpu:0", "cpu:0", "cpu:1", "cpu:1", "cpu:1"], "device"),
    "split and streamed": (["disk"] * 5, ["cpu:0", "cpu:0", "cpu:1", "cpu:1", "cpu:1"], "host"),
}


def placed(where: str, num_layers: int) -> Plan:
    """The first layers of one of WHERE."""
    stores, devices, decoder = WHERE[where]
    homes = [
        LayerHome(device=d, experts=Store(s.lower()), matrices=Store(s.lower()) if s.isupper() else Store.DEVICE)
        for s, d in zip(stores, devices, strict=True)
    ]
    return Plan(
        layers=homes[:num_layers],
        decoder=Store(decoder),
        devices=[],
        host_bytes_used=0,
        host_bytes_moved=0,
        disk_bytes_moved=0,
    )


def load(folder: Path, where: str | None, precision: Precision = Precision.FLOAT32) -> Pipeline:
    """Placed as in WHERE, or resident. A converted folder keeps its own precision."""
    with pytest.MonkeyPatch.context() as patch:

        def planned(folder: Path, config: object, precision: Precision, machine: object) -> Plan:
            num_layers = len(config.layers)  # type: ignore[attr-defined]
            return placed(where, num_layers) if where else resident_plan(num_layers, "cpu")

        patch.setattr(pipeline_module, "plan_folder", planned)
        return Pipeline.load(folder, precision=stored_precision(folder) or precision)


def outcome(pipeline: Pipeline, name: str) -> bytes:
    """A caption where the checkpoint writes one, then the picture of it."""
    caption = thought = None
    if name in ("instruct", "distil"):
        written = pipeline.expand("A red fox", seed=5)
        caption, thought = written.caption, written.thought
        assert (thought, caption) == (THOUGHT, CAPTION)
    request = TextToImage(
        prompt="A red fox",
        num_inference_steps=2,
        guidance_scale=5.0,
        thought=thought,
        caption=caption,
        width_px=128,
        height_px=128,
    )
    prefix = pipeline.prefill(request)
    *_, last = pipeline.denoise(prefix, seed=3)
    return pipeline.decode(last.latent, prefix).tobytes() + last.latent.numpy().tobytes()
