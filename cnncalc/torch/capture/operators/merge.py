"""Arithmetic of tensors with each other and with numbers; concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Layer, Shape
from cnncalc.layers.merge import Add, Concat, Divide, Maximum, Minimum, Multiply, Subtract
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value, sample_shape


def merged(tracer: Tracer, layer: Layer, values: Sequence[Value], shape: Shape) -> Value:
    """A layer of several tensors that broadcast."""
    refs, batch = tracer.together(values, len(shape))
    (made,) = tracer.emit(layer, *refs)
    return tracer.checked(Value(shape, batch, made))


def broadcast(first: Shape, second: Shape) -> Shape:
    """The shape that two broadcast to."""
    rank = max(len(first), len(second))
    pairs = zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True)
    return tuple(a if b == 1 else b for a, b in pairs)


def added(tracer: Tracer, values: Sequence[Value], shape: Shape) -> Value:
    """The sum of tensors."""
    return merged(tracer, Add(), values, shape)


def by_number(tracer: Tracer, value: Value, function: Any, number: float) -> Value:
    """Arithmetic with one number; no layer if it changes nothing."""
    if (function, number) in (("add", 0), ("multiply", 1), ("divide", 1), ("power", 1)):
        return value
    return tracer.one(Math(function=function, value=float(number)), value)


@captures("add", "sub", "subtract")
def add(tracer: Tracer, call: Call) -> Value:
    """Sum and difference; the second may be multiplied by ``alpha``."""
    x, other, alpha = call["self"], call["other"], call["alpha"]
    alpha = 1 if alpha is None else alpha
    minus = call.name != "add"
    if not isinstance(other, Value):
        return by_number(tracer, x, "add", (-other if minus else other) * alpha)
    if alpha != 1:
        other = by_number(tracer, other, "multiply", alpha)
    return merged(tracer, Subtract() if minus else Add(), [x, other], call.shape)


@captures("rsub")
def rsub(tracer: Tracer, call: Call) -> Value:
    """The second less the first."""
    if isinstance(call["other"], Value):
        return merged(tracer, Subtract(), [call["other"], call["self"]], call.shape)
    return by_number(tracer, call["self"], "subtract_from", call["other"])


@captures("mul", "multiply")
def mul(tracer: Tracer, call: Call) -> Value:
    """Product."""
    if not isinstance(call["other"], Value):
        return by_number(tracer, call["self"], "multiply", call["other"])
    return merged(tracer, Multiply(), [call["self"], call["other"]], call.shape)


@captures("div", "divide", "true_divide")
def div(tracer: Tracer, call: Call) -> Value:
    """Quotient."""
    if call["rounding_mode"] is not None:
        raise UnsupportedError("it rounds")
    if not isinstance(call["other"], Value):
        return by_number(tracer, call["self"], "divide", call["other"])
    return merged(tracer, Divide(), [call["self"], call["other"]], call.shape)


@captures("pow")
def power(tracer: Tracer, call: Call) -> Value:
    """Power by a fixed number."""
    if isinstance(call["exponent"], Value) or not isinstance(call["self"], Value):
        raise UnsupportedError("the exponent is a tensor")
    return by_number(tracer, call["self"], "power", call["exponent"])


@captures("maximum", "fmax")
def maximum(tracer: Tracer, call: Call) -> Value:
    """Element by element."""
    return merged(tracer, Maximum(), [call["self"], call["other"]], call.shape)


@captures("minimum", "fmin")
def minimum(tracer: Tracer, call: Call) -> Value:
    """Element by element."""
    return merged(tracer, Minimum(), [call["self"], call["other"]], call.shape)


@captures("addcmul")
def addcmul(tracer: Tracer, call: Call) -> Value:
    """``x + value·a·b``"""
    out = merged(tracer, Multiply(), [call["tensor1"], call["tensor2"]], call.shape)
    return added(tracer, [call["self"], by_number(tracer, out, "multiply", call["value"])], call.shape)


@captures("lerp")
def lerp(tracer: Tracer, call: Call) -> Value:
    """``a + weight·(b − a)``"""
    start, weight = call["self"], call["weight"]
    difference = merged(tracer, Subtract(), [call["end"], start], call.shape)
    if isinstance(weight, Value):
        step = merged(tracer, Multiply(), [weight, difference], call.shape)
    else:
        step = by_number(tracer, difference, "multiply", weight)
    return added(tracer, [start, step], call.shape)


@captures("cat", "concat", "concatenate")
def cat(tracer: Tracer, call: Call) -> Value:
    """``torch.cat``"""
    values = [value for value in call["tensors"] if 0 not in value.shape]
    return joined(tracer, values, call["dim"], call.shape)


@captures("stack")
def stack(tracer: Tracer, call: Call) -> Value:
    """``torch.stack``: a new axis, along which the tensors are put together."""
    from cnncalc.torch.capture.operators.shape import unsqueezed

    values = call["tensors"]
    dim = values[0].dim(call["dim"], beyond=1)
    return joined(tracer, [unsqueezed(tracer, value, dim) for value in values], dim, call.shape)


def joined(tracer: Tracer, values: Sequence[Value], dim: int, shape: Shape) -> Value:
    """Tensors joined along a dimension; a single one is the result itself."""
    if len(values) == 1:
        return values[0]
    batch = next((value.batch for value in values if value.batch is not None), None)
    if batch is not None and any(value.batch not in (None, batch) for value in values):
        raise UnsupportedError("its inputs hold the batch in different places")
    out = Value(shape, batch, None)
    axis = out.axis(dim)
    refs = []
    for value in values:
        if batch is None or value.batch is not None:
            refs.append(tracer.ref(value))
        elif value.shape[batch.dim] != tracer.samples * batch.before * batch.after:
            raise UnsupportedError("a tensor without the batch meets its axis")
        elif value.fixed and not tracer.is_learned(value):
            refs += tracer.emit(_constant(sample_shape(value.shape, batch)))
        elif tracer.samples == 1:
            refs.append(tracer.reshaped(tracer.ref(value), sample_shape(value.shape, batch)))
        else:
            raise UnsupportedError("a tensor without the batch meets its axis")
    (made,) = tracer.emit(Concat(axis=axis), *refs)
    return tracer.checked(Value(shape, batch, made))


def _constant(shape: Shape) -> Layer:
    from cnncalc.layers.tensor import Constant

    return Constant(shape=shape)
