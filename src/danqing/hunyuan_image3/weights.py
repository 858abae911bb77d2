"""Weights: every stored tensor to its parameter, strict in both directions.

Every name in the files maps to exactly one place in a parameter and every place is filled; anything else is an error
that names the key. Memory never exceeds the finished model plus one tensor and its rounded form.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.experts import Experts, RoutedExperts, stored_name
from danqing.hunyuan_image3.fp8 import FP8
from danqing.hunyuan_image3.fp8_experts import Fp8Experts
from danqing.hunyuan_image3.integer_experts import Int4Experts, Int8Experts
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.linear import Linear
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.placement.plan import Plan, resident_plan
from danqing.hunyuan_image3.placement.residence import allocate, stream_weights
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.quantization_config import WAY_OUT, converted_precision
from danqing.hunyuan_image3.stored_numbers import copy_meant, copy_stored, meant, row_scale, shaped
from danqing.hunyuan_image3.stored_tensors import DTYPES, SCALE, StoredTensor, stored_tensors

LAYER = re.compile(r"model\.layers\.\d+\.")
ENCODER = "vae.encoder."
ROUTER = re.compile(r"model\.layers\.\d+\.mlp\.gate\.wg\.weight")
ROUNDED_EXPERTS: Mapping[Precision, type[RoutedExperts]] = {
    Precision.FP8: Fp8Experts,
    Precision.INT8: Int8Experts,
    Precision.INT4: Int4Experts,
}


class ExpertTarget:
    """Where one matrix of one routed expert goes: its share of each part, by suffix."""

    def __init__(self, experts: type[RoutedExperts]) -> None:
        self.experts = experts
        self.parts: dict[str, Tensor] = {}

    def fill(self, key: str, value: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Copy what is stored in this form already, and round anything else."""
        numbers = self.parts[""]
        if value.dtype == numbers.dtype and not issubclass(self.experts, Experts):
            stored = {"": value, **parts}
            if value.dtype == FP8:
                # Others store a scale a tensor, or none.
                scale = row_scale(key, parts.get(SCALE), num_rows=len(value), device=numbers.device)
                stored[SCALE] = torch.ones_like(self.parts[SCALE]) if scale is None else scale
        else:
            stored = dict(self.experts.rounded(meant(key, value, parts, device=numbers.device)))
        if stored.keys() != self.parts.keys():
            suffix = min(stored.keys() ^ self.parts.keys())
            raise CheckpointError(f"key {key + suffix!r} is {'unknown' if suffix in stored else 'missing'}")
        for suffix, part in self.parts.items():
            part.copy_(shaped(key + suffix, stored[suffix], part))

    def is_stored_as_used(self, stored: StoredTensor) -> bool:
        """Whether files hold the bytes that are held here."""
        parts = {"": stored, **stored.parts}
        return parts.keys() == self.parts.keys() and all(
            parts[suffix].dtype == part.dtype and tuple(parts[suffix].shape) == tuple(part.shape)
            for suffix, part in self.parts.items()
        )


class Places:
    """Where each key of a checkpoint goes: a whole parameter, or one expert's share of a stacked one."""

    def __init__(self, model: nn.Module) -> None:
        self._places: dict[str, Tensor | ExpertTarget] = {}
        # Those that a plan may leave on disk, beside routed experts.
        self._matrices = set[str]()
        for name, module in model.named_modules():
            if isinstance(module, RoutedExperts):
                self._add_experts(name, module)
            else:
                for kind, parameter in module.named_parameters(recurse=False):
                    self._places[f"{name}.{kind}"] = parameter.data
                    if isinstance(module, Linear) and LAYER.match(name):
                        self._matrices.add(f"{name}.{kind}")

    def _add_experts(self, name: str, experts: RoutedExperts) -> None:
        for part, tensor in experts.parts():
            for e in range(experts.num_experts):
                end, suffix = stored_name(part, e)
                target = self._places.setdefault(f"{name}.{end}", ExpertTarget(type(experts)))
                assert isinstance(target, ExpertTarget)
                target.parts[suffix] = tensor.data[e]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Every key that is not filled yet, and where its numbers go."""
        for key, target in self._places.items():
            yield key, target.parts[""] if isinstance(target, ExpertTarget) else target

    def expert_parts(self, key: str) -> Mapping[str, Tensor] | None:
        """The parts that a routed expert's matrix has here, by suffix; None for any other key."""
        target = self._places.get(key)
        return target.parts if isinstance(target, ExpertTarget) else None

    def fill(self, key: str, value: Tensor, *, parts: Mapping[str, Tensor] | None = None) -> None:
        """Copy a tensor into its place, in the form held there. `parts` belong to it, such as its scale, by suffix.

        Raises CheckpointError for an unknown or repeated key, a wrong shape, or numbers in another form.
        """
        target = self._places.pop(key, None)
        if target is None:
            raise CheckpointError(f"key {key!r} has no place in this architecture, or appears twice")
        if isinstance(target, ExpertTarget):
            target.fill(key, value, parts or {})
        else:
            copy_meant(key, value, parts or {}, target=target)

    def is_stored_as_used(self, stored: StoredTensor) -> bool:
        """Whether files hold a layer's matrix in the form held here; true of every key that is none."""
        target = self._places.get(stored.key)
        if isinstance(target, ExpertTarget):
            return target.is_stored_as_used(stored)
        if target is None or stored.key not in self._matrices:
            return True
        return not stored.parts and stored.dtype == target.dtype and tuple(stored.shape) == tuple(target.shape)

    def stays_on_disk(self, key: str) -> bool:
        """Whether the place of this key has no memory."""
        target = self._places.get(key)
        return target is not None and (target.parts[""] if isinstance(target, ExpertTarget) else target).is_meta

    def leave_on_disk(self, stored: StoredTensor) -> Mapping[str, StoredTensor]:
        """Count a key as filled; its stored parts by suffix. A layer's matrix must be stored in the form held here.

        Others are read once and thrown away, so that a broken folder does not load. Raises CheckpointError.
        """
        as_used = self.is_stored_as_used(stored)
        target = self._places.pop(stored.key)
        if isinstance(target, Tensor) and stored.key not in self._matrices:
            copy_stored(stored, target=torch.empty_like(target, device="cpu"))
        if not as_used:
            raise CheckpointError(
                f"key {stored.key!r} is stored in another form than it is used in, so it cannot stay on disk; {WAY_OUT}"
            )
        return {"": stored, **stored.parts}

    def finish(self) -> None:
        """Raises CheckpointError when a place was not filled."""
        if self._places:
            key = min(self._places)
            raise CheckpointError(f"key {key!r} is missing from the checkpoint ({len(self)} missing in all)")


