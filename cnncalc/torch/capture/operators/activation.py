"""Activations and functions of single elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnncalc.layers import activation as layers
from cnncalc.layers.arithmetic import WITHOUT_VALUE, Math
from cnncalc.layers.base import Layer
from cnncalc.layers.merge import Maximum, Minimum
from cnncalc.torch.capture.operators import merge
from cnncalc.torch.capture.operators.fields import number
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

PLAIN: dict[str, Callable[[Call], Layer]] = {
    "relu": lambda call: layers.Relu(),
    "relu6": lambda call: layers.Relu6(),
    "leaky_relu": lambda call: layers.LeakyRelu(negative_slope=number(call["negative_slope"])),
    "elu": lambda call: _elu(call),
    "selu": lambda call: layers.Selu(),
    "celu": lambda call: layers.Celu(alpha=number(call["alpha"])),
    "gelu": lambda call: layers.Gelu(approximate=call["approximate"]),
    "silu": lambda call: layers.Silu(),
    "mish": lambda call: layers.Mish(),
    "hardsigmoid": lambda call: layers.Hardsigmoid(),
    "hardswish": lambda call: layers.Hardswish(),
    "softshrink": lambda call: layers.Softshrink(lambd=number(call["lambd"])),
    "hardshrink": lambda call: layers.Hardshrink(lambd=number(call["lambd"])),
    "threshold": lambda call: layers.Threshold(threshold=number(call["threshold"]), value=number(call["value"])),
    "sigmoid": lambda call: layers.Sigmoid(),
    "log_sigmoid": lambda call: layers.LogSigmoid(),
    "tanh": lambda call: layers.Tanh(),
    "softplus": lambda call: layers.Softplus(beta=number(call["beta"]), threshold=number(call["threshold"])),
    "hardtanh": lambda call: _between(call["min_val"], call["max_val"]),
}


def _between(least: object, most: object) -> Layer:
    if least is not None and most is not None:
        low, high = number(least), number(most)
        return layers.Relu6() if (low, high) == (0, 6) else layers.Hardtanh(min_val=low, max_val=high)
    if least is not None:
        return layers.Relu() if number(least) == 0 else Math(function="maximum", value=number(least))
    return Math(function="minimum", value=number(most))


def _elu(call: Call) -> Layer:
    if (call["scale"], call["input_scale"]) != (1, 1):
        raise UnsupportedError("it has scales of its own")
    return layers.Elu(alpha=number(call["alpha"]))


@captures(*PLAIN)
def elementwise(tracer: Tracer, call: Call) -> Value:
    """An activation."""
    return tracer.one(PLAIN[call.name](call), call.first())


@captures("clamp", "clip", "clamp_min", "clamp_max")
def clamp(tracer: Tracer, call: Call) -> Value:
    """Bounds that are numbers, or tensors."""
    x, least, most = call.first(), call["min"], call["max"]
    if not isinstance(least, Value) and not isinstance(most, Value):
        return tracer.one(_between(least, most), x)
    if isinstance(least, Value):
        x = merge.merged(tracer, Maximum(), [x, least], call.shape)
    elif least is not None:
        x = tracer.one(_between(least, None), x)
    if isinstance(most, Value):
        return merge.merged(tracer, Minimum(), [x, most], call.shape)
    return x if most is None else tracer.one(_between(None, most), x)


@captures(*WITHOUT_VALUE)
def function(tracer: Tracer, call: Call) -> Value:
    """A function of every element."""
    name: Any = call.name
    return tracer.one(Math(function=name), call.first())


@captures("softmax", "_softmax", "special_softmax")
def softmax(tracer: Tracer, call: Call) -> Value:
    """``F.softmax``"""
    x = call.first()
    return tracer.one(layers.Softmax(axis=x.axis(call["dim"])), x)


@captures("log_softmax", "_log_softmax", "special_log_softmax")
def log_softmax(tracer: Tracer, call: Call) -> Value:
    """``F.log_softmax``"""
    x = call.first()
    return tracer.one(layers.LogSoftmax(axis=x.axis(call["dim"])), x)


@captures("glu")
def glu(tracer: Tracer, call: Call) -> Value:
    """``F.glu``"""
    x = call.first()
    return tracer.one(layers.Glu(axis=x.axis(call["dim"])), x, call.shape)


@captures("prelu", "_prelu_kernel", owns=("weight",))
def prelu(tracer: Tracer, call: Call) -> Value:
    """``F.prelu``"""
    x = call.first()
    weights = tracer.owned(call, weight="weight")
    if weights is None or x.batch is None or (x.batch.dim, x.batch.before, x.batch.after) != (0, 1, 1):
        raise UnsupportedError("its weight is computed")
    return tracer.one(layers.Prelu(num_parameters=call["weight"].shape[0]), x, weights=weights)
