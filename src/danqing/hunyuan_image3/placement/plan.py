"""The placement plan: on which device each layer runs, and where its weights wait for their turn.

A plan is made from sizes alone, before anything is loaded. A device has two peaks, while it denoises and while it
decodes, and both must fit. The autoencoder's decoder leaves a device first, then routed experts, then all other
matrices of its layers. The same rules hold for GPUs and CPUs: a GPU's weights wait in host memory, then on disk; a
CPU's device memory is the host's, so its weights wait on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from danqing.hunyuan_image3.errors import PlacementError

# Weights arrive in two buffers by turns: one is read while the other fills.
NUM_BUFFERS = 2
CONVERT = "`danqing model convert` makes a folder whose experts can be read from disk as they are"


class Store(StrEnum):
    """Where weights are kept between their turns."""

    DEVICE = "device"
    HOST = "host"
    DISK = "disk"


@dataclass(frozen=True, kw_only=True)
class LayerSize:
    """Bytes of one layer: its routed experts, its other matrices, and the rest, which always stays on the device."""

    expert_bytes: int
    matrix_bytes: int
    other_bytes: int


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Bytes of a model in one precision.

    `end_bytes` are the embeddings and both image ends, `decoder_bytes` the autoencoder's decoder. The others are
    estimates of everything beside weights: on each device while it denoises or reads text, and on the first one while
    it decodes.
    """

    layers: Sequence[LayerSize]
    end_bytes: int
    decoder_bytes: int
    denoising_bytes: int
    decoding_bytes: int


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """A device by PyTorch's name and the bytes that the model may use there."""

    name: str
    memory_bytes: int

    @property
    def is_cpu(self) -> bool:
        return self.name.startswith("cpu")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The devices of a model, in the order of its layers, and the bytes of host memory it may use."""

    devices: Sequence[DeviceMemory]
    host_bytes: int


@dataclass(frozen=True, kw_only=True)
class LayerHome:
    """The device a layer runs on, and the stores of its routed experts and of its other matrices."""

    device: str
    experts: Store
    matrices: Store = Store.DEVICE


@dataclass(frozen=True, kw_only=True)
class DevicePlan:
    """What one device holds: weights, buffers and working memory at each of its peaks, and the bytes it has.

    Where nothing is decoded, `decoding_bytes` is 0.
    """

    name: str
    num_layers: int
    denoising_bytes: int
    decoding_bytes: int
    memory_bytes: int

    @property
    def used_bytes(self) -> int:
        """At the larger peak."""
        return max(self.denoising_bytes, self.decoding_bytes)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where everything lives. The ends of the model are on the first device, where the decoder runs too.

    A `decoder` that is not kept there comes for every image that is decoded, while layers' buffers are released.
    `host_bytes_moved` and `disk_bytes_moved` are read from these stores in each step of an image.
    """

    layers: Sequence[LayerHome]
    decoder: Store
    devices: Sequence[DevicePlan]
    host_bytes_used: int
    host_bytes_moved: int
    disk_bytes_moved: int

    def count(self, store: Store) -> int:
        """How many layers keep their experts there."""
        return sum(layer.experts is store for layer in self.layers)