def round_experts(network: nn.Module, precision: Precision) -> None:
    """Replace the experts inside `network` by unset ones in this precision; everything else stays."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Experts) and precision in ROUNDED_EXPERTS:
                num_experts, hidden_size, width = child.down_proj.shape
                module.register_module(name, ROUNDED_EXPERTS[precision](num_experts, hidden_size, width))


def meta_model(config: ModelConfig, *, precision: Precision, activations: torch.dtype) -> HunyuanImage3:
    """The network's shapes and types as `precision` holds them, on the meta device: without any memory."""
    with torch.device("meta"):
        model = HunyuanImage3(config)
        round_experts(model.model, precision)
    for name, module in model.named_modules():
        if isinstance(module, RoutedExperts) and precision.rounds_experts:
            continue
        large = isinstance(module, (Linear, RoutedExperts, nn.Embedding))
        for kind, parameter in module.named_parameters(recurse=False):
            router = ROUTER.fullmatch(f"{name}.{kind}")
            parameter.data = parameter.data.to(torch.float32 if router else precision.dtype if large else activations)
    return model.requires_grad_(False).eval()


def empty_model(config: ModelConfig, *, precision: Precision, device: torch.device) -> HunyuanImage3:
    """The network with unset parameters on this device, held as `precision` says."""
    return meta_model(config, precision=precision, activations=precision.activations(device)).to_empty(device=device)


def load_model(
    folder: Path,
    config: ModelConfig,
    *,
    precision: Precision,
    device: torch.device,
    on_progress: Callable[[int, int], None] | None = None,
) -> HunyuanImage3:
    """Load a whole checkpoint onto one device, the autoencoder's encoder too; see `load_placed`."""
    plan = resident_plan(len(config.layers), str(device))
    return load_placed(folder, config, precision=precision, plan=plan, with_encoder=True, on_progress=on_progress)


def load_placed(
    folder: Path,
    config: ModelConfig,
    *,
    precision: Precision,
    plan: Plan,
    with_encoder: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> HunyuanImage3:
    """Load a checkpoint as planned, tensor by tensor. `on_progress(done, total)` counts parameters' places.

    Drawing needs no encoder of pictures, so without `with_encoder` the network has none.

    Raises CheckpointError naming the key or file.
    """
    first = torch.device(plan.layers[0].device)
    model = meta_model(config, precision=precision, activations=precision.activations(first))
    if not with_encoder:
        del model.vae.encoder
    allocate(model, plan)
    places = Places(model)
    total = len(places)
    on_disk: dict[str, Mapping[str, StoredTensor]] = {}
    wanted = (each for each in stored_tensors(folder) if with_encoder or not each.key.startswith(ENCODER))
    for done, stored in enumerate(wanted, start=1):
        if places.stays_on_disk(stored.key):
            on_disk[stored.key] = places.leave_on_disk(stored)
        else:
            places.fill(stored.key, stored.read(), parts={suffix: part.read() for suffix, part in stored.parts.items()})
        if on_progress:
            on_progress(done, total)
    places.finish()
    stream_weights(model, plan, on_disk)
    return model


def are_weights_stored_as_used(folder: Path, config: ModelConfig, precision: Precision) -> bool:
    """Whether the matrices of layers could be used from the folder's files as they are, told from the headers."""
    places = Places(meta_model(config, precision=precision, activations=precision.dtype))
    return all(places.is_stored_as_used(stored) for stored in stored_tensors(folder))


def stored_precision(folder: Path) -> Precision | None:
    """In which of our forms the routed experts are stored, where they are rounded; told from config and headers."""
    if converted := converted_precision(read_json(folder / "config.json")):
        return converted
    fp8 = any(DTYPES.get(each.type_name) == FP8 and ".mlp.experts." in each.key for each in stored_tensors(folder))
    return Precision.FP8 if fp8 else None


def check_stored(precision: Precision, stored: Precision | None) -> None:
    """Raises CheckpointError where experts that are stored rounded cannot be used in another precision."""
    if stored in (Precision.INT8, Precision.INT4) and precision is not stored:
        raise CheckpointError(
            f"the experts of this checkpoint are stored in {stored} and cannot be used in {precision}; leave the"
            f" precision unset, or {WAY_OUT}"
        )
