"""Layers that rearrange, cut or extend tensors and compute nothing.

Axes count from 0 (channels) without the batch, negative ones from the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from cnncalc.errors import LayerError
from cnncalc.formulas.receptive_field import MAX_PERIOD, Taps, Window
from cnncalc.formulas.size import conv_output_size, slice_size
from cnncalc.layers.axes import (
    Axis,
    ExplicitPadding,
    Pair,
    axis_name,
    check_fits,
    check_rank,
    describe,
    padding_pairs,
    per_axis,
    spatial,
    window_axes,
)
from cnncalc.layers.base import (
    EVERYTHING,
    SCATTERED,
    Call,
    Layer,
    Movement,
    NonNegative,
    PerAxis,
    Positive,
    Read,
    Reads,
    Shape,
    Shapes,
    along,
    normal_axis,
    pointwise,
)

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape

SizeOrRest = Annotated[int, Meta(ge=-1)]
"""A size, or -1 for the rest."""


def place_name(axis: int, rank: int) -> str:
    """The usual name of axis ``axis`` of a tensor of ``rank`` axes: channels, height, width, …"""
    return axis_name(axis - 1, rank - 1) if axis else "channels"


def normal_axes(axes: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One axis or several, each counted from 0, in the order given.

    Raises:
        LayerError: there is no such axis, or one is named twice.
    """
    given = axes if isinstance(axes, tuple) else (axes,)
    normal = tuple(normal_axis(axis, rank, field="axes") for axis in given)
    for position, axis in enumerate(normal):
        if axis in normal[:position]:
            raise LayerError(f"axis {given[position]} occurs twice in axes", field="axes")
    return normal


def offset_reads(firsts: tuple[int, ...], border: str = "zeros") -> Reads:
    """Along each spatial axis unit ``i`` reads input unit ``i + first``."""
    windows = (Window(1, (Taps(first, first),)) for first in firsts)
    return (along(0), *(along(axis, window, border) for axis, window in enumerate(windows, start=1)))


def regrouped_reads(shape: Shape, out: Shape) -> Reads:
    """What each output reads where the elements keep their order and only the axes are split or merged.

    Axes that both shapes share from the front and from the back stay as they are. Between them, an
    input axis still becomes one output axis if the neighbours that merge with it or split off it
    have size 1. Others are scattered, and an axis of size 1 is read whole.
    """
    front = 0
    while front < min(len(shape), len(out)) and shape[front] == out[front]:
        front += 1
    back = 0
    while back < min(len(shape), len(out)) - front and shape[-1 - back] == out[-1 - back]:
        back += 1
    reads: dict[int, Read] = {axis: along(axis) for axis in range(front)}
    reads |= {len(shape) - i: along(len(out) - i) for i in range(1, back + 1)}
    ins = [axis for axis in range(front, len(shape) - back) if shape[axis] > 1]
    outs = [axis for axis in range(front, len(out) - back) if out[axis] > 1]
    while ins and outs:
        # The smallest groups of input and output axes that hold the same number of elements.
        some, others = [ins.pop(0)], [outs.pop(0)]
        count, other_count = shape[some[0]], out[others[0]]
        while count != other_count:
            if count < other_count:
                some.append(ins.pop(0))
                count *= shape[some[-1]]
            else:
                others.append(outs.pop(0))
                other_count *= out[others[-1]]
        read = along(others[0]) if len(some) == len(others) == 1 else SCATTERED
        reads |= dict.fromkeys(some, read)
    return tuple(reads.get(axis, EVERYTHING) for axis in range(len(shape)))


