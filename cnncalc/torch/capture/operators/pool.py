"""Pools."""

from __future__ import annotations

from math import prod
from typing import Any

from cnncalc.layers.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from cnncalc.torch.capture.operators.fields import feature_map, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import Value

RANKS = {"1d": 1, "2d": 2, "3d": 3}


def _rank(call: Call) -> int:
    return next(rank for ending, rank in RANKS.items() if ending in call.name)


def _pooled(tracer: Tracer, call: Call, layer: Any) -> Any:
    x = call.first()
    (made,) = tracer.emit(layer, feature_map(tracer, x, _rank(call)))
    out = tracer.checked(Value(call.shape, x.batch, made))
    return (out, *(Value(shape, x.batch, made) for shape in call.outputs[1:])) if len(call.outputs) > 1 else out


def _window(call: Call) -> dict[str, Any]:
    rank = _rank(call)
    kernel = one_or_each(call["kernel_size"], rank)
    stride = one_or_each(call["stride"], rank) if call["stride"] else None
    return {
        "kernel": kernel,
        "stride": None if stride == kernel else stride,
        "padding": one_or_each(call["padding"], rank),
        "ceil_mode": bool(call["ceil_mode"]),
    }


@captures(*(f"max_pool{rank}" for rank in RANKS), *(f"max_pool{rank}_with_indices" for rank in RANKS))
def max_pool(tracer: Tracer, call: Call) -> Any:
    """``F.max_poolNd``"""
    return _pooled(tracer, call, MaxPool(**_window(call), dilation=one_or_each(call["dilation"], _rank(call))))


@captures(*(f"avg_pool{rank}" for rank in RANKS))
def avg_pool(tracer: Tracer, call: Call) -> Any:
    """``F.avg_poolNd``"""
    layer = AvgPool(
        **_window(call), count_include_pad=call["count_include_pad"], divisor_override=call["divisor_override"]
    )
    return _pooled(tracer, call, layer)


@captures(*(f"adaptive_avg_pool{rank}" for rank in RANKS), *(f"_adaptive_avg_pool{rank}" for rank in RANKS))
def adaptive_avg_pool(tracer: Tracer, call: Call) -> Any:
    """``F.adaptive_avg_poolNd``; to one unit it is a global pool."""
    size = one_or_each(call["output_size"], _rank(call))
    whole = prod(call.shape[-_rank(call) :]) == 1
    return _pooled(tracer, call, GlobalAvgPool() if whole else AdaptiveAvgPool(output_size=size))


@captures(*(f"adaptive_max_pool{rank}" for rank in RANKS))
def adaptive_max_pool(tracer: Tracer, call: Call) -> Any:
    """``F.adaptive_max_poolNd``; to one unit it is a global pool."""
    size = one_or_each(call["output_size"], _rank(call))
    whole = prod(call.shape[-_rank(call) :]) == 1
    return _pooled(tracer, call, GlobalMaxPool() if whole else AdaptiveMaxPool(output_size=size))
