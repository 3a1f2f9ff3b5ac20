"""Activations, functions of single elements, and dropout."""

from __future__ import annotations

from typing import Any

from cnncalc.layers import activation as layers
from cnncalc.layers.arithmetic import WITHOUT_VALUE, Math
from cnncalc.layers.base import REGISTRY, Layer
from cnncalc.layers.merge import Maximum, Minimum
from cnncalc.layers.regularization import AlphaDropout, ChannelDropout, Dropout
from cnncalc.torch.capture.operators.fields import fields
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

NAMED: dict[str, type[Any]] = {
    **{kind: REGISTRY[kind] for kind in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish")},
    **{kind: REGISTRY[kind] for kind in ("hardsigmoid", "hardswish", "softshrink", "hardshrink", "threshold", "glu")},
    **{kind: REGISTRY[kind] for kind in ("sigmoid", "log_sigmoid", "tanh", "softplus", "softmax", "log_softmax")},
    **{f"{before}softmax": layers.Softmax for before in ("_", "special_")},
    **{f"{before}log_softmax": layers.LogSoftmax for before in ("_", "special_")},
    "dropout": Dropout,
    "native_dropout": Dropout,
    "feature_dropout": ChannelDropout,
    "alpha_dropout": AlphaDropout,
}
"""Layers with the operator's own arguments."""


@captures(*NAMED)
def named(tracer: Tracer, call: Call, x: Value) -> Value:
    """An activation, or a dropout; no layer if its probability is 0."""
    kind = NAMED[call.name]
    if call["p"] == 0:
        return x
    if {call["scale"], call["input_scale"]} - {None, 1}:
        raise UnsupportedError("it has scales of its own")
    return tracer.one(kind(**fields(call, kind)), x)


@captures("hardtanh")
def hardtanh(tracer: Tracer, x: Value, min_val: float, max_val: float) -> Value:
    """``F.hardtanh``, which ``F.relu6`` is too."""
    return tracer.one(_between(min_val, max_val), x)


def _between(least: float | None, most: float | None) -> Layer:
    if least is not None and most is not None:
        return layers.Relu6() if (least, most) == (0, 6) else layers.Hardtanh(min_val=least, max_val=most)
    if least is not None:
        return layers.Relu() if least == 0 else Math(function="maximum", value=least)
    return Math(function="minimum", value=most)


@captures("clamp", "clip", "clamp_min", "clamp_max")
def clamp(tracer: Tracer, call: Call, x: Value) -> Value:
    """Bounds that are numbers, or tensors."""
    least, most = call["min"], call["max"]
    if not isinstance(least, Value) and not isinstance(most, Value):
        return tracer.one(_between(least, most), x)
    if least is not None:
        x = tracer.merged(Maximum(), x, least) if isinstance(least, Value) else tracer.one(_between(least, None), x)
    if most is not None:
        x = tracer.merged(Minimum(), x, most) if isinstance(most, Value) else tracer.one(_between(None, most), x)
    return x


@captures(*WITHOUT_VALUE)
def function(tracer: Tracer, call: Call, x: Value) -> Value:
    """A function of every element."""
    name: Any = call.name
    return tracer.one(Math(function=name), x)


@captures("prelu", "_prelu_kernel", owns=("weight",))
def prelu(tracer: Tracer, call: Call, x: Value, weight: Value) -> Value:
    """``F.prelu``"""
    weights = tracer.owned(call, "weight")
    if weights is None or not x.batch_first:
        raise UnsupportedError("its weight is computed")
    return tracer.one(layers.Prelu(num_parameters=weight.shape[0]), x, weights)