def with_rest(given: tuple[int, ...], total: int, field: str) -> Shape:
    """Sizes for ``total`` elements, with -1 replaced by the rest.

    Raises:
        LayerError: a size of 0, more than one -1, or another number of elements.
    """
    known = prod(size for size in given if size != -1)
    free = given.count(-1)
    if known == 0:
        raise LayerError(f"a size of 0 in {field}", field=field, hint="sizes are at least 1, or -1 for what is left")
    if free > 1:
        raise LayerError(f"{field} has more than one -1", field=field, hint="only one size can follow from the others")
    if total % known or (not free and total != known):
        raise LayerError(
            f"{total} elements do not make {'×'.join('?' if size == -1 else str(size) for size in given)}",
            field=field,
            hint=f"the sizes must multiply to {total}; -1 stands for the rest",
        )
    return tuple(total // known if size == -1 else size for size in given)


class Pad(Movement, frozen=True):
    """Padding of the spatial axes, as ``torch.nn.functional.pad``; ``value`` fills ``constant`` padding.

    Elementwise operations: none.
    """

    aliases = ("padding", "zero_pad")

    padding: ExplicitPadding
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    value: float = 0.0

    def pairs(self, shape: Shape) -> tuple[Pair, ...]:
        """Pixels before and after along each spatial axis."""
        return padding_pairs(self.padding, len(spatial(shape)))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        pairs = self.pairs(shape)
        limit = {"reflect": 1, "circular": 0}.get(self.mode)
        for number, (size, pair) in enumerate(zip(shape[1:], pairs, strict=True)):
            if limit is not None and max(pair) > size - limit:
                raise LayerError(
                    f"{self.mode} padding {max(pair)} is too large for {axis_name(number, len(pairs))} {size}",
                    field="padding",
                    hint=f"{self.mode} padding can be at most {size - limit} here",
                )
        if self.mode != "constant":
            check_rank(shape, f"{self.mode} padding", field="mode")
        if self.mode != "constant" and self.value:
            raise LayerError(f"value means nothing for {self.mode} padding", field="value", hint="use mode: constant")
        return (shape[0], *(size + before + after for size, (before, after) in zip(shape[1:], pairs, strict=True)))

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.padded(x, self.output_shape(x.shape[1:])[1:], "zeros" if self.mode == "constant" else self.mode)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        border = "zeros" if self.mode == "constant" else self.mode
        return (offset_reads(tuple(-before for before, _ in self.pairs(inputs[0])), border),)


class Crop(Movement, frozen=True):
    """Crop of the spatial axes: to ``size`` around the centre, or by ``cropping`` at each end.

    ``cropping`` is an int, one per axis, or a ``[before, after]`` pair per axis. Of an odd rest the
    centre crop takes the smaller part before. Elementwise operations: none.
    """

    is_view = True
    aliases = ("cropping", "center_crop", "centre_crop")
    symbols: ClassVar[dict[str, str]] = {"cropping": "P"}

    size: PerAxis | None = None
    cropping: ExplicitPadding | None = None

    def pairs(self, shape: Shape) -> tuple[Pair, ...]:
        """Pixels taken off before and after along each spatial axis."""
        sizes = spatial(shape)
        if (self.size is None) == (self.cropping is None):
            raise LayerError(
                "needs either size or cropping" + ("" if self.size is None else ", not both"),
                field=None if self.size is None else "cropping",
                hint="size: 388 keeps the centre; cropping: [[1, 2], [3, 4]] takes pixels off each end",
            )
        if self.cropping is not None:
            try:
                return padding_pairs(self.cropping, len(sizes))
            except LayerError as error:
                raise LayerError(
                    error.message.replace("padding", "cropping"), field="cropping", hint=error.hint
                ) from None
        assert self.size is not None
        wanted = per_axis(self.size, len(sizes), "size")
        return tuple(((have - want) // 2, -((want - have) // 2)) for have, want in zip(sizes, wanted, strict=True))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        pairs = self.pairs(shape)
        for number, (size, (before, after)) in enumerate(zip(shape[1:], pairs, strict=True)):
            place = f"{axis_name(number, len(pairs))} {size}"
            if before + after < 0:
                raise LayerError(
                    f"cannot crop {place} to {size - before - after}", field="size", hint="pad adds pixels"
                )
            if before + after >= size:
                raise LayerError(f"cropping {before} + {after} leaves nothing of {place}", field="cropping")
        return (shape[0], *(size - before - after for size, (before, after) in zip(shape[1:], pairs, strict=True)))

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        for axis, size in enumerate(self.output_shape(x.shape[1:])[1:], start=2):
            x = tape.narrow(x, axis, size)
        return x if self.cropping is None else tape.alike(x)  # as numbers it is negative padding

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        return (offset_reads(tuple(before for before, _ in self.pairs(inputs[0]))),)


class Slice(Movement, frozen=True):
    """Every ``step``-th unit from ``start`` to before ``stop`` along one axis, as ``x[:, start:stop:step]``.

    As in Python, negative ends count from the end, and ends beyond the axis are the axis's. Elementwise
    operations: none.
    """

    is_view = True
    aliases = ("narrow",)
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis"}

    start: int = 0
    stop: int | None = None
    step: Positive = 1
    axis: int = 0

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape))
        size = shape[axis]
        start, stop, _ = slice(self.start, self.stop, self.step).indices(size)
        kept = slice_size(start, size if stop == size else stop, self.step)
        if kept < 1:
            ends = f"{self.start} to {'the end' if self.stop is None else self.stop}"
            raise LayerError(f"nothing of {place_name(axis, len(shape))} {shape[axis]} lies from {ends}", field="start")
        return (*shape[:axis], kept, *shape[axis + 1 :])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        axis = normal_axis(self.axis, len(x.shape) - 1)
        return tape.narrow(x, axis + 1, self.output_shape(x.shape[1:])[axis], self.step)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape))
        start = slice(self.start, self.stop, self.step).indices(shape[axis])[0]
        reads = list(pointwise(shape))
        reads[axis] = along(axis, Window(self.step, (Taps(start, start),)))
        return (tuple(reads),)


