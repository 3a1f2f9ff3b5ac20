"""Design faults in a net: rules, each a function in one of the modules here, and what they find.

``windows`` looks at what layers read (CNN1..), ``fields`` at what units see (CNN2..), ``weights`` at
weights and channels (CNN3..), ``unused`` at what nothing uses (CNN4..). All of it is computed from
shapes; nothing is run or trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from cnncalc.analysis.lint import fields, unused, weights, windows  # noqa: F401  (they register their rules)
from cnncalc.analysis.lint.comments import Silenced, covers, silenced
from cnncalc.analysis.lint.design import Design, Resize
from cnncalc.analysis.lint.rule import FINDERS, RULES, Found, Rule, Severity, rule
from cnncalc.graph import Graph, Leftover, Place


class Finding(Struct, frozen=True):
    """One finding: the rule, the layer and its place in the spec, what is wrong, and the exact numbers.

    ``layer`` is the name itself of an argument or block that nothing uses.
    ``file``, ``line`` and ``column`` are null where the net was not read from a text.
    """

    rule: str
    name: str
    severity: Severity
    layer: str
    file: str | None
    line: int | None
    column: int | None
    message: str
    numbers: dict[str, Any]

    @property
    def place(self) -> Place | None:
        """Where it stands, as far as that is known."""
        return None if self.file is None else Place(self.file, self.line or 0, self.column or 0)


class Findings(Struct, frozen=True):
    """All findings in the order of the layers, and how many more a comment in the spec silenced."""

    findings: tuple[Finding, ...]
    silenced: int = 0


def lint(
    graph: Graph,
    *,
    wanted: Callable[[Rule], bool] = lambda _: True,
    silent: Silenced | None = None,
    at: Resize | None = None,
) -> Findings:
    """The design faults of a graph.

    Args:
        graph: the net.
        wanted: which rules to apply.
        silent: the lines of the spec that silence rules, as :func:`silenced` reads them from its text.
        at: the net for inputs of other shapes, where that can be more than ``graph`` with other shapes: a spec's text
            may read them.
    """
    design = Design(graph, at)
    found: list[tuple[int, str, Finding]] = []
    hidden = 0
    for one in RULES.values():
        if not wanted(one):
            continue
        for node, message, numbers, severity in FINDERS[one.rule](design):
            number, what = (len(graph.nodes), node) if isinstance(node, Leftover) else (node, graph.nodes[node])
            path = what.name if isinstance(what, Leftover) else what.path
            file, line, column = what.place or (None, None, None)
            if any(covers(choice, one.rule, one.name) for choice in (silent or {}).get(line or 0, ())):
                hidden += 1
                continue
            finding = Finding(one.rule, one.name, severity or one.severity, path, file, line, column, message, numbers)
            found.append((number, one.rule, finding))
    found.sort(key=lambda entry: entry[:2])
    return Findings(tuple(finding for _, _, finding in found), hidden)


def lookup(choices: Iterable[str]) -> set[str]:
    """The numbers of the rules that ``choices`` (numbers, beginnings of numbers, names) mean.

    Raises:
        KeyError: a choice means no rule; the argument is that choice.
    """
    numbers: set[str] = set()
    for choice in choices:
        meant = {one.rule for one in RULES.values() if choice.strip() and covers(choice, one.rule, one.name)}
        if not meant:
            raise KeyError(choice)
        numbers |= meant
    return numbers


__all__ = ["FINDERS", "RULES", "Finding", "Found", "Resize", "Rule", "Severity", "lint", "lookup", "rule", "silenced"]
