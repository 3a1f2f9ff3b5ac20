"""Which input sizes a net takes: the report of ``cnncalc sizes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from cnncalc.analysis.answer import Generator, Shape
from cnncalc.analysis.input_sizes import (
    QUESTIONS,
    Diagnosis,
    Fit,
    Mend,
    MendKind,
    Near,
    Question,
    Step,
    Survey,
)
from cnncalc.analysis.size_rule import describe, find_rule, runs
from cnncalc.document.column import Column
from cnncalc.document.grid import grid, style
from cnncalc.report.words import shape_text
from cnncalc.text import visible, wrap

SCHEMA_VERSION = 1
MOST_LEFT = 8
TITLES: dict[Question, str] = {
    "works": "work",
    "lossless": "lose no pixel",
    "exact": "leave out no padding either",
    "weights": "keep every weight's shape",
}
MEND_TITLES = {
    "output_padding": "fields of transposed convolutions",
    "pads": "pads where branches meet",
    "crops": "crops where branches meet",
}
Change = tuple[tuple[int, int], ...]


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


class FitReport(Struct, frozen=True):
    """Sizes near the wanted ones, and pixels to add (negative: to take off) before and after, axis by axis."""

    sizes: tuple[int, ...]
    change: Change


class NearReport(Struct, frozen=True):
    """The fits nearest to the wanted sizes of which one thing is true; ``null`` where there is none in reach."""

    question: Question
    closest: FitReport | None
    above: FitReport | None
    below: FitReport | None


class LeftReport(Struct, frozen=True):
    """What a layer's last window leaves out along each axis: pixels of the map, and cells of padding."""

    layer: str
    pixels: tuple[int, ...]
    padding: tuple[int, ...]


class StepReport(Struct, frozen=True):
    """A change: a field of a layer gets a value, or (with ``input``, from 0) that input of it is changed first."""

    layer: str
    field: str
    value: tuple[int | tuple[int, int], ...]
    input: int | UnsetType = UNSET


class MendReport(Struct, frozen=True):
    """Changes after which the net was built without fault at this size."""

    kind: MendKind
    steps: tuple[StepReport, ...]


class AtReport(Struct, frozen=True):
    """What happens at one size. A failure has its layer, the whole message, other sizes and other mends."""

    inputs: dict[str, Shape]
    status: Literal["works", "fails"]
    left_out: tuple[LeftReport, ...] = ()
    layer: str | None = None
    message: str | None = None
    other_sizes: NearReport | None = None
    mends: tuple[MendReport, ...] = ()


class SizesReport(Struct, frozen=True):
    """The whole answer to ``sizes``.

    ``independent``: on ``samples`` choices of sizes along all axes at once, the net did what the axes by
    themselves say.
    """

    schema_version: int
    generator: Generator
    name: str
    source: str
    range: tuple[int, int]
    axes: tuple[AxisSizes, ...]
    samples: int
    independent: bool
    dependence: str | None
    at: AtReport
    near: tuple[NearReport, ...] = ()
    wanted: tuple[int, ...] = ()


class Row(NamedTuple):
    """One line of the table: axes that agree, and one question."""

    axes: str
    question: Question
    sizes: SizeSet


def size_set(sizes: frozenset[int], most: int) -> SizeSet:
    """A set with its rule, which is checked once more against every size of the range."""
    rule = find_rule(sizes, most)
    assert rule is None or all((size in rule) == (size in sizes) for size in range(1, most + 1))
    rest = runs(sizes) if rule is None else rule.before
    found = SizeSet(describe(sizes, rule), len(sizes), min(sizes, default=None), max(sizes, default=None), rest)
    return found if rule is None else replace(found, start=rule.start, period=rule.period, residues=rule.residues)


def report(
    name: str,
    source: str,
    survey: Survey,
    at: AtReport,
    *,
    near: Sequence[Near] = (),
    wanted: tuple[int, ...] = (),
) -> SizesReport:
    """What has been found, as it is written."""
    from cnncalc import __version__

    axes = tuple(
        AxisSizes(
            scan.axis.name,
            scan.axis.number,
            scan.axis.inputs,
            scan.axis.size,
            *(size_set(scan.sizes[question], survey.most) for question in QUESTIONS),
        )
        for scan in survey.scans
    )
    dependence = None
    if survey.dependence is not None:
        question, sizes, together = survey.dependence
        verb = TITLES[question]
        dependence = (
            f"the axes depend on each other: {shape_text(sizes)} {'does' if together else 'does not'} {verb}, "
            f"though {'not all of its sizes do' if together else 'each of its sizes does'} "
            "where the other axes stand still"
        )
    return SizesReport(
        SCHEMA_VERSION,
        Generator("cnncalc", __version__),
        name,
        source,
        (1, survey.most),
        axes,
        survey.samples,
        dependence is None,
        dependence,
        at,
        tuple(map(near_report, near)),
        wanted,
    )


