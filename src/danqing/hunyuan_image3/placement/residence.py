"""The plan put into effect on a network: memory for every module where it belongs, then streams for the rest."""

from collections.abc import Iterator, Mapping, Sequence

import torch

from danqing.hunyuan_image3.experts import RoutedExperts, stored_name
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.placement.plan import LayerHome, Plan, Store
from danqing.hunyuan_image3.placement.streaming import (
    DiskSource,
    ExpertSource,
    ExpertStream,
    HostSource,
    StreamedExperts,
    hold,
)
from danqing.hunyuan_image3.stored_tensors import FileRange, StoredTensor, file_ranges


def allocate(model: HunyuanImage3, plan: Plan) -> None:
    """Give a network of the meta device unset memory; experts that stay on disk stay on the meta device."""
    layers = model.model.layers
    # Moved one by one below; in place on the meta device meanwhile.
    model.model._modules["layers"] = torch.nn.ModuleList()
    model.to_empty(device=torch.device(plan.layers[0].device))
    model.model._modules["layers"] = layers  # type: ignore[assignment]
    for layer, home in zip(layers, plan.layers, strict=True):
        experts = getattr(layer.mlp, "experts", None)
        if experts is None or home.experts is Store.DEVICE:
            layer.to_empty(device=torch.device(home.device))
            continue
        layer.mlp._modules["experts"] = None
        layer.to_empty(device=torch.device(home.device))
        layer.mlp.experts = experts
        if home.experts is Store.HOST:
            _to_host(experts, pinned=home.device.startswith("cuda"))


def _to_host(experts: RoutedExperts, *, pinned: bool) -> None:
    for name, part in list(experts.parts()):
        hold(experts, name, torch.empty(part.shape, dtype=part.dtype, pin_memory=pinned))


def stream_experts(model: HunyuanImage3, plan: Plan, on_disk: Mapping[str, Mapping[str, StoredTensor]]) -> None:
    """Put streams in the place of experts that are not on their device. `on_disk`: stored parts by key and suffix."""
    ranges = _Ranges(on_disk)
    for device, indexes in _streamed_layers(plan):
        sources: list[tuple[RoutedExperts, ExpertSource]] = []
        for i in indexes:
            experts = model.model.layers[i].mlp.experts
            assert isinstance(experts, RoutedExperts)
            from_host = plan.layers[i].experts is Store.HOST
            source: ExpertSource = HostSource(experts) if from_host else DiskSource(ranges.of_layer(i, experts))
            sources.append((experts, source))
        stream = ExpertStream(torch.device(device), sources)
        for position, i in enumerate(indexes):
            model.model.layers[i].mlp.experts = StreamedExperts(stream, position)


def _streamed_layers(plan: Plan) -> Iterator[tuple[str, Sequence[int]]]:
    def streamed(home: LayerHome) -> bool:
        return home.experts is not Store.DEVICE

    for device in dict.fromkeys(home.device for home in plan.layers if streamed(home)):
        yield device, [i for i, home in enumerate(plan.layers) if streamed(home) and home.device == device]


class _Ranges:
    """Where in its file each expert's share of a part is."""

    def __init__(self, on_disk: Mapping[str, Mapping[str, StoredTensor]]) -> None:
        self._on_disk = on_disk
        self._files: dict[str, Mapping[str, FileRange]] = {}

    def of_layer(self, layer: int, experts: RoutedExperts) -> Mapping[str, Sequence[FileRange]]:
        return {
            part: [self._range(f"model.layers.{layer}.mlp.experts", part, e) for e in range(experts.num_experts)]
            for part, _ in experts.parts()
        }

    def _range(self, name: str, part: str, expert: int) -> FileRange:
        end, suffix = stored_name(part, expert)
        stored = self._on_disk[f"{name}.{end}"][suffix]
        path = str(stored.path)
        if path not in self._files:
            self._files[path] = file_ranges(stored.path)
        return self._files[path][stored.key]
