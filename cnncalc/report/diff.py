"""The pages of ``cnncalc diff``: two nets side by side, and all specs of a repository against a revision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET, structs

from cnncalc import units
from cnncalc.analysis.changes import KINDS, ChangesReport, NetChange
from cnncalc.analysis.conditions import Difference, Outcome
from cnncalc.analysis.difference import (
    NAMES,
    OTHERS,
    STATUSES,
    DiffReport,
    LayerDiff,
    folded,
    outline,
)
from cnncalc.analysis.fold import COUNTS
from cnncalc.document.blocks import Block, Branch, Document, Fold, Group, Heading, Note, Table, Text
from cnncalc.document.column import Column, count, nth, second
from cnncalc.report.columns import COLUMNS as REPORT_COLUMNS
from cnncalc.report.words import TITLES, named_shapes, setting_text, settings_text, shape_text
from cnncalc.text import visible

MOST_INPUTS = 4
MARK = "<!-- cnncalc diff -->"
"""The first line of the Markdown of ``--git``, by which the comment on a pull request is found again."""
LONGEST = 60_000
"""Characters of that Markdown; a comment on GitHub has at most 65,536."""


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
        return f"{side.type} {settings_text(side.settings)}".strip()
    return ", ".join(_edit(name, old, new) for name, (old, new) in row.edits.items())


def _what(row: LayerDiff) -> str:
    """The same in little room: of more than two kinds those that came and went, and all others together."""
    if row.layers is UNSET or len(row.layers) < 3:
        return _edits(row)
    came, went = (row.layers.get(status, 0) for status in STATUSES[:2])
    signs = " ".join(f"{sign}{count}" for sign, count in (("+", came), ("-", went)) if count)
    return f"{signs}{', ' if signs else ''}{sum(row.layers.values()) - came - went} differ"


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


def _both(show: Callable[[Any], str]) -> Callable[[LayerDiff, Any], str]:
    """What both sides of a row have; nothing for rows that stand for layers of many places."""

    def value(row: LayerDiff, _: Any) -> str:
        sides = () if row.path in (OTHERS, NAMES) else (row.before, row.after)
        return _arrow(*("" if side is None else show(side) for side in sides)) if sides else ""

    return value


def _delta(name: str, header: str, priority: int) -> Column:
    def total(report: DiffReport) -> str:
        return signed(_total(report, name).difference)

    return count(name, header, priority=priority, value=lambda row, _: _number(row, name), show=signed, total=total)


def _total(report: DiffReport, metric: str) -> Difference:
    return next(total for total in report.totals if total.metric == metric)


LAYER_COLUMNS = (
    Column("change", at="status", priority=1),
    Column("layer", value=_path, path=True, elastic=True),
    Column("what", value=lambda row, _: _what(row), priority=2, elastic=True),
    Column("output", value=_both(lambda side: shape_text(side.output_shape)), priority=5),
    _delta("params", "params", 3),
    _delta("macs", "MACs", 7),
    _delta("flops", "FLOPs", 4),
    Column("rf", "RF", _both(lambda side: REPORT_COLUMNS["rf"].value(side, None)), right=True, priority=6),
)
"""The columns of the layers that differ, for a person; the numbers are differences."""

TOTAL_COLUMNS = (
    Column("metric", "", lambda one, _: TITLES[one.metric]),
    count("before", "before", show=shown, none="–"),
    count("after", "after", show=shown, none="–"),
    count("difference", "difference", show=signed, none="–"),
    count("percent", "%", show=percentage, none="–"),
)
"""The columns of the totals."""


def _side(name: str, side: str) -> Column:
    """A machine's column: one number of one side."""

    def value(row: LayerDiff, _: Any) -> Any:
        report = getattr(row, side)
        return None if report is None else REPORT_COLUMNS[name].value(report, None)

    return Column(f"{name}_{side}", value=value)


CSV_COLUMNS = (
    Column("change", at="status"),
    *(_side("layer", side) for side in ("before", "after")),
    Column("type"),
    Column("edits", value=lambda row, _: _edits(row) if row.before and row.after else ""),
    *(_side(name, side) for name in ("output", *COUNTS, "rf", "jump") for side in ("before", "after")),
)
"""The columns of the layers that differ, for a machine: both sides of every number, exactly."""


# -- two nets --------------------------------------------------------------------------------------


def document(report: DiffReport | ChangesReport) -> Document:
    """The page of either answer."""
    return changes_document(report) if isinstance(report, ChangesReport) else diff_document(report)


