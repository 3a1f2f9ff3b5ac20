"""Rules, and their registration: a rule is one decorated function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from cnncalc.analysis.lint.design import Design
from cnncalc.graph import Leftover

Severity = Literal["error", "warning", "info"]
Find = Callable[[Design], Iterator["Found"]]


class Found(NamedTuple):
    """One fault: the number of its node (or what of the text made none), a message, its exact numbers, and a severity
    where it is not the rule's.
    """

    node: int | Leftover
    message: str
    numbers: dict[str, Any]
    severity: Severity | None = None


class Rule(Struct, frozen=True):
    """One rule: what it looks for, why that matters, how to fix it, and who says so.

    ``severity`` is what most of its findings have; one that is less, or more, says so itself.
    """

    rule: str
    name: str
    severity: Severity
    summary: str
    why: str
    mend: str
    source: str


RULES: dict[str, Rule] = {}
"""All rules by number; filled as their modules are imported."""
FINDERS: dict[str, Find] = {}
"""The function of each rule."""


def rule(number: str, name: str, severity: Severity, *, why: str, mend: str, source: str) -> Callable[[Find], Find]:
    """Registers a function as a rule; its docstring is the summary."""

    def register(find: Find) -> Find:
        summary = " ".join((find.__doc__ or "").split())
        RULES[number] = Rule(number, name, severity, summary, why, mend, source)
        FINDERS[number] = find
        return find

    return register