def near_report(found: Near) -> NearReport:
    """The nearest fits as they are written."""
    return NearReport(found.question, *map(_fit, (found.closest, found.above, found.below)))


def _fit(fit: Fit | None) -> FitReport | None:
    return None if fit is None else FitReport(fit.sizes, fit.change)


def at_report(inputs: Mapping[str, Shape], found: Diagnosis, others: Near | None) -> AtReport:
    """What happens at one size, as it is written."""
    if found.attempt.error is None:
        left = tuple(
            LeftReport(node.path, tuple(one.pixels for one in axes), tuple(one.padding for one in axes))
            for node, axes in found.left
        )
        return AtReport(dict(inputs), "works", left)
    failure = found.attempt.failure
    return AtReport(
        dict(inputs),
        "fails",
        layer=None if failure is None else failure.path,
        message=str(found.attempt.error),
        other_sizes=None if others is None else near_report(others),
        mends=tuple(map(_mend, found.mends)),
    )


def _mend(mend: Mend) -> MendReport:
    return MendReport(mend.kind, tuple(map(_step, mend.steps)))


def _step(step: Step) -> StepReport:
    return StepReport(step.path, step.field, step.value, UNSET if step.input is None else step.input)


# -- the table ---------------------------------------------------------------------------------------


def rows(report: SizesReport) -> list[Row]:
    """A row for each question, axes with the same answers in one."""
    groups: dict[tuple[SizeSet, ...], list[str]] = {}
    for axis in report.axes:
        groups.setdefault((axis.works, axis.lossless, axis.exact, axis.weights), []).append(axis.name)
    return [
        Row(", ".join(names), question, sizes)
        for answers, names in groups.items()
        for question, sizes in zip(QUESTIONS, answers, strict=True)
    ]


def _none(value: int | None) -> str:
    return "–" if value is None else str(value)


COLUMNS = (
    Column("axis", "axis", lambda row, _: row.axes),
    Column("question", "sizes that", lambda row, _: TITLES[row.question]),
    Column("rule", "are", lambda row, _: row.sizes.rule),
    Column("smallest", "smallest", lambda row, _: row.sizes.smallest, show=_none, right=True),
    Column("largest", "largest", lambda row, _: row.sizes.largest, show=_none, right=True),
    Column("count", "count", lambda row, _: row.sizes.count, right=True),
)
"""The columns of the table of rules."""


class _NearRow(NamedTuple):
    question: str
    which: str
    fit: FitReport


