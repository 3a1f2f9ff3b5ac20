"""Tensors that a net holds itself, whatever its input: learned ones and constants; and unknown operators.

These come from nets that were written in PyTorch: a class token, a position embedding, a learned scale,
a weight that is normalised before a convolution uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnncalc.layers.base import UNTOLD, Layer, Movement, Positive, Reads, Shape, Shapes, Unknown, Weight

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape


class Parameter(Movement, frozen=True):
    """A learned tensor of its own, as ``torch.nn.Parameter``: it has no input, and is the same for every sample.

    Elementwise operations: none.
    """

    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    drawn = False
    is_view = True  # the tensor itself

    shape: tuple[Positive, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", self.shape),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return tape.weight(1, *self.shape)


class Constant(Movement, frozen=True):
    """A tensor that is the same for every input and is never learned: positions, masks, indices.

    With ``buffer`` it is kept with the net and counts among its buffers. Elementwise operations: none (what
    computes a constant is not counted).
    """

    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    drawn = False
    is_view = True  # the tensor itself

    shape: tuple[Positive, ...]
    buffer: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", self.shape, learnable=False),) if self.buffer else ()

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return tape.weight(1, *self.shape, learnable=False)


class Opaque(Layer, frozen=True):
    """An ``operator`` of another library that has no layer here, with the ``shapes`` of what comes out.

    Its MACs and elementwise operations are not known, and neither is what its outputs read: totals are
    partial and say so.
    """

    arity: ClassVar[tuple[int, int | None]] = (0, None)
    drawn = False

    operator: str
    shapes: tuple[tuple[Positive, ...], ...]
    reason: str = ""

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shapes[0]

    def output_shapes(self, *inputs: Shape) -> Shapes:
        return self.shapes

    def _unknown(self, what: str) -> Unknown:
        because = f" ({self.reason})" if self.reason else ""
        shapes = ", ".join("×".join(map(str, shape)) or "a scalar" for shape in self.shapes)
        return Unknown(f"{what} of {self.operator}, which gives {shapes}, are not known{because}")

    def macs(self, *inputs: Shape) -> Unknown:
        return self._unknown("the costs")

    def elementwise_ops(self, *inputs: Shape) -> Unknown:
        return self._unknown("the costs")

    def activations(self, *inputs: Shape) -> Unknown:
        return self._unknown("the costs")

    def input_gradient_macs(self, wanted: tuple[bool, ...], *inputs: Shape) -> Unknown:
        return self._unknown("the costs")

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        return tuple((UNTOLD,) * len(shape) for shape in inputs)
