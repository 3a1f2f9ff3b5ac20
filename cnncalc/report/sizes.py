"""The page of ``cnncalc sizes``: which input sizes a net takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import UNSET

from cnncalc.analysis.answer import Shape
from cnncalc.analysis.input_sizes import QUESTIONS, Pair, Question, Step
from cnncalc.analysis.sizes import TITLES, SizeSet, SizesReport
from cnncalc.document.blocks import Block, Document, Group, Heading, Note, Table, Verbatim
from cnncalc.document.column import Column, count, nth
from cnncalc.layers.axes import describe
from cnncalc.report.words import more_than

MOST_LEFT = 8
SHORT = {"leave out no padding either": "use all padding too", "keep every weight's shape": "keep weight shapes"}
"""Titles that a person reads in fewer words."""
FIXES = {
    "output_padding": "fields of transposed convolutions",
    "pads": "pads where branches meet",
    "crops": "crops where branches meet",
}


class Row(NamedTuple):
    """One line of the table: axes that agree, and one question."""

    axes: str
    question: Question
    sizes: SizeSet


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


def _short(title: str) -> str:
    return SHORT.get(title, title)


COLUMNS = (
    Column("axis", at="axes", priority=2, elastic=True),
    Column("question", "sizes that", lambda row, _: TITLES[row.question], show=_short),
    Column("rule", "are", at="sizes.rule", priority=1, elastic=True),
    count("smallest", "smallest", at="sizes.smallest", show=str, none="–", priority=4),
    count("largest", "largest", at="sizes.largest", show=str, none="–", priority=5),
    count("count", "count", at="sizes.count", show=str, priority=3),
)
"""The columns of the table of rules."""


def document(report: SizesReport) -> Document:
    """The rules, what is near, and how the net does at the size that was asked about; a spreadsheet gets the rules."""
    table = Table(COLUMNS, rows(report), report)
    fails = report.at.status == "fails"
    blocks = [
        Heading(f"input sizes of {report.name}", 1),
        table,
        Note(_told(report)),
        *_near(report),
        *(_failure(report) if fails else [_left(report)]),
    ]
    return Document(report, blocks, table, status=int(fails))


def _inputs(inputs: Mapping[str, Shape]) -> str:
    if len(inputs) == 1:
        return describe(*inputs.values())
    return ", ".join(f"{name} {describe(shape)}" for name, shape in inputs.items())


def _told(report: SizesReport) -> str:
    """What was tried."""
    first, last = report.range
    names = [axis.name for axis in report.axes]
    sizes = dict.fromkeys(axis.size for axis in report.axes)
    at = ", ".join(map(str, sizes)) if len(sizes) == 1 else ", ".join(f"{a.name} {a.size}" for a in report.axes)
    still = f" while the other {'stays' if len(names) == 2 else 'axes stay'} at {at}" if len(names) > 1 else ""
    told = f"every size in {first}…{last} was run along {' and '.join(names)}{still}"
    if report.dependence is not None:
        return f"{told}; {report.dependence}"
    tried = f"; the axes are independent in {report.samples} combinations of sizes that were tried"
    return told + (tried if report.samples else "")


def _near(report: SizesReport) -> Iterator[Block]:
    if not report.near:
        return
    names = [axis.name for axis in report.axes][: len(report.wanted)]
    lines = [
        (TITLES[found.question], which, fit)
        for found in report.near
        for which, fit in (("closest", found.closest), ("not smaller", found.above), ("not larger", found.below))
        if fit is not None and (which == "closest" or fit != found.closest)
    ]
    wanted = describe(report.wanted)
    columns = (
        nth(0, "question", "sizes that", show=_short),
        nth(1, "which", f"near {wanted}", priority=2),
        Column("sizes", "size", lambda row, _: describe(row[2].sizes), right=True, priority=1),
        Column("change", "to get there", lambda row, _: change_text(row[2].change, names), priority=3, elastic=True),
    )
    yield Table(columns, lines, report)
    if missing := ", ".join(TITLES[found.question] for found in report.near if found.closest is None):
        yield Note(f"no size near {wanted} was found that does: {missing}")


def change_text(change: Sequence[Pair], names: Sequence[str]) -> str:
    """``pad height 2 + 2, crop width 3 + 4``."""
    parts = []
    for name, (before, after) in zip(names, change, strict=True):
        if before or after:
            ends = f"{name} {abs(before)} + {abs(after)}"
            parts.append(f"crop {ends}" if before + after < 0 else f"pad {ends}")
    return ", ".join(parts) or "as it is"


def _left(report: SizesReport) -> Group:
    """At a size that works: what windows leave out."""
    shape = f"{report.name} works at {_inputs(report.at.inputs)}"
    losing = [left for left in report.at.left_out if any(left.pixels)]
    padding = [left.layer for left in report.at.left_out if not any(left.pixels)]
    notes = [Note(f"{left.layer} loses pixels: {_axes_text(report, left.pixels)}") for left in losing[:MOST_LEFT]]
    if len(losing) > MOST_LEFT:
        notes.append(Note(f"{len(losing) - MOST_LEFT} more layers lose pixels"))
    if padding:
        what = "left out without loss (padding, or what lies between windows)"
        notes.append(Note(f"{what}: {more_than(padding, MOST_LEFT)}"))
    verdict = "pixels are lost" if losing else "no pixel is lost" if padding else "no window leaves anything out"
    return Group([*notes, Note(f"{shape}: {verdict}", tone="yellow" if losing else "green")])


def _axes_text(report: SizesReport, numbers: Sequence[int]) -> str:
    """``1 of height, 2 of width``."""
    names = {axis.axis: axis.name.partition(" of ")[0] for axis in report.axes}
    return ", ".join(f"{number} of {names.get(i, f'axis {i}')}" for i, number in enumerate(numbers) if number)


def _failure(report: SizesReport) -> list[Block]:
    """At a size that fails: the message with its traces, and how to fix it."""
    at, found = report.at, []
    if at.other_sizes is not None:
        names = [axis.name for axis in report.axes]
        fits = dict.fromkeys(fit for fit in (at.other_sizes.below, at.other_sizes.above) if fit is not None)
        for fit in fits or [fit for fit in (at.other_sizes.closest,) if fit is not None]:
            found.append(f"another input size: {describe(fit.sizes)} ({change_text(fit.change, names)})")
    found += [f"{FIXES[mend.kind]}: {'; '.join(map(step_text, mend.steps))}" for mend in at.mends]
    none = "nothing was found: neither another size nor output padding, a pad or a crop"
    title = Note(f"{report.name} does not work at {_inputs(at.inputs)}", tone="red")
    message, _, trace = (at.message or "").partition("\n")
    return [
        Group([title, Note(message), Verbatim(trace)]),
        Group([Heading("how to fix it (each was run on the whole net)"), *map(Note, found or [none])]),
    ]


def step_text(step: Step) -> str:
    """A change in the words of the spec language."""
    value = "[" + ", ".join(f"[{v[0]}, {v[1]}]" if isinstance(v, tuple) else str(v) for v in step.value) + "]"
    if len(set(step.value)) == 1 and isinstance(step.value[0], int):
        value = str(step.value[0])
    where = step.layer if step.input is UNSET else f"input {step.input + 1} of {step.layer}"
    return f"{step.field}: {value} on {where}"
