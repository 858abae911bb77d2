"""`quantization_config` of `config.json`: our own, which formats of others can be read, and the way out of the rest."""

from collections.abc import Mapping
from typing import Any

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.precision import Precision

# int4: how many inputs share a scale at most, and the levels of least squared error for normally distributed weights in
# groups of that size, whose ends become -1 and 1.
MAX_GROUP_SIZE = 64
_HALF = (0.047, 0.140, 0.237, 0.346, 0.469, 0.610, 0.780, 1.0)
INT4_LEVELS = tuple(-level for level in reversed(_HALF)) + _HALF

OWN_METHOD = "danqing"
# Of the forms below: another number is another form.
OWN_VERSION = 1
OWN_FORMS: Mapping[Precision, Mapping[str, Any]] = {
    Precision.FP8: {"type": "float8_e4m3fn", "weight_scale": "float32, one per row"},
    Precision.INT8: {"type": "int8", "weight_scale": "float32, one per row"},
    Precision.INT4: {
        "type": "uint4, two per byte, the first in the low half; each is an index into levels",
        "levels": list(INT4_LEVELS),
        "max_group_size": MAX_GROUP_SIZE,
        "group": "neighbouring inputs of a row: as many as the largest even divisor up to max_group_size",
        "weight_scale": "bfloat16, one per group of a row",
        "weight_offset": "bfloat16, one per group of a row, added after scaling",
    },
}

WAY_OUT = "make the form you need from the published bfloat16 weights with `danqing model convert`"


def own_quantization_config(precision: Precision) -> Mapping[str, Any]:
    """What `danqing model convert` writes: which tensors are rounded, and how."""
    return {
        "quant_method": OWN_METHOD,
        "version": OWN_VERSION,
        "precision": precision.value,
        "rounded": "model.layers.*.mlp.experts.*.{gate_and_up_proj,down_proj}.weight",
        **OWN_FORMS[precision],
    }


def converted_precision(values: Mapping[str, Any]) -> Precision | None:
    """The precision of a folder that `danqing model convert` made. Raises CheckpointError for an unknown form."""
    quantization = values.get("quantization_config")
    if not isinstance(quantization, Mapping) or quantization.get("quant_method") != OWN_METHOD:
        return None
    for precision in OWN_FORMS:
        if own_quantization_config(precision) == dict(quantization):
            return precision
    raise CheckpointError(
        "config.json: 'quantization_config' is of a form that this version of Danqing does not know; convert again"
    )


def check_quantization_config(values: Mapping[str, Any]) -> None:
    """Accept no quantisation and fp8 with a scale a tensor or row. Raises CheckpointError naming the method."""
    quantization = values.get("quantization_config")
    if quantization is None:
        return
    if not isinstance(quantization, Mapping):
        raise CheckpointError("config.json: key 'quantization_config' must be an object")
    if converted_precision(values):
        return
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
        case "bitsandbytes":
            return "'bitsandbytes', and rounding them once more would lose too much"
        case method:
            return repr(method)
