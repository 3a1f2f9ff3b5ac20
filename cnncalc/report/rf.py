"""The pages of ``cnncalc rf``: all feature maps, and one unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc.analysis.fields import FieldReport, MapField, UnitAxis, UnitReport
from cnncalc.document.blocks import Block, Branch, Document, Group, Heading, Note, Picture, Table, Text
from cnncalc.document.column import Column, count, exact, nth
from cnncalc.document.heat import draw
from cnncalc.document.tree import outline, tree
from cnncalc.errors import CnncalcError
from cnncalc.report.columns import LAYER, OUTPUT, TYPE
from cnncalc.report.words import per_axis, shape_text

if TYPE_CHECKING:
    from cnncalc.analysis.unit_field import UnitField

# -- all feature maps ------------------------------------------------------------------------------


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_per_axis = partial(per_axis, none="–", show=_short)


def _whole_or_unknown(value: MapField) -> str:
    return "all" if value.kind == "global" else "?" if value.kind == "unknown" else _per_axis(value.size, none="all")


def _border_text(value: float) -> str:
    return f"{100 * value:.0f}" if value in (0, 1) else f"{100 * value:.1f}"


def _place(name: str, help: str, priority: int, *, header: str = "", **more: Any) -> Column:
    return count(name, header or name, help, priority, **{"show": _per_axis, "none": "–", **more})


COLUMNS = (
    LAYER,
    Column("on", help="the tensor that is seen", priority=3),
    TYPE,
    replace(OUTPUT, priority=2),
    _place(
        *("size", "pixels from the first to the last that a unit sees", 1),
        value=lambda one, _: one,
        show=_whole_or_unknown,
        exact=lambda one: "" if one.size is None else "x".join("" if s is None else str(s) for s in one.size),
    ),
    _place("jump", "pixels from one unit to the next", 4, value=lambda one, _: one.jump_exact or one.jump),
    _place("start", "first pixel that unit 0 sees", 5),
    _place("centre", "centre of unit 0's field", 6),
    _place("clipped", "most pixels inside the input", 7),
    _place(
        "border", "share of the units whose field reaches into the padding", 9, header="border %", show=_border_text
    ),
)
"""The columns of the table of feature maps."""


def default_columns(report: FieldReport) -> list[Column]:
    """All columns but those that say nothing about this net."""
    several = len(report.covers) > 1
    return [column for column in COLUMNS if several or column.name != "on"]


def notes(report: FieldReport) -> list[Note]:
    """What stands below the table: where the field first covers the whole, and what is out of line."""
    notes = []
    for cover in report.covers:
        what = f"the whole {shape_text(cover.shape[1:])} of '{cover.on}'"
        if cover.first is not None:
            size = "global" if cover.first_size is None else f"size {_per_axis(cover.first_size, none='all')}"
            notes.append(Note(f"the field first covers {what} at {cover.first} ({size})"))
        elif cover.largest is not None:
            largest = f"the largest is {_per_axis(cover.largest_size)}, at {cover.largest}"
            notes.append(Note(f"no field covers {what}; {largest}"))
        if cover.first_global is not None and cover.first_global != cover.first:
            notes.append(Note(f"every unit sees all of it from {cover.first_global} on"))
    if report.misaligned:
        shown = ", ".join(report.misaligned[:4]) + (" …" if len(report.misaligned) > 4 else "")
        notes.append(Note(f"branches meet out of line (other jumps or centres) at {shown}"))
    reasons = {one.reason: one.path for one in reversed(report.maps) if one.reason is not UNSET}
    notes += [Note(f"not known from {path} on: {reason}") for reason, path in reasons.items()]
    return notes


def document(report: FieldReport | UnitReport) -> Document:
    """The page of either answer, as far as it follows from the answer alone."""
    return unit_document(report) if isinstance(report, UnitReport) else map_document(report)


def wrote(file: str, report: FieldReport | UnitReport) -> Document:
    """What a plot shows, in place of the numbers."""
    if isinstance(report, UnitReport):
        what = unit_heading(report)
    else:
        what = f"{report.model.name or report.model.source}: growth of the field over {len(report.maps)} maps"
    return Document(report, [Note(f"wrote {file}: {what}")])


def map_document(
    report: FieldReport,
    *,
    columns: Sequence[Column] | None = None,
    rows: Sequence[MapField] | None = None,
    depth: int | None = None,
    more: Sequence[Block] = (),
) -> Document:
    """A row for each map, as a tree that a terminal folds into its height, and what is to be said of them.

    Args:
        report: what to show.
        columns: which columns; by default all, on a terminal the most important ones that fit.
        rows: the rows in their order, where they are not all maps, nor those of a level of the tree.
        depth: the level to which blocks are folded; by default as many as fit.
        more: what comes below.
    """
    shown = rows if rows is not None else report.maps if depth is None else folded(report, depth)
    chosen = columns or default_columns(report)
    table = outline(chosen, report.maps, _block, flat=shown, depth=depth, drop=columns is None, noun="maps")
    if rows is None:
        table = replace(table, tree=partial(as_tree, report))
    net = report.model.name or report.model.source
    seen = ", ".join(f"{cover.on} ({shape_text(cover.shape)})" for cover in report.covers)
    heading = Heading(f"{net}: receptive fields on {seen}", 1)
    answer = replace(report, maps=tuple(shown))
    cut = [] if rows is None else [Text(f"{len(rows)} rows of {len(report.maps)} maps", "dim")]
    return Document(answer, [heading, table, *cut, Group(notes(report)), *more])


def as_tree(report: FieldReport, depth: int) -> list[Branch]:
    """The maps down to a level, each below its block, whose row is that of its last map; for each tensor seen."""
    return [
        branch
        for cover in report.covers
        for branch in tree([one for one in report.maps if one.on == cover.on], depth, _block)
    ]


def folded(report: FieldReport, depth: int) -> list[MapField]:
    """A row for each block at a level, and each map above it."""
    return [branch.row for branch in as_tree(report, depth) if not branch.open]


def _block(path: str, maps: list[MapField]) -> MapField:
    return replace(maps[-1], path=path, type="block")


# -- one unit --------------------------------------------------------------------------------------


def _box_text(axis: UnitAxis) -> str:
    if axis.box is not None:
        return f"{axis.box[0]} … {axis.box[1]}"
    return "all" if axis.kind == "global" else "?" if axis.kind == "unknown" else "none"


def _pixels(value: tuple[int, int] | None) -> int | None:
    return None if value is None else value[1] - value[0] + 1


def _length(name: str, header: str, priority: int, pixels: Callable[[UnitAxis], int | None]) -> Column:
    return count(name, header, priority=priority, value=lambda axis, _: pixels(axis), show=str)


UNIT_COLUMNS = (
    Column("axis", at="name"),
    count("box", "box", priority=1, value=lambda axis, _: axis, show=_box_text, exact=lambda axis: exact(axis.box)),
    _length("size", "size", 2, lambda axis: axis.pixels if axis.kind == "global" else _pixels(axis.box)),
    count("clipped", "in the input", priority=5, show="{0[0]} … {0[1]}".format, none="–"),
    _length("clipped_size", "size there", 6, lambda axis: _pixels(axis.clipped) or (0 if axis.box else None)),
    count("reached", "reached", priority=3, at="count", show=str),
    count("width", "95% width", priority=4, show=str, none="–"),
)
"""The columns of the table of one unit's axes."""


