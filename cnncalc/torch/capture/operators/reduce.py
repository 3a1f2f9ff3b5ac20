"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Layer
from cnncalc.layers.merge import Divide, Maximum, Minimum, Multiply, Subtract
from cnncalc.layers.pool import GlobalAvgPool, GlobalMaxPool
from cnncalc.layers.reduce import Max, Mean, Min, Sum, Variance, VectorNorm
from cnncalc.torch.capture.operators.fields import numbers
from cnncalc.torch.capture.operators.merge import by_number
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

REDUCTIONS: dict[str, type[Any]] = {"mean": Mean, "sum": Sum, "amax": Max, "amin": Min, "max": Max, "min": Min}


def reduced(
    tracer: Tracer, x: Value, dims: int | list[int] | None, keepdim: Any, kind: type[Any], **fields: Any
) -> Value:
    """A reduction over dimensions; of none given over all."""
    given: Iterable[int] = range(len(x.shape)) if dims is None or dims == [] else numbers(dims)
    chosen = sorted(map(x.dim, given))
    axes = tuple(map(x.axis, chosen))
    layer: Layer = kind(axes=axes[0] if len(axes) == 1 else axes, keepdim=bool(keepdim), **fields)
    batch = x.batch
    if keepdim and batch is not None and batch.dim == 0 and axes == tuple(range(1, len(x.sample))) and len(axes) > 1:
        layer = {Mean: GlobalAvgPool(), Max: GlobalMaxPool()}.get(kind, layer)
    if batch is not None and not keepdim:
        batch = batch.at(batch.dim - sum(dim < batch.dim for dim in chosen))
    return tracer.result(layer, tracer.ref(x), batch=batch)


@captures(*REDUCTIONS)
def reduction(tracer: Tracer, call: Call, x: Value, other: Value | None) -> Value:
    """``torch.mean`` and similar ones; ``torch.max`` of two tensors is no reduction."""
    kind = REDUCTIONS[call.name]
    if other is not None:
        return tracer.merged(Maximum() if kind is Max else Minimum(), x, other)
    call.check_first_alone("place of the extreme is")
    return reduced(tracer, x, call["dim"], call["keepdim"], kind)


@captures("var", "std", "var_mean", "std_mean")
def variance(tracer: Tracer, call: Call, x: Value, correction: float | None) -> Any:
    """``torch.var``, its root, and both with the mean."""
    dims, keepdim = call["dim"], call["keepdim"]
    if correction is None:
        correction = 0 if call["unbiased"] is False else 1
    out = reduced(tracer, x, dims, keepdim, Variance, correction=int(correction))
    if call.name.startswith("std"):
        out = tracer.one(Math(function="sqrt"), out)
    return (out, reduced(tracer, x, dims, keepdim, Mean)) if call.name.endswith("mean") else out


@captures("linalg_vector_norm", "norm", "frobenius_norm")
def vector_norm(tracer: Tracer, call: Call, x: Value) -> Value:
    """The Euclidean norm."""
    order = call["ord"] if "ord" in call.arguments else call["p"]
    if order not in (2, None):
        raise UnsupportedError(f"the norm of order {order}")
    return reduced(tracer, x, call["dim"], call["keepdim"], VectorNorm)


@captures("_weight_norm")
def weight_norm(tracer: Tracer, x: Value, g: Value, dim: int) -> Value:
    """``g·v/‖v‖``, the norm over all axes but one (Salimans and Kingma 2016)."""
    dims = [one for one in range(len(x.shape)) if dim == -1 or one != x.dim(dim)]
    scale = tracer.merged(Divide(), g, reduced(tracer, x, dims, dim != -1, VectorNorm))
    return tracer.merged(Multiply(), x, scale)


@captures("pairwise_distance")
def pairwise_distance(tracer: Tracer, x: Value, x2: Value, p: float, eps: float, keepdim: bool) -> Value:
    """The Euclidean norm of ``x1 − x2 + eps`` over the last axis."""
    if p != 2:
        raise UnsupportedError(f"the norm of order {p}")
    return reduced(tracer, by_number(tracer, tracer.merged(Subtract(), x, x2), "add", eps), -1, keepdim, VectorNorm)


@captures("cosine_similarity")
def cosine_similarity(tracer: Tracer, x: Value, x2: Value, dim: int, eps: float) -> Value:
    """The sum of products of two tensors, each over its norm, which is at least ``eps``."""
    units = []
    for one in (x, x2):
        norm = tracer.one(Math(function="maximum", value=eps), reduced(tracer, one, dim, True, VectorNorm))
        units.append(tracer.merged(Divide(), one, norm))
    return reduced(tracer, tracer.merged(Multiply(), *units), dim, False, Sum)
