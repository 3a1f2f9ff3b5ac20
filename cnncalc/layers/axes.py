"""The one place where ``int | one per axis`` and every form of padding become one normal form."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from cnncalc.errors import LayerError
from cnncalc.formulas import size as sizes
from cnncalc.formulas import traffic
from cnncalc.formulas.nest import Index, loop, slid
from cnncalc.formulas.receptive_field import MAX_PERIOD, Taps, Window
from cnncalc.layers.base import NonNegative, Shape

Pair = tuple[int, int]
# Not tuple[NonNegative, NonNegative]: msgspec 0.22 crashes on a fixed-length tuple beside a constrained int.
_Ends = Annotated[tuple[NonNegative, ...], Meta(min_length=2, max_length=2)]
ExplicitPadding = NonNegative | tuple[NonNegative | _Ends, ...]
"""An int, one per axis, or a ``[before, after]`` pair per axis."""
Padding = ExplicitPadding | Literal["same", "valid"]
"""Explicit padding, ``same`` or ``valid``."""

AXIS_NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


class Axis(NamedTuple):
    """A window's geometry along one spatial axis, padding resolved."""

    size: int
    kernel: int
    stride: int
    padding: Pair
    dilation: int

    @property
    def effective_kernel(self) -> int:
        """``(K − 1)·D + 1``"""
        return sizes.effective_kernel(self.kernel, self.dilation)

    def together(self, units: int) -> Window | None:
        """What ``units`` windows read together: a phase for each window, or for each tap where there are fewer taps;
        ``None`` where there are too many to list.
        """
        (phases, apart), (taps, step) = sorted(((units, self.stride), (self.kernel, self.dilation)))
        if phases > MAX_PERIOD:
            return None
        firsts = (apart * phase - self.padding[0] for phase in range(phases))
        return Window(0, tuple(Taps(first, first + (taps - 1) * step, step) for first in firsts))

    def pairs_inside(self, units: int) -> int:
        """Pairs of a unit (of ``units``) and a tap that fall on the input, not on its padding."""
        return traffic.pairs_inside(self.size, units, self.kernel, self.stride, self.padding[0], self.dilation)

    def meets(self, unit: int) -> bool:
        """Whether a unit's window covers some of the input, not only padding."""
        first = unit * self.stride - self.padding[0]
        return traffic.pairs_inside(self.size, 1, self.kernel, self.stride, -first, self.dilation) > 0


class Windows(NamedTuple):
    """The loops of windows that slide over spatial axes: ``loops`` over their positions and taps, where tap ``k`` of
    the window at ``p`` lies (``slid``), and the position (``at``) and the tap themselves.
    """

    loops: dict[str, int]
    slid: tuple[Index, ...]
    at: tuple[Index, ...]
    taps: tuple[Index, ...]

    @classmethod
    def of(cls, axes: tuple[Axis, ...], positions: Shape) -> Windows:
        """The windows at so many positions along each axis."""
        numbers = range(1, len(axes) + 1)
        at, taps = [f"p{number}" for number in numbers], [f"k{number}" for number in numbers]
        return cls(
            dict(zip(at + taps, (*positions, *[axis.kernel for axis in axes]), strict=True)),
            tuple(
                [slid(n, axis.stride, axis.padding[0], axis.dilation) for n, axis in zip(numbers, axes, strict=True)]
            ),
            tuple(map(loop, at)),
            tuple(map(loop, taps)),
        )


MOST_SPATIAL = 3
"""The most spatial axes that PyTorch's convolutions, pools, resizing and per-channel norms support."""


def check_rank(shape: Shape, what: str = "", field: str | None = None) -> None:
    """PyTorch has many layers only for up to three spatial axes.

    Raises:
        LayerError: the input has more.
    """
    if len(shape) - 1 > MOST_SPATIAL:
        limit = f"{what} takes at most {MOST_SPATIAL} spatial axes".strip()
        raise LayerError(
            f"{limit}, the input {describe(shape)} has {len(shape) - 1}",
            field=field,
            hint="the input is channels, then 1 to 3 spatial axes; flatten or reshape can merge axes",
        )


def few_spatial(shape: Shape) -> Shape:
    """The spatial sizes of an input that must have one to three.

    Raises:
        LayerError: the input has none, or more.
    """
    check_rank(shape)
    return spatial(shape)


