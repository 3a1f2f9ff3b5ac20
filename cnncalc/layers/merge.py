"""Layers of several inputs: concatenation, elementwise arithmetic with broadcasting, matrix products."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar

from cnncalc.errors import LayerError, ShapeMismatchError
from cnncalc.formulas.nest import Index, Nest, Operand, loop
from cnncalc.formulas.receptive_field import Taps, Window
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Call, Layer, Movement, Product, Read, Reads, Shape, along, axis_symbols, normal_axis
from cnncalc.layers.shape import place_name

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape

FIRST_ONLY = Window(0, (Taps(0, 0),))
"""Every unit reads the single unit of a broadcast axis."""


def check_ranks(verb: str, shapes: tuple[Shape, ...]) -> None:
    """All inputs must have the same number of axes.

    Raises:
        ShapeMismatchError: they do not.
    """
    for shape in shapes[1:]:
        if len(shape) != len(shapes[0]):
            raise ShapeMismatchError(
                f"cannot {verb} {describe(shapes[0])} and {describe(shape)}: {len(shapes[0])} and {len(shape)} axes",
                hint="unsqueeze, flatten or a global pool gives them the same number of axes",
            )


def conflict(verb: str, first: Shape, second: Shape, axes: list[int], how: str = "") -> ShapeMismatchError:
    """The error about two shapes that differ in ``axes``, with a hint how to fix it."""
    rank = len(first)
    differ = ", ".join(f"{place_name(axis, rank)} {first[axis]} and {second[axis]}" for axis in axes)
    if axes == [0]:
        hint = f"a 1×1 convolution on one of them can give it the other's channels (out: {first[0]} or {second[0]})"
    elif 0 not in axes:
        hint = "compare the strides and paddings that led to the two; crop, pad or upsample makes sizes equal"
    else:
        hint = "the two come from different stages: a convolution with a stride can match both channels and sizes"
    return ShapeMismatchError(
        f"cannot {verb} {describe(first)} and {describe(second)}{how}: {differ} differ", hint=hint
    )


def broadcast(verb: str, shapes: tuple[Shape, ...]) -> Shape:
    """The shape of an elementwise operation: along each axis the sizes are equal, or 1 and one other.

    Raises:
        ShapeMismatchError: they are not, or the inputs have different numbers of axes.
    """
    check_ranks(verb, shapes)
    out = shapes[0]
    for number, shape in enumerate(shapes):
        if any(size != have and 1 not in (size, have) for size, have in zip(shape, out, strict=True)):
            # Some earlier input differs; the first that does is shown.
            for other in shapes[:number]:
                pairs = enumerate(zip(other, shape, strict=True))
                if axes := [axis for axis, (a, b) in pairs if a != b and 1 not in (a, b)]:
                    raise conflict(verb, other, shape, axes)
        out = tuple(size if have == 1 else have for size, have in zip(shape, out, strict=True))
    return out


def broadcast_read(axis: int, size: int, out: int) -> Read:
    """How an output of size ``out`` along ``axis`` reads an input of ``size`` there."""
    return along(axis) if size == out else along(axis, FIRST_ONLY)


class Concat(Movement, frozen=True):
    """The inputs one after the other along ``axis`` (channels unless told), as ``torch.cat``.

    All other axes must be equal. Elementwise operations: none.
    """

    aliases = ("cat", "concatenate")
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis"}
    arity = (1, None)

    axis: int = 0

    def output_shape(self, *inputs: Shape) -> Shape:
        axis = normal_axis(self.axis, len(inputs[0]))
        check_ranks("concatenate", inputs)
        first = inputs[0]
        for shape in inputs[1:]:
            if shape[:axis] != first[:axis] or shape[axis + 1 :] != first[axis + 1 :]:
                differ = [i for i in range(len(shape)) if i != axis and shape[i] != first[i]]
                raise conflict("concatenate", first, shape, differ, f" along {place_name(axis, len(shape))}")
        return (*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return tape.joined((tape.batch, *self.output_shape(*(x.shape[1:] for x in inputs))), *inputs)

    def input_symbols(self, *inputs: Shape) -> tuple[tuple[str, ...], ...]:
        axis, symbols = normal_axis(self.axis, len(inputs[0])), axis_symbols(len(inputs[0]))
        return tuple((*symbols[:axis], f"{symbols[axis]}_{i}", *symbols[axis + 1 :]) for i in range(1, len(inputs) + 1))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        axis = normal_axis(self.axis, len(inputs[0]))
        reads, first = [], 0
        for shape in inputs:
            own = along(axis, Window(1, (Taps(-first, -first),)), "joined")
            reads.append(tuple(own if i == axis else along(i) for i in range(len(shape))))
            first += shape[axis]
        return tuple(reads)


class Merge(Layer, frozen=True):
    """Base of elementwise arithmetic over two or more inputs; axes of size 1 are broadcast.

    Elementwise operations: one per output element for each input after the first.
    """

    abstract = True
    arity: ClassVar[tuple[int, int | None]] = (2, None)
    verb: ClassVar[str]
    torch_function: ClassVar[str] = ""
    """PyTorch's name for it, where it differs."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return broadcast(self.verb, inputs)

    def macs(self, *inputs: Shape) -> int:
        return 0

    def elementwise_ops(self, *inputs: Shape) -> int:
        return (len(inputs) - 1) * prod(self.output_shape(*inputs))

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        out, calls = inputs[0], []
        for other in inputs[1:]:
            both = (out, other)
            out = broadcast(self.verb, both)
            calls.append(Call(self.torch_function or self.kind, both, out))
        return tuple(calls)

    def step(self, tape: Tape, first: Held, second: Held) -> Held:
        """Two of the inputs."""
        return tape.pointwise(first, second)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        result, *rest = inputs
        for x in rest:
            before, result = result, self.step(tape, result, x)
            tape.free(before)
        return result

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        out = self.output_shape(*inputs)
        return tuple(tuple(map(broadcast_read, range(len(out)), shape, out)) for shape in inputs)