class Split(Movement, frozen=True):
    """Cut along one axis into ``chunks`` parts, as ``torch.chunk``, or parts of given ``sizes``.

    Elementwise operations: none.
    """

    is_view = True
    aliases = ("chunk",)
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis"}

    chunks: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    sizes: tuple[Positive, ...] | None = None
    axis: int = 0

    def parts(self, shape: Shape) -> tuple[int, ...]:
        """The size of each part along the axis."""
        axis = normal_axis(self.axis, len(shape))
        size = shape[axis]
        place = f"{place_name(axis, len(shape))} {size}"
        if self.chunks is not None and self.sizes is None:
            each = -(-size // self.chunks)
            whole, rest = divmod(size, each)
            if whole + bool(rest) != self.chunks:
                raise LayerError(
                    f"cannot cut {place} into {self.chunks} chunks: chunks of {each} are only {whole + bool(rest)}",
                    field="chunks",
                    hint="choose chunks that divide it, or give the sizes",
                )
            return (each,) * whole + (rest,) * bool(rest)
        if self.sizes and self.chunks is None:
            if sum(self.sizes) != size:
                raise LayerError(f"sizes add up to {sum(self.sizes)}, not to {place}", field="sizes")
            return self.sizes
        raise LayerError(
            "needs either chunks or sizes" + ("" if self.chunks is None else ", not both"),
            field=None if self.sizes is None else "sizes",
            hint="chunks: 2 cuts in half; sizes: [16, 48] gives the parts",
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.output_shapes(*inputs)[0]

    def output_shapes(self, *inputs: Shape) -> Shapes:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape))
        return tuple((*shape[:axis], part, *shape[axis + 1 :]) for part in self.parts(shape))

    def forward(self, tape: Tape, *inputs: Held) -> tuple[Held, ...]:
        (x,) = inputs
        axis = normal_axis(self.axis, len(x.shape) - 1) + 1
        return tuple(tape.narrow(x, axis, part) for part in self.parts(x.shape[1:]))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        if len(self.parts(inputs[0])) == 1:
            return self.port_reads(0, *inputs)
        reads = list(pointwise(inputs[0]))
        # Each part reads from a different offset; reads() is for the layer as a whole.
        reads[normal_axis(self.axis, len(reads))] = SCATTERED
        return (tuple(reads),)

    def port_reads(self, port: int, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        axis, first = normal_axis(self.axis, len(shape)), sum(self.parts(shape)[:port])
        window = Window(1, (Taps(first, first),))
        return (tuple(along(i, window) if i == axis else along(i) for i in range(len(shape))),)


class Flatten(Movement, frozen=True):
    """Merge the axes from ``start_axis`` to ``end_axis`` into one, as ``torch.nn.Flatten``.

    Elementwise operations: none.
    """

    role = "flattening"
    torch_name = "Flatten"
    is_view = True

    start_axis: int = 0
    end_axis: int = -1

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        start = normal_axis(self.start_axis, len(shape), field="start_axis")
        end = normal_axis(self.end_axis, len(shape), field="end_axis")
        if start > end:
            raise LayerError(f"start_axis {self.start_axis} comes after end_axis {self.end_axis}", field="start_axis")
        return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        shape = self.output_shape(x.shape[1:])
        return x if shape == x.shape[1:] else tape.reshape(x, (tape.batch, *shape))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        return (regrouped_reads(inputs[0], self.output_shape(*inputs)),)


class Unflatten(Movement, frozen=True):
    """Split one axis into several of the given ``sizes`` (one may be -1), as ``torch.nn.Unflatten``.

    Elementwise operations: none.
    """

    torch_name = "Unflatten"
    is_view = True
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis", "unflattened_size": "sizes"}

    axis: int
    sizes: tuple[SizeOrRest, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape))
        if not self.sizes:
            raise LayerError("needs at least one size", field="sizes")
        return (*shape[:axis], *with_rest(self.sizes, shape[axis], "sizes"), *shape[axis + 1 :])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.reshape(x, (tape.batch, *self.output_shape(x.shape[1:])))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        return (regrouped_reads(inputs[0], self.output_shape(*inputs)),)


