"""Pools."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from cnncalc.layers.base import Layer
from cnncalc.layers.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from cnncalc.torch.capture.operators.fields import Map, as_map, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError

RANKS = {"1d": 1, "2d": 2, "3d": 3}


def _rank(call: Call) -> int:
    return next(rank for ending, rank in RANKS.items() if ending in call.name)


def _pooled(tracer: Tracer, call: Call, make: Callable[[Map], Layer]) -> Any:
    x = call.first()
    given = as_map(tracer, x, _rank(call))
    (made,) = tracer.emit(make(given), given.ref)
    out = given.back(tracer, made, call.shape)
    return (out, None) if len(call.outputs) > 1 else out


def _window(call: Call, given: Map) -> dict[str, Any]:
    rank = _rank(call)
    kernel = given.each(call["kernel_size"], rank, 1)
    stride = given.each(call["stride"], rank, 1) if call["stride"] else None
    return {
        "kernel": kernel,
        "stride": None if stride == kernel else stride,
        "padding": given.each(call["padding"], rank, 0),
        "ceil_mode": bool(call["ceil_mode"]),
    }


@captures(*(f"max_pool{rank}" for rank in RANKS), *(f"max_pool{rank}_with_indices" for rank in RANKS))
def max_pool(tracer: Tracer, call: Call) -> Any:
    """``F.max_poolNd``"""
    check_places(call)
    return _pooled(
        tracer,
        call,
        lambda given: MaxPool(**_window(call, given), dilation=given.each(call["dilation"], _rank(call), 1)),
    )


@captures(*(f"avg_pool{rank}" for rank in RANKS))
def avg_pool(tracer: Tracer, call: Call) -> Any:
    """``F.avg_poolNd``"""
    return _pooled(
        tracer,
        call,
        lambda given: AvgPool(
            **_window(call, given),
            count_include_pad=call["count_include_pad"],
            divisor_override=call["divisor_override"],
        ),
    )


@captures(*(f"adaptive_avg_pool{rank}" for rank in RANKS), *(f"_adaptive_avg_pool{rank}" for rank in RANKS))
def adaptive_avg_pool(tracer: Tracer, call: Call) -> Any:
    """``F.adaptive_avg_poolNd``; to one unit it is a global pool."""
    return _pooled(tracer, call, lambda given: _adaptive(call, given, GlobalAvgPool, AdaptiveAvgPool))


@captures(*(f"adaptive_max_pool{rank}" for rank in RANKS))
def adaptive_max_pool(tracer: Tracer, call: Call) -> Any:
    """``F.adaptive_max_poolNd``; to one unit it is a global pool."""
    check_places(call)
    return _pooled(tracer, call, lambda given: _adaptive(call, given, GlobalMaxPool, AdaptiveMaxPool))


def _adaptive(call: Call, given: Map, whole: type[Any], adaptive: type[Any]) -> Layer:
    rank = _rank(call)
    if prod(call.shape[-rank:]) == 1 and not given.spread:
        return whole()  # type: ignore[no-any-return]
    size = one_or_each(call.shape[-rank:], rank)
    if given.spread:
        size = (None, *call.shape[-rank:])
    return adaptive(output_size=size)  # type: ignore[no-any-return]


def check_places(call: Call) -> None:
    """The indices of maxima are not a tensor of the graph.

    Raises:
        UnsupportedError: something reads them.
    """
    if len(call.outputs) > 1 and any(list(user.args[1:]) == [1] and user.users for user in call.node.users):
        raise UnsupportedError("the places of its maxima are used")
