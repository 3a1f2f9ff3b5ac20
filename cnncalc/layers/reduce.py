"""Reductions over whole axes: mean, sum, maximum and minimum."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from cnncalc.errors import LayerError
from cnncalc.layers.base import EVERYTHING, Call, Layer, Reads, Shape, along
from cnncalc.layers.shape import normal_axes


class Reduction(Layer, frozen=True):
    """Base of reductions over ``axes``; with ``keepdim`` these stay as axes of size 1.

    Elementwise operations: one per input element but one for each output element.
    """

    abstract = True
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axes", "axis": "axes"}

    axes: int | tuple[int, ...]
    keepdim: bool = False

    def _reduced(self, shape: Shape) -> tuple[int, ...]:
        """The axes to reduce, each counted from 0."""
        if self.axes == ():
            raise LayerError("needs at least one axis", field="axes", hint="axes: [1, 2] are those of an image")
        return normal_axes(self.axes, len(shape))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        reduced = self._reduced(shape)
        return tuple(
            1 if axis in reduced else size for axis, size in enumerate(shape) if self.keepdim or axis not in reduced
        )

    def macs(self, *inputs: Shape) -> int:
        return 0

    def elementwise_ops(self, *inputs: Shape) -> int:
        return prod(inputs[0]) - prod(self.output_shape(*inputs))

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return (Call(self.kind, inputs, self.output_shape(*inputs)),)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        reduced = self._reduced(shape)
        kept = [axis for axis in range(len(shape)) if self.keepdim or axis not in reduced]
        return (tuple(EVERYTHING if axis in reduced else along(kept.index(axis)) for axis in range(len(shape))),)


class Mean(Reduction, frozen=True):
    """Mean over ``axes``, as ``torch.mean``; with ``keepdim`` these stay as axes of size 1.

    Elementwise operations: the additions and one division per output element, so one for each input
    element.
    """

    def elementwise_ops(self, *inputs: Shape) -> int:
        return prod(inputs[0])


class Sum(Reduction, frozen=True):
    """Sum over ``axes``, as ``torch.sum``; with ``keepdim`` these stay as axes of size 1.

    Elementwise operations: the additions, so one for each input element but the first of each sum.
    """


class Max(Reduction, frozen=True):
    """Largest value over ``axes``, as ``torch.amax``; with ``keepdim`` these stay as axes of size 1.

    Elementwise operations: the comparisons, so one for each input element but the first of each group.
    """

    aliases = ("amax",)


class Min(Reduction, frozen=True):
    """Smallest value over ``axes``, as ``torch.amin``; with ``keepdim`` these stay as axes of size 1.

    Elementwise operations: the comparisons, so one for each input element but the first of each group.
    """

    aliases = ("amin",)
