"""The columns: one declaration each, which every tabular format and the command line read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc import units
from cnncalc.analysis import metrics
from cnncalc.analysis.fold import block
from cnncalc.analysis.metrics import unknown_in
from cnncalc.analysis.report import LayerReport, ReceptiveField, Report
from cnncalc.document.column import Column, Value, count, percent, sort_rows
from cnncalc.document.tree import folded
from cnncalc.errors import unknown_name
from cnncalc.report.words import per_axis, settings_text, shape_text, shapes_text


def _field(row: LayerReport, part: Callable[[ReceptiveField], str]) -> str:
    if row.receptive_fields is not UNSET and len(row.receptive_fields) > 1:
        return ", ".join(f"{name} {part(field)}" for name, field in row.receptive_fields.items())
    return "–" if row.receptive_field is None else part(row.receptive_field)


def field_size(field: ReceptiveField) -> str:
    """Size of a receptive field: ``427``, ``427×211`` or ``all``."""
    return "all" if field.kind == "global" else per_axis(field.size)


def field_jump(field: ReceptiveField) -> str:
    """Jump of a receptive field, as an exact fraction where it is no integer."""
    if field.jump is None or field.jump_exact is UNSET:
        return per_axis(field.jump)
    return per_axis([exact or value for exact, value in zip(field.jump_exact, field.jump, strict=True)])


def _text(name: str, header: str, text: Callable[[LayerReport], str], help: str, priority: int) -> Column:
    return Column(name, header, lambda row, _: text(row), help, priority=priority, elastic=True)


def _of_field(
    name: str, part: Callable[[ReceptiveField], str], help: str, priority: int, header: str | None = None
) -> Column:
    return Column(name, header or name, lambda row, _: _field(row, part), help, right=True, priority=priority)


def _count(name: str, header: str, help: str, priority: int) -> Column:
    def total(report: Report) -> str:
        return at_least(report, name) + units.show(getattr(report.totals, name))

    return count(name, header, help, priority, total=total)


def at_least(report: Report, metric: str) -> str:
    """``≥`` before a total that is a lower bound."""
    return "≥ " if unknown_in(report, metric) else ""


def _share(name: str, header: str, help: str, priority: int) -> Column:
    def value(row: LayerReport, report: Report) -> Value:
        count, total = getattr(row, name), getattr(report.totals, name)
        return None if count is None else 100 * count / total if total else 0.0

    return Column(f"{name}%", header, value, help, percent, True, priority)


LAYER = Column("layer", at="path", help="path of the layer", path=True, elastic=True)
TYPE = Column("type", help="the layer's name in the spec language", priority=8)
OUTPUT = Column("output", at="output_shape", help="output shape", show=shape_text, priority=1)
"""What most tables of layers begin with."""

COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        replace(LAYER, help="path of the layer, or of the block"),
        TYPE,
        _text("settings", "settings", lambda row: settings_text(row.settings), "the layer's fields", 4),
        _text("inputs", "from", lambda row: ", ".join(row.inputs), "paths of the tensors it reads", 18),
        Column("input", at="input_shapes", help="input shapes", show=shapes_text, priority=11),
        OUTPUT,
        _count("params", "params", "learnable scalars", 2),
        _share("params", "params %", "share of all parameters", 9),
        _count("buffers", "buffers", "running statistics and the like", 15),
        _count("macs", "MACs", "multiply-accumulates, per batch", 7),
        _share("macs", "MACs %", "share of all MACs", 17),
        _count("flops", "FLOPs", "2 × MACs", 3),
        _share("flops", "FLOPs %", "share of all FLOPs", 5),
        _count("elementwise_ops", "elem. ops", "elementwise operations, per batch", 10),
        _count("activations", "activ.", "outputs of convolutions, linears and matrix products, per batch", 13),
        _of_field("rf", field_size, "receptive field (size)", 6, "RF"),
        _of_field("jump", field_jump, "input pixels from one unit to the next", 12),
        _of_field("start", lambda field: per_axis(field.start), "first input pixel that unit 0 sees", 14),
        Column(
            "shared", "weights of", at="shared_with", help="the layer whose weights it reuses", none="", priority=16
        ),
    )
}
"""All columns of a report, by name, in the order in which they stand."""

ALIASES = {"path": "layer", "name": "layer", "kind": "type", "from": "inputs", **metrics.ALIASES}


def default_columns(report: Report) -> list[Column]:
    """What a wide table shows where nothing is chosen: all but what says nothing about this net."""
    without = {"inputs", "macs%"}
    if not report.totals.buffers and not unknown_in(report, "buffers"):
        without.add("buffers")
    if all(layer.shared_with is UNSET for layer in report.layers):
        without.add("shared")
    chosen = [column for name, column in COLUMNS.items() if name not in without]
    return chosen + section_columns(report)


def section_columns(report: Report) -> list[Column]:
    """The columns of the further analyses that a report has."""
    if not report.has_sections:
        return []
    from cnncalc.report import sections

    return sections.columns(report)


def choose(names: str) -> list[Column]:
    """The columns of ``names``, which commas separate, in that order.

    Raises:
        CnncalcError: a name is unknown; the message has the nearest.
    """
    return [named_column(name) for name in names.split(",")]


def named_column(name: str) -> Column:
    """The column that ``name``, or an alias, stands for; it may be one of a section.

    Raises:
        CnncalcError: there is none; the message has the nearest.
    """
    known = name.strip().lower()
    known = ALIASES.get(known, known)
    if known in COLUMNS:
        return COLUMNS[known]
    from cnncalc.analysis.sections import SECTIONS
    from cnncalc.report import sections

    column = sections.column(known)
    if column is None:
        listed = [*COLUMNS, *(name for names in SECTIONS.values() for name in names)]
        raise unknown_name("column", name.strip(), [*listed, *ALIASES], listed)
    return column


def select(
    report: Report, *, depth: int | None = None, sort: str | None = None, top: int | None = None
) -> tuple[LayerReport, ...]:
    """The rows to show of a report, whose totals stay those of the whole net.

    Args:
        report: what to choose from.
        depth: layers whose path has more than this many parts become one row for each block.
        sort: a column's name; numbers from the largest (unknown ones first), texts by the alphabet.
        top: how many rows to keep.

    Raises:
        CnncalcError: ``sort`` names no column.
    """
    rows: Sequence[LayerReport] = report.layers if depth is None else folded(report.layers, depth, block)
    if sort is not None:
        rows = sort_rows(rows, named_column(sort), report)
    return tuple(rows[:top])
