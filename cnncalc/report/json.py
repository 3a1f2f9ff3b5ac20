"""Any of the reports as JSON text."""

from __future__ import annotations

import re

import msgspec

# A line end inside the brackets: never part of a string, where JSON writes it \n.
_NUMBERS = re.compile(r"\[\n[-+0-9.eEnul,\s]+\]")


def render(report: msgspec.Struct, *, indent: int = 2) -> str:
    """``report`` as JSON, lists of numbers on one line; characters that a terminal would obey are escaped.

    An argument that is a name of the spec language is written as its text.
    """
    try:
        text = msgspec.json.format(msgspec.json.encode(report, enc_hook=str), indent=indent).decode()
    except UnicodeEncodeError:  # a lone surrogate, from a file name that is no UTF-8
        from json import dumps

        text = dumps(msgspec.to_builtins(report, enc_hook=str), indent=indent if indent >= 0 else None)
    if indent > 0:
        text = _on_one_line(text)
    return text if text.isascii() else re.sub(r"[^\x00-\x7f]+", lambda found: _escape(found[0]), text)


def _on_one_line(text: str) -> str:
    """Each list of numbers on one line; the few different ones of a large net are laid out once."""
    known: dict[str, str] = {}

    def one_line(found: re.Match[str]) -> str:
        several = found[0]
        if several not in known:
            known[several] = f"[{' '.join(several[1:-1].split())}]"
        return known[several]

    return _NUMBERS.sub(one_line, text)


def _escape(text: str) -> str:
    """What is not printable as JSON's own escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "".join(f"\\u{unit:04x}" for unit in _utf16(c)) for c in text)


def _utf16(character: str) -> list[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]