class Add(Merge, frozen=True):
    """Sum of the inputs, element by element; axes of size 1 are broadcast.

    Elementwise operations: one addition per output element for each input after the first.
    """

    role = "sum"
    commutative = True
    verb = "add"


class Subtract(Merge, frozen=True):
    """The first input less the second, element by element; axes of size 1 are broadcast.

    Elementwise operations: one subtraction per output element.
    """

    aliases = ("sub",)
    arity = (2, 2)
    verb = "subtract"
    torch_function = "sub"


class Multiply(Merge, frozen=True):
    """Product of the inputs, element by element; axes of size 1 are broadcast.

    Elementwise operations: one multiplication per output element for each input after the first.
    """

    aliases = ("mul",)
    commutative = True
    verb = "multiply"
    torch_function = "mul"

    def step(self, tape: Tape, first: Held, second: Held) -> Held:
        return tape.product(first, second)


class Divide(Merge, frozen=True):
    """The first input by the second, element by element; axes of size 1 are broadcast.

    Elementwise operations: one division per output element.
    """

    aliases = ("div",)
    arity = (2, 2)
    verb = "divide"

    def step(self, tape: Tape, first: Held, second: Held) -> Held:
        return tape.quotient(first, second)


class Maximum(Merge, frozen=True):
    """Largest of the inputs, element by element; axes of size 1 are broadcast.

    Elementwise operations: one comparison per output element for each input after the first.
    """

    commutative = True
    verb = "take the maximum of"

    def step(self, tape: Tape, first: Held, second: Held) -> Held:
        return tape.pointwise(first, second, keep=(first, second))


class Minimum(Merge, frozen=True):
    """Smallest of the inputs, element by element; axes of size 1 are broadcast.

    Elementwise operations: one comparison per output element for each input after the first.
    """

    commutative = True
    verb = "take the minimum of"

    def step(self, tape: Tape, first: Held, second: Held) -> Held:
        return tape.pointwise(first, second, keep=(first, second))


class Matmul(Product, frozen=True):
    """Matrix product of the last two axes, ``…×n×k`` by ``…×k×m``, as ``torch.matmul``.

    Both have the same number of axes; those before the last two are equal or broadcast. Elementwise
    operations: none.
    """

    arity = (2, 2)

    def output_shape(self, *inputs: Shape) -> Shape:
        first, second = inputs
        check_ranks("multiply the matrices", inputs)
        if len(first) < 2:
            raise LayerError(f"needs matrices, inputs of at least 2 axes, got {describe(first)} and {describe(second)}")
        if first[-1] != second[-2]:
            raise ShapeMismatchError(
                f"cannot multiply the matrices {describe(first)} and {describe(second)}: "
                f"rows of {first[-1]} and columns of {second[-2]} differ",
                hint="the last axis of the first must equal the last but one of the second",
            )
        # A matrix axis is never broadcast: ones stand in for them.
        leading = broadcast("multiply the matrices", tuple((*shape[:-2], 1, 1) for shape in inputs))[:-2]
        return (*leading, first[-2], second[-1])

    def input_symbols(self, *inputs: Shape) -> tuple[tuple[str, ...], ...]:
        leading = super().input_symbols(*(shape[:-2] for shape in inputs))
        return (*leading[0], "n", "k"), (*leading[1], "k", "m")

    def output_symbols(self, rank: int) -> tuple[str, ...]:
        return (*super().output_symbols(rank - 2), "n_out", "m_out")

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        *leading, rows, columns = out = self.output_shape(*inputs)
        first, second = (self._stacked(shape[:-2], leading) for shape in inputs)
        loops = {f"n{axis}": size for axis, size in enumerate(leading)} | {"i": rows, "j": columns, "k": inputs[0][-1]}
        left = Operand(0, inputs[0], (*first, loop("i"), loop("k")))
        right = Operand(1, inputs[1], (*second, loop("k"), loop("j")))
        places = (*(loop(f"n{axis}") for axis in range(len(leading))), loop("i"), loop("j"))
        return (Nest(loops, places, out, (left, right)),)

    def _stacked(self, shape: Shape, leading: list[int]) -> tuple[Index, ...]:
        """Which of its matrices an input multiplies at each place; the only one where it is broadcast."""
        sizes = enumerate(zip(shape, leading, strict=True))
        return tuple(loop(f"n{axis}", int(size == out)) for axis, (size, out) in sizes)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return (Call("matmul", inputs, self.output_shape(*inputs), self.macs(*inputs)),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return tape.matrix_product(*inputs)
