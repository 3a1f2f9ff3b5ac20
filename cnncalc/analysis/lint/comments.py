"""Comments in a spec that silence rules: ``# cnncalc: ignore[CNN101, CNN2]``, or ``# cnncalc: ignore`` for all."""

from __future__ import annotations

import re
from collections.abc import Mapping

_COMMENT = re.compile(r"(?:^|\s)#\s*cnncalc:\s*ignore\b(?:\s*\[([^\]#]*)\])?")

Silenced = Mapping[int, tuple[str, ...]]
"""For a line (from 1) the rules that are silent there: numbers, beginnings of numbers or names; ``""`` is all."""


def silenced(text: str) -> dict[int, tuple[str, ...]]:
    """The lines of a spec that silence rules, and which."""
    if "cnncalc:" not in text:
        return {}
    # Only the line ends of YAML: str.splitlines knows more, and would count otherwise than the reader.
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    return {number: _rules(found[1]) for number, line in lines if (found := _COMMENT.search(line)) is not None}


def _rules(listed: str | None) -> tuple[str, ...]:
    if listed is None:
        return ("",)
    return tuple(part.strip() for part in listed.split(",") if part.strip())


def covers(choice: str, number: str, name: str) -> bool:
    """Whether ``choice`` (a number, the beginning of one, or a name; in any case) means the rule."""
    wanted = choice.strip().lower()
    return number.lower().startswith(wanted) or name == wanted
