"""Convolutions."""

from __future__ import annotations

from typing import Any

from cnncalc.layers.conv import Conv, ConvTranspose, FunctionalConv
from cnncalc.torch.capture.operators.fields import Map, as_map, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value


@captures("conv1d", "conv2d", "conv3d", "convolution", "_convolution", owns=("weight", "bias"), multiplies=True)
def conv(tracer: Tracer, call: Call) -> Value:
    """``F.convNd``: by weights of its own, or by tensors."""
    if call["transposed"]:
        return conv_transpose(tracer, call)
    x, weight = call["input"], call["weight"]
    rank = len(weight.shape) - 2
    weights = tracer.owned(call, weight="weight", bias="bias")
    if weights is None and weight.batch is not None:
        return _by_sample(tracer, call, x, weight)
    given = as_map(tracer, x, rank)
    fields = _fields(call, given)
    if weights is not None:
        layer = Conv(
            out=weight.shape[0],
            kernel=given.each(weight.shape[2:], rank, 1),
            bias=call["bias"] is not None,
            **fields,
        )
        (made,) = tracer.emit(layer, given.ref, weights=weights)
    else:
        if any(one is not None and one.batch is not None for one in (weight, call["bias"])):
            raise UnsupportedError("its weight depends on the input")
        kernel = tracer.ref(weight)
        if given.spread:
            kernel = tracer.reshaped(kernel, (*weight.shape[:2], 1, *weight.shape[2:]))
        bias = [] if call["bias"] is None else [tracer.ref(call["bias"])]
        (made,) = tracer.emit(FunctionalConv(**fields), given.ref, kernel, *bias)
    return given.back(tracer, made, call.shape)


def _fields(call: Call, given: Map | None = None) -> dict[str, Any]:
    """Stride, padding, dilation and groups."""
    rank = len(call["weight"].shape) - 2
    padding = call["padding"]
    # PyTorch's "same" has stride 1; it puts the odd pixel behind, as TensorFlow does
    return {
        name: one if isinstance(one, str) else one_or_each(one, rank) if given is None else given.each(one, rank, along)
        for name, one, along in (
            ("stride", call["stride"], 1),
            ("padding", padding, 0),
            ("dilation", call["dilation"], 1),
        )
    } | {"groups": call["groups"]}


def _by_sample(tracer: Tracer, call: Call, x: Value, weight: Value) -> Value:
    """Samples as groups of one convolution, each with a weight of its own (Yang et al. 2019, CondConv)."""
    merged = (x.batch is not None and x.batch.dim == 1 and x.batch.before == 1 and x.shape[0] == 1) and (
        weight.batch is not None and weight.batch.dim == 0 and weight.batch.before == 1
    )
    fields = _fields(call)
    if not merged or fields["groups"] % tracer.samples or call["bias"] is not None:
        raise UnsupportedError("its weight depends on the input")
    assert x.batch is not None
    assert weight.batch is not None
    image = tracer.reshaped(tracer.ref(x), x.sample[1:] if x.batch.after > 1 else (1, *x.sample[1:]))
    own = weight.sample if weight.batch.after > 1 else (1, *weight.sample)
    kernel = tracer.reshaped(tracer.ref(weight), own)
    fields["groups"] //= tracer.samples
    (made,) = tracer.emit(FunctionalConv(**fields), image, kernel)
    batch = x.batch._replace(after=call.shape[1] // tracer.samples)
    out = Value(call.shape, batch, None)
    return tracer.checked(Value(call.shape, batch, tracer.reshaped(made, out.sample)))


@captures("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", owns=("weight", "bias"), multiplies=True)
def conv_transpose(tracer: Tracer, call: Call) -> Value:
    """``F.conv_transposeNd``"""
    x, weight = call["input"], call["weight"]
    rank = len(weight.shape) - 2
    weights = tracer.owned(call, weight="weight", bias="bias")
    if weights is None:
        raise UnsupportedError("its weight is computed")
    layer = ConvTranspose(
        out=weight.shape[1] * call["groups"],
        kernel=one_or_each(weight.shape[2:], rank),
        stride=one_or_each(call["stride"], rank),
        padding=one_or_each(call["padding"], rank),
        output_padding=one_or_each(call["output_padding"], rank),
        dilation=one_or_each(call["dilation"], rank),
        groups=call["groups"],
        bias=call["bias"] is not None,
    )
    given = as_map(tracer, x, rank)
    if given.spread:
        raise UnsupportedError("it works on samples that are merged with other axes")
    (made,) = tracer.emit(layer, given.ref, weights=weights)
    return given.back(tracer, made, call.shape)
