"""Reductions over axes."""

from __future__ import annotations

from typing import Any

from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Layer
from cnncalc.layers.merge import Divide, Multiply, Subtract
from cnncalc.layers.pool import GlobalAvgPool, GlobalMaxPool
from cnncalc.layers.reduce import Max, Mean, Min, Sum, Variance, VectorNorm
from cnncalc.torch.capture.operators.fields import numbers
from cnncalc.torch.capture.operators.merge import broadcast, by_number, maximum, merged, minimum
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

REDUCTIONS: dict[str, type[Any]] = {"mean": Mean, "sum": Sum, "amax": Max, "amin": Min}


def reduced(tracer: Tracer, x: Value, dims: Any, keepdim: bool, kind: type[Any], **fields: Any) -> Value:
    """A reduction over dimensions."""
    if dims is None or (isinstance(dims, (list, tuple)) and not dims):
        dims = range(len(x.shape))
    chosen = sorted(x.dim(dim) for dim in (numbers(dims) if not isinstance(dims, range) else dims))
    axes = tuple(x.axis(dim) for dim in chosen)
    shape = tuple(1 if d in chosen else size for d, size in enumerate(x.shape) if keepdim or d not in chosen)
    layer: Layer = kind(axes=axes[0] if len(axes) == 1 else axes, keepdim=keepdim, **fields)
    image = x.batch is not None and x.batch.dim == 0 and len(x.sample) >= 3
    if keepdim and image and axes == tuple(range(1, len(x.sample))) and kind in (Mean, Max):
        layer = GlobalAvgPool() if kind is Mean else GlobalMaxPool()
    (made,) = tracer.emit(layer, tracer.ref(x))
    batch = x.batch
    if batch is not None and not keepdim:
        batch = batch._replace(dim=batch.dim - sum(dim < batch.dim for dim in chosen))
    return tracer.checked(Value(shape, batch, made))


@captures(*REDUCTIONS)
def reduction(tracer: Tracer, call: Call) -> Value:
    """``torch.mean`` and similar ones."""
    return reduced(tracer, call.first(), call["dim"], bool(call["keepdim"]), REDUCTIONS[call.name])


@captures("max", "min")
def extreme(tracer: Tracer, call: Call) -> Any:
    """``torch.max`` along a dimension; the index of the maximum is not a tensor of the graph."""
    if isinstance(call["other"], Value):
        return (maximum if call.name == "max" else minimum)(tracer, call)
    out = reduced(tracer, call.first(), call["dim"], bool(call["keepdim"]), Max if call.name == "max" else Min)
    if len(call.outputs) == 1:
        return out
    if any(_port(user) == 1 and user.users for user in call.node.users):
        raise UnsupportedError("the place of the extreme is used")
    return out, None


def _port(node: Any) -> Any:
    return node.args[1] if len(node.args) > 1 else None


@captures("var", "std", "var_mean", "std_mean")
def variance(tracer: Tracer, call: Call) -> Any:
    """``torch.var``, its root, and both with the mean."""
    x, dims, keepdim = call.first(), call["dim"], bool(call["keepdim"])
    correction = call["correction"]
    if correction is None:
        correction = 0 if call["unbiased"] is False else 1
    out = reduced(tracer, x, dims, keepdim, Variance, correction=int(correction))
    if call.name.startswith("std"):
        out = tracer.one(Math(function="sqrt"), out)
    return (out, reduced(tracer, x, dims, keepdim, Mean)) if call.name.endswith("mean") else out


@captures("linalg_vector_norm", "norm", "frobenius_norm")
def vector_norm(tracer: Tracer, call: Call) -> Value:
    """The Euclidean norm."""
    order = call["ord"] if "ord" in call.arguments else call["p"]
    if order not in (2, None) and call.name != "frobenius_norm":
        raise UnsupportedError(f"the norm of order {order}")
    return reduced(tracer, call.first(), call["dim"], bool(call["keepdim"]), VectorNorm)


@captures("_weight_norm")
def weight_norm(tracer: Tracer, call: Call) -> Value:
    """``g·v/‖v‖``, the norm over all axes but one (Salimans and Kingma 2016)."""
    v, g, dim = call["v"], call["g"], call["dim"]
    dims = [one for one in range(len(v.shape)) if dim == -1 or one != v.dim(dim)]
    scale = merged(tracer, Divide(), [g, reduced(tracer, v, dims, dim != -1, VectorNorm)], g.shape)
    return merged(tracer, Multiply(), [v, scale], call.shape)


@captures("pairwise_distance")
def pairwise_distance(tracer: Tracer, call: Call) -> Value:
    """The Euclidean norm of ``x1 − x2 + eps`` over the last axis."""
    if call["p"] != 2:
        raise UnsupportedError(f"the norm of order {call['p']}")
    one, other = call["x1"], call["x2"]
    x = merged(tracer, Subtract(), [one, other], broadcast(one.shape, other.shape))
    return reduced(tracer, by_number(tracer, x, "add", call["eps"]), [-1], bool(call["keepdim"]), VectorNorm)


@captures("cosine_similarity")
def cosine_similarity(tracer: Tracer, call: Call) -> Value:
    """The sum of products of two tensors, each over its norm, which is at least ``eps``."""
    dim = call["dim"]
    units = []
    for x in (call["x1"], call["x2"]):
        norm = reduced(tracer, x, [dim], True, VectorNorm)
        norm = tracer.one(Math(function="maximum", value=float(call["eps"])), norm)
        units.append(merged(tracer, Divide(), [x, norm], x.shape))
    shape = broadcast(units[0].shape, units[1].shape)
    return reduced(tracer, merged(tracer, Multiply(), units, shape), [dim], False, Sum)
