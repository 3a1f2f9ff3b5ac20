"""Any of the reports as JSON text."""

from __future__ import annotations

import re
from typing import Any

import msgspec

# A line end inside the brackets: never part of a string, where JSON writes it \n.
_NUMBERS = re.compile(r"\[\n[-+0-9.eEnul,\s]+\]")


def render(report: msgspec.Struct, *, indent: int = 2) -> str:
    """``report`` as JSON: lists of numbers, and each layer or other row, on a line of their own.

    Characters that a terminal would obey are escaped. An argument that is a name of the spec language
    is written as its text.
    """
    try:
        text = _laid_out(report, indent) if indent > 0 else _format(report, indent)
    except UnicodeEncodeError:  # a lone surrogate, from a file name that is no UTF-8
        from json import dumps

        text = dumps(msgspec.to_builtins(report, enc_hook=str), indent=indent if indent >= 0 else None)
    return re.sub(r"[^\n -~]+", lambda found: _escape(found[0]), text)


def _format(value: Any, indent: int) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=indent).decode()


def _laid_out(report: msgspec.Struct, indent: int) -> str:
    """The keys of the report one below the other; of rows there can be 100,000, so they are split, not parsed."""
    margin = " " * indent
    parts = []
    for name in report.__struct_fields__:
        value = getattr(report, name)
        if value is msgspec.UNSET:
            continue
        if isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            between = f'}}, {{"{value[0].__struct_fields__[0]}": '  # inside a string the quote would be escaped
            rows = _format(value, 0)[1:-1].replace(between, f"}},\n{margin * 2}{between[3:]}")
            shown = f"[\n{margin * 2}{rows}\n{margin}]"
        else:
            shown = _NUMBERS.sub(lambda found: f"[{' '.join(found[0][1:-1].split())}]", _format(value, indent))
            shown = shown.replace("\n", f"\n{margin}")
        parts.append(f'{margin}"{name}": {shown}')
    return "{\n" + ",\n".join(parts) + "\n}"


def _escape(text: str) -> str:
    """What is not printable as JSON's own escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "".join(f"\\u{unit:04x}" for unit in _utf16(c)) for c in text)


def _utf16(character: str) -> list[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]
