"""Weights that are kept in host memory or on disk and come to the device for their layer's turn.

A stream has two buffers, which can be released while no layer runs. While a layer computes from one, the next streamed
layer arrives in the other, read by a thread of its own and, on a GPU, copied on a stream of its own. With few tokens,
as in text, only the experts that they are routed to are fetched. The numbers that arrive are those that a resident
layer would hold, bit for bit.

A stream carries parts by name, each with a first axis of what can be fetched alone: the experts of a layer, [E, ...],
or a matrix as the only one, [1, N, K].

Not yet run on a GPU: the branches for CUDA.

Letters: T tokens, K experts per token, D hidden size.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.experts import RoutedExperts
from danqing.hunyuan_image3.kv_cache import KvCache
from danqing.hunyuan_image3.placement import host_memory
from danqing.hunyuan_image3.placement.plan import NUM_BUFFERS
from danqing.hunyuan_image3.rope import Rotation
from danqing.hunyuan_image3.stored_tensors import FileRange
from danqing.hunyuan_image3.transformer import Layer

# Parts begin at multiples of this, as those of separate tensors do.
ALIGNMENT_BYTES = 64


Parts = Mapping[str, Tensor]


class WeightSource(Protocol):
    """Where the streamed weights of one layer are kept."""

    in_host_memory: bool

    def read(self, targets: Parts, chosen: Sequence[int] | None) -> None:
        """Copy the chosen entries of every part, or all, into the tensors of the same names."""


class HostSource:
    """Weights in host memory, pinned where a GPU reads them."""

    in_host_memory = True

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def read(self, targets: Parts, chosen: Sequence[int] | None) -> None:
        """Copies to a GPU are queued on the current stream."""
        for name, part in self._parts.items():
            if chosen is None:
                targets[name].copy_(part, non_blocking=True)
            else:
                for e in chosen:
                    targets[name][e].copy_(part[e], non_blocking=True)


class DiskSource:
    """Weights in the files of a checkpoint: for each part, where each entry of its first axis is."""

    in_host_memory = False

    def __init__(self, ranges: Mapping[str, Sequence[FileRange]]) -> None:
        self._ranges = ranges

    def read(self, targets: Parts, chosen: Sequence[int] | None) -> None:
        """The targets are in host memory. Raises CheckpointError where a file ends early, and OSError."""
        wanted = [
            (file_range, target[e])
            for name, target in targets.items()
            for e, file_range in enumerate(self._ranges[name])
            if chosen is None or e in chosen
        ]
        with ExitStack() as stack:
            files: dict[str, int] = {}
            for file_range, target in sorted(wanted, key=lambda each: (str(each[0].path), each[0].offset)):
                path = str(file_range.path)
                if path not in files:
                    files[path] = os.open(path, os.O_RDONLY)
                    stack.callback(os.close, files[path])
                _read_into(files[path], file_range, target)


def _read_into(file: int, file_range: FileRange, target: Tensor) -> None:
    view = target.view(torch.uint8).flatten().numpy().data
    done = 0
    while done < file_range.num_bytes:
        count = os.preadv(file, [view[done:]], file_range.offset + done)
        if count == 0:
            raise CheckpointError(f"{file_range.path}: ends before byte {file_range.offset + file_range.num_bytes}")
        done += count


@dataclass
class _Buffer:
    """Memory on the device for one layer's weights; `holds` is the layer that is whole in it, or arriving."""

    memory: Tensor
    # What a disk is read into: the memory itself on a CPU, pinned host memory beside a GPU's.
    landing: Tensor
    on_device: list[Parts]
    on_landing: list[Parts]
    holds: int | None = None
    arriving: "Future[None] | None" = None
    # Of a GPU: the last copy into the memory, and the last work that read it.
    arrived: torch.cuda.Event | None = None
    released: torch.cuda.Event | None = None


