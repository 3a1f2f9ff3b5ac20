"""Layers that rearrange, cut or extend: each is one NumPy call, and the batch is axis 0.

Source: the functions of the same names in ``torch`` and ``torch.nn``.
"""

from __future__ import annotations

import numpy as np

from cnncalc.formulas.size import conv_output_size
from cnncalc.layers.axes import window_axes
from cnncalc.layers.base import normal_axis
from cnncalc.layers.shape import (
    Broadcast,
    Crop,
    Flatten,
    Fold,
    Pad,
    Permute,
    PerSample,
    Reshape,
    Roll,
    Slice,
    SlidingWindows,
    Split,
    Squeeze,
    Take,
    Transpose,
    Unflatten,
    Unfold,
    Unsqueeze,
    normal_axes,
)
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Weights, evaluates
from cnncalc.reference.windows import pad, unpad


@evaluates(Pad)
def evaluate_pad(layer: Pad, weights: Weights, x: Array) -> Array:
    """``y[n,c,i] = x[n,c,i − before]``; beyond the input ``value``, its mirror, its border or its other end."""
    return pad(x, layer.pairs(x.shape[1:]), layer.mode, layer.value)


@evaluates(Crop)
def evaluate_crop(layer: Crop, weights: Weights, x: Array) -> Array:
    """``y[n,c,i] = x[n,c,i + before]``"""
    return unpad(x, layer.pairs(x.shape[1:]))


@evaluates(Slice)
def evaluate_slice(layer: Slice, weights: Weights, x: Array) -> Array:
    """``y[…,i,…] = x[…,start + step·i,…]``"""
    axis = normal_axis(layer.axis, x.ndim - 1) + 1
    y: Array = x[(slice(None),) * axis + (slice(layer.start, layer.stop, layer.step),)]
    return y


@evaluates(Split)
def evaluate_split(layer: Split, weights: Weights, x: Array) -> tuple[Array, ...]:
    """Parts of given sizes, or ``chunks`` parts of ``⌈size/chunks⌉`` with the last as large as is left."""
    axis = normal_axis(layer.axis, x.ndim - 1) + 1
    size = x.shape[axis]
    if layer.sizes is not None:
        ends = np.cumsum(layer.sizes)[:-1]
    else:
        each = -(-size // (layer.chunks or 1))
        ends = np.arange(each, size, each)
    return tuple(np.split(x, ends, axis=axis))


@evaluates(Flatten)
def evaluate_flatten(layer: Flatten, weights: Weights, x: Array) -> Array:
    """The axes from ``start_axis`` to ``end_axis`` as one."""
    start = normal_axis(layer.start_axis, x.ndim - 1) + 1
    end = normal_axis(layer.end_axis, x.ndim - 1) + 1
    return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])


@evaluates(Unflatten)
def evaluate_unflatten(layer: Unflatten, weights: Weights, x: Array) -> Array:
    """One axis as several."""
    axis = normal_axis(layer.axis, x.ndim - 1) + 1
    return x.reshape(*x.shape[:axis], *layer.sizes, *x.shape[axis + 1 :])


@evaluates(Reshape)
def evaluate_reshape(layer: Reshape, weights: Weights, x: Array) -> Array:
    """The same elements in the same order under other axes."""
    return x.reshape(x.shape[0], *layer.shape)


@evaluates(Permute)
def evaluate_permute(layer: Permute, weights: Weights, x: Array) -> Array:
    """``y[n,i_0,i_1,…] = x[n,…]`` where output axis ``k`` is input axis ``axes[k]``"""
    return x.transpose(0, *(axis + 1 for axis in normal_axes(layer.axes, x.ndim - 1)))


@evaluates(Transpose)
def evaluate_transpose(layer: Transpose, weights: Weights, x: Array) -> Array:
    """Two axes exchanged."""
    return np.swapaxes(x, normal_axis(layer.axis0, x.ndim - 1) + 1, normal_axis(layer.axis1, x.ndim - 1) + 1)


@evaluates(Squeeze)
def evaluate_squeeze(layer: Squeeze, weights: Weights, x: Array) -> Array:
    """Axes of size 1 dropped, the batch never."""
    chosen = range(x.ndim - 1) if layer.axes is None else normal_axes(layer.axes, x.ndim - 1)
    return np.squeeze(x, axis=tuple(axis + 1 for axis in chosen if x.shape[axis + 1] == 1))


