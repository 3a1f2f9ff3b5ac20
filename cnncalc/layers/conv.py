"""Convolutions: ordinary (grouped, dilated), transposed, depthwise and depthwise-separable."""

from __future__ import annotations

from math import gcd, prod
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec.structs import replace

from cnncalc.errors import LayerError
from cnncalc.formulas import nest as nests
from cnncalc.formulas import size as sizes
from cnncalc.formulas.nest import Nest, Operand, Source, grouped, loop
from cnncalc.layers.axes import (
    Axis,
    ExplicitPadding,
    Padding,
    Windows,
    axis_name,
    check_fits,
    describe,
    per_axis,
    same_pads,
    spatial,
    window_axes,
)
from cnncalc.layers.base import Call, Layer, NonNegative, PerAxis, Positive, Product, Shape, Shapes, ShortForm, Weight
from cnncalc.layers.linear import Linear

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape

LONG_NAMES = {"out_channels": "out", "kernel_size": "kernel"}


def check_groups(in_channels: int, out: int, groups: int) -> None:
    """Checks that groups divide both channel counts.

    Raises:
        LayerError: they do not.
    """
    for what, channels in (("input", in_channels), ("output", out)):
        if channels % groups:
            raise LayerError(
                f"groups {groups} does not divide the {channels} {what} channels",
                field="groups",
                hint="a grouped convolution needs in_channels and out that are multiples of groups",
            )


class Convolution(Product, frozen=True):
    """Base of the convolutions. MACs: one for each pair of an output and what its window covers."""

    abstract = True

    def bilinear_macs(self, *inputs: Shape) -> int:
        """One product for each input position read and for each output position (see :class:`Layer`)."""
        (nest,) = self.equation(*inputs)
        positions = self.elements_read(*inputs)[0] // inputs[0][0]
        if len(nest.output[-1].terms) == 1:  # each output position has its window
            positions = max(positions, prod(nest.shape[1:]))
        return min(self.direct_macs(*inputs), positions * nest.loops["c"] * nest.loops["o"])

    def weights_read(self, *inputs: Shape) -> int:
        """Without the taps that only see padding."""
        (nest,) = self.equation(*inputs)
        used = sum(nests.elements_used(nest, operand) for operand in nest.operands if operand.learned)
        return used + (prod(nest.start.shape) if nest.start and nest.start.learned else 0)


