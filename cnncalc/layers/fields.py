"""The fields of a layer, in one place: their order, defaults, types and words, all read off its class."""

from __future__ import annotations

import typing
from functools import cache
from typing import Any

from msgspec import NODEFAULT

from cnncalc.layers.base import Layer

REQUIRED = NODEFAULT
"""The default of a field that has none."""


@cache
def defaults_of(layer: type[Layer]) -> dict[str, Any]:
    """Every field, in order, with its default; :data:`REQUIRED` where it has none."""
    names, given = layer.__struct_fields__, layer.__struct_defaults__
    return dict(zip(names, (REQUIRED,) * (len(names) - len(given)) + given, strict=True))


def required_fields(layer: type[Layer]) -> list[str]:
    """The fields without a default, in order."""
    return [name for name, default in defaults_of(layer).items() if default is REQUIRED]


def settings_of(layer: Layer) -> dict[str, Any]:
    """The fields that differ from their defaults, in order, with their values."""
    given = ((name, getattr(layer, name), default) for name, default in defaults_of(type(layer)).items())
    return {name: value for name, value, default in given if value != default}


@cache
def types_of(layer: type[Layer]) -> dict[str, Any]:
    """Every field, in order, with its declared type."""
    hints = typing.get_type_hints(layer, include_extras=True)
    return {name: hints[name] for name in layer.__struct_fields__}


@cache
def choices(layer: type[Layer]) -> dict[str, frozenset[str]]:
    """The words that each field takes (``padding``: ``same``, ``valid``); most take none."""
    return {name: frozenset(_words(hint)) for name, hint in types_of(layer).items()}


def _words(hint: Any) -> list[str]:
    if typing.get_origin(hint) is typing.Literal:
        return [value for value in typing.get_args(hint) if isinstance(value, str)]
    return [value for part in typing.get_args(hint) for value in _words(part)]
