"""The one place where text from outside is made safe to print."""

from __future__ import annotations

import re

LONGEST = 1200
"""Columns of a line of a message: enough to list every column and layer, too few to flood a terminal."""
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
# GitHub's runner obeys "::" at the start of a line, however far it is set in, and "##[" anywhere; Azure's "##vso[" too.
_COMMAND = re.compile(r"^( *):(?=:)|#(?=#(?:\[|vso\[))", re.MULTILINE)


def visible(text: str, *, keep: str = "") -> str:
    r"""``text`` with control characters, escapes, bidirectional marks and lone surrogates written out (``\x1b``).

    Characters that a terminal would obey or a reader would not see are shown as escapes; those in
    ``keep`` stay, e.g. ``"\n"`` for a message of several lines.
    """
    if text.isprintable():
        return text
    hidden = {c for c in set(text) if not c.isprintable() and c not in keep}
    return text.translate({ord(c): c.encode("unicode_escape").decode() for c in hidden}) if hidden else text


def harmless(text: str, *, colour: bool = False) -> str:
    """``text`` of several lines that no terminal or CI runner mistakes for a command.

    With ``colour`` colour codes stay. The escapes are also valid in JSON, YAML and Python, so strings
    read back unchanged.
    """
    parts = _COLOUR.split(text) if colour else [text]
    text = "".join(part if number % 2 else visible(part, keep="\n\t") for number, part in enumerate(parts))
    if "::" not in text and "##" not in text:
        return text
    return _COMMAND.sub(lambda found: f"{found[1]}\\u003a" if found[0].endswith(":") else "\\u0023", text)


def message(text: str, mark: str) -> str:
    """A message for standard error: safe to print, no line very long, with ``mark`` if it has no mark of its own."""
    first = text.partition("\n")[0]
    marked = text if first.startswith("error: ") or ": error: " in first else f"{mark}{text}"
    return harmless("\n".join(shorten(visible(line), LONGEST) for line in marked.split("\n")))


def display_width(text: str) -> int:
    """Columns that printable ``text`` takes on a terminal: wide characters two, combining ones none."""
    if text.isascii() or max(text) < "\u0300":
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def shorten(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns, its middle replaced by ``…`` if it is longer."""
    if display_width(text) <= width:
        return text
    if width < 2:
        return "…"[:width]
    tail_room = width // 2
    head, tail = "", ""
    for character in reversed(text):
        if display_width(character + tail) > tail_room:
            break
        tail = character + tail
    for character in text:
        if display_width(head + character) > width - 1 - display_width(tail):
            break
        head += character
    return f"{head}…{tail}"


def wrap(text: str, width: int | None, indent: str = "") -> list[str]:
    """Lines of at most ``width`` columns, all but the first indented; one line if there is no width.

    A word that is longer than a line is broken.
    """
    if width is None or display_width(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        if line.strip() and display_width(line) + 1 + display_width(word) > width:
            lines.append(line)
            line = indent
        line += word if not line.strip() else f" {word}"
        while display_width(line) > width:
            cut = len(line) - 1
            while cut > len(indent) + 1 and display_width(line[:cut]) > width:
                cut -= 1
            lines.append(line[:cut])
            line = indent + line[cut:]
    return [*lines, line] if line.strip() else lines