def render(report: SizesReport, *, width: int | None = None, colour: bool = False) -> str:
    """Everything for a person, as text that ends in a newline."""
    parts = [
        _failure(report, width, colour) if report.at.status == "fails" else [],
        _rules(report, width, colour),
        _near(report, width, colour),
        _left(report, width, colour) if report.at.status == "works" else [],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _inputs(inputs: Mapping[str, Shape]) -> str:
    if len(inputs) == 1:
        return shape_text(*inputs.values())
    return ", ".join(f"{name} {shape_text(shape)}" for name, shape in inputs.items())


def notes(report: SizesReport) -> list[str]:
    """What is to be said beside the rules: what was run, and how the net does at the size it was asked about."""
    at = _failure(report, None, False) if report.at.status == "fails" else _left(report, None, False)
    return [_told(report), *(line.strip() for line in at if line)]


def _rules(report: SizesReport, width: int | None, colour: bool) -> list[str]:
    table = grid(COLUMNS, rows(report), report, width=width, colour=colour, drop=True)
    return [*table, "", *wrap(visible(_told(report)), width)]


def _told(report: SizesReport) -> str:
    first, last = report.range
    names = [axis.name for axis in report.axes]
    still = f", the other {'axis' if len(names) == 2 else 'axes'} standing at " if len(names) > 1 else ""
    sizes = dict.fromkeys(axis.size for axis in report.axes)
    at = ", ".join(map(str, sizes)) if len(sizes) == 1 else ", ".join(f"{a.name} {a.size}" for a in report.axes)
    told = f"every size in {first}…{last} was run along {' and '.join(names)}{still}{at if still else ''}"
    if report.dependence is not None:
        told += f"; {report.dependence}"
    elif report.samples:
        told += f"; the axes do not depend on each other in {report.samples} choices of sizes that were tried"
    return told


def _near(report: SizesReport, width: int | None, colour: bool) -> list[str]:
    if not report.near:
        return []
    names = [axis.name for axis in report.axes][: len(report.wanted)]
    lines = [
        _NearRow(TITLES[found.question], which, fit)
        for found in report.near
        for which, fit in (("closest", found.closest), ("not smaller", found.above), ("not larger", found.below))
        if fit is not None and (which == "closest" or fit != found.closest)
    ]
    columns = (
        Column("question", "sizes that", lambda row, _: row.question),
        Column("which", f"near {shape_text(report.wanted)}", lambda row, _: row.which),
        Column("sizes", "size", lambda row, _: shape_text(row.fit.sizes), right=True),
        Column("change", "to get there", lambda row, _: change_text(row.fit.change, names)),
    )
    missing = [TITLES[found.question] for found in report.near if found.closest is None]
    notes = (
        wrap(f"no size in reach of {shape_text(report.wanted)} does: {', '.join(missing)}", width) if missing else []
    )
    return [*grid(columns, lines, report, width=width, colour=colour, drop=False), *notes]


def change_text(change: Change, names: Sequence[str]) -> str:
    """``pad height 2 + 2, crop width 3 + 4``."""
    parts = []
    for name, (before, after) in zip(names, change, strict=True):
        if before or after:
            ends = f"{name} {abs(before)} + {abs(after)}"
            parts.append(f"crop {ends}" if before + after < 0 else f"pad {ends}")
    return ", ".join(parts) or "as it is"


def _left(report: SizesReport, width: int | None, colour: bool) -> list[str]:
    """At a size that works: what windows leave out."""
    shape = f"{visible(report.name)} at {_inputs(report.at.inputs)}"
    losing = [left for left in report.at.left_out if any(left.pixels)]
    padding = [left for left in report.at.left_out if not any(left.pixels)]
    if not report.at.left_out:
        return wrap(f"{shape} works, and no window leaves anything out", width)
    lines = wrap(f"{shape} works" + ("; pixels are lost at" if losing else " and loses no pixel"), width)
    lines += [f"  {visible(left.layer)}: {_axes_text(report, left.pixels)}" for left in losing[:MOST_LEFT]]
    lines += [f"  … and {len(losing) - MOST_LEFT} more"] if len(losing) > MOST_LEFT else []
    if padding:
        names = ", ".join(visible(left.layer) for left in padding[:MOST_LEFT])
        more = f", … ({len(padding) - MOST_LEFT} more)" if len(padding) > MOST_LEFT else ""
        lines += wrap(f"left out without loss (padding, or what lies between windows): {names}{more}", width, "  ")
    return lines


def _axes_text(report: SizesReport, numbers: Sequence[int]) -> str:
    """``1 of height, 2 of width``."""
    names = {axis.axis: axis.name.partition(" of ")[0] for axis in report.axes}
    return ", ".join(f"{number} of {names.get(i, f'axis {i}')}" for i, number in enumerate(numbers) if number)


def _failure(report: SizesReport, width: int | None, colour: bool) -> list[str]:
    """At a size that fails: the message with its traces, and what would mend it."""
    at = report.at
    message = visible(at.message or "", keep="\n")
    title = f"{visible(report.name)} does not work at {_inputs(at.inputs)}"
    lines = [style(title, "red", colour), *message.splitlines(), "", style("what would mend it", "bold", colour)]
    found = []
    if at.other_sizes is not None:
        names = [axis.name for axis in report.axes]
        fits = dict.fromkeys(fit for fit in (at.other_sizes.below, at.other_sizes.above) if fit is not None)
        for fit in fits or [fit for fit in (at.other_sizes.closest,) if fit is not None]:
            found.append(f"another input size: {shape_text(fit.sizes)} ({change_text(fit.change, names)})")
    for mend in at.mends:
        title = MEND_TITLES[mend.kind]
        found += [f"{title}: {step_text(mend.steps[0])}", *(f"  {step_text(step)}" for step in mend.steps[1:])]
    if not found:
        return [*lines, "  nothing was found: no other size in reach, output padding, pad or crop does"]
    for one in found:
        lines += wrap(f"  {visible(one)}", width, "    ")
    return [*lines, "  each was run on the whole net"]


def step_text(step: StepReport) -> str:
    """A change in the words of the spec language."""
    value = "[" + ", ".join(f"[{v[0]}, {v[1]}]" if isinstance(v, tuple) else str(v) for v in step.value) + "]"
    if len(set(step.value)) == 1 and isinstance(step.value[0], int):
        value = str(step.value[0])
    where = step.layer if step.input is UNSET else f"input {step.input + 1} of {step.layer}"
    return f"{step.field}: {value} on {where}"
