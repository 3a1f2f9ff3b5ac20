"""Spec data to YAML text in the style of the shipped specs: layers in braces on a line of their own, as few quotes
as YAML allows, and no line beyond the limit if possible.
"""

from __future__ import annotations

import re
from typing import Any

from cnncalc.spec.reader import resolve

WIDTH = 120

Data = Any
"""Mappings, lists, numbers and texts; :class:`Text` for what is an expression or word rather than a string."""


class Text(str):
    """A plain scalar: an expression, a layer's name or a choice, read as what it looks like."""

    __slots__ = ()


_PLAIN = re.compile(r"[A-Za-z0-9_./+(~\u00a1-\ud7ff\u4e00-\u9fff-][^\x00-\x1f\x7f-\xa0\ufeff\u2028\u2029]*")
_FLOW = re.compile(r"[\[\]{},]")


def scalar(value: Data, *, flow: bool = True) -> str:
    """One value as it is written."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    text = str(value)
    if not (isinstance(value, Text) or isinstance(resolve(text), str)):
        return quoted(text)
    return text if _is_plain(text, flow) else quoted(text)


def number(value: float) -> str:
    """A float in its shortest form that reads back as a float: ``1e-5`` rather than ``1e-05``."""
    text = re.sub(r"e([-+])0+(?=\d)", r"e\1", repr(value)).replace("e+", "e")
    return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(text, text)


def _is_plain(text: str, flow: bool) -> bool:
    return (
        _PLAIN.fullmatch(text) is not None
        and text.isprintable()
        and "##" not in text
        and text == text.strip()
        and ": " not in text
        and " #" not in text
        and not text.endswith(":")
        and not re.match(r"-( |$)|---|\.\.\.|-[\[{]", text)
        and not (flow and (_FLOW.search(text) or re.search(r":(?=[\[\]{},]|$)", text)))
        and "://" not in text
    )


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(text: str) -> str:
    """A text in double quotes."""

    def escape(character: str) -> str:
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isprintable() or character == " ":
            return character
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return '"' + "".join(map(escape, text)) + '"'


def inline(data: Data) -> str:
    """Data in flow style, on one line."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{scalar(key)}: {inline(value)}" for key, value in data.items()) + "}"
    if isinstance(data, (list, tuple)):
        return "[" + ", ".join(map(inline, data)) + "]"
    return scalar(data)


BLOCKS = ("layers", "body", "shortcut", "then", "else", "branches")
"""Keys whose lists stand one item per line, unless they are short."""


def lines(data: Data, indent: int = 0) -> list[str]:
    """A mapping or list in block style."""
    pad = " " * indent
    written: list[str] = []
    if isinstance(data, dict):
        for key, value in data.items():
            written += entry(scalar(key, flow=False), value, indent)
        return written
    for item in data:
        inner = item_lines(item, indent + 2)
        written.append(f"{pad}- {inner[0][indent + 2 :]}")
        written += inner[1:]
    return written


def entry(key: str, value: Data, indent: int) -> list[str]:
    """One key with its value, on one line where it is short."""
    pad = " " * indent
    if isinstance(value, (dict, list, tuple)):
        if not value:
            return [f"{pad}{key}: {inline(value)}"]
        line = f"{pad}{key}: {inline(value)}"
        if len(line) <= WIDTH and not (key in BLOCKS or holds_layers(value)):
            return [line]
        if isinstance(value, (list, tuple)) and not holds_layers(value) and key not in BLOCKS:
            return [f"{pad}{key}:", *filled(value, indent + 2)]
        return [f"{pad}{key}:", *lines(value, indent + 2)]
    return [f"{pad}{key}: {scalar(value, flow=False)}"]


def filled(values: Any, indent: int) -> list[str]:
    """A long list of short values in brackets, wrapped."""
    pad = " " * indent
    rows, row = [], pad + "["
    for number, value in enumerate(values):
        text = inline(value) + ("]" if number == len(values) - 1 else ",")
        if len(row) + 1 + len(text) > WIDTH and row.strip() != "[":
            rows.append(row)
            row = pad + " " + text
        else:
            row += ("" if row.endswith("[") else " ") + text
    return [*rows, row]


def wrapped(head: str, value: dict[str, Data]) -> list[str]:
    """A long mapping in braces over several lines."""
    rows, row = [], f"{head}{{"
    pad = " " * len(row)
    last = len(value) - 1
    for number, (key, part) in enumerate(value.items()):
        text = f"{scalar(key)}: {inline(part)}{'}' if number == last else ','}"
        if len(row) + len(text) + 1 > WIDTH and row.strip() and not row.endswith("{"):
            rows.append(row)
            row = pad + text
        else:
            row += text if row.endswith("{") else f" {text}"
    return [*rows, row]


def holds_layers(data: Data) -> bool:
    """Whether a value holds lists of layers somewhere."""
    if isinstance(data, dict):
        return any(key in BLOCKS or holds_layers(value) for key, value in data.items())
    return isinstance(data, (list, tuple)) and any(isinstance(value, (dict, list)) for value in data)


def item_lines(item: Data, indent: int) -> list[str]:
    """One layer, structure or branch, without the dash before it."""
    pad = " " * indent
    if isinstance(item, dict) and len(item) == 1:
        (key, value), *_ = item.items()
        if not holds_layers(value) or short_repeat(key, value):
            line = f"{pad}{key}: {inline(value)}"
            if len(line) <= WIDTH or not isinstance(value, dict):
                return [line]
            if not holds_layers(value):
                return wrapped(f"{pad}{key}: ", value)
        inner = lines(value, indent + 2)
        return [f"{pad}{key}:", *inner]
    if isinstance(item, (dict, list)) and item:
        return lines(item, indent)
    return [pad + inline(item)]


def short_repeat(key: str, value: Data) -> bool:
    """Whether a repeat has a single layer, so that it can stand on one line."""
    return key == "repeat" and len(value["layers"]) == 1 and not holds_layers(_only(value["layers"][0]))


def _only(item: Data) -> Data:
    return next(iter(item.values())) if isinstance(item, dict) and len(item) == 1 else item
