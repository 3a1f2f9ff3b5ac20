"""The base of every layer: a class that knows its fields, output shapes, weights, cost and receptive field.

To add a layer, define one class below :class:`Layer` in the file of its family. Its fields are the
YAML fields (and the JSON Schema), its docstring is its documentation, and the analyses call its
methods. Shapes are ``(channels, *spatial)`` without the batch; all costs are per sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite, isnan, prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from msgspec import Meta, Struct

from cnncalc.errors import LayerError, ShapeMismatchError
from cnncalc.formulas import nest as nests
from cnncalc.formulas.nest import Nest
from cnncalc.formulas.positions import positions_read
from cnncalc.layers.reads import EVERYTHING, SCATTERED, UNTOLD, Read, Reads, along, pointwise, reads_of

if TYPE_CHECKING:
    from cnncalc.layers.axes import Axis
    from cnncalc.layers.tape import Held, Tape

Shape = tuple[int, ...]
MAX_SIZE = 1 << 63
"""Exclusive upper limit of a tensor's size along an axis."""
Shapes = tuple[Shape, ...]

Positive = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[int, Meta(ge=0)]
Probability = Annotated[float, Meta(ge=0, le=1)]
PerAxis = Positive | tuple[Positive, ...]
"""One value for all spatial axes, or one for each."""

MOST_WHOLE = (1 << 63) - 1
"""The largest whole number that PyTorch takes, as a size or for a layer's field."""
MOST_REAL = (2 - 2**-23) * 2.0**127
"""The largest number of float32, beyond which PyTorch cannot convert a layer's field."""

REGISTRY: dict[str, type[Layer]] = {}
"""Every concrete layer class by its name in the spec language; filled as the classes are defined."""


class Weight(NamedTuple):
    """One tensor owned by a layer; ``learnable`` is false for a buffer (running statistics).

    ``multiplies`` is false for a tensor that only scales or shifts (norms, layer scale), whatever its axes.
    """

    name: str
    shape: Shape
    learnable: bool = True
    multiplies: bool = True

    @property
    def decays(self) -> bool:
        """Whether weight decay is meant for it: not for biases, nor for the weights of norms (He et al. 2018,
        arXiv:1812.01187, §3.1).
        """
        return self.learnable and self.multiplies and len(self.shape) > 1


class Unknown(NamedTuple):
    """An unknown number; totals without it are partial and say why."""

    reason: str


class Call(NamedTuple):
    """One call of a PyTorch function that a layer's module makes, as a counter of operations sees it.

    ``name`` is the function's in a trace, with the rank where PyTorch's has it (``conv2d``, ``batch_norm``);
    ``patched`` the Python name it is called by, where a program that replaces that name gets the call
    (``F.relu``, ``Tensor.mul``). Shapes are without the batch; where ``batched`` is false the tensors have none.
    ``weight`` is the shape of the learned factor, and ``bias`` says whether there is a learned summand.
    ``training`` is a norm by the batch's own statistics. ``reads`` is the number of the layer's input that it
    works on, where how that lies in memory matters; ``in_order`` says it of a tensor made within the layer.
    """

    name: str
    inputs: Shapes
    output: Shape
    macs: int = 0
    patched: str = ""
    weight: Shape | None = None
    bias: bool = False
    training: bool = False
    reads: int | None = None
    in_order: bool = True
    batched: bool = True


AXIS_SYMBOLS = {0: (), 1: ("C",), 2: ("C", "L"), 3: ("C", "H", "W"), 4: ("C", "Z", "H", "W")}
"""Symbols of a tensor's axes in formulas, channels first (``D`` is dilation, so depth is ``Z``)."""


def axis_symbols(rank: int) -> tuple[str, ...]:
    """Symbols of the axes of a tensor of ``rank`` axes in formulas."""
    return AXIS_SYMBOLS.get(rank) or tuple(f"N_{axis + 1}" for axis in range(rank))