@evaluates(Unsqueeze)
def evaluate_unsqueeze(layer: Unsqueeze, weights: Weights, x: Array) -> Array:
    """A new axis of size 1."""
    return np.expand_dims(x, normal_axis(layer.axis, x.ndim) + 1)


@evaluates(Broadcast)
def evaluate_broadcast(layer: Broadcast, weights: Weights, x: Array) -> Array:
    """``y[n,…,i,…] = x[n,…,0,…]`` along an axis of size 1; new axes first."""
    x = x.reshape(len(x), *(1,) * (len(layer.shape) - x.ndim + 1), *x.shape[1:])
    return np.array(np.broadcast_to(x, (len(x), *layer.shape)))


@evaluates(PerSample)
def evaluate_per_sample(layer: PerSample, weights: Weights, x: Array, other: Array) -> Array:
    """``y[n,…] = x[n,…]``, or ``x[0,…]`` where all samples have the same."""
    return np.array(np.broadcast_to(x, (len(other), *x.shape[1:])))


@evaluates(Roll)
def evaluate_roll(layer: Roll, weights: Weights, x: Array) -> Array:
    """``y[…,i,…] = x[…,(i − shift) mod n,…]``"""
    for axis, shift in layer.by_axis(x.shape[1:]).items():
        size = x.shape[axis + 1]
        x = x[(slice(None),) * (axis + 1) + ([(i - shift) % size for i in range(size)],)]
    return x


@evaluates(Take)
def evaluate_take(layer: Take, weights: Weights, x: Array, index: Array) -> Array:
    """``y[n,…,j,…] = x[n,…,index[j],…]``"""
    axis = normal_axis(layer.axis, x.ndim - 1) + 1
    y: Array = np.take(x, index[0].astype(int) % x.shape[axis], axis=axis)
    return y


@evaluates(SlidingWindows)
def evaluate_sliding_windows(layer: SlidingWindows, weights: Weights, x: Array) -> Array:
    """``y[…,i,…,k] = x[…,i·step + k,…]``"""
    axis = normal_axis(layer.axis, x.ndim - 1) + 1
    count = (x.shape[axis] - layer.size) // layer.step + 1
    taps = [x.take([i * layer.step + k for i in range(count)], axis=axis) for k in range(layer.size)]
    return np.stack(taps, axis=-1)


@evaluates(Unfold)
def evaluate_unfold(layer: Unfold, weights: Weights, x: Array) -> Array:
    """``y[n,(c,k,l),(i,j)] = x[n,c,i·S − P + k·D,j·S − P + l·D]``"""
    vertical, horizontal = window_axes(x.shape[1:], layer.kernel, layer.stride, layer.padding, layer.dilation)
    rows, columns = conv_output_size(*vertical), conv_output_size(*horizontal)
    x = pad(x, (vertical.padding, horizontal.padding), "constant", 0.0)
    taps = [
        x[
            :,
            :,
            k * vertical.dilation :: vertical.stride,
            m * horizontal.dilation :: horizontal.stride,
        ][:, :, :rows, :columns]
        for k in range(vertical.kernel)
        for m in range(horizontal.kernel)
    ]
    return np.stack(taps, axis=2).reshape(len(x), -1, rows * columns)


@evaluates(Fold)
def evaluate_fold(layer: Fold, weights: Weights, x: Array) -> Array:
    """``y[n,c,h,w] = Σ x[n,(c,k,l),(i,j)]`` over all with ``h = i·S − P + k·D`` and ``w = j·S − P + l·D``"""
    channels, height, width = layer.output_shape(x.shape[1:])
    vertical, horizontal = window_axes((1, height, width), layer.kernel, layer.stride, layer.padding, layer.dilation)
    rows, columns = conv_output_size(*vertical), conv_output_size(*horizontal)
    patches = x.reshape(len(x), channels, vertical.kernel, horizontal.kernel, rows, columns)
    y = np.zeros((len(x), channels, height, width), x.dtype)
    for k, m, i, j in np.ndindex(*patches.shape[2:]):
        row = i * vertical.stride - vertical.padding[0] + k * vertical.dilation
        column = j * horizontal.stride - horizontal.padding[0] + m * horizontal.dilation
        if 0 <= row < height and 0 <= column < width:
            y[:, :, row, column] += patches[:, :, k, m, i, j]
    return y
