"""Placement plans on the terminal: what each precision keeps where, and what bounds a step."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from danqing.cli.terminal import literal

if TYPE_CHECKING:
    from danqing.hunyuan_image3.placement.estimate import Estimate
    from danqing.hunyuan_image3.placement.plan import DevicePlan, Machine


def supposed_machine(device: str, *, device_memory: int, host_memory: int) -> Machine:
    """A machine that need not be this one: the devices named, with these bytes each."""
    from danqing.hunyuan_image3.placement.plan import DeviceMemory, Machine

    names = ["cuda:0" if name.strip() == "cuda" else name.strip() for name in device.split(",")]
    devices = [DeviceMemory(name=name, memory_bytes=device_memory) for name in names]
    return Machine(devices=devices, host_bytes=host_memory)


def plan_rows(estimates: list[Estimate]) -> dict[str, str]:
    """A line of text for each precision, by its name."""
    return {f"plan, {each.precision.value}": _described(each) for each in estimates} | {
        "rates": literal(estimates[0].rates.source)
    }


def plan_json(estimates: list[Estimate]) -> list[dict[str, Any]]:
    """The same for programs."""
    from dataclasses import asdict

    return [{**asdict(each), "bound_by": each.bound_by if each.plan else None} for each in estimates]


def _described(estimate: Estimate) -> str:
    from danqing.hunyuan_image3.placement.plan import Store, gigabytes

    plan = estimate.plan
    if plan is None:
        return f"[yellow]no:[/] {literal(estimate.why_not)}"
    stores = {Store.DEVICE: "on the device", Store.HOST: "in host memory", Store.DISK: "on disk"}
    experts = ", ".join(f"{plan.count(store)} {where}" for store, where in stores.items() if plan.count(store))
    matrices = Counter(layer.matrices for layer in plan.layers if layer.matrices is not Store.DEVICE)
    others = "".join(f"; other matrices of {count} {stores[store]}" for store, count in matrices.items())
    devices = ", ".join(map(_device, plan.devices))
    decoder = "" if plan.decoder is Store.DEVICE else f"; decoder {stores[plan.decoder]}"
    moved = gigabytes(plan.host_bytes_moved + plan.disk_bytes_moved)
    seconds = max(estimate.transfer_seconds, estimate.arithmetic_seconds)
    moving = f"moves {moved} a step" if plan.host_bytes_moved + plan.disk_bytes_moved else "moves nothing"
    converted = " (from a folder of this precision)" if plan.disk_bytes_moved else ""
    return (
        f"{literal(devices)}; experts of {experts}{others}{decoder}{converted}; {moving}, about {seconds:.3g} s,"
        f" bound by {estimate.bound_by}"
    )


def _device(device: DevicePlan) -> str:
    from danqing.hunyuan_image3.placement.plan import gigabytes

    denoising, decoding, there = map(gigabytes, (device.denoising_bytes, device.decoding_bytes, device.memory_bytes))
    if not device.decoding_bytes:
        return f"{device.name} {denoising} of {there}"
    return f"{device.name} {denoising} to denoise and {decoding} to decode of {there}"
