"""Routed experts that are kept in host memory or on disk and come to the device for their turn.

Each device has two buffers. While a layer computes from one, the next streamed layer arrives in the other, read by a
thread of its own and, on a GPU, copied on a stream of its own. With few tokens, as in text, only the experts that they
are routed to are fetched. The numbers that arrive are those that a resident layer would hold, bit for bit.

Not yet run on a GPU: the branches for CUDA.

Letters: T tokens, K experts per token, D hidden size.
"""

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.experts import RoutedExperts
from danqing.hunyuan_image3.placement.plan import NUM_BUFFERS
from danqing.hunyuan_image3.stored_tensors import FileRange

# Parts begin at multiples of this, as those of separate tensors do.
ALIGNMENT_BYTES = 64


class ExpertSource(Protocol):
    """Where the experts of one layer are kept."""

    in_host_memory: bool

    def read(self, targets: Mapping[str, Tensor], experts: Sequence[int] | None) -> None:
        """Copy every part of these experts, or of all, into the stacked tensors of the same names."""


class HostSource:
    """Experts in host memory, pinned where a GPU reads them."""

    in_host_memory = True

    def __init__(self, experts: RoutedExperts) -> None:
        self._parts = {name: tensor.data for name, tensor in experts.parts()}

    def read(self, targets: Mapping[str, Tensor], experts: Sequence[int] | None) -> None:
        """Copies to a GPU are queued on the current stream."""
        for name, part in self._parts.items():
            if experts is None:
                targets[name].copy_(part, non_blocking=True)
            else:
                for e in experts:
                    targets[name][e].copy_(part[e], non_blocking=True)


class DiskSource:
    """Experts in the files of a checkpoint: for each part, where each expert's share is."""

    in_host_memory = False

    def __init__(self, ranges: Mapping[str, Sequence[FileRange]]) -> None:
        self._ranges = ranges

    def read(self, targets: Mapping[str, Tensor], experts: Sequence[int] | None) -> None:
        """The targets are in host memory. Raises CheckpointError where a file ends early, and OSError."""
        wanted = [
            (file_range, target[e])
            for name, target in targets.items()
            for e, file_range in enumerate(self._ranges[name])
            if experts is None or e in experts
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
    """Memory on the device for one layer's experts; `holds` is the layer that is whole in it, or arriving."""

    memory: Tensor
    # What a disk is read into: the memory itself on a CPU, pinned host memory beside a GPU's.
    landing: Tensor
    on_device: list[RoutedExperts]
    on_landing: list[RoutedExperts]
    holds: int | None = None
    arriving: "Future[None] | None" = None
    # Of a GPU: the last copy into the memory, and the last work that read it.
    arrived: torch.cuda.Event | None = None
    released: torch.cuda.Event | None = None


class ExpertStream:
    """All streamed layers of one device, in the order of their turns."""

    def __init__(self, device: torch.device, layers: Sequence[tuple[RoutedExperts, ExpertSource]]) -> None:
        """`layers`: the shapes of each layer's experts, on any device, and where they are kept."""
        self._shapes = [copy.deepcopy(experts).to("meta") for experts, _ in layers]
        self._sources = [source for _, source in layers]
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="experts")
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None
        num_bytes = max(_num_bytes(experts) for experts in self._shapes)
        from_disk = any(not source.in_host_memory for source in self._sources)
        self._buffers = [self._new_buffer(device, num_bytes, from_disk) for _ in range(NUM_BUFFERS)]
        self._current = 0

    def _new_buffer(self, device: torch.device, num_bytes: int, from_disk: bool) -> _Buffer:
        memory = torch.empty(num_bytes, dtype=torch.uint8, device=device)
        landing = memory
        if self._copies and from_disk:
            landing = torch.empty(num_bytes, dtype=torch.uint8, pin_memory=True)
        on_device = [_views(experts, memory) for experts in self._shapes]
        on_landing = on_device if landing is memory else [_views(experts, landing) for experts in self._shapes]
        events = [torch.cuda.Event(), torch.cuda.Event()] if self._copies else [None, None]
        return _Buffer(memory, landing, on_device, on_landing, arrived=events[0], released=events[1])

    @contextmanager
    def ready(self, layer: int, expert_TK: Tensor) -> Iterator[RoutedExperts]:
        """The experts of the streamed layer of this index; of few tokens, at least those they are routed to."""
        b = next((b for b, buffer in enumerate(self._buffers) if buffer.holds == layer), None)
        few = expert_TK.numel() < self._shapes[layer].num_experts
        if b is None:
            b = (self._current + 1) % NUM_BUFFERS
            self._fetch(self._buffers[b], layer, expert_TK.unique().tolist() if few else None)
        buffer, self._current = self._buffers[b], b
        if not few:
            following = (layer + 1) % len(self._shapes)
            if all(each.holds != following for each in self._buffers):
                self._fetch(self._buffers[(b + 1) % NUM_BUFFERS], following, None)
        self._wait(buffer)
        yield buffer.on_device[layer]
        if buffer.released:
            buffer.released.record()

    def _fetch(self, buffer: _Buffer, layer: int, experts: Sequence[int] | None) -> None:
        buffer.holds = layer if experts is None else None
        buffer.arriving = self._reader.submit(self._read, buffer, layer, experts)

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
            torch.cuda.current_stream(buffer.memory.device).wait_event(buffer.arrived)

    @torch.inference_mode()
    def _read(self, buffer: _Buffer, layer: int, experts: Sequence[int] | None) -> None:
        """On the reader's thread."""
        source, target = self._sources[layer], _parts(buffer.on_device[layer])
        if self._copies is None or buffer.arrived is None or buffer.released is None:
            source.read(target, experts)
            return
        if not source.in_host_memory:
            # The last copy out of it must be done.
            buffer.arrived.synchronize()
            landed = buffer.on_landing[layer]
            source.read(_parts(landed), experts)
            source = HostSource(landed)
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(buffer.released)
            source.read(target, experts)
            buffer.arrived.record(self._copies)


class StreamedExperts(nn.Module):
    """The experts of one streamed layer, in place of a `RoutedExperts`; holds no weight of its own."""

    def __init__(self, stream: ExpertStream, layer: int) -> None:
        super().__init__()
        self._stream, self._layer = stream, layer

    def forward(self, x_TD: Tensor, weight_TK: Tensor, expert_TK: Tensor) -> Tensor:
        """The weighted sum of each token's experts, [T, D]."""
        with self._stream.ready(self._layer, expert_TK) as experts:
            return experts(x_TD, weight_TK, expert_TK)


def _parts(experts: RoutedExperts) -> Mapping[str, Tensor]:
    return {name: tensor.data for name, tensor in experts.parts()}


def _num_bytes(experts: RoutedExperts) -> int:
    return sum(_aligned(tensor.nbytes) for _, tensor in experts.parts())


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _views(experts: RoutedExperts, memory: Tensor) -> RoutedExperts:
    """The same experts with their parts side by side in `memory`."""
    bound, start = copy.deepcopy(experts), 0
    for name, part in experts.parts():
        view = memory[start : start + part.nbytes].view(part.dtype).view(part.shape)
        hold(bound, name, view)
        start += _aligned(part.nbytes)
    return bound


def hold(experts: RoutedExperts, name: str, numbers: Tensor) -> None:
    """Put numbers in the place of a parameter or buffer, which may be on the meta device."""
    if name in dict(experts.named_buffers(recurse=False)):
        experts.register_buffer(name, numbers)
    else:
        experts.register_parameter(name, nn.Parameter(numbers, requires_grad=False))
