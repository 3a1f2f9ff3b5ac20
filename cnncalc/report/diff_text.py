"""The comparison of two nets as text: on a terminal, for a pull request, as columns for a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from cnncalc import units
from cnncalc.analysis.fold import COUNTS
from cnncalc.document.column import Column
from cnncalc.document.grid import grid, style
from cnncalc.report.columns import COLUMNS as REPORT_COLUMNS
from cnncalc.report.conditions import Outcome
from cnncalc.report.diff import NAMES, OTHERS, STATUSES, Difference, DiffReport, LayerDiff
from cnncalc.report.words import setting_text, shape_text
from cnncalc.text import visible, wrap

TITLES = {
    "params": "parameters",
    "buffers": "buffers",
    "macs": "MACs",
    "flops": "FLOPs",
    "elementwise_ops": "elementwise ops",
    "activations": "activations",
    "layers": "layers",
    "rf": "receptive field",
    "jump": "jump",
}
MOST_INPUTS = 4
MOST_ROWS = 200
"""Rows of a Markdown table of layers; a comment on GitHub has at most 65,536 characters."""


def signed(value: int | None) -> str:
    """A difference for a person: ``+1.20 M``, ``-3``, ``0``; unknown is ``?``."""
    return "?" if value is None else ("+" if value > 0 else "") + units.show(value)


def percentage(value: float | None) -> str:
    """A difference in per cent, with a sign and one decimal, or three where it is small; only nothing reads 0."""
    if value is None:
        return "–"
    if abs(value) < 0.05:
        return f"{value:+.3f}" if abs(value) >= 0.0005 else "0" if not value else f"{value:+.0e}"
    return f"{value:+,.1f}"


def shown(value: int | None) -> str:
    """A total for a person; there is none: a dash."""
    return "–" if value is None else units.show(value)


def _change(value: int | None) -> str:
    """The difference of a total; there is none: a dash."""
    return "–" if value is None else signed(value)


def _number(row: LayerDiff, name: str) -> int | None:
    """The difference that a row makes to a total; unknown where a side is."""
    sides = [0 if side is None else getattr(side, name) for side in (row.before, row.after)]
    return None if None in sides else sides[1] - sides[0]


def _arrow(old: str, new: str) -> str:
    return new if old == new or not old else old if not new else f"{old} → {new}"


def _path(row: LayerDiff, _: Any = None) -> str:
    return _arrow(row.before.path if row.before else "", row.after.path if row.after else "")


def _edits(row: LayerDiff) -> str:
    """What was edited, or what a layer that came or went is."""
    if row.layers is not UNSET:
        if len(row.layers) > 1:
            return ", ".join(f"{count} {status}" for status, count in row.layers.items())
        count = sum(row.layers.values())
        return f"{count} layer{'' if count == 1 else 's'}"
    side = row.after or row.before
    assert side is not None
    if row.before is None or row.after is None:
        fields = " ".join(f"{name}={setting_text(value)}" for name, value in side.settings.items())
        return f"{side.type} {fields}".strip()
    return ", ".join(_edit(name, old, new) for name, (old, new) in row.edits.items())


def _edit(name: str, old: Any, new: Any) -> str:
    """One edit; two values that differ are never written alike. Of many inputs those that differ."""
    if name == "shape":
        return f"shape {shape_text(old)} → {shape_text(new)}"
    if name == "inputs" and max(len(old), len(new)) > MOST_INPUTS and set(old) != set(new):
        old, new = [tuple(one for one in side if one not in other) for side, other in ((old, new), (new, old))]
        return f"reads {_value(old) or '–'} → {_value(new) or '–'}"
    before, after = (_value(old), _value(new)) if _value(old) != _value(new) else (str(old), str(new))
    return f"{'reads' if name == 'inputs' else name} {before} → {after}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple) and all(isinstance(entry, str) for entry in value):
        return " + ".join(value)
    return "–" if value is None else setting_text(value)


def _output(row: LayerDiff) -> str:
    if row.path in (OTHERS, NAMES):
        return ""
    return _arrow(*("" if side is None else shape_text(side.output_shape) for side in (row.before, row.after)))


def _field(row: LayerDiff) -> str:
    if row.path in (OTHERS, NAMES):
        return ""
    value = REPORT_COLUMNS["rf"].value
    return _arrow(*("" if side is None else value(side, None) for side in (row.before, row.after)))


def _delta(name: str, header: str, priority: int) -> Column:
    def total(report: DiffReport) -> str:
        return signed(next(one.difference for one in report.totals if one.metric == name))

    return Column(name, header, lambda row, _: _number(row, name), "", signed, True, priority, total)


LAYER_COLUMNS = (
    Column("change", "change", lambda row, _: row.status, priority=1),
    Column("layer", "layer", _path, path=True, elastic=True),
    Column("what", "what", lambda row, _: _edits(row), priority=2, elastic=True),
    Column("output", "output", lambda row, _: _output(row), priority=5),
    _delta("params", "params", 3),
    _delta("macs", "MACs", 6),
    _delta("flops", "FLOPs", 4),
    Column("rf", "RF", lambda row, _: _field(row), right=True, priority=7),
)
"""The columns of the layers that differ, for a person; the numbers are differences."""

TOTAL_COLUMNS = (
    Column("metric", "", lambda one, _: TITLES[one.metric]),
    Column("before", "before", lambda one, _: one.before, show=shown, right=True),
    Column("after", "after", lambda one, _: one.after, show=shown, right=True),
    Column("difference", "difference", lambda one, _: one.difference, show=_change, right=True),
    Column("percent", "%", lambda one, _: one.percent, show=percentage, right=True),
)
"""The columns of the totals."""

CONDITION_COLUMNS = (
    Column("condition", "fail on", lambda one, _: one.condition),
    Column("before", "before", lambda one, _: one.before, show=shown, right=True),
    Column("after", "after", lambda one, _: one.after, show=shown, right=True),
    Column("difference", "difference", lambda one, _: one.difference, show=_change, right=True),
    Column("status", "status", lambda one, _: one.status),
    Column("reason", "", lambda one, _: "" if one.reason is UNSET else one.reason),
)
"""The columns of the conditions."""


def _side(name: str, side: str) -> Column:
    """A machine's column: one number of one side."""

    def value(row: LayerDiff, _: Any) -> Any:
        report = getattr(row, side)
        return None if report is None else REPORT_COLUMNS[name].value(report, None)

    return Column(f"{name}_{side}", f"{name}_{side}", value)