def diff_document(
    report: DiffReport, rows: Sequence[LayerDiff] | None = None, columns: Sequence[Column] | None = None
) -> Document:
    """The rows of layers, then the totals, the conditions and what happened to how many layers.

    Args:
        report: the comparison.
        rows: the rows of layers, where they are not those that tell most in little room.
        columns: those of the layers, where they are not all.
    """
    blocks: list[Block] = [
        Group([Heading(title(report), 1), *(Text(line, "dim", indent="  ") for line in heading(report))]),
        *([Fold(_shown(report, rows), _layers(report, rows, columns))] if report.layers else []),
        _totals(report),
        Group([*_partial(report), *map(_condition, report.conditions), Note(verdict(report))]),
    ]
    answer = report if rows is None else structs.replace(report, layers=tuple(rows))
    every = Table(CSV_COLUMNS if columns is None else columns, answer.layers, report)
    return Document(answer, blocks, every, status=1 if report.status == "fail" else 0)


def _shown(report: DiffReport, rows: Sequence[LayerDiff] | None) -> str:
    """What stands above the rows: how many of how many layers where some were left out."""
    stand_for = sum(1 if row.layers is UNSET else sum(row.layers.values()) for row in rows or ())
    every = len(report.layers)
    return "layers" if rows is None or stand_for == every else f"{stand_for} of the {every} layers that differ"


def _layers(
    report: DiffReport, rows: Sequence[LayerDiff] | None, columns: Sequence[Column] | None = None
) -> list[Block]:
    """The table of layers, which a terminal folds into its height."""
    shown = short(report) if rows is None else rows
    table = Table(columns or LAYER_COLUMNS, shown, report, drop=columns is None)
    if rows is None:
        table = structs.replace(
            table,
            tree=lambda depth: [Branch(0, _path(row), row) for row in folded(shown, depth)],
            levels=max((row.path.count(".") + 1 for row in shown), default=1),
            folded=f"{len(shown)} rows: --depth {{depth}}, or --all",
        )
    return [table] if shown else []


def _totals(report: DiffReport) -> Table:
    """The totals that one of the nets has."""
    return Table(TOTAL_COLUMNS, [one for one in report.totals if one.before or one.after])


def short(report: DiffReport) -> Sequence[LayerDiff]:
    """The rows that tell most in little room: of nets with little in common, and of one that came or went, those of
    the blocks at the top.
    """
    if not report.before.inputs or not report.after.inputs:
        return folded(report.layers, 1)
    return outline(report.layers) if report.little_in_common else report.summary


def verdict(report: DiffReport) -> str:
    """What happened to how many layers, in one line."""
    if report.same:
        return f"the nets are the same: {report.counts.same} layers and inputs"
    parts = [f"{count} {status}" for status in STATUSES if (count := getattr(report.counts, status))]
    said = f"layers: {', '.join([*parts, f'{report.counts.same} the same'])}"
    if not report.little_in_common:
        return said
    return "the two nets have little in common: {} of {} layers match (--all lists them); {}".format(
        *report.matching, said
    )


def _partial(report: DiffReport, net: str = "") -> list[Note]:
    unknown = [TITLES[one.metric] for one in report.totals if one.status == "partial"]
    text = f"{net}partial: some layers could not be counted, so these are lower bounds: {', '.join(unknown)}"
    return [Note(text, tone="yellow")] if unknown else []


def _condition(one: Outcome, net: str = "") -> Note:
    """A condition, what it was held against, and whether it was met, which is a fault."""
    reason = f" ({one.reason})" if one.reason is not UNSET else ""
    change = f", {percentage(100 * one.difference / one.before)} %" if one.difference and one.before else ""
    text = f"{net}{one.condition}: {shown(one.before)} → {shown(one.after)}{change}{reason}"
    return Note(f"✗ {text}", tone="red") if one.status == "fail" else Note(f"✓ {text}", tone="green")


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
    inputs, outputs = (
        _arrow(named_shapes(before), named_shapes(after))
        for before, after in ((old.inputs, new.inputs), (old.outputs, new.outputs))
    )
    lines = [f"{inputs} to {outputs}, batch {new.batch}"]
    both = old.inputs and new.inputs
    if both and "args" in report.net:
        before, after = report.net["args"]
        names = [name for name in {**before, **after} if before.get(name, UNSET) != after.get(name, UNSET)]
        lines.append(", ".join(f"{name} {_argument(before, name)} → {_argument(after, name)}" for name in names))
    if both and "outputs" in report.net:
        lines.append("outputs {} → {}".format(*map(_outputs, report.net["outputs"])))
    return [visible(line) for line in lines]


def _argument(args: dict[str, Any], name: str) -> str:
    return setting_text(args[name]) if name in args else "–"


def _outputs(named: dict[str, str]) -> str:
    return ", ".join(name if name == path else f"{name}: {path}" for name, path in named.items())