def spatial(shape: Shape) -> Shape:
    """The spatial sizes of an input that must have some.

    Raises:
        LayerError: the input has only channels.
    """
    if len(shape) < 2:
        raise LayerError(
            f"needs an input with spatial axes, got {describe(shape)}",
            hint="the input is channels, then 1 to 3 spatial axes, e.g. [3, 224, 224]",
        )
    return shape[1:]


def channels(shape: Shape) -> int:
    """The channels of an input that must have some.

    Raises:
        LayerError: the input is a scalar.
    """
    if not shape:
        raise LayerError("needs an input with channels, got a scalar")
    return shape[0]


def per_axis(value: int | tuple[int, ...], rank: int, field: str) -> tuple[int, ...]:
    """``value`` once for each of ``rank`` spatial axes.

    Raises:
        LayerError: a list of another length.
    """
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise LayerError(
            f"{field} has {len(value)} values, the input has {rank} spatial {'axis' if rank == 1 else 'axes'}",
            field=field,
            hint=f"give one number for all axes, or {rank}",
        )
    return value


def axis_name(axis: int, rank: int) -> str:
    """The usual name of spatial axis ``axis`` of ``rank``: height, width, …"""
    return AXIS_NAMES.get(rank, tuple(f"axis {i + 1}" for i in range(rank)))[axis]


def describe(shape: Shape) -> str:
    """A shape as people write it: ``3×224×224``."""
    return "×".join(map(str, shape)) or "a scalar"


def window_axes(
    shape: Shape,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: Padding,
    dilation: int | tuple[int, ...] = 1,
) -> tuple[Axis, ...]:
    """The geometry of a sliding window over each spatial axis of ``shape``, in normal form.

    Raises:
        LayerError: no spatial axes or too many, or a list of the wrong length.
    """
    sizes_in = few_spatial(shape)
    rank = len(sizes_in)
    kernels = per_axis(kernel, rank, "kernel")
    strides = per_axis(stride, rank, "stride")
    dilations = per_axis(dilation, rank, "dilation")
    pads: tuple[Pair, ...]
    if padding == "same":
        pads = tuple(map(sizes.same_padding, sizes_in, kernels, strides, dilations))
    elif padding == "valid":
        pads = ((0, 0),) * rank
    else:
        pads = padding_pairs(padding, rank)
    return tuple(map(Axis, sizes_in, kernels, strides, pads, dilations))


def padding_pairs(padding: ExplicitPadding, rank: int) -> tuple[Pair, ...]:
    """Explicit padding as a ``(before, after)`` pair per axis."""
    if not isinstance(padding, tuple):
        return ((padding, padding),) * rank
    if len(padding) != rank:
        raise LayerError(
            f"padding has {len(padding)} entries, the input has {rank} spatial {'axis' if rank == 1 else 'axes'}",
            field="padding",
            hint="give one number, one per axis, or a [before, after] pair per axis",
        )
    return tuple((p[0], p[1]) if isinstance(p, tuple) else (p, p) for p in padding)


def same_pads(padding: Padding, axes: tuple[Axis, ...]) -> dict[str, Shape]:
    """The amount of ``same`` padding along each axis, by symbol; empty for padding given as numbers."""
    if padding != "same":
        return {}
    return {
        "P_before": tuple(axis.padding[0] for axis in axes),
        "P_after": tuple(axis.padding[1] for axis in axes),
    }


def check_fits(axes: tuple[Axis, ...]) -> None:
    """Every (dilated) kernel must fit into its padded input.

    Raises:
        LayerError: it does not.
    """
    for number, axis in enumerate(axes):
        padded = axis.size + sum(axis.padding)
        if axis.effective_kernel > padded:
            name = axis_name(number, len(axes))
            most = (padded - 1) // axis.dilation + 1
            dilated = f" ({axis.kernel} dilated by {axis.dilation})" if axis.dilation > 1 else ""
            raise LayerError(
                f"kernel {axis.effective_kernel}{dilated} is larger than the padded input: "
                f"{name} {axis.size} + padding {axis.padding[0]} + {axis.padding[1]} = {padded}",
                field="kernel",
                hint=f"use a kernel of at most {most} here, more padding, or a larger input",
            )
