"""`quantization_config` of `config.json`: which formats of others can be read, and the way out of the rest."""

from collections.abc import Mapping
from typing import Any

from danqing.hunyuan_image3.errors import CheckpointError

WAY_OUT = "make the form you need from the published bfloat16 weights with `danqing model convert`"


def check_quantization_config(values: Mapping[str, Any]) -> None:
    """Accept no quantisation and fp8 with a scale a tensor or row. Raises CheckpointError naming the method."""
    quantization = values.get("quantization_config")
    if quantization is None:
        return
    if not isinstance(quantization, Mapping):
        raise CheckpointError("config.json: key 'quantization_config' must be an object")
    unread = _unread_form(quantization)
    if unread:
        raise CheckpointError(
            f"config.json: 'quantization_config': the weights are quantised by {unread}, which this runtime does not"
            f" read; {WAY_OUT}"
        )


def _unread_form(quantization: Mapping[str, Any]) -> str | None:
    """Name what cannot be read; None for fp8 with `weight` and `weight_scale`."""
    match quantization.get("quant_method"):
        case "fp8":
            blocks = quantization.get("weight_block_size")
            return f"'fp8' in blocks of {blocks}" if blocks else None
        case "modelopt":
            algorithm = quantization.get("quant_algo")
            return None if algorithm == "FP8" else f"'modelopt' as {algorithm!r}"
        case "compressed-tensors":
            groups = quantization.get("config_groups") or {}
            weights = [group.get("weights") or {} for group in groups.values()]
            forms = {(each.get("type"), each.get("num_bits"), each.get("strategy")) for each in weights}
            readable = forms <= {("float", 8, "tensor"), ("float", 8, "channel")}
            return None if weights and readable else f"'compressed-tensors' as {quantization.get('format')!r}"
        case method:
            return repr(method)
