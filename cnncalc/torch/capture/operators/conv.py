"""Convolutions."""

from __future__ import annotations

from cnncalc.layers.conv import Conv, ConvTranspose, FunctionalConv
from cnncalc.torch.capture.operators.fields import as_map, fields, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value


@captures("conv1d", "conv2d", "conv3d", "convolution", "_convolution", owns=("weight", "bias"), multiplies=True)
def conv(tracer: Tracer, call: Call, x: Value, weight: Value, bias: Value | None) -> Value:
    """``F.convNd``: by weights of its own, or by tensors."""
    if call["transposed"]:
        return conv_transpose(tracer, call, x, weight)
    weights = tracer.owned(call, "weight", "bias")
    if weights is None and weight.batch is not None:
        return _by_sample(tracer, call, x, weight)
    given = as_map(tracer, x, len(weight.shape) - 2)
    if weights is not None:
        shape = {"out": weight.shape[0], "kernel": one_or_each(weight.shape[2:]), "bias": bias is not None}
        return given.back(tracer, *tracer.emit(Conv(**given.fields(call, Conv, **shape)), given.ref, weights=weights))
    if bias is not None and bias.batch is not None:
        raise UnsupportedError("its weight depends on the input")
    operands = [given.ref, tracer.ref(weight)]
    if given.spread:
        operands[1] = tracer.reshaped(operands[1], (*weight.shape[:2], 1, *weight.shape[2:]))
    if bias is not None:
        operands.append(tracer.ref(bias))
    return given.back(tracer, *tracer.emit(FunctionalConv(**given.fields(call, FunctionalConv)), *operands))


def _by_sample(tracer: Tracer, call: Call, x: Value, weight: Value) -> Value:
    """Samples as groups of one convolution, each with a weight of its own (Yang et al. 2019, CondConv)."""
    merged = (
        x.batch is not None
        and weight.batch is not None
        and (x.batch.dim, x.batch.before, x.shape[0]) == (1, 1, 1)
        and (weight.batch.dim, weight.batch.before) == (0, 1)
    )
    groups, left = divmod(call["groups"], tracer.samples)
    if not merged or left or call["bias"] is not None:
        raise UnsupportedError("its weight depends on the input")
    assert x.batch is not None
    assert weight.batch is not None
    own = x.sample[1:] if x.batch.after > 1 else (1, *x.sample[1:])
    image = tracer.reshaped(tracer.ref(x), own)
    kernel = tracer.reshaped(tracer.ref(weight), (weight.batch.after, *weight.shape[1:]))
    layer = FunctionalConv(**{**fields(call, FunctionalConv), "groups": groups})
    (made,) = tracer.emit(layer, image, kernel)
    channels, *sizes = tracer.shape(made)
    factor = (channels,) if channels > 1 else ()
    return tracer.value(tracer.reshaped(made, (1, *factor, *sizes)), x.batch._replace(after=channels))


@captures("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", owns=("weight", "bias"), multiplies=True)
def conv_transpose(tracer: Tracer, call: Call, x: Value, weight: Value) -> Value:
    """``F.conv_transposeNd``"""
    weights = tracer.owned(call, "weight", "bias")
    if weights is None:
        raise UnsupportedError("its weight is computed")
    given = as_map(tracer, x, len(weight.shape) - 2)
    if given.spread:
        raise UnsupportedError("it works on samples that are merged with other axes")
    layer = ConvTranspose(
        **fields(call, ConvTranspose),
        out=weight.shape[1] * call["groups"],
        kernel=one_or_each(weight.shape[2:]),
        bias=call["bias"] is not None,
    )
    return given.back(tracer, *tracer.emit(layer, given.ref, weights=weights))
