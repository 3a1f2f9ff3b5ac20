"""Norms; where their weights are computed, the norm without them and then a product and a sum."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Layer
from cnncalc.layers.merge import Add, Divide, Multiply, Subtract
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm
from cnncalc.layers.shape import Permute
from cnncalc.torch.capture.operators.fields import feature_map, fields, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

STATISTICS = ("weight", "bias", "running_mean", "running_var")


@captures("batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", owns=STATISTICS)
def batch_norm(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.batch_norm``; channels are brought to the front where samples are merged with other axes."""
    tracked = call["running_mean"] is not None
    if x.batch is None:
        return _without_batch(tracer, call, x)
    layer, weights = _with_statistics(tracer, call, BatchNorm)
    if tracked and call["training"]:
        raise UnsupportedError("it takes the batch's own statistics, and keeps others")
    if weights is None:
        if not tracked:
            raise UnsupportedError("its weights are not those of a BatchNorm module")
        return _by_statistics(tracer, call, x)
    if not tracked and not x.batch_first:
        raise UnsupportedError("it takes the statistics of merged samples")
    channel, rank, ref = x.axis(1), len(x.sample), tracer.ref(x)
    if channel:
        (ref,) = tracer.emit(Permute(axes=(channel, *(axis for axis in range(rank) if axis != channel))), ref)
    (ref,) = tracer.emit(layer, ref, weights=weights)
    if channel:
        (ref,) = tracer.emit(Permute(axes=(*range(1, channel + 1), 0, *range(channel + 1, rank))), ref)
    return tracer.value(ref, x.batch)


def _with_statistics(tracer: Tracer, call: Call, kind: type[Any]) -> tuple[Layer, dict[str, str] | None]:
    """A norm that may keep statistics, and its tensors with its count of batches; none where these are not a
    module's.
    """
    tracked = call["running_mean"] is not None
    layer = kind(**fields(call, kind), affine=call["weight"] is not None, track_running_stats=tracked)
    weights = tracer.owned(call, *STATISTICS)
    if weights is None or (call["weight"] is None) != (call["bias"] is None):
        return layer, None
    if tracked:
        weights["num_batches_tracked"] = f"{weights['running_mean'].removesuffix('running_mean')}num_batches_tracked"
        if weights["num_batches_tracked"] not in tracer.buffers:
            return layer, None
    return layer, weights


def _by_statistics(tracer: Tracer, call: Call, x: Value) -> Value:
    """With tensors that belong to no module, as arithmetic: ``(x − mean) / √(variance + eps)``."""
    deviation = tracer.one(Math(function="add", value=call["eps"]), call["running_var"])
    deviation = tracer.one(Math(function="sqrt"), deviation)
    x = _along_channels(tracer, Subtract(), x, call["running_mean"])
    return _affine(tracer, _along_channels(tracer, Divide(), x, deviation), call)


def _without_batch(tracer: Tracer, call: Call, x: Value) -> Value:
    """Normalises a weight: each channel over all later axes (Qiao et al. 2019, weight standardisation)."""
    if call["running_mean"] is not None or x.shape[0] != 1 or len(x.shape) < 3:
        raise UnsupportedError("it normalises a tensor without a batch")
    layer = LayerNorm(axes=tuple(range(2, len(x.shape))), eps=call["eps"], elementwise_affine=False)
    return _affine(tracer, tracer.one(layer, x), call)


def _affine(tracer: Tracer, x: Value, call: Call) -> Value:
    """Product with the weight and sum with the bias of each channel."""
    return _along_channels(tracer, Add(), _along_channels(tracer, Multiply(), x, call["weight"]), call["bias"])


def _along_channels(tracer: Tracer, layer: Layer, x: Value, other: Value | None) -> Value:
    """Arithmetic with a number for each channel, if there are any."""
    if other is None:
        return x
    spread = tracer.reshaped(tracer.ref(other), (*other.shape, *(1,) * (len(x.shape) - 2)))
    return tracer.merged(layer, x, tracer.value(spread, None))


@captures("layer_norm", "native_layer_norm", "rms_norm", owns=("weight", "bias"))
def over_last_axes(
    tracer: Tracer, call: Call, x: Value, normalized_shape: list[int], weight: Value | None, bias: Value | None
) -> Value:
    """``F.layer_norm`` and ``F.rms_norm``"""
    kind: type[Any] = RmsNorm if call.name == "rms_norm" else LayerNorm
    axes = [x.axis(dim) for dim in range(-len(normalized_shape), 0)]
    given = {**fields(call, kind), "axes": one_or_each(axes)}
    weights = tracer.owned(call, "weight", "bias")
    if weights is not None and not (weight is None and bias is not None):
        less = {"bias": False} if kind is LayerNorm and weights and bias is None else {}
        return tracer.one(kind(**given, **less, elementwise_affine=bool(weights)), x, weights)
    x = tracer.one(kind(**given, elementwise_affine=False), x)
    for layer, one in ((Multiply(), weight), (Add(), bias)):
        x = x if one is None else tracer.merged(layer, x, one)
    return x


@captures("group_norm", "native_group_norm", owns=("weight", "bias"))
def group_norm(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.group_norm``"""
    feature_map(tracer, x, len(x.shape) - 2)
    weights = tracer.owned(call, "weight", "bias")
    norm = partial(GroupNorm, groups=call["num_groups"] or call["group"], eps=call["eps"])
    if weights is not None and len(weights) != 1:
        return tracer.one(norm(affine=bool(weights)), x, weights)
    return _affine(tracer, tracer.one(norm(affine=False), x), call)


@captures("instance_norm", owns=STATISTICS)
def instance_norm(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.instance_norm``"""
    feature_map(tracer, x, len(x.shape) - 2)
    layer, weights = _with_statistics(tracer, call, InstanceNorm)
    if weights is None or prod(x.shape[2:]) < 2:
        raise UnsupportedError("its weights are computed")
    return tracer.one(layer, x, weights)