class Layer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all layers. A subclass with its own docstring and ``output_shape`` is a layer."""

    kind: ClassVar[str]
    """The name in the spec language: the class name in snake case."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Names that people type for it; accepted, never written."""
    field_aliases: ClassVar[dict[str, str]] = {}
    """Field names that people type (PyTorch's long forms), each with the field it means."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Least and greatest number of inputs; ``None`` for any number."""
    abstract: ClassVar[bool] = False
    """True for a base class that is not a layer itself."""
    differentiable: ClassVar[int | None] = None
    """How many of the first inputs a gradient passes through; ``None`` for all."""
    drawn: ClassVar[bool] = True
    """Whether random nets draw it; false for layers that sizes alone do not define."""
    commutative: ClassVar[bool] = False
    """Whether the order of the inputs makes no difference."""
    torch_name: ClassVar[str] = ""
    """The class of ``torch.nn`` that computes it, with ``Nd`` for the rank; empty where torch.nn has none."""
    in_place: ClassVar[bool] = False
    """Whether PyTorch's module can write its output over its input (``inplace=True``)."""
    is_product: ClassVar[bool] = False
    """Whether the layer is a convolution, linear or matrix product, whose outputs count as activations."""
    symbols: ClassVar[dict[str, str]] = {
        "out": "C_out",
        "kernel": "K",
        "stride": "S",
        "padding": "P",
        "dilation": "D",
        "groups": "G",
        "size": "O",
        "output_size": "O",
        "output_padding": "A",
    }
    """Symbols of its fields in formulas, as in papers; other fields go by their own names."""
    role: ClassVar[Literal["", "sum", "pass-through", "scale", "norm", "channel norm", "flattening"]] = ""
    """What it is in evaluation to those who look for patterns of layers; a channel norm takes each channel alone."""
    is_view: ClassVar[bool] = False
    """Whether the outputs can be views of the input, with another shape or strides, so that no data is moved."""

    def __init_subclass__(cls, **config: Any) -> None:
        super().__init_subclass__(**config)
        cls.abstract = cls.__dict__.get("abstract", False)
        if not cls.abstract:
            cls.kind = cls.__dict__.get("kind") or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
            REGISTRY[cls.kind] = cls

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of the output for inputs of these shapes.

        Raises:
            LayerError: the layer cannot take them.
        """
        raise NotImplementedError

    def output_shapes(self, *inputs: Shape) -> Shapes:
        """Shapes of all outputs; one for every layer except those that split."""
        return (self.output_shape(*inputs),)

    def checked_shapes(self, *inputs: Shape) -> Shapes:
        """Shapes of all outputs, with all numbers checked to be within PyTorch's range.

        Raises:
            LayerError: the layer cannot take the inputs; or a size or a field is too large for any tensor or module.
        """
        for name in self.__struct_fields__:
            for number in _numbers(getattr(self, name)):
                check_number(number, name, field=name)
        outputs = self.output_shapes(*inputs)
        check_sizes(*inputs, *outputs)
        return outputs

    def windows(self, *inputs: Shape) -> tuple[Axis, ...]:
        """The windows that slide over its (first) input, one for each spatial axis; empty where none do."""
        return ()

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        """What it computes, as loop nests one after the other, from which the rest follows; empty where it is said
        method by method.
        """
        return ()

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """The tensors that the layer owns, named and shaped as PyTorch's."""
        return tuple(
            Weight(str(operand.source), operand.shape)
            for nest in self.equation(*inputs)
            for operand in (*nest.operands, *([nest.start] if nest.start else []))
            if operand.learned
        )

    def macs(self, *inputs: Shape) -> int | Unknown:
        """Multiply-accumulates per sample."""
        return Unknown(f"{self.kind} does not say how many MACs it takes")

    def elementwise_ops(self, *inputs: Shape) -> int | Unknown:
        """Operations per sample beside the MACs, as the class docstring counts them."""
        return Unknown(f"{self.kind} does not say how many elementwise operations it takes")

    def activations(self, *inputs: Shape) -> int | Unknown:
        """Output elements per sample of the convolutions, linears and matrix products in the layer
        (Radosavovic et al. 2020); 0 for every other layer.
        """
        return sum(map(prod, self.output_shapes(*inputs))) if self.is_product else 0

    def input_gradient_macs(self, wanted: tuple[bool, ...], *inputs: Shape) -> int | Unknown:
        """Multiply-accumulates per sample for the gradients of the ``wanted`` inputs, and of the tensors between
        the weights and the output within the layer.

        Of a product ``Y = X·W`` each gradient (``∂L/∂W = Xᵀ·∂L/∂Y``, ``∂L/∂X = ∂L/∂Y·Wᵀ``) is a product
        of the same three sizes, so each costs what the forward product costs (Goodfellow et al. 2016,
        §6.5.6; for a convolution §9.5).
        """
        macs = self.macs(*inputs)
        return macs if isinstance(macs, Unknown) else macs * sum(wanted)

    def weight_gradient_macs(self, *inputs: Shape) -> int | Unknown:
        """Multiply-accumulates per sample for the gradients of the learnable weights, as many as forward."""
        macs = self.macs(*inputs)
        if isinstance(macs, Unknown):
            return macs
        return macs * any(weight.learnable for weight in self.weights(*inputs))

    def drop_probability(self) -> tuple[int, int] | None:
        """The fraction of training passes in which the whole output is dropped; ``None`` where it never is."""
        return None

    def direct_macs(self, *inputs: Shape) -> int | Unknown:
        """The part of :meth:`macs` that a direct algorithm cannot skip: it can skip products with padding's zeros."""
        return self.macs(*inputs)

    def bilinear_macs(self, *inputs: Shape) -> int | Unknown:
        """Fewest products of any algorithm that is bilinear in each pair of channels, e.g. Winograd's and the FFT:
        at least one for every input position read and for every output position (the rank of a bilinear map is
        at least the dimension of each of its spaces; Winograd 1980 and Lavin & Gray 2016, arXiv:1509.09308, for the
        convolution of one axis).
        """
        return self.direct_macs(*inputs)

    def elements_read(self, *inputs: Shape) -> tuple[int, ...]:
        """For each input, how many of its elements any output depends on, according to :meth:`reads`."""
        outputs = self.output_shapes(*inputs)
        read = []
        for shape, reads in zip(inputs, self.reads(*inputs), strict=True):
            axes = zip(shape, reads, strict=True)
            read.append(prod([_positions(size, one, outputs[0]) for size, one in axes]))
        return tuple(read)

    def weights_read(self, *inputs: Shape) -> int:
        """Weights and buffers that a forward pass in evaluation reads: all except the counters of batches."""
        return sum(prod(weight.shape) for weight in self.weights(*inputs) if weight.learnable or weight.shape)

    def forward(self, tape: Tape, *inputs: Held) -> Held | tuple[Held, ...]:
        """Records on the tape which tensors a forward pass makes, keeps and frees; returns the output or outputs."""
        tape.unknown.append(f"{self.kind} does not say which tensors its forward pass makes and keeps")
        shapes = self.output_shapes(*(x.shape[1:] for x in inputs))
        return tuple(tape.new((tape.batch, *shape), *inputs, tape.weight(), keep=inputs) for shape in shapes)

    def input_symbols(self, *inputs: Shape) -> tuple[tuple[str, ...], ...]:
        """Symbols of each input's axes in formulas; with several inputs, numbered along axes in which they differ."""
        named = [axis_symbols(len(shape)) for shape in inputs]
        if len(inputs) > 1:
            alike = [len(set(sizes)) == 1 for sizes in zip(*inputs, strict=False)]
            same_rank = len(set(map(len, inputs))) == 1
            return tuple(
                tuple(s if same_rank and alike[axis] else f"{s}_{i}" for axis, s in enumerate(symbols))
                for i, symbols in enumerate(named, start=1)
            )
        if "out" in self.__struct_fields__:
            return tuple(tuple("C_in" if symbol == "C" else symbol for symbol in symbols) for symbols in named)
        return tuple(named)

    def output_symbols(self, rank: int) -> tuple[str, ...]:
        """Symbols of the axes of an output of ``rank`` axes in formulas."""
        return tuple(f"{symbol}_out" for symbol in axis_symbols(rank))

    def derived(self, *inputs: Shape) -> dict[str, Shape]:
        """Intermediate numbers that deserve a name: one for each spatial axis, by symbol, in the order in
        which they are computed.
        """
        return {}

    def alternatives(self, *inputs: Shape) -> dict[str, tuple[tuple[Layer, Shapes], ...]]:
        """Other layers that could replace this one, by name: each is a sequence of layers with their input
        shapes.
        """
        return {}

    def narrowed(self, divisor: int, *inputs: Shape) -> Layer:
        """The layer with its channel counts divided by ``divisor`` (at least 1), for inputs narrowed the same way.

        Its windows stay the same, and so does what it reads along spatial axes: receptive fields
        can be measured on it at a fraction of the cost.
        """
        return self

    def torch_module(self, *inputs: Shape) -> str:
        """The class of ``torch.nn`` that computes it for inputs of these shapes, e.g. ``Conv2d``; empty if none."""
        return self.torch_name.replace("Nd", f"{max(len(inputs[0]) - 1, 1)}d") if self.torch_name else ""

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...] | Unknown:
        """The calls of PyTorch functions that its module makes, except those that only move data."""
        return Unknown(f"{self.kind} does not say which PyTorch functions it calls")

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        """For each input, what the outputs read of each of its axes."""
        equation = self.equation(*inputs)
        if not equation:
            return tuple(pointwise(shape) for shape in inputs)
        nest = equation[0].split()
        read = (*nest.operands, *([nest.start] if nest.start else []))
        return tuple(reads_of(nest, operand) for operand in read if not operand.learned)

    def port_reads(self, port: int, *inputs: Shape) -> tuple[Reads, ...]:
        """For each input, what output number ``port`` reads of each of its axes."""
        return self.reads(*inputs)