class Reshape(Movement, frozen=True):
    """The same elements in a new ``shape`` (one size may be -1), as ``torch.reshape``; the batch stays.

    Elementwise operations: none.
    """

    is_view = True
    aliases = ("view",)

    shape: tuple[SizeOrRest, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        return with_rest(self.shape, prod(inputs[0]), "shape")

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.reshape(x, (tape.batch, *self.output_shape(x.shape[1:])))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        return (regrouped_reads(inputs[0], self.output_shape(*inputs)),)


class Permute(Movement, frozen=True):
    """New order of the axes: output axis ``i`` is input axis ``axes[i]``, as ``torch.permute``.

    Elementwise operations: none.
    """

    is_view = True
    field_aliases: ClassVar[dict[str, str]] = {"dims": "axes", "dim": "axes"}

    axes: tuple[int, ...]

    def order(self, shape: Shape) -> tuple[int, ...]:
        """The input axis that each output axis is."""
        if len(self.axes) != len(shape):
            raise LayerError(
                f"axes names {len(self.axes)} axes, the input {describe(shape)} has {len(shape)}",
                field="axes",
                hint="name every axis once, channels (0) included and the batch not",
            )
        return normal_axes(self.axes, len(shape))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return tuple(shape[axis] for axis in self.order(shape))

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.permute(x, (0, *(axis + 1 for axis in self.order(x.shape[1:]))))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        order = self.order(inputs[0])
        return (tuple(along(order.index(axis)) for axis in range(len(order))),)


class Transpose(Movement, frozen=True):
    """Exchange of two axes, as ``torch.transpose``.

    Elementwise operations: none.
    """

    is_view = True
    field_aliases: ClassVar[dict[str, str]] = {"dim0": "axis0", "dim1": "axis1"}

    axis0: int
    axis1: int

    def order(self, shape: Shape) -> tuple[int, ...]:
        """The input axis that each output axis is."""
        first = normal_axis(self.axis0, len(shape), field="axis0")
        second = normal_axis(self.axis1, len(shape), field="axis1")
        order = list(range(len(shape)))
        order[first], order[second] = second, first
        return tuple(order)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return tuple(shape[axis] for axis in self.order(shape))

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.permute(x, (0, *(axis + 1 for axis in self.order(x.shape[1:]))))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        return (tuple(map(along, self.order(inputs[0]))),)


class Squeeze(Movement, frozen=True):
    """Drop axes of size 1: those of ``axes`` (others of them stay), or all, as ``torch.squeeze``.

    Elementwise operations: none.
    """

    is_view = True
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axes", "axis": "axes"}

    axes: int | tuple[int, ...] | None = None

    def kept(self, shape: Shape) -> tuple[int, ...]:
        """The input axes that stay."""
        chosen = range(len(shape)) if self.axes is None else normal_axes(self.axes, len(shape))
        return tuple(axis for axis, size in enumerate(shape) if size != 1 or axis not in chosen)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return tuple(shape[axis] for axis in self.kept(shape))

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        axes = (0, *(axis + 1 for axis in self.kept(x.shape[1:])))
        return tape.view(x, tuple(x.shape[axis] for axis in axes), tuple(x.strides[axis] for axis in axes))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        kept = self.kept(shape)
        return (tuple(along(kept.index(i)) if i in kept else EVERYTHING for i in range(len(shape))),)


class Unsqueeze(Movement, frozen=True):
    """A new axis of size 1, which will be axis ``axis`` of the output, as ``torch.unsqueeze``.

    Elementwise operations: none.
    """

    is_view = True
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis"}

    axis: int

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape) + 1)
        return (*shape[:axis], 1, *shape[axis:])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.unsqueeze(x, normal_axis(self.axis, len(x.shape)) + 1)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        new = normal_axis(self.axis, len(shape) + 1)
        return (tuple(along(axis + (axis >= new)) for axis in range(len(shape))),)


