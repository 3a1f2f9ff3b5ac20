"""Two nets side by side: what differs, its totals, and its rows folded; the answer of ``cnncalc diff``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis.answer import Answer, Model
from cnncalc.analysis.assemble import assemble
from cnncalc.analysis.conditions import METRICS, Condition, Difference, Outcome, difference, judge
from cnncalc.analysis.diff import Match, compare
from cnncalc.analysis.fold import BLOCK, COUNTS, block
from cnncalc.analysis.metrics import last_field
from cnncalc.analysis.report import LayerReport, Report
from cnncalc.graph import Graph, Node

Status = Literal["added", "removed", "changed", "moved", "renamed", "affected"]
STATUSES: tuple[Status, ...] = ("added", "removed", "changed", "moved", "renamed", "affected")
"""What can have happened to a layer. ``affected``: nothing in it was edited, but its shapes or numbers differ."""
OTHERS, NAMES = "other layers", "other names"
"""The rows of all layers that are only affected, and of those that only have another name."""
LITTLE = 5
"""Two nets have little in common where fewer than one layer in so many matches."""
MOST_NAMES = 4
"""Layers that only have another name, one by one, that get rows of their own."""


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


class Counts(Struct, frozen=True):
    """How many layers (and inputs) were added, removed, …, and how many are the same."""

    added: int
    removed: int
    changed: int
    moved: int
    renamed: int
    affected: int
    same: int


class DiffReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``diff``. ``same``: not one layer, input or output differs.

    ``net`` holds what differs of the nets as wholes: ``args``, and which tensors are the ``outputs``.
    ``status`` is ``fail`` where a condition of ``--fail-on`` is met. ``layers`` has every layer that
    differs, ``summary`` the same in fewer rows: blocks that came, went or got another name as a whole
    are one, runs of such blocks too, and so are many new names and all layers that are only affected.
    """

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

    @property
    def matching(self) -> tuple[int, int]:
        """How many layers and inputs are in both nets, of all that are in either; one whose settings differ is in both
        where its name is the same.
        """
        alike = self.counts.same + self.counts.affected + self.counts.moved + self.counts.renamed
        alike += sum(row.before.path == row.path for row in self.layers if row.status == "changed" and row.before)
        return alike, self.counts.same + len(self.layers)

    @property
    def little_in_common(self) -> bool:
        """Whether a list of layers would say nothing but that the nets have nothing to do with each other."""
        alike, every = self.matching
        return bool(self.before.inputs and self.after.inputs) and LITTLE * alike < every and len(self.summary) > LITTLE


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
    totals = _differences(old, new)
    edits: dict[str, int] = {**{name: statuses.count(name) for name in STATUSES}, "differ": len(rows)}
    outcomes = judge(conditions, totals | {name: difference(name, 0, count) for name, count in edits.items()})
    return DiffReport(
        before=old.model,
        after=new.model,
        status="fail" if any(one.status == "fail" for one in outcomes) else "pass",
        same=not rows and "outputs" not in net,
        counts=counts,
        totals=tuple(totals[name] for name in METRICS),
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
    edits = match.edits
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


def _differences(old: Report, new: Report) -> dict[str, Difference]:
    """Every metric of both nets."""
    rows = (*old.layers, *new.layers)
    sides: dict[str, tuple[int | None, int | None]] = {
        **{name: (getattr(old.totals, name), getattr(new.totals, name)) for name in COUNTS},
        "layers": (len(old.layers), len(new.layers)),
        "rf": (last_field(old, "size")[0], last_field(new, "size")[0]),
        "jump": (last_field(old, "jump")[0], last_field(new, "jump")[0]),
    }
    partial = {name for name in COUNTS if any(getattr(row, name) is None for row in rows)}
    return {name: difference(name, *both, partial=name in partial) for name, both in sides.items()}


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


def outline(layers: Sequence[LayerDiff]) -> list[LayerDiff]:
    """A row for each block and layer at the top that has parameters, and one for all the others."""
    kept: list[LayerDiff] = []
    others: list[LayerDiff] = []
    for row in folded(layers, 1):
        (kept if any(side and side.params != 0 for side in (row.before, row.after)) else others).append(row)
    return [*kept, *([_block(OTHERS, others)] if others else [])]


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
    are one row each; so are, at the end, many single layers that have another name, and all that are only affected.

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
    names = [edited[key] for key in groups if isinstance(key, int) and edited[key].status == "renamed"]
    few = len(names) <= MOST_NAMES
    rows = _runs(
        members[0] if isinstance(key, int) else _block(key[2] or key[1], members, key[1])
        for key, members in groups.items()
        if few or not isinstance(key, int) or edited[key].status != "renamed"
    )
    if not few:
        rows.append(_block(NAMES, names))
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