class Product(Layer, frozen=True):
    """Base of the layers that sum products: convolutions, linear maps, matrix products, attention.

    Elementwise operations: one addition per output element where there is a bias.
    """

    abstract = True
    is_product = True

    def macs(self, *inputs: Shape) -> int:
        return sum(map(nests.macs, self.equation(*inputs)))

    def elementwise_ops(self, *inputs: Shape) -> int:
        return sum(prod(nest.shape) for nest in self.equation(*inputs) if nest.start)

    def activations(self, *inputs: Shape) -> int:
        return sum(prod(nest.shape) for nest in self.equation(*inputs))

    def input_gradient_macs(self, wanted: tuple[bool, ...], *inputs: Shape) -> int:
        return nests.gradient_macs(self.equation(*inputs), wanted)[0]

    def weight_gradient_macs(self, *inputs: Shape) -> int:
        return nests.gradient_macs(self.equation(*inputs), (False,) * len(inputs))[1]

    def direct_macs(self, *inputs: Shape) -> int:
        return sum(map(nests.multiplied, self.equation(*inputs)))


class Movement(Layer, frozen=True):
    """Base of layers that only move or drop data: no MACs, no elementwise operations."""

    abstract = True

    def macs(self, *inputs: Shape) -> int:
        return 0

    def elementwise_ops(self, *inputs: Shape) -> int:
        return 0

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return ()