class Broadcast(Movement, frozen=True):
    """Axes of size 1 repeated to the sizes of ``shape``, as ``torch.Tensor.expand``; others stay as they are.

    ``shape`` may have more axes than the input: those come before it. Elementwise operations: none.
    """

    is_view = True
    aliases = ("broadcast_to",)

    shape: tuple[Positive, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        own = self.shape[max(0, len(self.shape) - len(shape)) :]
        if len(own) < len(shape) or any(want != have != 1 for have, want in zip(shape, own, strict=True)):
            raise LayerError(
                f"cannot expand {describe(shape)} to {describe(self.shape)}",
                field="shape",
                hint="an axis of size 1 can be repeated, and axes can be put before all others",
            )
        return self.shape

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        more = len(self.shape) - len(x.shape) + 1
        return tape.expand(tape.reshape(x, (x.shape[0], *(1,) * more, *x.shape[1:])), (x.shape[0], *self.shape))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        more = len(self.shape) - len(shape)
        first = Window(0, (Taps(0, 0),))
        return (
            tuple(
                along(axis + more) if size == self.shape[axis + more] else along(axis + more, first)
                for axis, size in enumerate(shape)
            ),
        )


class PerSample(Movement, frozen=True):
    """The first input once for each sample of the second, as ``x.expand(len(other), …)``.

    What depends on no input of the net is the same for all samples, and computed once. After this it is computed for
    each of them, as in a net that expands its learned queries to the batch before it works on them. Elementwise
    operations: none.
    """

    is_view = True
    arity = (2, 2)
    differentiable = 1
    drawn = False

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        x, other = inputs
        return tape.expand(x, (other.shape[0], *x.shape[1:]))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        """All of the first, position by position; of the second only how many samples there are."""
        nothing = Read(window=Window(0, (Taps(0, -1),)))
        return pointwise(inputs[0]), (nothing,) * len(inputs[1])


class Roll(Movement, frozen=True):
    """Shift along ``axes`` by ``shifts``; what leaves at one end comes in at the other, as ``torch.roll``.

    Elementwise operations: none.
    """

    field_aliases: ClassVar[dict[str, str]] = {"dims": "axes", "dim": "axes"}

    shifts: int | tuple[int, ...]
    axes: int | tuple[int, ...]

    def by_axis(self, shape: Shape) -> dict[int, int]:
        """The shift of each axis."""
        axes = normal_axes(self.axes, len(shape))
        shifts = self.shifts if isinstance(self.shifts, tuple) else (self.shifts,)
        if not shifts:
            raise LayerError("needs at least one shift", field="shifts", hint="shifts: [1, 1] with axes: [1, 2]")
        if len(axes) != len(shifts):
            raise LayerError(f"shifts has {len(shifts)} values, axes {len(axes)}", field="shifts")
        return dict(zip(axes, shifts, strict=True))

    def output_shape(self, *inputs: Shape) -> Shape:
        self.by_axis(inputs[0])
        return inputs[0]

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        held = x
        for axis, shift in self.by_axis(x.shape[1:]).items():
            size = x.shape[axis + 1]
            # one axis after the other, each as torch.cat of its two ends
            ends = (tape.narrow(held, axis + 1, part) for part in (size - -shift % size, -shift % size))
            held = tape.view(held, x.shape, tape.joined_strides(x.shape, *ends))
        return tape.new(x.shape, x, strides=held.strides)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        reads = list(pointwise(shape))
        for axis, shift in self.by_axis(shape).items():
            by = shift % shape[axis] - (shape[axis] if 2 * (shift % shape[axis]) > shape[axis] else 0)
            reads[axis] = along(axis, Window(1, (Taps(-by, -by),)), "circular")
        return (tuple(reads),)


class Take(Movement, frozen=True):
    """Elements along one axis, chosen by the whole numbers of a second input, as ``x[:, index]``.

    The axes of the index stand where the axis was. Elementwise operations: none.
    """

    aliases = ("index_select",)
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis"}
    arity = (2, 2)
    differentiable = 1
    drawn = False

    axis: int = 0

    def output_shape(self, *inputs: Shape) -> Shape:
        shape, index = inputs
        axis = normal_axis(self.axis, len(shape))
        return (*shape[:axis], *index, *shape[axis + 1 :])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        x, index = inputs
        whole = tape.indices(index.shape[1:])
        places = tape.indices(index.shape[1:])
        tape.free(whole)
        return tape.new((x.shape[0], *self.output_shape(x.shape[1:], index.shape[1:])), x, keep=(places,))

    def elements_read(self, *inputs: Shape) -> tuple[int, ...]:
        """At least the elements that one index chooses: all indices may choose the same."""
        shape, index = inputs
        return prod(shape) // shape[normal_axis(self.axis, len(shape))], prod(index)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        shape, index = inputs
        chosen = normal_axis(self.axis, len(shape))
        more = len(index) - 1
        own = Read(across=tuple(range(chosen, chosen + len(index))), partly=True)
        of_tensor = tuple(
            own if axis == chosen else along(axis if axis < chosen else axis + more) for axis in range(len(shape))
        )
        return of_tensor, tuple(along(chosen + axis) for axis in range(len(index)))


class SlidingWindows(Movement, frozen=True):
    """Every window of ``size`` units, ``step`` apart, along one axis; its units become a last axis
    (``torch.Tensor.unfold``).

    Elementwise operations: none.
    """

    is_view = True
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis", "dimension": "axis"}

    size: Positive
    step: Positive = 1
    axis: int = -1

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape))
        if self.size > shape[axis]:
            raise LayerError(
                f"size {self.size} is larger than {place_name(axis, len(shape))} {shape[axis]}", field="size"
            )
        return (*shape[:axis], (shape[axis] - self.size) // self.step + 1, *shape[axis + 1 :], self.size)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        axis = normal_axis(self.axis, len(x.shape) - 1) + 1
        windows = (*x.strides[:axis], x.strides[axis] * self.step, *x.strides[axis + 1 :], x.strides[axis])
        return tape.view(x, (x.shape[0], *self.output_shape(x.shape[1:])), windows)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape))
        reads = list(pointwise(shape))
        reads[axis] = Read(axis, Window(self.step, (Taps(0, self.size - 1),)), across=(len(shape),))
        return (tuple(reads),)