CSV_COLUMNS = (
    Column("change", "change", lambda row, _: row.status),
    Column("layer_before", "layer_before", lambda row, _: row.before.path if row.before else None),
    Column("layer_after", "layer_after", lambda row, _: row.after.path if row.after else None),
    Column("type", "type", lambda row, _: row.type),
    Column("edits", "edits", lambda row, _: _edits(row) if row.before and row.after else ""),
    *(_side(name, side) for name in ("output", *COUNTS, "rf", "jump") for side in ("before", "after")),
)
"""The columns of the layers that differ, for a machine: both sides of every number, exactly."""


def verdict(report: DiffReport) -> str:
    """What happened to how many layers, in one line."""
    if report.same:
        return f"the nets are the same: {report.counts.same} layers and inputs"
    parts = [f"{count} {status}" for status in STATUSES if (count := getattr(report.counts, status))]
    return f"layers: {', '.join([*parts, f'{report.counts.same} the same'])}"


def title(report: DiffReport) -> str:
    """Both names; of a net that came or went its own."""
    old, new = (side.name or side.source for side in (report.before, report.after))
    if not old or not new:
        return visible(new or old)
    if old == new and report.before.source != report.after.source:
        old, new = f"{old} ({report.before.source})", f"{new} ({report.after.source})"
    return visible(f"{old} → {new}")


def heading(report: DiffReport) -> list[str]:
    """Inputs, outputs and batch; then the arguments that differ."""
    old, new = report.before, report.after
    shapes = [
        f"{_arrow(_shapes(old.inputs), _shapes(new.inputs))} to {_arrow(_shapes(old.outputs), _shapes(new.outputs))}",
        f"batch {new.batch}",
    ]
    lines = [", ".join(shapes)]
    if not old.inputs or not new.inputs:
        return [visible(lines[0])]
    if "args" in report.net:
        before, after = report.net["args"]
        lines.append(
            ", ".join(
                f"{name} {_argument(before, name)} → {_argument(after, name)}"
                for name in dict.fromkeys([*before, *after])
                if before.get(name, UNSET) != after.get(name, UNSET)
            )
        )
    if "outputs" in report.net:
        before, after = report.net["outputs"]
        lines.append(f"outputs {_outputs(before)} → {_outputs(after)}")
    return [visible(line) for line in lines]


def _argument(args: dict[str, Any], name: str) -> str:
    return setting_text(args[name]) if name in args else "–"


