"""The plan put into effect on a network: memory for every module where it belongs, then streams for the rest."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.experts import RoutedExperts, stored_name
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.placement import host_memory
from danqing.hunyuan_image3.placement.decoder import VisitingDecoder
from danqing.hunyuan_image3.placement.plan import LayerHome, Plan, Store
from danqing.hunyuan_image3.placement.streaming import (
    DiskSource,
    HostSource,
    Parts,
    StreamedExperts,
    StreamedLayer,
    WeightSource,
    WeightStream,
    hold,
)
from danqing.hunyuan_image3.stored_numbers import copy_stored
from danqing.hunyuan_image3.stored_tensors import FileRange, StoredTensor, file_ranges
from danqing.hunyuan_image3.transformer import Layer

DECODER = "vae.decoder."


def allocate(model: HunyuanImage3, plan: Plan) -> None:
    """Give a network of the meta device unset memory; what stays on disk stays on the meta device."""
    layers = model.model.layers
    # Moved one by one below; in place on the meta device meanwhile.
    model.model._modules["layers"] = nn.ModuleList()
    visiting = [] if plan.decoder is Store.DEVICE else [(plan.decoder, list(model.vae.decoder.modules()))]
    _allocate(model, plan.layers[0].device, visiting)
    model.model._modules["layers"] = layers  # type: ignore[assignment]
    for layer, home in zip(layers, plan.layers, strict=True):
        _allocate(layer, home.device, _streamed_modules(layer, home))


def _allocate(whole: nn.Module, device: str, aside: Iterable[tuple[Store, Sequence[nn.Module]]]) -> None:
    """Memory on the device, but for the modules that are aside. (PyTorch's `to_empty` would import its compiler.)"""
    stores = {module: store for store, modules in aside for module in modules}
    for module in whole.modules():
        store = stores.get(module, Store.DEVICE)
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if store is Store.DEVICE:
                hold(module, name, torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
            elif store is Store.HOST:
                hold(module, name, host_memory.empty(tensor.shape, tensor.dtype, pinned=device.startswith("cuda")))


def _streamed_modules(layer: Layer, home: LayerHome) -> Iterator[tuple[Store, Sequence[nn.Module]]]:
    if home.experts is not Store.DEVICE and (experts := _experts(layer)):
        yield home.experts, [experts]
    if home.matrices is not Store.DEVICE:
        yield home.matrices, [module for _, module in layer.matrices()]


def _experts(layer: Layer) -> RoutedExperts | None:
    experts = getattr(layer.mlp, "experts", None)
    assert experts is None or isinstance(experts, RoutedExperts)
    return experts


def stream_weights(model: HunyuanImage3, plan: Plan, on_disk: Mapping[str, Mapping[str, StoredTensor]]) -> None:
    """Put streams in the place of weights that are not on their device. `on_disk`: stored parts by key and suffix."""
    ranges = _Ranges(on_disk)
    streams = [
        *_stream_experts(model.model.layers, plan, ranges),
        *_stream_matrices(model.model.layers, plan, ranges),
    ]
    if plan.decoder is not Store.DEVICE:
        first = torch.device(plan.layers[0].device)
        model.vae._modules["decoder"] = VisitingDecoder(
            model.vae.decoder,
            read=_decoder_source(model.vae.decoder, plan.decoder, on_disk),
            device=first,
            streams=[stream for stream in streams if stream.device == first],
        )


def _decoder_source(
    decoder: nn.Module, store: Store, on_disk: Mapping[str, Mapping[str, StoredTensor]]
) -> Callable[[Parts], None]:
    if store is Store.HOST:
        return partial(HostSource({name: part.data for name, part in decoder.named_parameters()}).read, chosen=None)
    return partial(_read_decoder, {name: on_disk[f"{DECODER}{name}"][""] for name, _ in decoder.named_parameters()})


def _read_decoder(stored: Mapping[str, StoredTensor], targets: Parts) -> None:
    """Tensor by tensor, in whatever form the files have."""
    for name, target in targets.items():
        copy_stored(stored[name], target=target)


def _stream_experts(layers: Sequence[Layer], plan: Plan, ranges: "_Ranges") -> Iterator[WeightStream]:
    for device, indexes in _streamed_layers(plan, lambda home: home.experts):
        modules = {i: experts for i in indexes if (experts := _experts(layers[i]))}
        streamed: list[tuple[Parts, WeightSource]] = []
        for i, experts in modules.items():
            parts = {name: part.data for name, part in experts.parts()}
            from_host = plan.layers[i].experts is Store.HOST
            streamed.append((parts, HostSource(parts) if from_host else DiskSource(ranges.of_experts(i, experts))))
        stream = WeightStream(torch.device(device), streamed)
        for position, (i, experts) in enumerate(modules.items()):
            layers[i].mlp.experts = StreamedExperts(experts, stream, position)
        yield stream


def _stream_matrices(layers: Sequence[Layer], plan: Plan, ranges: "_Ranges") -> Iterator[WeightStream]:
    for device, indexes in _streamed_layers(plan, lambda home: home.matrices):
        streamed: list[tuple[Parts, WeightSource]] = []
        for i in indexes:
            # A first axis of one: a matrix is fetched whole.
            parts = {name: module.weight.data[None] for name, module in layers[i].matrices()}
            from_host = plan.layers[i].matrices is Store.HOST
            streamed.append((parts, HostSource(parts) if from_host else DiskSource(ranges.of_matrices(i, parts))))
        stream = WeightStream(torch.device(device), streamed)
        for position, i in enumerate(indexes):
            layers[i] = StreamedLayer(layers[i], dict(layers[i].matrices()), stream, position)  # type: ignore[index]
        yield stream


def _streamed_layers(plan: Plan, store: Callable[[LayerHome], Store]) -> Iterator[tuple[str, Sequence[int]]]:
    streamed = [i for i, home in enumerate(plan.layers) if store(home) is not Store.DEVICE]
    for device in dict.fromkeys(plan.layers[i].device for i in streamed):
        yield device, [i for i in streamed if plan.layers[i].device == device]


class _Ranges:
    """Where in its file each streamed tensor is."""

    def __init__(self, on_disk: Mapping[str, Mapping[str, StoredTensor]]) -> None:
        self._on_disk = on_disk
        self._files: dict[str, Mapping[str, FileRange]] = {}

    def of_experts(self, layer: int, experts: RoutedExperts) -> Mapping[str, Sequence[FileRange]]:
        name = f"model.layers.{layer}.mlp.experts"
        return {
            part: [self._range(f"{name}.{end}", suffix) for end, suffix in _stored_names(part, experts.num_experts)]
            for part, _ in experts.parts()
        }

    def of_matrices(self, layer: int, parts: Mapping[str, Tensor]) -> Mapping[str, Sequence[FileRange]]:
        return {part: [self._range(f"model.layers.{layer}.{part}.weight", "")] for part in parts}

    def _range(self, key: str, suffix: str) -> FileRange:
        stored = self._on_disk[key][suffix]
        path = str(stored.path)
        if path not in self._files:
            self._files[path] = file_ranges(stored.path)
        return self._files[path][stored.key]


def _stored_names(part: str, num_experts: int) -> Sequence[tuple[str, str]]:
    return [stored_name(part, e) for e in range(num_experts)]