class Unfold(Movement, frozen=True):
    """Sliding patches of an image as columns: ``C×H×W`` to ``C·K_h·K_w×L``, as ``torch.nn.Unfold``.

    Elementwise operations: none.
    """

    aliases = ("im2col",)
    field_aliases: ClassVar[dict[str, str]] = {"kernel_size": "kernel"}
    drawn = False

    kernel: PerAxis
    stride: PerAxis = 1
    padding: NonNegative | tuple[NonNegative, ...] = 0
    dilation: PerAxis = 1

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 3:
            raise LayerError(f"needs channels, height and width, got {describe(shape)}")
        axes = window_axes(shape, self.kernel, self.stride, self.padding, self.dilation)
        check_fits(axes)
        patch = prod(axis.kernel for axis in axes)
        return (shape[0] * patch, prod(conv_output_size(*axis) for axis in axes))

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        # PyTorch's kernel makes it as large as the input first
        return tape.new((tape.batch, *self.output_shape(x.shape[1:])), x, room=prod(x.shape))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        axes = window_axes(shape, self.kernel, self.stride, self.padding, self.dilation)
        # Channel, row and column of a patch's pixel depend on both axes together.
        windows = (None, *(axis.together(conv_output_size(*axis)) for axis in axes))
        return (tuple(Read(window=window, across=(0, 1)) for window in windows),)