class WeightStream:
    """Weights of one kind of all streamed layers of one device, in the order of their turns."""

    def __init__(self, device: torch.device, layers: Sequence[tuple[Parts, WeightSource]]) -> None:
        """`layers`: the shapes and types of each layer's parts, on any device, and where the parts are kept."""
        self._shapes = [{name: part.to("meta") for name, part in parts.items()} for parts, _ in layers]
        self._sources = [source for _, source in layers]
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="weights")
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.device = device
        # Made for the first turn, and anew for the first one after a release.
        self._buffers: list[_Buffer] = []
        self._current = 0

    def _new_buffer(self) -> _Buffer:
        num_bytes = max(_num_bytes(parts) for parts in self._shapes)
        memory = torch.empty(num_bytes, dtype=torch.uint8, device=self.device)
        landing = memory
        if self._copies and any(not source.in_host_memory for source in self._sources):
            landing = host_memory.empty([num_bytes], torch.uint8, pinned=True)
        on_device = [_views(parts, memory) for parts in self._shapes]
        on_landing = on_device if landing is memory else [_views(parts, landing) for parts in self._shapes]
        buffer = _Buffer(memory, landing, on_device, on_landing)
        if self._copies:
            buffer.arrived, buffer.released = torch.cuda.Event(), torch.cuda.Event()
            # What had this memory before may still run.
            buffer.released.record(torch.cuda.current_stream(self.device))
        return buffer

    def release(self) -> None:
        """Give the memory of the buffers back until the next turn; for work on the device's current stream."""
        wait([buffer.arriving for buffer in self._buffers if buffer.arriving])
        for buffer in self._buffers:
            if buffer.arrived:
                torch.cuda.current_stream(self.device).wait_event(buffer.arrived)
        self._buffers = []

    @contextmanager
    def ready(self, layer: int, few: Callable[[], Sequence[int]] | None = None) -> Iterator[Parts]:
        """The parts of the streamed layer of this index; with `few`, at least the entries that it returns."""
        if not self._buffers:
            self._buffers = [self._new_buffer() for _ in range(NUM_BUFFERS)]
        b = next((b for b, buffer in enumerate(self._buffers) if buffer.holds == layer), None)
        if b is None:
            b = (self._current + 1) % NUM_BUFFERS
            self._fetch(self._buffers[b], layer, few() if few else None)
        buffer, self._current = self._buffers[b], b
        if not few:
            following = (layer + 1) % len(self._shapes)
            if all(each.holds != following for each in self._buffers):
                self._fetch(self._buffers[(b + 1) % NUM_BUFFERS], following, None)
        self._wait(buffer)
        yield buffer.on_device[layer]
        if buffer.released:
            buffer.released.record(torch.cuda.current_stream(self.device))

    def _fetch(self, buffer: _Buffer, layer: int, chosen: Sequence[int] | None) -> None:
        buffer.holds = layer if chosen is None else None
        buffer.arriving = self._reader.submit(self._read, buffer, layer, chosen)

    def _wait(self, buffer: _Buffer) -> None:
        if buffer.arriving:
            try:
                buffer.arriving.result()
            except BaseException:
                buffer.holds = None
                raise
            finally:
                buffer.arriving = None
        if buffer.arrived:
            torch.cuda.current_stream(self.device).wait_event(buffer.arrived)

    @torch.inference_mode()
    def _read(self, buffer: _Buffer, layer: int, chosen: Sequence[int] | None) -> None:
        """On the reader's thread."""
        source, target = self._sources[layer], buffer.on_device[layer]
        if self._copies is None or buffer.arrived is None or buffer.released is None:
            source.read(target, chosen)
            return
        if not source.in_host_memory:
            # The last copy out of it must be done.
            buffer.arrived.synchronize()
            landed = buffer.on_landing[layer]
            source.read(landed, chosen)
            source = HostSource(landed)
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(buffer.released)
            source.read(target, chosen)
            buffer.arrived.record(self._copies)


class StreamedExperts(nn.Module):
    """The routed experts of one streamed layer, in place of a `RoutedExperts`; holds no weight of its own."""

    def __init__(self, experts: RoutedExperts, stream: WeightStream, position: int) -> None:
        super().__init__()
        # In a list, which PyTorch does not search for weights.
        self._experts = [experts]
        self._holders = Holders({name: (experts, name) for name, _ in experts.parts()})
        self._stream, self._position = stream, position

    def forward(self, x_TD: Tensor, weight_TK: Tensor, expert_TK: Tensor) -> Tensor:
        """The weighted sum of each token's experts, [T, D]."""
        [experts] = self._experts
        few = expert_TK.numel() < experts.num_experts
        with (
            self._stream.ready(self._position, (lambda: expert_TK.unique().tolist()) if few else None) as parts,
            self._holders.holding(parts),
        ):
            return experts(x_TD, weight_TK, expert_TK)


class StreamedLayer(nn.Module):
    """A layer whose matrices arrive for its turn; its norms and its router stay on the device."""

    def __init__(self, layer: Layer, matrices: Mapping[str, nn.Module], stream: WeightStream, position: int) -> None:
        super().__init__()
        self.layer = layer
        self._holders = Holders({name: (matrix, "weight") for name, matrix in matrices.items()})
        self._stream, self._position = stream, position

    @property
    def device(self) -> torch.device:
        return self.layer.device

    def text(self, x_1TD: Tensor, rotation: Rotation, cache: KvCache, index: int) -> Tensor:
        """See Layer."""
        with self._arrived():
            return self.layer.text(x_1TD, rotation, cache, index)

    def image(self, x_BTD: Tensor, rotation: Rotation, caches: Sequence[KvCache], index: int) -> Tensor:
        """See Layer."""
        with self._arrived():
            return self.layer.image(x_BTD, rotation, caches, index)

    @contextmanager
    def _arrived(self) -> Iterator[None]:
        with (
            self._stream.ready(self._position) as parts,
            self._holders.holding({n: part[0] for n, part in parts.items()}),
        ):
            yield


def _num_bytes(parts: Parts) -> int:
    return sum(_aligned(part.nbytes) for part in parts.values())


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _views(parts: Parts, memory: Tensor) -> Parts:
    """The same parts side by side in `memory`."""
    views, start = {}, 0
    for name, part in parts.items():
        views[name] = memory[start : start + part.nbytes].view(part.dtype).view(part.shape)
        start += _aligned(part.nbytes)
    return views


class Holders:
    """Parameters and buffers, by names of parts, that hold numbers on the device for a turn."""

    def __init__(self, holders: Mapping[str, tuple[nn.Module, str]]) -> None:
        self._holders = holders
        # Without memory on the device, so that nothing there outlives a turn.
        self._at_rest = {name: getattr(*holder) for name, holder in holders.items()}

    @contextmanager
    def holding(self, parts: Parts) -> Iterator[None]:
        """With the parts in them."""
        try:
            for name, part in parts.items():
                hold(*self._holders[name], part)
            yield
        finally:
            for name, numbers in self._at_rest.items():
                hold(*self._holders[name], numbers)


def hold(module: nn.Module, name: str, numbers: Tensor) -> None:
    """Put numbers in the place of a parameter or buffer, which may be on the meta device."""
    # Asked of the dictionary itself: PyTorch's own list leaves out a buffer that is None for now.
    if name in module._buffers:
        module.register_buffer(name, numbers)
    else:
        module.register_parameter(name, nn.Parameter(numbers, requires_grad=False))
