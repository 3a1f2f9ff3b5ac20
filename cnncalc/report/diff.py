"""Two nets side by side: the report of ``cnncalc diff``, its rows folded, and its texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from cnncalc import __version__, units
from cnncalc.analysis.diff import Match, compare
from cnncalc.graph import Graph, Node
from cnncalc.report.assemble import assemble
from cnncalc.report.columns import COLUMNS as REPORT_COLUMNS
from cnncalc.report.columns import Column, setting_text, shape_text
from cnncalc.report.conditions import EDITS, METRICS, Condition, Outcome, Pair, judge
from cnncalc.report.fold import BLOCK, COUNTS, block
from cnncalc.report.grid import grid, style
from cnncalc.report.model import Generator, LayerReport, Model, Report
from cnncalc.text import visible, wrap

Status = Literal["added", "removed", "changed", "moved", "renamed", "affected"]
STATUSES: tuple[Status, ...] = ("added", "removed", "changed", "moved", "renamed", "affected")
"""What can have happened to a layer. ``affected``: nothing in it was edited, but its shapes or numbers differ."""
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
OTHERS = "other layers"
"""The row of all layers that are only affected; they have no output in common."""
MOST_ROWS = 200
"""Rows of a Markdown table of layers; a comment on GitHub has at most 65,536 characters."""


class LayerDiff(Struct, frozen=True):
    """One layer that differs: what happened to it, and both its reports.

    ``edits`` holds what was changed in the layer itself, each with the value before and after: ``type``,
    ``inputs`` (what it reads), ``shared_with``, an input's ``shape``, or its fields. ``differs`` names
    everything of the two reports that differs. In a row that stands for several layers, ``layers`` says
    what happened to how many.
    """

    status: Status
    path: str
    type: str
    edits: dict[str, tuple[Any, Any]]
    differs: tuple[str, ...]
    before: LayerReport | None
    after: LayerReport | None
    layers: dict[Status, int] | UnsetType = UNSET


class Difference(Struct, frozen=True):
    """One total of both nets. ``percent`` is null where there was nothing before; ``partial``: a lower bound.

    The receptive field and the jump are those of the last layer that does not see everything, along the
    axis where they are largest; null where there is none.
    """

    metric: str
    before: int | None
    after: int | None
    difference: int | None
    percent: float | None
    status: Literal["complete", "partial"]


class Counts(Struct, frozen=True):
    """How many layers (and inputs) were added, removed, …, and how many are the same."""

    added: int
    removed: int
    changed: int
    moved: int
    renamed: int
    affected: int
    same: int


class DiffReport(Struct, frozen=True):
    """The whole answer to ``diff``. ``same``: not one layer, input or output differs.

    ``net`` holds what differs of the nets as wholes: ``args``, and which tensors are the ``outputs``.
    ``status`` is ``fail`` where a condition of ``--fail-on`` is met. ``layers`` has every layer that
    differs, ``summary`` the same in fewer rows: blocks that came, went or got another name as a whole
    are one, runs of such blocks too, and so are all layers that are only affected.
    """

    schema_version: int
    generator: Generator
    before: Model
    after: Model
    status: Literal["pass", "fail"]
    same: bool
    counts: Counts
    totals: tuple[Difference, ...]
    conditions: tuple[Outcome, ...]
    net: dict[str, tuple[Any, Any]]
    summary: tuple[LayerDiff, ...]
    layers: tuple[LayerDiff, ...]

    def to_json(self, *, indent: int = 2) -> str:
        """The report as JSON text."""
        from cnncalc.report.json import render as render_json

        return render_json(self, indent=indent)

    def to_markdown(self) -> str:
        """The report for a pull request."""
        return markdown(self)

    def __str__(self) -> str:
        return render(self)


def diff(before: Graph, after: Graph, *, batch: int = 1, conditions: Sequence[Condition] = ()) -> DiffReport:
    """The report of two graphs for a batch of ``batch`` samples."""
    old, new = assemble(before, batch), assemble(after, batch)
    matches = compare(before, after)
    old_rows, new_rows = _rows(before, old), _rows(after, new)
    rows, same = [], 0
    for match in matches:
        row = _layer(match, old_rows, new_rows)
        same += row is None
        rows += [row] if row else []
    statuses = [row.status for row in rows]
    counts = Counts(**{status: statuses.count(status) for status in STATUSES}, same=same)
    net = _net(before, after, matches)
    pairs = _pairs(old, new)
    outcomes = judge(conditions, pairs | {name: Pair(0, getattr(counts, name)) for name in EDITS})
    return DiffReport(
        schema_version=1,
        generator=Generator("cnncalc", __version__),
        before=old.model,
        after=new.model,
        status="fail" if any(one.status == "fail" for one in outcomes) else "pass",
        same=not rows and "outputs" not in net,
        counts=counts,
        totals=tuple(_difference(name, pairs[name]) for name in METRICS),
        conditions=outcomes,
        net=net,
        summary=tuple(gathered(rows, old_rows, new_rows)),
        layers=tuple(rows),
    )


def _rows(graph: Graph, report: Report) -> list[LayerReport]:
    """A report for each node; that of an input costs nothing."""
    layers = iter(report.layers)
    return [_input(node) if node.layer is None else next(layers) for node in graph.nodes]


def _input(node: Node) -> LayerReport:
    return LayerReport(node.path, node.kind, (), (), node.output_shape, 0, 0, 0, 0, 0, 0, None, {})


def _layer(match: Match, old: list[LayerReport], new: list[LayerReport]) -> LayerDiff | None:
    """What happened to one layer; ``None`` where nothing did."""
    before = None if match.before is None else old[match.before]
    after = None if match.after is None else new[match.after]
    if before is None or after is None:
        one = before or after
        assert one is not None
        return LayerDiff("removed" if after is None else "added", one.path, one.type, {}, (), before, after)
    # what it reads has a name that may have changed: an edit tells where it reads something else
    differs = tuple(
        name
        for name in LayerReport.__struct_fields__
        if name not in ("inputs", "shared_with") and getattr(before, name) != getattr(after, name)
    )
    edits = {edit.name: (edit.before, edit.after) for edit in match.edits}
    numbers = [name for name in differs if name != "path"]
    status: Status
    if match.moved and set(edits) <= {"inputs"}:
        if not edits and not differs:
            return None  # the same layer, listed elsewhere among others
        status = "moved"
    elif edits:
        status = "changed"
    elif before.path != after.path:
        status = "renamed"
    elif numbers:
        status = "affected"
    else:
        return None
    return LayerDiff(status, after.path, after.type, edits, differs, before, after)


def _net(before: Graph, after: Graph, matches: Iterable[Match]) -> dict[str, tuple[Any, Any]]:
    """What differs of the nets as wholes."""
    found: dict[str, tuple[Any, Any]] = {}
    if before.args != after.args:
        found["args"] = (before.args, after.args)
    forward = {match.before: match.after for match in matches if match.before is not None}
    backward = {match.after for match in matches if match.before is not None}
    old = [(name, forward.get(ref.node), ref.port) for name, ref in before.outputs]
    new = [(name, ref.node if ref.node in backward else None, ref.port) for name, ref in after.outputs]
    # an automatic name follows the layer's
    plain = all(name == before.path(ref) for name, ref in before.outputs) and all(
        name == after.path(ref) for name, ref in after.outputs
    )
    if [entry[plain:] for entry in old] != [entry[plain:] for entry in new]:
        found["outputs"] = (
            {name: before.path(ref) for name, ref in before.outputs},
            {name: after.path(ref) for name, ref in after.outputs},
        )
    return found


def _pairs(old: Report, new: Report) -> dict[str, Pair]:
    """Every metric of both nets."""
    pairs = {
        name: Pair(
            getattr(old.totals, name),
            getattr(new.totals, name),
            any(getattr(row, name) is None for report in (old, new) for row in report.layers),
        )
        for name in COUNTS
    }
    pairs["layers"] = Pair(len(old.layers), len(new.layers))
    for name, part in (("rf", "size"), ("jump", "jump")):
        pairs[name] = Pair(_last_field(old, part), _last_field(new, part))
    return pairs


def _last_field(report: Report, part: str) -> int | None:
    """Size or jump of the last local field, along the axis where it is largest (a jump that is no integer: none)."""
    for layer in reversed(report.layers):
        field = layer.receptive_field
        if field is not None and field.kind == "local" and field.size is not None and field.jump is not None:
            known = [value for value in getattr(field, part) if value is not None]
            largest = max(known, default=None)
            return largest if isinstance(largest, int) else None
    return None


def _difference(metric: str, pair: Pair) -> Difference:
    difference = None if pair.before is None or pair.after is None else pair.after - pair.before
    percent = None if difference is None or not pair.before else 100 * difference / pair.before
    if difference == 0:
        percent = 0.0
    return Difference(metric, pair.before, pair.after, difference, percent, "partial" if pair.partial else "complete")


# -- fewer rows ------------------------------------------------------------------------------------


def folded(layers: Sequence[LayerDiff], depth: int) -> list[LayerDiff]:
    """One row for each block at ``depth`` levels that differs, and each layer above that."""
    groups: dict[str, list[LayerDiff]] = {}
    for layer in layers:
        groups.setdefault(_at(layer.path, depth), []).append(layer)
    rows = []
    for path, members in groups.items():
        if len(members) == 1 and members[0].path == path:
            rows.append(members[0])
            continue
        old = {_at(row.before.path, depth) for row in members if row.before is not None}
        rows.append(_block(path, members, next(iter(old)) if len(old) == 1 else ""))
    return rows


def _at(path: str, depth: int) -> str:
    """The block at a depth that a path lies in, or the path itself."""
    return ".".join(path.split(".")[:depth])


def _block(path: str, members: Sequence[LayerDiff], old_path: str = "") -> LayerDiff:
    """Several rows as one: the sums of what they were before and after."""
    before = [row.before for row in members if row.before is not None]
    after = [row.after for row in members if row.after is not None]
    counts = {name: count for name in STATUSES if (count := sum(map(_counting(name), members)))}
    status: Status = next(iter(counts)) if len(counts) == 1 else "changed"
    if set(counts) == {"renamed", "affected"}:
        status = "affected"
    sides = (block(old_path or path, before) if before else None, block(path, after) if after else None)
    return LayerDiff(status, path, BLOCK, {}, _differs(*sides), *sides, counts)


def _counting(status: Status) -> Callable[[LayerDiff], int]:
    """How many layers with a status a row stands for."""
    return lambda row: (row.status == status) if row.layers is UNSET else row.layers.get(status, 0)


def _differs(before: LayerReport | None, after: LayerReport | None) -> tuple[str, ...]:
    if before is None or after is None:
        return ()
    names = ("output_shape", *COUNTS, "receptive_field")
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))


def gathered(layers: Sequence[LayerDiff], old: Iterable[LayerReport], new: Iterable[LayerReport]) -> list[LayerDiff]:
    """The rows for a person: blocks that came, went or changed their name as a whole, and runs of such blocks,
    are one row each; all that is only affected is one row at the end.

    Args:
        layers: what differs.
        old: all layers of the net before.
        new: all layers of the net after.
    """
    affected = [row for row in layers if row.status == "affected"]
    edited = [row for row in layers if row.status != "affected"]
    whole = _whole_blocks(edited, _sizes(old), _sizes(new))
    groups: dict[tuple[Status, str, str] | int, list[LayerDiff]] = {}
    for number, row in enumerate(edited):
        groups.setdefault(whole.get(id(row), number), []).append(row)
    rows = _runs(
        members[0] if isinstance(key, int) else _block(key[2] or key[1], members, key[1])
        for key, members in groups.items()
    )
    if affected:
        rows.append(affected[0] if len(affected) == 1 else _block(OTHERS, affected))
    return rows


def _whole_blocks(
    rows: Sequence[LayerDiff], old: dict[str, int], new: dict[str, int]
) -> dict[int, tuple[Status, str, str]]:
    """For each row the outermost block, before and after, all of whose layers share its fate, where there is one."""
    fates: dict[tuple[Status, str, str], int] = {}
    for row in rows:
        for key in _enclosing(row):
            fates[key] = fates.get(key, 0) + 1
    found = {}
    for row in rows:
        for key in _enclosing(row):
            if fates[key] == (old[key[1]] if key[1] else fates[key]) == (new[key[2]] if key[2] else fates[key]):
                found[id(row)] = key
                break
    return found


def _enclosing(row: LayerDiff) -> Iterator[tuple[Status, str, str]]:
    """The blocks before and after that a layer may stand for, the outermost first."""
    old = row.before.path.split(".") if row.before else []
    new = row.after.path.split(".") if row.after else []
    if row.status in ("added", "removed"):
        for depth in range(1, len(old or new)):
            yield row.status, ".".join(old[:depth]), ".".join(new[:depth])
    elif row.status == "renamed":
        alike = 0
        while alike < min(len(old), len(new)) - 1 and old[-1 - alike] == new[-1 - alike]:
            alike += 1
        for tail in range(alike, 0, -1):
            yield row.status, ".".join(old[:-tail]), ".".join(new[:-tail])


def _sizes(rows: Iterable[LayerReport]) -> dict[str, int]:
    """How many layers each block has."""
    sizes: dict[str, int] = {}
    for row in rows:
        parts = row.path.split(".")
        for depth in range(1, len(parts)):
            path = ".".join(parts[:depth])
            sizes[path] = sizes.get(path, 0) + 1
    return sizes


def _runs(rows: Iterable[LayerDiff]) -> list[LayerDiff]:
    """Blocks that came or went and whose names differ in the last number alone, in a row, as one."""
    result: list[LayerDiff] = []
    run: list[LayerDiff] = []

    def close() -> None:
        if len(run) > 1:
            last = _NUMBER.fullmatch(run[-1].path)
            assert last is not None
            result.append(_block(f"{run[0].path}…{last[2]}", run))
        else:
            result.extend(run)
        run.clear()

    for row in rows:
        if run and not _follows(run[-1], row):
            close()
        run.append(row)
    close()
    return result


_NUMBER = re.compile(r"(.*?)([0-9]+)", re.DOTALL)


def _follows(one: LayerDiff, other: LayerDiff) -> bool:
    if one.type != BLOCK or other.type != BLOCK or one.status != other.status or one.status not in ("added", "removed"):
        return False
    first, second = _NUMBER.fullmatch(one.path), _NUMBER.fullmatch(other.path)
    return bool(first and second and first[1] == second[1] and int(first[2]) + 1 == int(second[2]))


# -- texts -----------------------------------------------------------------------------------------


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


def _shown(value: int | None) -> str:
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
        fields = " ".join(f"{name}={setting_text(value)}" for name, value in side.settings.items())
        return f"{side.type} {fields}".strip()
    return ", ".join(
        f"{'reads' if name == 'inputs' else name} {_value(old)} → {_value(new)}"
        for name, (old, new) in row.edits.items()
    )


def _value(value: Any) -> str:
    if isinstance(value, tuple) and all(isinstance(entry, str) for entry in value):
        return " + ".join(value)
    return "–" if value is None else setting_text(value)


def _output(row: LayerDiff) -> str:
    if row.path == OTHERS:
        return ""
    return _arrow(*("" if side is None else shape_text(side.output_shape) for side in (row.before, row.after)))


def _field(row: LayerDiff) -> str:
    if row.path == OTHERS:
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
    Column("before", "before", lambda one, _: one.before, show=_shown, right=True),
    Column("after", "after", lambda one, _: one.after, show=_shown, right=True),
    Column("difference", "difference", lambda one, _: one.difference, show=signed, right=True),
    Column("percent", "%", lambda one, _: one.percent, show=percentage, right=True),
)
"""The columns of the totals."""

CONDITION_COLUMNS = (
    Column("condition", "fail on", lambda one, _: one.condition),
    Column("before", "before", lambda one, _: one.before, show=_shown, right=True),
    Column("after", "after", lambda one, _: one.after, show=_shown, right=True),
    Column("difference", "difference", lambda one, _: one.difference, show=signed, right=True),
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
    """Both names."""
    old, new = (side.name or side.source for side in (report.before, report.after))
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
    width: int | None = None,
    colour: bool = False,
) -> str:
    """The comparison as a person reads it: totals, then the rows (by default the summary), then the conditions."""
    shown = report.summary if rows is None else rows
    first, *rest = heading(report)
    parts = [
        [
            *(style(line, "bold", colour) for line in wrap(title(report), width)),
            *(line for text in (first, *rest) for line in wrap(text, width, "  ")),
        ],
        grid(TOTAL_COLUMNS, totals(report), width=width, colour=colour),
        grid(LAYER_COLUMNS, shown, report, width=width, colour=colour) if shown else [],
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


def markdown(report: DiffReport, rows: Sequence[LayerDiff] | None = None, *, level: int = 3) -> str:
    """The comparison for a pull request: a heading, the conditions, the totals, and the layers folded away."""
    from cnncalc.report.markdown import escape, table

    shown = list(report.summary if rows is None else rows)
    parts = [f"{'#' * level} {escape(title(report))}\n"]
    parts += [
        f"{'❌' if one.status == 'fail' else '✅'} `{_code(one.condition)}`: {escape(_outcome(one))}\n"
        for one in report.conditions
    ]
    parts.append("".join(f"{escape(line)}  \n" for line in (*heading(report), verdict(report))))
    if _partial(report, None, False):
        parts.append(f"⚠️ {escape(_partial(report, None, False)[0])}\n")
    if any(one.difference for one in report.totals):
        parts.append(table(TOTAL_COLUMNS, totals(report)))
    if shown:
        more = f"\n… and {len(shown) - MOST_ROWS} more rows\n" if len(shown) > MOST_ROWS else ""
        rows_text = table(LAYER_COLUMNS, shown[:MOST_ROWS], report)
        parts.append(f"<details><summary>layers</summary>\n\n{rows_text}{more}\n</details>\n")
    return "\n".join(parts)


def _code(text: str) -> str:
    """Text between backquotes."""
    return visible(text).replace("`", "'")


def _outcome(one: Outcome) -> str:
    reason = f" ({one.reason})" if one.reason is not UNSET else ""
    change = percentage(100 * one.difference / one.before) + " %" if one.difference and one.before else ""
    before_after = f"{_shown(one.before)} → {_shown(one.after)}"
    return f"{before_after}{f', {change}' if change else ''}{reason}"


def failures(report: DiffReport) -> list[str]:
    """Each condition that was met, in one line."""
    return [visible(f"{one.condition}: {_outcome(one)}") for one in report.conditions if one.status == "fail"]
