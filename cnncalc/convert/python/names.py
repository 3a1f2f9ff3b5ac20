"""Names in code: valid, and not yet taken; and types of arguments."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable
from typing import Any

from cnncalc.convert.code import Verbatim
from cnncalc.convert.template import ABSENT, Classes


def identifier(name: str) -> str:
    """A name as Python takes it; empty where nothing is left of it."""
    cleaned = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if not cleaned or not cleaned.isidentifier():
        return f"_{cleaned}" if cleaned[:1].isdigit() else ""
    return f"{cleaned}_" if keyword.iskeyword(cleaned) else cleaned


def word(name: str, otherwise: str, taken: Collection[str]) -> str:
    """A name that the code may use: valid in Python, and not yet used for anything else."""
    return unique(identifier(name) or otherwise, taken)


def is_name(name: str) -> bool:
    """Whether an attribute can be written with a dot."""
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")


def camel(name: str) -> str:
    """``conv_bn`` as ``ConvBn``."""
    joined = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^a-zA-Z0-9]+", name))
    return identifier(joined) if joined[:1].isalpha() else f"Block{joined}"


def unique(name: str, taken: Collection[str]) -> str:
    """The name, with a number where it is taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def annotation(values: Iterable[Any]) -> str:
    """The type of an argument that has these values."""
    kinds = {_kind(value) for value in values if value is not ABSENT}
    if kinds == {"int", "float"}:
        return "float"
    return " | ".join(sorted(kinds, key=lambda kind: (kind == "None", "[" in kind, kind)))


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, Verbatim):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        return f"tuple[{annotation(value) if value else 'int'}, ...]"
    return "int" if isinstance(value, Classes) else type(value).__name__
