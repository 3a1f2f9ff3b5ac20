"""Functions of single elements: elementary ones, and arithmetic with one fixed number."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal, get_args

from cnncalc.errors import LayerError
from cnncalc.layers.base import Call, Elementwise, Shape

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape

OfElement = Literal[
    "abs", "cos", "erf", "exp", "floor", "log", "neg", "reciprocal", "round", "rsqrt", "sign", "sin", "sqrt", "square"
]  # fmt: skip
OfTwo = Literal["add", "multiply", "divide", "subtract_from", "divide_into", "power", "maximum", "minimum"]
WITHOUT_VALUE: tuple[str, ...] = get_args(OfElement)
"""Functions of the element alone, by the names of PyTorch's operators."""
WITH_VALUE: tuple[str, ...] = get_args(OfTwo)
"""Functions of the element and a number."""
KEEP_INPUT = ("abs", "cos", "erf", "log", "sin", "square", "power", "maximum", "minimum")
"""Functions whose gradient depends on the input."""
KEEP_OUTPUT = ("exp", "reciprocal", "rsqrt", "sqrt")
"""Functions whose gradient depends on the output; that of the others depends on neither."""


class Math(Elementwise, frozen=True):
    """One function of every element, as ``torch.exp`` and its kin, or arithmetic with the number ``value``.

    ``subtract_from`` is ``value − x``, ``divide_into`` is ``value/x``, ``power`` is ``x^value``, ``maximum`` and
    ``minimum`` are those of ``x`` and ``value``. Elementwise operations: 1 per element; ``rsqrt`` (a root
    and a reciprocal) 2.
    """

    ops_per_element = 1
    drawn = False

    function: Literal[OfElement, OfTwo]
    value: float | None = None

    def output_shape(self, *inputs: Shape) -> Shape:
        alone = self.function not in WITH_VALUE
        if alone == (self.value is not None):
            what = "takes no value" if alone else "needs a value"
            hint = "leave value out" if alone else f"e.g. {{function: {self.function}, value: 2}}"
            raise LayerError(f"{self.function} {what}", field="value" if alone else None, hint=hint)
        return inputs[0]

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return (Call({"multiply": "mul"}.get(self.function, self.function), inputs, inputs[0]),)

    def elementwise_ops(self, *inputs: Shape) -> int:
        return (2 if self.function == "rsqrt" else self.ops_per_element) * prod(inputs[0])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        if self.function == "divide_into":  # a product with the reciprocal
            reciprocal = tape.pointwise(x)
            tape.keep(reciprocal, reciprocal)
            return tape.pointwise(reciprocal)
        out = tape.pointwise(x)
        tape.keep(
            out, *((x,) if self.function in KEEP_INPUT else ()), *((out,) if self.function in KEEP_OUTPUT else ())
        )
        return out
