"""Arithmetic of tensors with each other and with numbers."""

from __future__ import annotations

from typing import Any

from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Layer
from cnncalc.layers.merge import Add, Divide, Maximum, Minimum, Multiply, Subtract
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

ARITHMETIC: dict[str, tuple[Layer, str]] = {
    **dict.fromkeys(("mul", "multiply"), (Multiply(), "multiply")),
    **dict.fromkeys(("div", "divide", "true_divide"), (Divide(), "divide")),
    "add": (Add(), "add"),
    **dict.fromkeys(("sub", "subtract"), (Subtract(), "add")),
    "rsub": (Subtract(), "subtract_from"),
    **dict.fromkeys(("maximum", "fmax"), (Maximum(), "maximum")),
    **dict.fromkeys(("minimum", "fmin"), (Minimum(), "minimum")),
}
"""For each operator on two tensors, or a tensor and a number, the layer of tensors and the function of numbers."""


@captures(*ARITHMETIC)
def arithmetic(tracer: Tracer, call: Call, x: Value, other: Value | float) -> Value:
    """Two tensors, or a tensor and a number; in sums and differences the second may be multiplied by ``alpha``."""
    layer, function = ARITHMETIC[call.name]
    alpha = 1 if call["alpha"] is None else call["alpha"]
    if call["rounding_mode"] is not None:
        raise UnsupportedError("it rounds")
    if call.name == "rsub":
        x, other, alpha = by_number(tracer, x, "multiply", alpha), other, 1
    if not isinstance(other, Value):
        return by_number(tracer, x, function, (-other if call.name.startswith("sub") else other) * alpha)
    other = by_number(tracer, other, "multiply", alpha)
    if call.name == "rsub":
        x, other = other, x
    return tracer.merged(layer, x, other)


def by_number(tracer: Tracer, value: Value, function: Any, number: float) -> Value:
    """Arithmetic with one number; no layer if it changes nothing."""
    if (function, number) in (("add", 0), ("multiply", 1), ("divide", 1), ("power", 1)):
        return value
    return tracer.one(Math(function=function, value=float(number)), value)


@captures("pow")
def power(tracer: Tracer, x: Value | float, exponent: Value | float) -> Value:
    """Power by a fixed number."""
    if isinstance(exponent, Value) or not isinstance(x, Value):
        raise UnsupportedError("the exponent is a tensor")
    return by_number(tracer, x, "power", exponent)


@captures("addcmul")
def addcmul(tracer: Tracer, x: Value, tensor1: Value, tensor2: Value, value: float) -> Value:
    """``x + value·a·b``"""
    return tracer.merged(Add(), x, by_number(tracer, tracer.merged(Multiply(), tensor1, tensor2), "multiply", value))


@captures("lerp")
def lerp(tracer: Tracer, x: Value, end: Value, weight: Value | float) -> Value:
    """``x + weight·(end − x)``"""
    step = tracer.merged(Subtract(), end, x)
    if isinstance(weight, Value):
        step = tracer.merged(Multiply(), weight, step)
    else:
        step = by_number(tracer, step, "multiply", weight)
    return tracer.merged(Add(), x, step)