def make_plan(size: ModelSize, machine: Machine, *, reads_disk: bool) -> Plan:
    """Place a model. `reads_disk`: its folder stores weights in the form in which they are used.

    Raises PlacementError with the setting at fault, the bytes needed and the bytes there.
    """
    if not machine.devices:
        raise PlacementError("DANQING_DEVICE names no device")
    host = _Host(machine.host_bytes)
    homes: list[LayerHome] = []
    devices: list[DevicePlan] = []
    decoder = Store.DEVICE
    for d, (device, indexes) in enumerate(zip(machine.devices, split(size, machine.devices), strict=True)):
        layers = [size.layers[i] for i in indexes]
        fit = _fit(size, layers, device, decodes=d == 0)
        host.make_room_for_landing(size, layers, fit, device)
        if fit.decoder_leaves:
            decoder = host.store_for(size.decoder_bytes, device)
        # Host memory takes other matrices first: text needs all of them for every token, and of the experts a few.
        matrices = [host.store_for(layer.matrix_bytes, device) if fit.matrices else Store.DEVICE for layer in layers]
        experts = [
            host.store_for(layer.expert_bytes, device) if i in fit.experts else Store.DEVICE
            for i, layer in enumerate(layers)
        ]
        homes += [LayerHome(device=device.name, experts=a, matrices=b) for a, b in zip(experts, matrices, strict=True)]
        devices.append(
            DevicePlan(
                name=device.name,
                num_layers=len(layers),
                denoising_bytes=fit.peaks.denoising,
                decoding_bytes=fit.peaks.decoding,
                memory_bytes=device.memory_bytes,
            )
        )
    moved = dict.fromkeys(Store, 0)
    for layer, home in zip(size.layers, homes, strict=True):
        moved[home.experts] += layer.expert_bytes
        moved[home.matrices] += layer.matrix_bytes
    if moved[Store.DISK] and not reads_disk:
        raise PlacementError(_no_disk(machine, moved[Store.DISK]))
    return Plan(
        layers=homes,
        decoder=decoder,
        devices=devices,
        host_bytes_used=machine.host_bytes - host.left_bytes,
        host_bytes_moved=moved[Store.HOST],
        disk_bytes_moved=moved[Store.DISK],
    )


@dataclass
class _Host:
    """Host memory that is not given away yet."""

    left_bytes: int

    def make_room_for_landing(
        self, size: ModelSize, layers: Sequence[LayerSize], fit: "_Fit", device: DeviceMemory
    ) -> None:
        """Where not all that leaves a GPU fits here, some of it comes from disk: by way of two buffers here."""
        experts = _sum_and_largest([layer.expert_bytes for i, layer in enumerate(layers) if i in fit.experts])
        matrices = _sum_and_largest([layer.matrix_bytes for layer in layers if fit.matrices])
        leaving = experts.sum + matrices.sum + (size.decoder_bytes if fit.decoder_leaves else 0)
        if leaving > self.left_bytes and not device.is_cpu:
            self.left_bytes = max(0, self.left_bytes - NUM_BUFFERS * (experts.largest + matrices.largest))

    def store_for(self, num_bytes: int, device: DeviceMemory) -> Store:
        """Where weights of a device go that cannot stay on it."""
        if device.is_cpu or num_bytes > self.left_bytes:
            return Store.DISK
        self.left_bytes -= num_bytes
        return Store.HOST


def resident_plan(num_layers: int, device: str) -> Plan:
    """Everything on one device, whatever its memory."""
    return Plan(
        layers=[LayerHome(device=device, experts=Store.DEVICE)] * num_layers,
        decoder=Store.DEVICE,
        devices=[],
        host_bytes_used=0,
        host_bytes_moved=0,
        disk_bytes_moved=0,
    )


def split(size: ModelSize, devices: Sequence[DeviceMemory]) -> list[range]:
    """Contiguous layers for each device, in proportion to its memory; the ends of the model count for the first."""
    end_bytes = size.end_bytes + size.decoder_bytes
    total = end_bytes + sum(map(_layer_bytes, size.layers))
    memory = sum(device.memory_bytes for device in devices)
    parts, start, done, share = [], 0, end_bytes, 0
    for d, device in enumerate(devices):
        share += device.memory_bytes
        end = start
        while end < len(size.layers):
            num_bytes = _layer_bytes(size.layers[end])
            # A layer belongs to the device in whose share its middle falls.
            if d < len(devices) - 1 and (done + num_bytes / 2) * memory > total * share:
                break
            done += num_bytes
            end += 1
        parts.append(range(start, end))
        start = end
    return parts


def _layer_bytes(layer: LayerSize) -> int:
    return layer.expert_bytes + layer.matrix_bytes + layer.other_bytes


