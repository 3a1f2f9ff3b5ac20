"""Norms; where their weights are computed, the norm without them and then a product and a sum."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from cnncalc.layers.arithmetic import Math
from cnncalc.layers.base import Layer
from cnncalc.layers.merge import Add, Divide, Multiply, Subtract
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm
from cnncalc.layers.shape import Permute
from cnncalc.torch.capture.operators.fields import feature_map
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

STATISTICS = ("weight", "bias", "running_mean", "running_var")


@captures("batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", owns=STATISTICS)
def batch_norm(tracer: Tracer, call: Call) -> Value:
    """``F.batch_norm``; channels are brought to the front where samples are merged with other axes."""
    x = call["input"]
    tracked = call["running_mean"] is not None
    if x.batch is None:
        return _without_batch(tracer, call, x)
    weights = _with_counter(tracer, tracer.owned(call, **{name: name for name in STATISTICS}))
    if tracked and call["training"]:
        raise UnsupportedError("it takes the batch's own statistics, and keeps others")
    if weights is None or (call["weight"] is None) != (call["bias"] is None):
        if not tracked:
            raise UnsupportedError("its weights are not those of a BatchNorm module")
        return _by_statistics(tracer, call, x)
    layer = BatchNorm(
        eps=call["eps"],
        momentum=call["momentum"],
        affine=call["weight"] is not None,
        track_running_stats=tracked,
    )
    if not tracked and (x.batch.dim, x.batch.before, x.batch.after) != (0, 1, 1):
        raise UnsupportedError("it takes the statistics of merged samples")
    channel = x.axis(1)
    ref = tracer.ref(x)
    rank = len(x.sample)
    order = (channel, *(axis for axis in range(rank) if axis != channel))
    if channel:
        (ref,) = tracer.emit(Permute(axes=order), ref)
    (ref,) = tracer.emit(layer, ref, weights=weights)
    if channel:
        (ref,) = tracer.emit(Permute(axes=tuple(order.index(axis) for axis in range(rank))), ref)
    return tracer.checked(Value(x.shape, x.batch, ref))


def _with_counter(tracer: Tracer, weights: dict[str, str] | None) -> dict[str, str] | None:
    """The tensors of a norm that keeps statistics with its count of batches; empty if it has none and so is not a
    module."""
    mean = (weights or {}).get("running_mean")
    if weights is None or mean is None:
        return weights
    counter = f"{mean.removesuffix('running_mean')}num_batches_tracked"
    return {**weights, "num_batches_tracked": counter} if counter in tracer.buffers.values() else None


def _by_statistics(tracer: Tracer, call: Call, x: Value) -> Value:
    """With tensors that belong to no module, as arithmetic: ``(x − mean) / √(variance + eps)``."""
    mean, variance = call["running_mean"], call["running_var"]
    deviation = tracer.one(Math(function="add", value=call["eps"]), variance)
    deviation = tracer.one(Math(function="sqrt"), deviation)
    steps = ((Subtract(), mean), (Divide(), deviation), (Multiply(), call["weight"]), (Add(), call["bias"]))
    return _along(tracer, x, steps, 1)


def _without_batch(tracer: Tracer, call: Call, x: Value) -> Value:
    """Normalises a weight: each channel over all later axes (Qiao et al. 2019, weight standardisation)."""
    if call["running_mean"] is not None or x.shape[0] != 1 or len(x.shape) < 3:
        raise UnsupportedError("it normalises a tensor without a batch")
    plain = tracer.one(LayerNorm(axes=tuple(range(2, len(x.shape))), eps=call["eps"], elementwise_affine=False), x)
    return affine(tracer, plain, call["weight"], call["bias"], 1)


def affine(tracer: Tracer, x: Value, weight: Value | None, bias: Value | None, dim: int) -> Value:
    """Product with a weight and sum with a bias along one dimension."""
    return _along(tracer, x, ((Multiply(), weight), (Add(), bias)), dim)


def _along(tracer: Tracer, x: Value, steps: Iterable[tuple[Layer, Value | None]], dim: int) -> Value:
    """Arithmetic with tensors that lie along one dimension, one after the other."""
    for layer, one in steps:
        if one is not None:
            ref = tracer.reshaped(tracer.ref(one), (*one.shape, *(1,) * (len(x.shape) - dim - 1)))
            flat = Value(tracer.shape(ref), None, ref)
            refs, batch = tracer.together([x, flat])
            (made,) = tracer.emit(layer, *refs)
            x = tracer.checked(Value(x.shape, batch, made))
    return x


@captures("layer_norm", "native_layer_norm", owns=("weight", "bias"))
def layer_norm(tracer: Tracer, call: Call) -> Value:
    """``F.layer_norm`` over the last axes."""
    x, last = call["input"], len(call["normalized_shape"])
    axes = tuple(x.axis(dim) for dim in range(len(x.shape) - last, len(x.shape)))
    weights = tracer.owned(call, weight="weight", bias="bias")
    field = axes[0] if last == 1 else axes
    if weights is not None and not (call["weight"] is None and call["bias"] is not None):
        layer = LayerNorm(
            axes=field, eps=call["eps"], elementwise_affine=bool(weights), bias=call["bias"] is not None or not weights
        )
        return tracer.one(layer, x, weights=weights)
    plain = tracer.one(LayerNorm(axes=field, eps=call["eps"], elementwise_affine=False), x)
    return affine_last(tracer, plain, call["weight"], call["bias"])


def affine_last(tracer: Tracer, x: Value, weight: Value | None, bias: Value | None) -> Value:
    """Product with a weight and sum with a bias over the last axes."""
    for layer, one in ((Multiply(), weight), (Add(), bias)):
        if one is not None:
            refs, batch = tracer.together([x, one])
            (made,) = tracer.emit(layer, *refs)
            x = tracer.checked(Value(x.shape, batch, made))
    return x


@captures("rms_norm", owns=("weight",))
def rms_norm(tracer: Tracer, call: Call) -> Value:
    """``F.rms_norm`` over the last axes."""
    x, last = call["input"], len(call["normalized_shape"])
    axes = tuple(x.axis(dim) for dim in range(len(x.shape) - last, len(x.shape)))
    field = axes[0] if last == 1 else axes
    weights = tracer.owned(call, weight="weight")
    if weights is None:
        plain = tracer.one(RmsNorm(axes=field, eps=call["eps"], elementwise_affine=False), x)
        return affine_last(tracer, plain, call["weight"], None)
    return tracer.one(RmsNorm(axes=field, eps=call["eps"], elementwise_affine=bool(weights)), x, weights=weights)


@captures("group_norm", "native_group_norm", owns=("weight", "bias"))
def group_norm(tracer: Tracer, call: Call) -> Value:
    """``F.group_norm``"""
    x = call["input"]
    feature_map(tracer, x, len(x.shape) - 2)
    weights = tracer.owned(call, weight="weight", bias="bias")
    groups, eps = call["num_groups"], call["eps"]
    if weights is not None and len(weights) != 1:
        return tracer.one(GroupNorm(groups=groups, eps=eps, affine=bool(weights)), x, weights=weights)
    return affine(
        tracer, tracer.one(GroupNorm(groups=groups, eps=eps, affine=False), x), call["weight"], call["bias"], 1
    )


@captures("instance_norm", owns=STATISTICS)
def instance_norm(tracer: Tracer, call: Call) -> Value:
    """``F.instance_norm``"""
    x = call["input"]
    feature_map(tracer, x, len(x.shape) - 2)
    weights = _with_counter(tracer, tracer.owned(call, **{name: name for name in STATISTICS}))
    tracked = call["running_mean"] is not None
    if weights is None or (call["weight"] is None) != (call["bias"] is None) or prod(x.shape[2:]) < 2:
        raise UnsupportedError("its weights are computed")
    layer = InstanceNorm(
        eps=call["eps"], momentum=call["momentum"], affine=call["weight"] is not None, track_running_stats=tracked
    )
    return tracer.one(layer, x, weights=weights)