def _outputs(named: dict[str, str]) -> str:
    return ", ".join(name if name == path else f"{name}: {path}" for name, path in named.items())


def _shapes(tensors: dict[str, tuple[int, ...]]) -> str:
    if len(tensors) == 1:
        return shape_text(*tensors.values())
    return ", ".join(f"{name} {shape_text(shape)}" for name, shape in tensors.items())


def totals(report: DiffReport) -> list[Difference]:
    """The totals that are worth a row: those that one of the nets has."""
    return [one for one in report.totals if one.before or one.after]


def render(
    report: DiffReport,
    rows: Sequence[LayerDiff] | None = None,
    *,
    name: str | None = None,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """The comparison as a person reads it: totals, then the rows (by default the summary), then the conditions.

    Args:
        report: the comparison.
        rows: the rows of layers; by default the summary.
        name: what to call it, in place of both names.
        width: columns of the terminal; ``None`` (a pipe, a file) never cuts anything.
        colour: whether to use ANSI codes.
    """
    chosen = report.summary if rows is None else rows
    first, *rest = heading(report)
    parts = [
        [
            *(style(line, "bold", colour) for line in wrap(title(report) if name is None else visible(name), width)),
            *(line for text in (first, *rest) for line in wrap(text, width, "  ")),
        ],
        grid(TOTAL_COLUMNS, totals(report), width=width, colour=colour),
        grid(LAYER_COLUMNS, chosen, report, width=width, colour=colour) if chosen else [],
        wrap(verdict(report), width),
        _partial(report, width, colour),
        grid(_condition_columns(report), report.conditions, width=width, colour=colour) if report.conditions else [],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _condition_columns(report: DiffReport) -> list[Column]:
    reasons = any(one.reason is not UNSET for one in report.conditions)
    return [column for column in CONDITION_COLUMNS if column.name != "reason" or reasons]


def _partial(report: DiffReport, width: int | None, colour: bool) -> list[str]:
    unknown = [TITLES[one.metric] for one in report.totals if one.status == "partial"]
    if not unknown:
        return []
    text = f"partial: some layers could not be counted, so these are lower bounds: {', '.join(unknown)}"
    return [style(line, "yellow", colour) for line in wrap(text, width)]


def markdown(report: DiffReport, rows: Sequence[LayerDiff] | None = None, *, inner: bool = False) -> str:
    """The comparison for a pull request: a heading, the conditions, the totals, and the layers folded away.

    ``inner``: without the heading, and nothing folded away, for what is itself folded away.
    """
    from cnncalc.document.markdown import escape, table

    chosen = list(report.summary if rows is None else rows)
    parts = [] if inner else [f"### {escape(title(report))}\n"]
    parts += [
        f"{'❌' if one.status == 'fail' else '✅'} `{_code(one.condition)}`: {escape(_outcome(one))}\n"
        for one in report.conditions
    ]
    parts.append("".join(f"{escape(line)}  \n" for line in (*heading(report), verdict(report))))
    if _partial(report, None, False):
        parts.append(f"⚠️ {escape(_partial(report, None, False)[0])}\n")
    if any(one.difference for one in report.totals):
        parts.append(table(TOTAL_COLUMNS, totals(report)))
    if chosen:
        more = f"\n… and {len(chosen) - MOST_ROWS} more rows\n" if len(chosen) > MOST_ROWS else ""
        layers = table(LAYER_COLUMNS, chosen[:MOST_ROWS], report) + more
        parts.append(f"<details><summary>layers</summary>\n\n{layers}\n</details>\n" if not inner else layers)
    return "\n".join(parts)


def _code(text: str) -> str:
    """Text between backquotes."""
    return visible(text).replace("`", "'")


def _outcome(one: Outcome) -> str:
    reason = f" ({one.reason})" if one.reason is not UNSET else ""
    change = percentage(100 * one.difference / one.before) + " %" if one.difference and one.before else ""
    before_after = f"{shown(one.before)} → {shown(one.after)}"
    return f"{before_after}{f', {change}' if change else ''}{reason}"


def notes(report: DiffReport) -> list[str]:
    """What is to be said beside the rows: how many there are of each kind, what is unknown, what failed."""
    return [*heading(report), verdict(report), *_partial(report, None, False), *failures(report)]


def failures(report: DiffReport) -> list[str]:
    """Each condition that was met, in one line."""
    return [visible(f"{one.condition}: {_outcome(one)}") for one in report.conditions if one.status == "fail"]