class Elementwise(Layer, frozen=True):
    """Base of layers without MACs that keep the shape and spend ``ops_per_element`` on each element.

    Elementary functions (exp, log, tanh, erf, square root) count as one operation each.
    """

    abstract = True
    ops_per_element: ClassVar[int]
    keeps_output: ClassVar[bool] = False
    """Whether the gradient depends on the output, which autograd then keeps, and not on the input."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def macs(self, *inputs: Shape) -> int:
        return 0

    def elementwise_ops(self, *inputs: Shape) -> int | Unknown:
        return self.ops_per_element * prod(inputs[0])

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return (Call(self.kind, inputs, self.output_shape(*inputs), patched=f"F.{self.kind}"),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        out = tape.pointwise(*inputs)
        tape.keep(out, *((out,) if self.keeps_output else inputs))
        return out


class Activation(Elementwise, frozen=True):
    """Base of the activations ``y = f(x)`` of single elements (Goodfellow, Bengio & Courville 2016, §6.2-6.3)."""

    abstract = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        """``f(x)``, with functions of arrays ``m``: NumPy's, ``erf``, and ``softplus`` (``log(1 + exp(x))``)."""
        raise NotImplementedError

    def gain(self) -> float | None:
        """The factor by which the standard deviation of the weights before it should grow; ``None`` if unknown."""
        return None


