"""Reductions over whole axes: mean, sum, maximum and minimum."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar

from cnncalc.errors import LayerError
from cnncalc.layers.base import EVERYTHING, Call, Layer, NonNegative, Reads, Shape, along
from cnncalc.layers.shape import normal_axes

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape


class Reduction(Layer, frozen=True):
    """Base of reductions over ``axes``; with ``keepdim`` these stay as axes of size 1.

    Elementwise operations: one per input element but one for each output element.
    """

    abstract = True
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axes", "axis": "axes"}

    keeps_input: ClassVar[bool] = False
    keeps_output: ClassVar[bool] = False
    """Whether autograd keeps them; for an extremum both: the gradient goes where they are equal."""

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

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        out = tape.new((tape.batch, *self.output_shape(x.shape[1:])), x)
        tape.keep(out, *((x,) if self.keeps_input else ()), *((out,) if self.keeps_output else ()))
        return out

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
    keeps_input = True
    keeps_output = True


class Min(Reduction, frozen=True):
    """Smallest value over ``axes``, as ``torch.amin``; with ``keepdim`` these stay as axes of size 1.

    Elementwise operations: the comparisons, so one for each input element but the first of each group.
    """

    aliases = ("amin",)
    keeps_input = True
    keeps_output = True


class Variance(Reduction, frozen=True):
    """Variance over ``axes``, as ``torch.var``: the sum of squared differences from the mean by ``n − correction``.

    Elementwise operations: of n elements the mean takes n, the differences n, the squares n, their sum and the
    division n, so four for each input element.
    """

    aliases = ("var",)
    keeps_input = True

    correction: NonNegative = 1

    def elementwise_ops(self, *inputs: Shape) -> int:
        return 4 * prod(inputs[0])

    def output_shape(self, *inputs: Shape) -> Shape:
        out = super().output_shape(*inputs)
        if prod(inputs[0]) <= self.correction * prod(out):
            raise LayerError(
                f"the variance of {prod(inputs[0]) // prod(out)} elements needs a correction below that",
                field="correction",
            )
        return out


class VectorNorm(Reduction, frozen=True):
    """Euclidean norm over ``axes``, as ``torch.linalg.vector_norm``: the root of the sum of squares.

    Elementwise operations: the squares and additions, two for each input element but one addition fewer for each
    output element, which takes a root instead: so two for each input element.
    """

    aliases = ("l2_norm",)
    keeps_input = True
    keeps_output = True

    def elementwise_ops(self, *inputs: Shape) -> int:
        return 2 * prod(inputs[0])