def unit_heading(report: UnitReport) -> str:
    """Which unit of which map sees what."""
    net = report.model.name or report.model.source
    return f"{net}: {which_unit(report)} on {report.on} ({shape_text(report.on_shape)})"


def which_unit(report: UnitReport) -> str:
    """``unit (7, 7) of stage3 (1024×14×14)``."""
    none = "every unit" if report.reason is UNSET else "a unit"
    which = none if report.unit is None else f"unit ({', '.join(map(str, report.unit))})"
    return f"{which} of {report.path} ({shape_text(report.output_shape)})"


def unit_notes(report: UnitReport) -> list[Note]:
    """What stands below the table of a unit."""
    if report.reason is not UNSET:
        notes = [Note(f"path counts cannot be given: {report.reason}")]
        if all(axis.reached is not None for axis in report.axes):
            notes.append(Note("the pixels reached are those along each axis alone"))
        return notes
    assert report.reached is not None
    said = f"{report.reached:,} pixel{' reaches' if report.reached == 1 else 's reach'} the unit"
    if report.covered is not None:
        said += f", {_percent(report.covered)} of the box inside the input"
        if report.covered < 1:
            said += " (the others lie in holes between the taps, or only padding leads to them)"
    notes = [Note(said)]
    if report.product is False:
        notes.append(Note("the set is not a product of the axes' sets: branches of different shape meet"))
    if report.paths is not None:
        paths = f"{report.paths:,}" if isinstance(report.paths, int) else f"{report.paths:.3g}"
        notes.append(
            Note(f"{paths} paths lead to it; 95% width: the interval around the centre that holds 95% of them")
        )
    return notes


def _percent(share: float) -> str:
    return "100%" if share == 1 else f"{100 * share:.1f}%"


def unit_document(report: UnitReport, field: UnitField | None = None, *, picture: bool = True) -> Document:
    """What one unit sees; ``field``: the path counts behind the report, for the picture and the rows of the CSV."""
    blocks: list[Block] = [
        Note(unit_heading(report), tone="bold"),
        Table(UNIT_COLUMNS, report.axes),
        Group(unit_notes(report)),
        *([heat_map(report, field)] if picture and field is not None else []),
    ]
    return Document(report, blocks, rows=lambda: pixels(report, field))


def drawing(report: UnitReport, field: UnitField | None) -> list[Block]:
    """The picture of a unit under the table of all maps."""
    return [] if field is None else [Group([Note(unit_heading(report)), heat_map(report, field)])]


def heat_map(report: UnitReport, field: UnitField) -> Picture:
    """The path counts in characters; of three dimensions summed over the first."""
    counts = field.counts
    while counts.ndim > 2:
        counts = counts.sum(axis=0)
    values = counts.tolist() if counts.ndim == 2 else [counts.tolist()]
    spans = [axis.clipped for axis in report.axes[-2:]]
    rows, columns = spans if len(spans) == 2 else ((0, 0), *spans)
    box = None if rows is None or columns is None else (rows, columns)
    return Picture(lambda width, colour: draw(values, box, width=width, colour=colour))


def pixels(report: UnitReport, field: UnitField | None) -> Table:
    """Every pixel that reaches the unit, with its share of the paths.

    Raises:
        CnncalcError: there are no path counts.
    """
    if field is None:
        raise CnncalcError(f"path counts cannot be given: {report.reason}\n  hint: use --format json")
    total = float(field.counts.sum()) or 1.0
    places = zip(*(axis.tolist() for axis in field.reached.nonzero()), strict=True)
    names = [*"zyx"[-len(report.axes) :], "share"]
    rows = [(*place, float(field.counts[place]) / total) for place in places]
    return Table([nth(number, name) for number, name in enumerate(names)], rows)
