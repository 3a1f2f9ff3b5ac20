"""All specs of a git repository against a revision: the report of ``cnncalc diff --git``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, structs

from cnncalc import __version__
from cnncalc.analysis.answer import Generator
from cnncalc.analysis.broken import Broken, broken
from cnncalc.document.column import Column
from cnncalc.document.grid import grid
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.report.conditions import Condition
from cnncalc.report.diff import Difference, DiffReport, LayerDiff, diff, folded
from cnncalc.report.diff_text import CSV_COLUMNS, failures, markdown, percentage, render, shown
from cnncalc.text import visible, wrap

if TYPE_CHECKING:
    from cnncalc.history import Net

MARK = "<!-- cnncalc diff -->"
"""The first line of the Markdown, by which the comment on a pull request is found again."""
LONGEST = 60_000
"""Characters of the Markdown; a comment on GitHub has at most 65,536."""
Kind = Literal["changed", "added", "removed"]
KINDS: tuple[Kind, ...] = ("changed", "added", "removed")
NOTHING = Graph(name="", nodes=(), outputs=())


class NetChange(Struct, frozen=True):
    """One net that is not the same. Of one that came or went, the other side of ``report`` has no layers."""

    net: str
    variant: str | None
    change: Kind
    file_before: str | None
    file: str | None
    report: DiffReport


class ChangesReport(Struct, frozen=True):
    """The whole answer to ``diff --git``. ``same``: nets of changed specs in which nothing differs.

    ``status`` is ``fail`` where a condition is met by a net that was there before and still is, ``error``
    where a spec cannot be read.
    """

    schema_version: int
    generator: Generator
    status: Literal["pass", "fail", "error"]
    base: str
    unchanged_files: int
    same: int
    nets: tuple[NetChange, ...]
    broken: tuple[Broken, ...]

    def to_json(self, *, indent: int = 2) -> str:
        """The report as JSON text."""
        from cnncalc.document.json import render as render_json

        return render_json(self, indent=indent)


def report(
    base: str,
    unchanged_files: int,
    nets: Iterable[Net],
    *,
    batch: int = 1,
    conditions: Sequence[Condition] = (),
) -> ChangesReport:
    """Every net that is not the same, before and after; changed ones first.

    A net that could not be read before and can be now counts as added. Conditions are held against those
    that were there before and still are.
    """
    found: list[NetChange] = []
    unread: list[Broken] = []
    same = 0
    for net in nets:
        before = None if isinstance(net.before, CnncalcError) else net.before
        after = net.after
        if isinstance(after, CnncalcError):
            unread.append(broken(net.label, after))
        elif before is not None or after is not None:
            judged = conditions if before is not None and after is not None else ()
            compared = diff(before or NOTHING, after or NOTHING, batch=batch, conditions=judged)
            same += compared.same
            change: Kind = "added" if before is None else "removed" if after is None else "changed"
            was, now = (None if one is None else one.path for one in (net.change.before, net.change.after))
            if not compared.same:
                found.append(NetChange(net.label, net.variant, change, was, now, compared))
    found.sort(key=lambda one: KINDS.index(one.change))
    failed = any(one.report.status == "fail" for one in found)
    return ChangesReport(
        schema_version=1,
        generator=Generator("cnncalc", __version__),
        status="error" if unread else "fail" if failed else "pass",
        base=base,
        unchanged_files=unchanged_files,
        same=same,
        nets=tuple(found),
        broken=tuple(unread),
    )


def with_rows(changes: ChangesReport, depth: int) -> ChangesReport:
    """The report with the layers folded to a depth."""
    folded_nets = [
        structs.replace(one, report=structs.replace(one.report, layers=tuple(folded(one.report.layers, depth))))
        for one in changes.nets
    ]
    return structs.replace(changes, nets=tuple(folded_nets))


def _total(one: NetChange, metric: str) -> Difference:
    return next(total for total in one.report.totals if total.metric == metric)


def _now(metric: str, header: str) -> tuple[Column, Column]:
    """A total as it is now (or was last), and its difference in per cent."""
    return (
        Column(
            metric,
            header,
            lambda one, _: _total(one, metric).before if one.change == "removed" else _total(one, metric).after,
            show=shown,
            right=True,
        ),
        Column(
            f"{metric}%",
            "%",
            lambda one, _: _total(one, metric).percent if one.change == "changed" else None,
            show=percentage,
            right=True,
        ),
    )


NET_COLUMNS = (
    Column("net", "net", lambda one, _: one.net, elastic=True),
    Column("change", "change", lambda one, _: one.change),
    *_now("params", "params"),
    *_now("macs", "MACs"),
    *_now("activations", "activ."),
    *_now("layers", "layers"),
)
"""The columns of the table of nets."""


def _of_layer(column: Column) -> Column:
    return structs.replace(column, value=lambda row, whole: column.value(row[1], whole))


NET_CSV_COLUMNS = (Column("net", "net", lambda row, _: row[0]), *map(_of_layer, CSV_COLUMNS))
"""The columns of the layers of all nets, for a machine."""


def rows(changes: ChangesReport) -> list[tuple[str, LayerDiff]]:
    """Every layer that differs, with its net."""
    return [(one.net, row) for one in changes.nets for row in one.report.layers]


def verdict(changes: ChangesReport) -> str:
    """All nets in one line."""
    kinds = [one.change for one in changes.nets]
    parts = [f"{kinds.count(kind)} {kind}" for kind in KINDS if kind in kinds]
    parts += [f"{changes.same} the same in a changed file"] if changes.same else []
    parts += [f"{len(changes.broken)} could not be read"] if changes.broken else []
    files = f"{changes.unchanged_files} file{'' if changes.unchanged_files == 1 else 's'} unchanged"
    return f"nets: {', '.join(parts) or 'no change'}; {files}"


def failed(changes: ChangesReport) -> list[str]:
    """Each condition that was met, in one line."""
    return [f"{visible(one.net)}: {text}" for one in changes.nets for text in failures(one.report)]


def table(
    changes: ChangesReport,
    choose: Callable[[DiffReport], Sequence[LayerDiff]],
    *,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """The nets, then each by itself, as a person reads them; ``choose`` says which rows."""
    parts = ["\n".join(grid(NET_COLUMNS, changes.nets, width=width, colour=colour)) + "\n"] if changes.nets else []
    parts += ["\n".join(wrap(visible(f"against {changes.base}: {verdict(changes)}"), width)) + "\n"]
    parts += [render(one.report, choose(one.report), name=one.net, width=width, colour=colour) for one in changes.nets]
    return "\n".join(parts)


def text(changes: ChangesReport, choose: Callable[[DiffReport], Sequence[LayerDiff]]) -> str:
    """The Markdown of a comment: what failed and the nets on top, each net folded away below."""
    from html import escape as html_escape

    from cnncalc.document.markdown import escape
    from cnncalc.document.markdown import table as markdown_table

    parts = [
        f"{MARK}\n### Nets against {escape(visible(changes.base))}\n",
        f"{escape(verdict(changes))}\n",
        *(f"❌ {escape(line)}\n" for line in failed(changes)),
        *(f"❌ {escape(visible(one.message.partition(chr(10))[0]))}\n" for one in changes.broken),
    ]
    if changes.nets:
        parts.append(markdown_table(NET_COLUMNS, changes.nets))
    size = sum(map(len, parts))
    for number, one in enumerate(changes.nets):
        title = html_escape(visible(one.net))  # a line that begins with a tag is HTML to its end
        inner = markdown(one.report, choose(one.report), inner=True)
        part = f"<details><summary>{title}</summary>\n\n{inner}\n</details>\n"
        size += len(part) + 1
        if size > LONGEST:
            left = len(changes.nets) - number
            parts.append(f"… the layers of {left} more net{'' if left == 1 else 's'} are left out: too long\n")
            break
        parts.append(part)
    return "\n".join(parts)
