"""Convolutions."""

from __future__ import annotations

from typing import Any

from cnncalc.layers.conv import Conv, ConvTranspose, FunctionalConv
from cnncalc.torch.capture.operators.fields import feature_map, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import BATCH, UnsupportedError, Value


@captures("conv1d", "conv2d", "conv3d", "convolution", "_convolution", owns=("weight", "bias"))
def conv(tracer: Tracer, call: Call) -> Value:
    """``F.convNd``: by weights of its own, or by tensors."""
    if call["transposed"]:
        return conv_transpose(tracer, call)
    x, weight = call["input"], call["weight"]
    rank = len(weight.shape) - 2
    fields: dict[str, Any] = {
        "stride": one_or_each(call["stride"], rank),
        "padding": _padding(call["padding"], weight.shape[2:], call["dilation"]),
        "dilation": one_or_each(call["dilation"], rank),
        "groups": call["groups"],
    }
    weights = tracer.owned(call, weight="weight", bias="bias")
    if weights is None and weight.batch is not None:
        return _by_sample(tracer, call, x, weight, fields)
    ref = feature_map(tracer, x, rank)
    if weights is not None:
        layer = Conv(
            out=weight.shape[0],
            kernel=one_or_each(weight.shape[2:], rank),
            bias=call["bias"] is not None,
            **fields,
        )
        (made,) = tracer.emit(layer, ref, weights=weights)
    else:
        if any(one is not None and one.batch is not None for one in (weight, call["bias"])):
            raise UnsupportedError("its weight depends on the input")
        given = [tracer.ref(one) for one in (weight, call["bias"]) if one is not None]
        (made,) = tracer.emit(FunctionalConv(**fields), ref, *given)
    return tracer.checked(Value(call.shape, x.batch, made))


def _by_sample(tracer: Tracer, call: Call, x: Value, weight: Value, fields: dict[str, Any]) -> Value:
    """Samples as groups of one convolution, each with a weight of its own (Yang et al. 2019, CondConv)."""
    merged = (x.batch is not None and x.batch.dim == 1 and x.batch.before == 1 and x.shape[0] == 1) and (
        weight.batch is not None and weight.batch.dim == 0 and weight.batch.before == 1
    )
    if not merged or fields["groups"] % BATCH or call["bias"] is not None:
        raise UnsupportedError("its weight depends on the input")
    assert x.batch is not None
    assert weight.batch is not None
    image = tracer.reshaped(tracer.ref(x), x.sample[1:] if x.batch.after > 1 else (1, *x.sample[1:]))
    own = weight.sample if weight.batch.after > 1 else (1, *weight.sample)
    kernel = tracer.reshaped(tracer.ref(weight), own)
    fields["groups"] //= BATCH
    (made,) = tracer.emit(FunctionalConv(**fields), image, kernel)
    batch = x.batch._replace(after=call.shape[1] // BATCH)
    out = Value(call.shape, batch, None)
    return tracer.checked(Value(call.shape, batch, tracer.reshaped(made, out.sample)))


def _padding(padding: Any, kernel: tuple[int, ...], dilation: Any) -> Any:
    """Padding as a field. PyTorch's ``same`` has stride 1, so that TensorFlow's is the same but for the odd
    pixel, which PyTorch also puts behind.
    """
    return padding if isinstance(padding, str) else one_or_each(padding, len(kernel))


@captures("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", owns=("weight", "bias"))
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
    (made,) = tracer.emit(layer, feature_map(tracer, x, rank), weights=weights)
    return tracer.checked(Value(call.shape, x.batch, made))