# -- many nets -------------------------------------------------------------------------------------


def _now(metric: str, header: str) -> tuple[Column, Column]:
    """A total as it is now (or was last), and its difference in per cent."""

    def last(one: NetChange, _: Any) -> int | None:
        total = _total(one.report, metric)
        return total.before if one.change == "removed" else total.after

    def percent(one: NetChange, _: Any) -> float | None:
        return _total(one.report, metric).percent if one.change == "changed" else None

    return count(metric, header, value=last, show=shown, none="–"), count(
        f"{metric}%", "%", value=percent, show=percentage, none="–"
    )


NET_COLUMNS = (
    Column("net", elastic=True),
    Column("change"),
    *_now("params", "params"),
    *_now("macs", "MACs"),
    *_now("activations", "activ."),
    *_now("layers", "layers"),
)
"""The columns of the table of nets."""


NET_CSV_COLUMNS = (nth(0, "net"), *map(second, CSV_COLUMNS))
"""The columns of the layers of all nets, for a machine."""


def changes_verdict(changes: ChangesReport) -> str:
    """All nets in one line."""
    kinds = [one.change for one in changes.nets]
    parts = [f"{kinds.count(kind)} {kind}" for kind in KINDS if kind in kinds]
    parts += [f"{changes.same} the same in a changed file"] if changes.same else []
    parts += [f"{len(changes.broken)} could not be read"] if changes.broken else []
    files = f"{changes.unchanged_files} file{'' if changes.unchanged_files == 1 else 's'} unchanged"
    return f"nets: {', '.join(parts) or 'no change'}; {files}"


def changes_document(
    changes: ChangesReport,
    choose: Callable[[DiffReport], Sequence[LayerDiff]] | None = None,
    columns: Sequence[Column] | None = None,
) -> Document:
    """Each net that is not the same by itself, then all of them in a table, what failed, and how many there are.

    Args:
        changes: the comparison.
        choose: gives the rows of layers of each net, where they are not those that tell most in little room.
        columns: those of the layers, where they are not all.
    """
    answer = changes
    if choose is not None:
        nets = [
            structs.replace(one, report=structs.replace(one.report, layers=tuple(choose(one.report))))
            for one in changes.nets
        ]
        answer = structs.replace(changes, nets=tuple(nets))
    closed = f"the layers of {len(changes.nets)} net{'' if len(changes.nets) == 1 else 's'}: --all"
    parts = [
        Fold(one.net, _net(one, None if choose is None else chosen.report.layers, columns), closed)
        for one, chosen in zip(changes.nets, answer.nets, strict=True)
    ]
    head = Heading(f"Nets against {changes.base}")
    judged = [(one.net, which) for one in changes.nets for which in one.report.conditions]
    met = sum(which.status == "fail" for _, which in judged)
    table = [Table(NET_COLUMNS, changes.nets)] if changes.nets else []
    notes = [
        *(Note(one.message.partition("\n")[0], tone="red") for one in changes.broken),
        *(_condition(which, f"{net}: ") for net, which in judged if which.status == "fail"),
        *([Note(f"fail on: {met} of {len(judged)} conditions met")] if judged else []),
        Note(changes_verdict(changes)),
    ]
    return Document(
        answer,
        [head, *parts, *table, Group(notes)],
        Table(
            NET_CSV_COLUMNS if columns is None else [NET_CSV_COLUMNS[0], *map(second, columns)],
            [(one.net, row) for one in answer.nets for row in one.report.layers],
        ),
        status={"pass": 0, "fail": 1, "error": 2}[changes.status],
        texts={"markdown": lambda: comment([head, Group(notes), *table], parts)},
        complaints=[one.message for one in changes.broken],
    )


def _net(one: NetChange, rows: Sequence[LayerDiff] | None, columns: Sequence[Column] | None) -> list[Block]:
    """One of several nets."""
    report = one.report
    about = [*map(Text, heading(report)), Text(verdict(report))]
    return [Group(about), *_layers(report, rows, columns), _totals(report), *_partial(report, f"{one.net}: ")]


def comment(top: Sequence[Block], nets: Sequence[Block]) -> str:
    """The Markdown of a comment on a pull request: how it ends on top, then as many of the nets as it has room for."""
    from cnncalc.document.markdown import render

    text = f"{MARK}\n{render(Document(None, top))}"
    for number, one in enumerate(nets):
        part = render(Document(None, [one]))
        if len(text) + len(part) > LONGEST:
            left = len(nets) - number
            return f"{text}\n… the layers of {left} more net{'' if left == 1 else 's'} are left out: too long\n"
        text += f"\n{part}"
    return text