def gathered(
    axes: tuple[Axis, ...], shape: Shape, out: Shape, groups: int, weight: Source, bias: Source | None, border: str
) -> Nest:
    """``y[o, p] += w[o, c, k] · x[⌊o/O⌋·C + c, S·p − P + D·k]``, with ``C`` and ``O`` the channels of a group."""
    windows = Windows.of(axes, out[1:])
    each = shape[0] // groups
    channels = grouped("o", out[0] // groups, "c", each, groups)
    return Nest(
        windows.loops | {"c": each, "o": out[0]},
        (loop("o"), *windows.at),
        out,
        (
            Operand(0, shape, (channels, *windows.slid)),
            Operand(weight, (out[0], each, *[axis.kernel for axis in axes]), (loop("o"), loop("c"), *windows.taps)),
        ),
        start=None if bias is None else Operand(bias, out[:1], (loop("o"),)),
        border=border,
    )


class Conv(Convolution, frozen=True):
    """Convolution (cross-correlation) over 1, 2 or 3 spatial axes, as ``torch.nn.Conv2d``.

    ``same`` padding gives ⌈size/stride⌉ with the odd pixel after. Elementwise operations: one
    addition per output element where there is a bias.
    """

    torch_name = "ConvNd"
    aliases = ("conv1d", "conv2d", "conv3d", "convolution")
    field_aliases = LONG_NAMES

    out: Positive
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Positive = 1
    bias: bool = True
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        """Kernel, stride, resolved padding and dilation along each spatial axis."""
        return window_axes(shape, self.kernel, self.stride, self.padding, self.dilation)

    def windows(self, *inputs: Shape) -> tuple[Axis, ...]:
        return self.axes(*inputs)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axes = self.axes(shape)
        check_groups(shape[0], self.out, self.groups)
        self._check_padding_mode(axes)
        check_fits(axes)
        return (self.out, *(sizes.conv_output_size(*axis) for axis in axes))

    def _check_padding_mode(self, axes: tuple[Axis, ...]) -> None:
        """``reflect`` needs pads smaller than the input, ``circular`` pads no larger."""
        limit = {"reflect": 1, "circular": 0}.get(self.padding_mode)
        for number, axis in enumerate(axes):
            if limit is not None and max(axis.padding) > axis.size - limit:
                place = f"{axis_name(number, len(axes))} {axis.size}"
                raise LayerError(
                    f"{self.padding_mode} padding {max(axis.padding)} is too large for {place}",
                    field="padding",
                    hint=f"{self.padding_mode} padding can be at most {axis.size - limit} here",
                )

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        # as the equation has them, in a fifth of its time: `sizes` asks every convolution at every size
        kernel = per_axis(self.kernel, len(inputs[0]) - 1, "kernel")
        weight = Weight("weight", (self.out, inputs[0][0] // self.groups, *kernel))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        (shape,) = inputs
        out, bias = self.output_shape(shape), "bias" if self.bias else None
        return (gathered(self.axes(shape), shape, out, self.groups, "weight", bias, self.padding_mode),)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        name, weight = f"conv{len(inputs[0]) - 1}d", self.weights(*inputs)[0].shape
        return (Call(name, inputs, self.output_shape(*inputs), self.macs(*inputs), weight=weight, bias=self.bias),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        axes = self.axes(x.shape[1:])
        uneven = any(axis.padding[0] != axis.padding[1] for axis in axes)
        if uneven or self.padding_mode != "zeros":  # padded before, by hand
            x = tape.padded(x, tuple(axis.size + sum(axis.padding) for axis in axes), self.padding_mode)
        shape = (tape.batch, self.out, *(sizes.conv_output_size(*axis) for axis in axes))
        return tape.convolved(shape, x, tuple(axis.kernel for axis in axes), self.groups)

    def derived(self, *inputs: Shape) -> dict[str, Shape]:
        return same_pads(self.padding, self.axes(inputs[0]))

    def alternatives(self, *inputs: Shape) -> dict[str, tuple[tuple[Layer, Shapes], ...]]:
        """A dense layer, which shares no parameters over positions (Goodfellow et al. 2016, §9.2); for an ordinary
        convolution the cheaper kinds (Howard et al. 2017), for a grouped one the ordinary.
        """
        (shape,) = inputs
        out = self.output_shape(shape)
        dense = Linear(out=prod(out), bias=self.bias)
        found: dict[str, tuple[tuple[Layer, Shapes], ...]] = {
            "dense layer of the same shapes": ((dense, ((prod(shape),),)),)
        }
        if self.groups > 1:
            return found | {"ordinary convolution": ((replace(self, groups=1), inputs),)}
        if prod(per_axis(self.kernel, len(shape) - 1, "kernel")) == 1:
            return found
        here: Shapes = ((shape[0], *out[1:]),)
        pointwise = Conv(out=self.out, kernel=1, bias=self.bias)
        depthwise = replace(self, out=shape[0], groups=shape[0])
        found["1×1 convolution at the same places"] = ((pointwise, here),)
        if shape[0] % 2 == 0 and self.out % 2 == 0:
            found["convolution in 2 groups"] = ((replace(self, groups=2), inputs),)
        return found | {"depthwise-separable convolution": ((depthwise, inputs), (pointwise, here))}

    def narrowed(self, divisor: int, *inputs: Shape) -> Conv:
        out = max(1, self.out // divisor)
        return replace(self, out=out, groups=gcd(self.groups, inputs[0][0], out))


class ConvTranspose(Convolution, frozen=True):
    """Transposed convolution, as ``torch.nn.ConvTranspose2d``.

    Elementwise operations: one addition per output element where there is a bias.
    """

    torch_name = "ConvTransposeNd"
    aliases = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "deconv", "deconvolution")
    field_aliases = LONG_NAMES

    out: Positive
    kernel: PerAxis
    stride: PerAxis = 1
    padding: ExplicitPadding = 0
    output_padding: NonNegative | tuple[NonNegative, ...] = 0
    groups: Positive = 1
    bias: bool = True
    dilation: PerAxis = 1

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        """Kernel, stride, padding and dilation along each spatial axis."""
        return window_axes(shape, self.kernel, self.stride, self.padding, self.dilation)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axes = self.axes(shape)
        check_groups(shape[0], self.out, self.groups)
        extra = per_axis(self.output_padding, len(axes), "output_padding")
        out = tuple(sizes.conv_transpose_output_size(*axis, more) for axis, more in zip(axes, extra, strict=True))
        for number, (axis, more, size) in enumerate(zip(axes, extra, out, strict=True)):
            if more >= max(axis.stride, axis.dilation):
                raise LayerError(
                    f"output_padding {more} must be smaller than stride {axis.stride} or dilation {axis.dilation}",
                    field="output_padding",
                    hint="it only chooses between the sizes that one stride maps to the same input",
                )
            if size < 1:
                place = axis_name(number, len(axes))
                raise LayerError(
                    f"padding {axis.padding[0]} + {axis.padding[1]} leaves no output along {place} ({size})",
                    field="padding",
                )
        return (self.out, *out)

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        """``y[⌊c/C⌋·O + o, S·p − P + D·k] += w[c, o, k] · x[c, p]``: a convolution's with ``x`` and ``y`` exchanged."""
        (shape,) = inputs
        axes, out = self.axes(shape), self.output_shape(shape)
        windows = Windows.of(axes, shape[1:])
        each = out[0] // self.groups
        channels = grouped("c", shape[0] // self.groups, "o", each, self.groups)
        x = Operand(0, shape, (loop("c"), *windows.at))
        kernels = (shape[0], each, *[axis.kernel for axis in axes])
        weight = Operand("weight", kernels, (loop("c"), loop("o"), *windows.taps))
        bias = Operand("bias", out[:1], (channels,)) if self.bias else None
        loops = windows.loops | {"c": shape[0], "o": each}
        return (Nest(loops, (channels, *windows.slid), out, (x, weight), start=bias),)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        name, weight = f"conv_transpose{len(inputs[0]) - 1}d", self.weights(*inputs)[0].shape
        # PyTorch's has one padding for both ends; different paddings crop the output of an unpadded one
        whole = any(before != after for _, _, _, (before, after), _ in self.axes(inputs[0]))
        out = (replace(self, padding=0) if whole else self).output_shape(*inputs)
        return (Call(name, inputs, out, self.macs(*inputs), weight=weight, bias=self.bias),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        axes = self.axes(x.shape[1:])
        kernel = tuple(axis.kernel for axis in axes)
        shape = self.output_shape(x.shape[1:])[1:]
        if all(axis.padding[0] == axis.padding[1] for axis in axes):
            return tape.convolved((tape.batch, self.out, *shape), x, kernel, self.groups, transposed=True)
        # PyTorch does not take such padding: it is cut off afterwards
        whole = tuple(size + sum(axis.padding) for size, axis in zip(shape, axes, strict=True))
        out = tape.convolved((tape.batch, self.out, *whole), x, kernel, self.groups, transposed=True)
        part = out
        for number, size in enumerate(shape, start=2):
            part = tape.narrow(part, number, size)
        return tape.alike(part)

    def narrowed(self, divisor: int, *inputs: Shape) -> ConvTranspose:
        out = max(1, self.out // divisor)
        return replace(self, out=out, groups=gcd(self.groups, inputs[0][0], out))


class FunctionalConv(Convolution, frozen=True):
    """Convolution by a weight that is itself a tensor of the net, as ``torch.nn.functional.conv2d``.

    Inputs: the feature map, the weight ``out×in/groups×K…``, and a bias ``out`` where there is one. Elementwise
    operations: one addition per output element where there is a bias.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 3)
    drawn = False

    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Positive = 1

    def axes(self, shape: Shape, weight: Shape) -> tuple[Axis, ...]:
        """Kernel, stride, resolved padding and dilation along each spatial axis."""
        return window_axes(shape, weight[2:], self.stride, self.padding, self.dilation)

    def windows(self, *inputs: Shape) -> tuple[Axis, ...]:
        return self.axes(*inputs[:2])

    def output_shape(self, *inputs: Shape) -> Shape:
        shape, weight = inputs[:2]
        if len(weight) != len(shape) + 1:
            raise LayerError(f"needs a weight of {len(shape) + 1} axes for {describe(shape)}, got {describe(weight)}")
        axes = self.axes(shape, weight)
        check_groups(shape[0], weight[0], self.groups)
        if weight[1] * self.groups != shape[0]:
            raise LayerError(
                f"the weight {describe(weight)} is for {weight[1] * self.groups} channels, the input has {shape[0]}"
            )
        if len(inputs) > 2 and inputs[2] != weight[:1]:
            raise LayerError(f"needs a bias of {weight[0]}, got {describe(inputs[2])}")
        check_fits(axes)
        return (weight[0], *(sizes.conv_output_size(*axis) for axis in axes))

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        shape, weight = inputs[:2]
        axes, out = self.axes(shape, weight), self.output_shape(*inputs)
        return (gathered(axes, shape, out, self.groups, 1, 2 if len(inputs) > 2 else None, "zeros"),)

    def elements_read(self, *inputs: Shape) -> tuple[int, ...]:
        """The taps of the weight that fall on the map, not only on padding."""
        (nest,) = self.equation(*inputs)
        of_map, _, *of_bias = super().elements_read(*inputs)
        return (of_map, nests.elements_used(nest, nest.operands[1]), *of_bias)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        # the bias, where there is one, is added to the convolution's result
        name, out = f"conv{len(inputs[0]) - 1}d", self.output_shape(*inputs)
        return (Call(name, inputs, out, self.macs(*inputs), weight=inputs[1]),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        x, weight = inputs[:2]
        axes = self.axes(x.shape[1:], weight.shape[1:])
        padded = tape.padded(x, tuple(axis.size + sum(axis.padding) for axis in axes))
        kernel = tuple(axis.kernel for axis in axes)
        shape = (tape.batch, weight.shape[1], *(sizes.conv_output_size(*axis) for axis in axes))
        if weight.shape[0] == 1:
            factor = tape.squeeze(weight, 0)
            own = tape.convolved(shape, padded, kernel, self.groups, weight=factor)
        else:  # sample by sample
            one = tape.narrow(padded, 0, 1)
            factor = tape.squeeze(tape.narrow(weight, 0, 1), 0)
            parts = [
                tape.convolved((1, *shape[1:]), one, kernel, self.groups, weight=factor) for _ in range(tape.batch)
            ]
            own = tape.joined(shape, *parts)
            tape.free(*parts)
        if len(inputs) < 3:
            return own
        bias = tape.reshape(inputs[2], (inputs[2].shape[0], inputs[2].shape[1], *(1 for _ in axes)))
        return tape.pointwise(own, bias)


class DepthwiseConv(ShortForm, frozen=True):
    """Short form of a convolution with one group per input channel (``groups: in_channels``).

    ``multiplier`` output channels for each input channel. Counted as the :class:`Conv` it becomes.
    """

    aliases = ("dwconv", "dw_conv", "depthwise")
    field_aliases: ClassVar[dict[str, str]] = {"kernel_size": "kernel"}

    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    multiplier: Positive = 1
    bias: bool = True
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"

    def expand(self, shape: Shape) -> tuple[Layer, ...]:
        spatial(shape)
        return (
            Conv(
                out=shape[0] * self.multiplier,
                kernel=self.kernel,
                stride=self.stride,
                padding=self.padding,
                dilation=self.dilation,
                groups=shape[0],
                bias=self.bias,
                padding_mode=self.padding_mode,
            ),
        )

    @classmethod
    def contract(cls, layers: tuple[Layer, ...], shape: Shape) -> ShortForm | None:
        conv = layers[0]
        if len(layers) != 1 or type(conv) is not Conv or conv.groups != shape[0] or conv.groups == 1:
            return None
        short = cls(
            kernel=conv.kernel,
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            multiplier=max(conv.out // conv.groups, 1),
            bias=conv.bias,
            padding_mode=conv.padding_mode,
        )
        return short if short.expand(shape) == layers else None


class SeparableConv(ShortForm, frozen=True):
    """Short form of a depthwise convolution followed by a 1×1 convolution to ``out`` channels.

    Both have a bias where ``bias`` is true. Counted as the two :class:`Conv` layers it becomes
    (Sifre & Mallat 2014; Howard et al. 2017).
    """

    aliases = ("sepconv", "sep_conv", "depthwise_separable_conv")
    field_aliases = LONG_NAMES

    out: Positive
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    multiplier: Positive = 1
    bias: bool = True
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"

    def expand(self, shape: Shape) -> tuple[Layer, ...]:
        depthwise = DepthwiseConv(
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            multiplier=self.multiplier,
            bias=self.bias,
            padding_mode=self.padding_mode,
        )
        return (*depthwise.expand(shape), Conv(out=self.out, kernel=1, bias=self.bias))