class ShortForm(Layer, frozen=True):
    """Base of short forms for one or more other layers; the graph holds what they expand to."""

    abstract = True

    def expand(self, shape: Shape) -> tuple[Layer, ...]:
        """The layers that this one expands to, in order, for an input of this shape."""
        raise NotImplementedError

    @classmethod
    def contract(cls, layers: tuple[Layer, ...], shape: Shape) -> ShortForm | None:
        """The short form that expands to these layers for an input of this shape, if there is one."""
        return None


def check_number(number: float, what: str, field: str | None = None) -> None:
    """A number must fit PyTorch's types: whole numbers 64 bits, others float32 or infinity; NaN is refused.

    Raises:
        LayerError: it is not.
    """
    if isinstance(number, int) and not -MOST_WHOLE <= number <= MOST_WHOLE:
        raise LayerError(f"{what} is beyond 2^63 - 1, the largest whole number that PyTorch takes", field=field)
    if isnan(number):
        raise LayerError(f"{what} is not a number", field=field)
    if isinstance(number, float) and isfinite(number) and abs(number) > MOST_REAL:
        raise LayerError(f"{what} {number:g} is beyond ±{MOST_REAL:g}, the largest of float32", field=field)


def check_sizes(*shapes: Shape) -> None:
    """Sizes must fit PyTorch's 64 bits.

    Raises:
        LayerError: one does not.
    """
    largest = max([max(shape) for shape in shapes if shape], default=0)
    check_number(largest, f"a size of {largest}")


def check_finite(number: float, field: str) -> None:
    """A field that PyTorch does not accept as infinite, or where infinity has no meaning.

    Raises:
        LayerError: it is infinite.
    """
    if not isfinite(number):
        raise LayerError(f"{field} must be finite", field=field)


def _numbers(value: Any) -> Iterator[float]:
    """The numbers of a field, including those in lists."""
    if isinstance(value, tuple):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, (int, float)):
        yield value


def _positions(size: int, read: Read, output: Shape) -> int:
    """How many positions of an input axis are read, each counted once; all where that is unknown."""
    if read.whole or read.window is None or (read.axis is not None and read.axis >= len(output)):
        return size
    return positions_read(size, read.units(output), read.window, read.border)


def normal_axis(axis: int, rank: int, *, field: str = "axis") -> int:
    """An axis of a tensor of ``rank`` axes (channels = 0, no batch); negative ones count from the end.

    Raises:
        LayerError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise LayerError(
            f"axis {axis} is out of range for an input of {rank} axes",
            field=field,
            hint=f"axes count from 0 (channels) to {rank - 1}, or from -1 backwards; the batch is not one of them",
        )
    return axis % rank


__all__ = [
    "EVERYTHING",
    "REGISTRY",
    "SCATTERED",
    "UNTOLD",
    "Activation",
    "Call",
    "Elementwise",
    "Layer",
    "LayerError",
    "Movement",
    "NonNegative",
    "PerAxis",
    "Positive",
    "Probability",
    "Read",
    "Reads",
    "Shape",
    "ShapeMismatchError",
    "Shapes",
    "ShortForm",
    "Unknown",
    "Weight",
    "along",
    "axis_symbols",
    "normal_axis",
    "pointwise",
]
