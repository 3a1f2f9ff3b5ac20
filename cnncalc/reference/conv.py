"""Convolution, transposed convolution, and backpropagation through both.

Everything is written for inputs ``(N, C, *spatial)`` with any number of spatial axes; in the
equations ``p``, ``k``, ``S``, ``P``, ``D`` have one entry for each of them, ``P`` is the padding
*before* the axis, and ``c`` runs over the channels of the group that ``o`` belongs to.

Sources: Goodfellow, Bengio & Courville 2016, "Deep Learning", §9.1 (cross-correlation) and §9.5
(gradients); Dumoulin & Visin 2016, arXiv:1603.07285, §4 (transposed); ``torch.nn.Conv2d``.
"""

from __future__ import annotations

from math import prod

import numpy as np

from cnncalc.layers.axes import ExplicitPadding, per_axis
from cnncalc.layers.conv import Conv, ConvTranspose, FunctionalConv
from cnncalc.reference.array import Array, per_channel, spatial_axes
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates
from cnncalc.reference.windows import Mode, Sizes, dilate, geometry, pad, unpad, windows


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
    mode: Mode = "zeros",
) -> Array:
    """Cross-correlation: ``y[n,o,p] = b[o] + Σ_c Σ_k w[o,c,k] · x[n,c,p·S − P + D·k]``.

    Args:
        x: input ``(N, C, *spatial)``.
        weight: kernels ``(O, C/G, *kernel)``.
        bias: ``(O,)``.
        stride: units from one window to the next.
        padding: units around the input, or ``(before, after)`` per axis.
        dilation: units from one tap of the kernel to the next.
        groups: ``G``: each part of the output channels reads one part of the input channels.
        mode: what the padding holds.

    Returns:
        ``(N, O, *out)``
    """
    strides, pads, dilations = geometry(x.ndim - 2, stride, padding, dilation)
    seen = windows(pad(x, pads, mode), weight.shape[2:], strides, dilations)
    out = seen.shape[2 : x.ndim]
    seen = seen.reshape(x.shape[0], groups, x.shape[1] // groups, prod(out), prod(weight.shape[2:]))
    kernels = weight.reshape(groups, weight.shape[0] // groups, *seen.shape[2::2])
    y: Array = np.einsum("ngcpk,gock->ngop", seen, kernels, optimize=True)
    y = y.reshape(x.shape[0], weight.shape[0], *out)
    return y if bias is None else y + per_channel(bias, x)


def conv_weight_gradient(
    gradient: Array,
    x: Array,
    kernel: Sizes,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
    mode: Mode = "zeros",
) -> Array:
    """``∂L/∂w[o,c,k] = Σ_n Σ_p g[n,o,p] · x[n,c,p·S − P + D·k]``: the input correlated with the output gradient.

    The output gradient is the kernel, and stride and dilation change places: its taps lie ``S``
    apart, and from one ``k`` to the next the window moves by ``D``. Where the stride leaves rows at
    the end unread, there are more windows than taps; those are dropped.

    Args:
        gradient: ``g = ∂L/∂y``, ``(N, O, *out)``.
        x: the input of the convolution, ``(N, C, *spatial)``.
        kernel: size of the kernel.
        stride: that of the convolution, as all that follows.
        padding: as there.
        dilation: as there.
        groups: as there.
        mode: as there.

    Returns:
        ``(O, C/G, *kernel)``
    """
    strides, pads, dilations = geometry(x.ndim - 2, stride, padding, dilation)
    out = gradient.shape[2:]
    seen = windows(pad(x, pads, mode), out, stride=dilations, dilation=strides)
    seen = seen[(slice(None), slice(None), *map(slice, kernel))]
    seen = seen.reshape(x.shape[0], groups, x.shape[1] // groups, prod(kernel), prod(out))
    g = gradient.reshape(x.shape[0], groups, gradient.shape[1] // groups, prod(out))
    found: Array = np.einsum("ngckp,ngop->gock", seen, g, optimize=True)
    return found.reshape(gradient.shape[1], x.shape[1] // groups, *kernel)


def full_convolution(
    gradient: Array, weight: Array, *, stride: int | Sizes = 1, dilation: int | Sizes = 1, groups: int = 1
) -> Array:
    """``x̄[n,c,i] = Σ_o Σ_{p·S + D·k = i} w[o,c,k] · g[n,o,p]``: every position where kernel and gradient overlap.

    The gradient is dilated by the stride, padded by the kernel's extent less one at both ends, and
    correlated with the kernel rotated by 180°, whose input and output channels change places.

    Args:
        gradient: ``(N, O, *out)``.
        weight: ``(O, C/G, *kernel)``.
        stride: ``S``.
        dilation: ``D``.
        groups: ``G``.

    Returns:
        ``(N, C, *full)`` with ``full = S·(out − 1) + D·(K − 1) + 1``
    """
    rank, kernel = gradient.ndim - 2, weight.shape[2:]
    strides, _, dilations = geometry(rank, stride, 0, dilation)
    rotated = np.flip(weight, axis=spatial_axes(weight))
    rotated = rotated.reshape(groups, weight.shape[0] // groups, weight.shape[1], *kernel)
    rotated = np.swapaxes(rotated, 1, 2).reshape(groups * weight.shape[1], weight.shape[0] // groups, *kernel)
    around = tuple((d * (k - 1), d * (k - 1)) for k, d in zip(kernel, dilations, strict=True))
    return conv(dilate(gradient, strides), rotated, padding=around, dilation=dilations, groups=groups)


def conv_input_gradient(
    gradient: Array,
    weight: Array,
    sizes: Sizes,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
    mode: Mode = "zeros",
) -> Array:
    """``∂L/∂x[n,c,i] = Σ_o Σ_{p·S − P + D·k = i} w[o,c,k] · g[n,o,p]``: the full convolution with the rotated kernel.

    Rows at the end that the stride left unread get 0; then the padding is taken off, or its
    gradient given to the units that it copied.

    Args:
        gradient: ``g = ∂L/∂y``, ``(N, O, *out)``.
        weight: ``(O, C/G, *kernel)``.
        sizes: spatial sizes of the input.
        stride: that of the convolution, as all that follows.
        padding: as there.
        dilation: as there.
        groups: as there.
        mode: as there.

    Returns:
        ``(N, C, *sizes)``
    """
    _, pads, _ = geometry(len(sizes), stride, padding, dilation)
    full = full_convolution(gradient, weight, stride=stride, dilation=dilation, groups=groups)
    unread = tuple(
        (0, size + sum(ends) - reached) for size, ends, reached in zip(sizes, pads, full.shape[2:], strict=True)
    )
    return unpad(pad(full, unread), pads, mode)


def bias_gradient(gradient: Array) -> Array:
    """``∂L/∂b[o] = Σ_n Σ_p g[n,o,p]``."""
    total: Array = gradient.sum(axis=(0, *spatial_axes(gradient)))
    return total


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    output_padding: int | Sizes = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
) -> Array:
    """Transposed convolution, ``y[n,o,i] = b[o] + Σ_c Σ_{p·S − P + D·k = i} w[c,o,k] · x[n,c,p]``.

    It is the adjoint of a convolution: what :func:`conv_input_gradient` does with a gradient, done
    with an input. The padding is cut off the output; ``output_padding`` is added behind it.

    Args:
        x: input ``(N, C, *spatial)``.
        weight: kernels ``(C, O/G, *kernel)``.
        bias: ``(O,)``.
        stride: units of the output from one input unit to the next.
        padding: units cut off the output, or ``(before, after)`` per axis.
        output_padding: units more at the end of each axis.
        dilation: units from one tap of the kernel to the next.
        groups: ``G``.

    Returns:
        ``(N, O, *out)``
    """
    rank = x.ndim - 2
    _, pads, _ = geometry(rank, stride, padding, dilation)
    more = per_axis(output_padding, rank, "output_padding")
    full = pad(
        full_convolution(x, weight, stride=stride, dilation=dilation, groups=groups),
        tuple((0, extra) for extra in more),
    )
    kept = (slice(before, size - after) for (before, after), size in zip(pads, full.shape[2:], strict=True))
    y: Array = full[(slice(None), slice(None), *kept)]
    return y if bias is None else y + per_channel(bias, x)


def conv_transpose_input_gradient(
    gradient: Array,
    weight: Array,
    sizes: Sizes,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
) -> Array:
    """``∂L/∂x[n,c,p] = Σ_o Σ_k w[c,o,k] · g[n,o,p·S − P + D·k]``: the convolution whose adjoint the layer is.

    Args:
        gradient: ``g = ∂L/∂y``, ``(N, O, *out)``.
        weight: ``(C, O/G, *kernel)``.
        sizes: spatial sizes of the input; windows behind them belong to the output padding.
        stride: that of the transposed convolution, as all that follows.
        padding: as there.
        dilation: as there.
        groups: as there.

    Returns:
        ``(N, C, *sizes)``
    """
    found = conv(gradient, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return found[(slice(None), slice(None), *map(slice, sizes))]


def conv_transpose_weight_gradient(
    gradient: Array,
    x: Array,
    kernel: Sizes,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
) -> Array:
    """``∂L/∂w[c,o,k] = Σ_n Σ_p x[n,c,p] · g[n,o,p·S − P + D·k]``: as for a convolution, with ``x`` and ``g`` exchanged.

    Args:
        gradient: ``g = ∂L/∂y``, ``(N, O, *out)``.
        x: the input, ``(N, C, *spatial)``.
        kernel: size of the kernel.
        stride: that of the transposed convolution, as all that follows.
        padding: as there.
        dilation: as there.
        groups: as there.

    Returns:
        ``(C, O/G, *kernel)``
    """
    return conv_weight_gradient(x, gradient, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)


# -- the equations, letter by letter ---------------------------------------------------------------


def source_unit(position: int, size: int, mode: Mode) -> int | None:
    """The input unit that stands at ``position`` of the padded axis (0 = the first unit); ``None`` for a zero."""
    if 0 <= position < size:
        return position
    if mode == "reflect":
        return -position if position < 0 else 2 * (size - 1) - position
    if mode == "replicate":
        return 0 if position < 0 else size - 1
    return position % size if mode == "circular" else None


def conv_plain(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
    mode: Mode = "zeros",
) -> Array:
    """:func:`conv` as loops over its equation; the loops end where a window no longer fits."""
    strides, pads, dilations = geometry(x.ndim - 2, stride, padding, dilation)
    kernel = weight.shape[2:]
    starts = [
        range(-before, size + after - d * (k - 1), s)
        for (before, after), size, k, s, d in zip(pads, x.shape[2:], kernel, strides, dilations, strict=True)
    ]
    y = np.zeros((x.shape[0], weight.shape[0], *map(len, starts)), x.dtype)
    for n, o, *p in np.ndindex(*y.shape):
        group = o // (weight.shape[0] // groups)
        total = 0.0 if bias is None else bias[o]
        for c, *k in np.ndindex(*weight.shape[1:]):
            place = [
                source_unit(axis[i] + d * tap, size, mode)
                for axis, i, d, tap, size in zip(starts, p, dilations, k, x.shape[2:], strict=True)
            ]
            if None not in place:
                total += weight[(o, c, *k)] * x[(n, group * weight.shape[1] + c, *place)]
        y[(n, o, *p)] = total
    return y


def conv_transpose_plain(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Sizes = 1,
    padding: ExplicitPadding = 0,
    output_padding: int | Sizes = 0,
    dilation: int | Sizes = 1,
    groups: int = 1,
) -> Array:
    """:func:`conv_transpose` as loops: every input unit adds its kernel to the output, around ``p·S − P``."""
    rank = x.ndim - 2
    strides, pads, dilations = geometry(rank, stride, padding, dilation)
    more = per_axis(output_padding, rank, "output_padding")
    sizes = tuple(
        s * (size - 1) + d * (k - 1) + 1 - before - after + extra
        for size, k, s, d, (before, after), extra in zip(
            x.shape[2:], weight.shape[2:], strides, dilations, pads, more, strict=True
        )
    )
    y = np.zeros((x.shape[0], groups * weight.shape[1], *sizes), x.dtype)
    for n, c, *p in np.ndindex(*x.shape):
        group = c // (x.shape[1] // groups)
        for o, *k in np.ndindex(*weight.shape[1:]):
            place = [
                s * i - before + d * tap
                for s, i, (before, _), d, tap in zip(strides, p, pads, dilations, k, strict=True)
            ]
            if all(0 <= i < size for i, size in zip(place, sizes, strict=True)):
                y[(n, group * weight.shape[1] + o, *place)] += weight[(c, o, *k)] * x[(n, c, *p)]
    return y if bias is None else y + per_channel(bias, x)


# -- the layers ------------------------------------------------------------------------------------


@evaluates(Conv)
def evaluate_conv(layer: Conv, weights: Weights, x: Array) -> Array:
    """:func:`conv`."""
    axes = layer.axes(x.shape[1:])
    return conv(
        x,
        weights["weight"],
        weights.get("bias"),
        stride=tuple(axis.stride for axis in axes),
        padding=tuple(axis.padding for axis in axes),
        dilation=tuple(axis.dilation for axis in axes),
        groups=layer.groups,
        mode=layer.padding_mode,
    )


@differentiates(Conv)
def differentiate_conv(layer: Conv, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`conv_input_gradient`, :func:`conv_weight_gradient` and :func:`bias_gradient`."""
    (x,) = inputs
    axes = layer.axes(x.shape[1:])
    stride = tuple(axis.stride for axis in axes)
    padding = tuple(axis.padding for axis in axes)
    dilation = tuple(axis.dilation for axis in axes)
    groups, mode = layer.groups, layer.padding_mode
    weight = weights["weight"]
    over_x = conv_input_gradient(
        gradient, weight, x.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups, mode=mode
    )
    over_weight = conv_weight_gradient(
        gradient, x, weight.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups, mode=mode
    )
    return (over_x,), {"weight": over_weight, **({"bias": bias_gradient(gradient)} if layer.bias else {})}


@evaluates(FunctionalConv)
def evaluate_functional_conv(
    layer: FunctionalConv, weights: Weights, x: Array, weight: Array, bias: Array | None = None
) -> Array:
    """:func:`conv` of each sample by its own weight, or by the one that all share."""
    axes = layer.axes(x.shape[1:], weight.shape[1:])
    stride, padding = tuple(axis.stride for axis in axes), tuple(axis.padding for axis in axes)
    dilation = tuple(axis.dilation for axis in axes)
    parts = [
        conv(
            x[n : n + 1],
            weight[n % len(weight)],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=layer.groups,
        )
        for n in range(len(x))
    ]
    y = np.concatenate(parts)
    return y if bias is None else y + bias.reshape(*bias.shape, *(1,) * len(axes))


@evaluates(ConvTranspose)
def evaluate_conv_transpose(layer: ConvTranspose, weights: Weights, x: Array) -> Array:
    """:func:`conv_transpose`."""
    return conv_transpose(
        x,
        weights["weight"],
        weights.get("bias"),
        stride=layer.stride,
        padding=layer.padding,
        output_padding=layer.output_padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )


@differentiates(ConvTranspose)
def differentiate_conv_transpose(
    layer: ConvTranspose, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """:func:`conv_transpose_input_gradient`, :func:`conv_transpose_weight_gradient` and :func:`bias_gradient`."""
    (x,) = inputs
    weight = weights["weight"]
    stride, padding, dilation, groups = layer.stride, layer.padding, layer.dilation, layer.groups
    over_x = conv_transpose_input_gradient(
        gradient, weight, x.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    over_weight = conv_transpose_weight_gradient(
        gradient, x, weight.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return (over_x,), {"weight": over_weight, **({"bias": bias_gradient(gradient)} if layer.bias else {})}
