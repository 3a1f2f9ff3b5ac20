"""Errors in the style of a compiler: what, where, what was expected, the nearest name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from cnncalc.errors import CnncalcError
from cnncalc.text import visible

WIDEST = 1000
"""The most characters of a line of a message; names in it may have any length."""
MANY = 2000
"""How many names are compared in full to find the nearest; of more, only those of similar length."""


class SpecError(CnncalcError):
    """An error in a spec, with its place; ``str()`` is the whole message for people, safe to print."""

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        column: int | None = None,
        text: str | None = None,
        details: Iterable[str] = (),
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.hint = hint
        place = file if line is None else f"{file}:{line}:{column}"
        lines = [f"{place}: error: {message}"]
        if text is not None and line is not None and column is not None:
            lines += excerpt(text, line, column)
        lines += details
        if hint:
            lines.append(f"  hint: {hint}")
        lines = [line if len(line) <= WIDEST else f"{line[:WIDEST]}…" for line in lines]
        super().__init__(visible("\n".join(lines), keep="\n"))


def excerpt(text: str, line: int, column: int, *, width: int = 100) -> list[str]:
    """The source line with a caret below the column; a long line is cut around it."""
    lines = text.splitlines()
    if not 0 < line <= len(lines):
        return []
    row = lines[line - 1].replace("\t", " ")
    begin = max(0, column - 1 - width // 2) if len(row) > width else 0
    shown = ("…" if begin else "") + row[begin : begin + width] + ("…" if len(row) > begin + width else "")
    caret = column - 1 - begin + (1 if begin else 0)
    number = str(line)
    return [f"  {number} | {shown}", f"  {' ' * len(number)} | {' ' * caret}^"]


def nearest(
    name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None, *, likeness: float = 0.65
) -> str | None:
    """``did you mean 'x'?`` for the nearest known name, if one is near; aliases suggest what they mean."""
    from difflib import get_close_matches

    meanings = {**(aliases or {}), **{word: word for word in known}}
    short = name[:100]
    if len(meanings) > MANY:
        meanings = {word: meaning for word, meaning in meanings.items() if abs(len(word) - len(short)) < 2}
        meanings = dict(islice(meanings.items(), MANY))
    found = get_close_matches(short, meanings, 1, likeness) or get_close_matches(short.lower(), meanings, 1, likeness)
    return f"did you mean '{meanings[found[0]]}'?" if found else None


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """Names for a hint: ``a, b, c``, then how many more."""
    known = list(names)
    more = f", … ({len(known) - most} more)" if len(known) > most else ""
    return ", ".join(known[:most]) + more
