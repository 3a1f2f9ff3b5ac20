"""Convolutions in PyTorch. Padding that PyTorch's own modules do not take is done by hand in a hook,
so that the module stays ``nn.ConvNd`` and its parameters keep their names.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

from cnncalc.layers.axes import Axis, Pair, padding_pairs, per_axis
from cnncalc.layers.base import Shape
from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.torch.registry import builds

CONVS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CONV_TRANSPOSES: tuple[type[nn.Module], ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def pad_argument(pairs: tuple[Pair, ...]) -> list[int]:
    """``(before, after)`` per axis as ``torch.nn.functional.pad`` wants them: flat, the last axis first."""
    return [end for pair in reversed(pairs) for end in pair]


def is_plain(pairs: tuple[Pair, ...]) -> bool:
    """Whether the padding is the same at both ends of each axis, as PyTorch's modules have it."""
    return all(before == after for before, after in pairs)


def _fields(layer: Conv | ConvTranspose, shape: Shape, axes: tuple[Axis, ...]) -> dict[str, Any]:
    return {
        "in_channels": shape[0],
        "out_channels": layer.out,
        "kernel_size": tuple(axis.kernel for axis in axes),
        "stride": tuple(axis.stride for axis in axes),
        "dilation": tuple(axis.dilation for axis in axes),
        "groups": layer.groups,
        "bias": layer.bias,
    }


@builds(Conv)
def build_conv(layer: Conv, shape: Shape) -> nn.Module:
    """``nn.ConvNd``, with padding by hand where it is ``same`` or differs between the two ends."""
    axes = layer.axes(shape)
    fields, make = _fields(layer, shape, axes), CONVS[len(axes) - 1]
    pairs = tuple(axis.padding for axis in axes)
    if layer.padding != "same" and is_plain(pairs):
        return make(**fields, padding=tuple(before for before, _ in pairs), padding_mode=layer.padding_mode)

    def pad(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        (x,) = inputs  # ``same`` depends on its size
        now = tuple(axis.padding for axis in layer.axes(tuple(x.shape[1:])))
        return F.pad(x, pad_argument(now), mode="constant" if layer.padding_mode == "zeros" else layer.padding_mode)

    module = make(**fields)
    module.register_forward_pre_hook(pad)
    return module


@builds(ConvTranspose)
def build_conv_transpose(layer: ConvTranspose, shape: Shape) -> nn.Module:
    """``nn.ConvTransposeNd``; padding that differs between the two ends becomes a crop of the output."""
    axes = layer.axes(shape)
    rank = len(axes)
    fields, make = _fields(layer, shape, axes), CONV_TRANSPOSES[rank - 1]
    fields["output_padding"] = per_axis(layer.output_padding, rank, "output_padding")
    pairs = padding_pairs(layer.padding, rank)
    if is_plain(pairs):
        return make(**fields, padding=tuple(before for before, _ in pairs))

    def crop(_: nn.Module, __: tuple[Tensor], out: Tensor) -> Tensor:
        return F.pad(out, [-end for end in pad_argument(pairs)])

    module = make(**fields)
    module.register_forward_hook(crop)
    return module