class _Peaks(NamedTuple):
    """Bytes on a device while it denoises and while it decodes; the latter 0 where it does not."""

    denoising: int
    decoding: int

    def beside(self, num_bytes: int) -> "_Peaks":
        """With weights that stay all the time."""
        return _Peaks(self.denoising + num_bytes, self.decoding and self.decoding + num_bytes)

    def denoising_with(self, num_bytes: int) -> "_Peaks":
        """With what is there while it denoises alone."""
        return _Peaks(self.denoising + num_bytes, self.decoding)


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """What does not stay on a device: the decoder, which layers' experts, any layer's other matrices; and the peaks."""

    decoder_leaves: bool = False
    experts: frozenset[int] = frozenset()
    matrices: bool = False
    peaks: _Peaks


def _fit(size: ModelSize, layers: Sequence[LayerSize], device: DeviceMemory, *, decodes: bool) -> _Fit:
    """The least that must leave a device for both peaks to fit. Raises PlacementError."""
    fixed_bytes = sum(layer.other_bytes for layer in layers) + (size.end_bytes if decodes else 0)
    bare = _Peaks(
        fixed_bytes + size.denoising_bytes, fixed_bytes + size.decoder_bytes + size.decoding_bytes if decodes else 0
    )
    experts = _sum_and_largest([layer.expert_bytes for layer in layers])
    matrices = _sum_and_largest([layer.matrix_bytes for layer in layers])
    with_layers = bare.beside(experts.sum + matrices.sum)
    whole = with_layers.denoising_with(size.decoder_bytes if decodes else 0)
    for peaks, decoder_leaves in ((whole, False), (with_layers, decodes)):
        if max(peaks) <= device.memory_bytes:
            return _Fit(decoder_leaves=decoder_leaves, peaks=peaks)
    with_buffers = bare.denoising_with(NUM_BUFFERS * experts.largest)
    needed = with_buffers.beside(matrices.sum)
    streams_matrices = max(needed) > device.memory_bytes
    if streams_matrices:
        needed = with_buffers.denoising_with(NUM_BUFFERS * matrices.largest)
    if max(needed) > device.memory_bytes:
        raise PlacementError(_too_small(device, needed))
    with_experts = [i for i, layer in enumerate(layers) if layer.expert_bytes]
    num_resident = int((device.memory_bytes - max(needed)) // experts.largest) if with_experts else 0
    num_streamed = len(with_experts) - num_resident
    # Evenly spread, so that transfers overlap with the layers that stay.
    streamed = frozenset(with_experts[i * len(with_experts) // num_streamed] for i in range(num_streamed))
    resident_bytes = sum(layer.expert_bytes for i, layer in enumerate(layers) if i not in streamed)
    return _Fit(
        decoder_leaves=decodes, experts=streamed, matrices=streams_matrices, peaks=needed.beside(resident_bytes)
    )


class _Bytes(NamedTuple):
    sum: int
    largest: int


def _sum_and_largest(sizes: Sequence[int]) -> _Bytes:
    return _Bytes(sum(sizes), max(sizes, default=0))


def _too_small(device: DeviceMemory, needed: _Peaks) -> str:
    setting = "DANQING_DEVICE_MEMORY or DANQING_HOST_MEMORY" if device.is_cpu else "DANQING_DEVICE_MEMORY"
    decoding = f", and {gigabytes(needed.decoding)} to decode without them" if needed.decoding else ""
    return (
        f"the model needs at least {gigabytes(max(needed))} on {device.name}: {gigabytes(needed.denoising)} to denoise,"
        f" with one layer's weights in use and the next one's arriving{decoding}; it may use"
        f" {gigabytes(device.memory_bytes)} of it, as {setting} says or 90 % of what there is; choose a smaller"
        " precision or another device"
    )


def _no_disk(machine: Machine, disk_bytes: int) -> str:
    where = "memory" if machine.devices[0].is_cpu else "device and host memory"
    return (
        f"{gigabytes(disk_bytes)} of weights find no room in {where} (DANQING_DEVICE_MEMORY, DANQING_HOST_MEMORY:"
        f" {', '.join(f'{device.name} {gigabytes(device.memory_bytes)}' for device in machine.devices)}, host"
        f" {gigabytes(machine.host_bytes)}), and this folder stores them in another form than they are used in;"
        f" {CONVERT}"
    )


def gigabytes(num_bytes: float) -> str:
    """Bytes for people, in units of 10^9."""
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:,.2f} MB"