class Fold(Layer, frozen=True):
    """Patches, as columns, summed up to an image of the given ``size``: ``C·K_h·K_w×L`` to ``C×H×W``, as
    ``torch.nn.Fold``. What lies beyond the image is dropped.

    Elementwise operations: one addition per element of the columns.
    """

    aliases = ("col2im",)
    field_aliases: ClassVar[dict[str, str]] = {"kernel_size": "kernel", "output_size": "size"}
    drawn = False

    size: PerAxis
    kernel: PerAxis
    stride: PerAxis = 1
    padding: NonNegative | tuple[NonNegative, ...] = 0
    dilation: PerAxis = 1

    def patches(self) -> tuple[Axis, ...]:
        """The geometry of the patches along the image's height and width."""
        image = per_axis(self.size, 2, "size")
        return window_axes((1, *image), self.kernel, self.stride, self.padding, self.dilation)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 2:
            raise LayerError(f"needs the elements of patches, and patches, got {describe(shape)}")
        image = per_axis(self.size, 2, "size")
        axes = self.patches()
        check_fits(axes)
        patch = prod(axis.kernel for axis in axes)
        counts = [conv_output_size(*axis) for axis in axes]
        if shape[0] % patch:
            raise LayerError(f"{shape[0]} is no multiple of a patch's {patch} elements", field="kernel")
        if shape[1] != prod(counts):
            raise LayerError(
                f"an image of {describe(image)} has {describe(tuple(counts))} patches, the input {shape[1]}",
                field="size",
            )
        return (shape[0] // patch, *image)

    def macs(self, *inputs: Shape) -> int:
        return 0

    def elementwise_ops(self, *inputs: Shape) -> int:
        return prod(inputs[0])

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return (Call("col2im", inputs, self.output_shape(*inputs), patched="F.fold"),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        # PyTorch's kernel makes it as large as the input first
        return tape.new((tape.batch, *self.output_shape(x.shape[1:])), x, room=prod(x.shape))

    def elements_read(self, *inputs: Shape) -> tuple[int, ...]:
        """The elements of patches that lie within the image."""
        return (
            self.output_shape(*inputs)[0] * prod(axis.pairs_inside(conv_output_size(*axis)) for axis in self.patches()),
        )

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        # The column and the element in it depend on channel, row and column together.
        patches = None if inputs[0][1] > MAX_PERIOD else Window(0, tuple(Taps(p, p) for p in self.patches_inside()))
        return ((Read(across=(0, 1, 2)), Read(window=patches, across=(0, 1, 2))),)

    def patches_inside(self) -> Iterator[int]:
        """The patches that do not lie entirely in the padding."""
        rows, columns = ((axis, conv_output_size(*axis)) for axis in self.patches())
        seen = [column for column in range(columns[1]) if columns[0].meets(column)]
        for row in range(rows[1]):
            if rows[0].meets(row):
                yield from (row * columns[1] + column for column in seen)
