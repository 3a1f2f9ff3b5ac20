"""All specs of a git repository against a revision: the answer of ``cnncalc diff --git``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from cnncalc.analysis.answer import Answer
from cnncalc.analysis.broken import Broken, broken, verdict
from cnncalc.analysis.conditions import Condition
from cnncalc.analysis.difference import DiffReport, diff
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph

if TYPE_CHECKING:
    from cnncalc.history import Net

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


class ChangesReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``diff --git``. ``same``: nets of changed specs in which nothing differs.

    ``status`` is ``fail`` where a condition is met by a net that was there before and still is, ``error``
    where a spec cannot be read.
    """

    status: Literal["pass", "fail", "error"]
    base: str
    unchanged_files: int
    same: int
    nets: tuple[NetChange, ...]
    broken: tuple[Broken, ...]


def changes(
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
    return ChangesReport(
        status=verdict((one.report.status == "fail" for one in found), unread),
        base=base,
        unchanged_files=unchanged_files,
        same=same,
        nets=tuple(found),
        broken=tuple(unread),
    )
