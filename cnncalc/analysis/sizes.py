"""Which input sizes a net takes: the answer of ``cnncalc sizes``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from cnncalc.analysis.answer import Answer, Shape
from cnncalc.analysis.input_sizes import QUESTIONS, Diagnosis, Mend, Near, Question, find_base, near, survey
from cnncalc.analysis.size_rule import describe, find_rule, runs
from cnncalc.errors import CnncalcError
from cnncalc.layers.axes import describe as shape_text

if TYPE_CHECKING:
    from cnncalc.spec.resize import Inputs, Resizable

TITLES: dict[Question, str] = {
    "works": "work",
    "lossless": "lose no pixel",
    "exact": "leave out no padding either",
    "weights": "keep every weight's shape",
}


class SizeSet(Struct, frozen=True):
    """The sizes of the range of which one thing is true: in words, and exactly.

    Where there is a rule, a size from ``start`` on is in the set if its remainder by ``period`` is one of
    ``residues``. Sizes below, and all where there is no rule, are in the set if they are in one of ``runs`` of
    neighbours (first and last).
    """

    rule: str
    count: int
    smallest: int | None
    largest: int | None
    runs: tuple[tuple[int, int], ...]
    start: int | UnsetType = UNSET
    period: int | UnsetType = UNSET
    residues: tuple[int, ...] | UnsetType = UNSET


class AxisSizes(Struct, frozen=True):
    """One spatial axis (from 0) and the sizes that work along it, that lose no pixel, that leave out not even
    padding, and that keep every weight's shape. ``size`` is where it stands while another is varied.
    """

    name: str
    axis: int
    inputs: tuple[str, ...]
    size: int
    works: SizeSet
    lossless: SizeSet
    exact: SizeSet
    weights: SizeSet


class LeftOut(Struct, frozen=True):
    """What a layer's last window leaves out along each axis: pixels of the map, and cells of padding."""

    layer: str
    pixels: tuple[int, ...]
    padding: tuple[int, ...]


class AtSize(Struct, frozen=True):
    """What happens at one size. A failure has its layer, the whole message, other sizes and fixes."""

    inputs: dict[str, Shape]
    status: Literal["works", "fails"]
    left_out: tuple[LeftOut, ...] = ()
    layer: str | None = None
    message: str | None = None
    other_sizes: Near | None = None
    mends: tuple[Mend, ...] = ()


class SizesReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``sizes``.

    ``independent``: on ``samples`` choices of sizes along all axes at once, the net did what the axes by
    themselves say.
    """

    name: str
    source: str
    range: tuple[int, int]
    axes: tuple[AxisSizes, ...]
    samples: int
    independent: bool
    dependence: str | None
    at: AtSize
    near: tuple[Near, ...] = ()
    wanted: tuple[int, ...] = ()


def size_set(sizes: frozenset[int], most: int) -> SizeSet:
    """A set with its rule, which is checked once more against every size of the range."""
    rule = find_rule(sizes, most)
    assert rule is None or all((size in rule) == (size in sizes) for size in range(1, most + 1))
    rest = runs(sizes) if rule is None else rule.before
    found = SizeSet(describe(sizes, rule), len(sizes), min(sizes, default=None), max(sizes, default=None), rest)
    return found if rule is None else replace(found, start=rule.start, period=rule.period, residues=rule.residues)


def answer(
    net: Resizable,
    inputs: Inputs,
    place: Inputs,
    found: Diagnosis,
    *,
    name: str,
    wanted: tuple[int, ...] | None = None,
    most: int = 1024,
    progress: Callable[[str], None] = lambda what: None,
) -> SizesReport:
    """The sizes that a net takes.

    Args:
        net: the net.
        inputs: the inputs that it was written for.
        place: those that are asked about.
        found: what happens there.
        name: the net's name.
        wanted: sizes near which others are looked for, one for each axis number.
        most: the largest size that is tried.
        progress: called with what is being done.

    Raises:
        CnncalcError: no size works.
    """
    progress("looking for a size that works")
    base = find_base(net, inputs, most)
    if base is None:
        first = net.attempt(inputs).error
        raise CnncalcError(f"{first}\n  note: no size in 1…{most}, the same along all axes, works")
    scanned = survey(net, base, most, progress)
    stand = tuple(scan.axis for scan in scanned.scans)
    others = None
    if found.attempt.error is not None:
        there = {axis: place[axis.inputs[0]][1 + axis.number] for axis in stand}
        same_channels = {name: (place[name][0], *shape[1:]) for name, shape in base.items()}
        if net.at(same_channels).works:
            others = near(net, same_channels, there, "works", most)
    chosen = {} if wanted is None else {axis: wanted[axis.number] for axis in stand}
    axes = tuple(
        AxisSizes(
            scan.axis.name,
            scan.axis.number,
            scan.axis.inputs,
            scan.axis.size,
            *(size_set(scan.sizes[question], most) for question in QUESTIONS),
        )
        for scan in scanned.scans
    )
    dependence = None
    if scanned.dependence is not None:
        question, sizes, together = scanned.dependence
        verb = TITLES[question]
        dependence = (
            f"the axes depend on each other: {shape_text(sizes)} {'does' if together else 'does not'} {verb}, "
            f"though {'not all of its sizes do' if together else 'each of its sizes does'} "
            "where the other axes stand still"
        )
    return SizesReport(
        name=name,
        source=net.source.name,
        range=(1, most),
        axes=axes,
        samples=scanned.samples,
        independent=dependence is None,
        dependence=dependence,
        at=at_size(place, found, others),
        near=tuple(near(net, base, chosen, question, most) for question in QUESTIONS[:3] if chosen),
        wanted=tuple(chosen.values()),
    )


def at_size(inputs: Mapping[str, Shape], found: Diagnosis, others: Near | None) -> AtSize:
    """What happens at one size."""
    if found.attempt.error is None:
        left = tuple(
            LeftOut(node.path, tuple(one.pixels for one in axes), tuple(one.padding for one in axes))
            for node, axes in found.left
        )
        return AtSize(dict(inputs), "works", left)
    failure = found.attempt.failure
    return AtSize(
        dict(inputs),
        "fails",
        layer=None if failure is None else failure.path,
        message=str(found.attempt.error),
        other_sizes=others,
        mends=found.mends,
    )
