"""Layers by name, and their fields: from values to a layer, and from an error back to its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from math import isfinite, isnan
from typing import Any

import msgspec

from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.fields import choices, required_fields
from cnncalc.spec.language import META
from cnncalc.spec.problem import listed, nearest
from cnncalc.spec.reader import Entry, Node, Scalar, Sequence, Source

Values = Mapping[str | None, Any]
"""Values of fields."""


@cache
def choice_words() -> frozenset[str]:
    """All fixed choices of all layers, so that an argument may hold one."""
    return frozenset(word for layer in REGISTRY.values() for words in choices(layer).values() for word in words)


@cache
def aliases() -> dict[str, type[Layer]]:
    """All names of a layer in a spec."""
    names = dict(REGISTRY)
    for layer in REGISTRY.values():
        for alias in layer.aliases:
            names.setdefault(alias, layer)
    return names


def find_layer(name: str) -> type[Layer] | None:
    """The layer class of a name or alias."""
    return REGISTRY.get(name) or aliases().get(name)


def named_layer(name: str) -> type[Layer] | None:
    """The layer class of a name as people type it: as :func:`find_layer`, or PyTorch's class (``BatchNorm2d``)."""

    def bare(text: str) -> str:
        return text.replace("_", "").lower()

    return find_layer(name) or next((layer for one, layer in aliases().items() if bare(one) == bare(name)), None)


def field_name(source: Source, layer: type[Layer], key: Scalar) -> str:
    """The field of a written name, PyTorch's long forms included.

    Raises:
        SpecError: the layer has no such field.
    """
    name = layer.field_aliases.get(key.text, key.text)
    if name in layer.__struct_fields__:
        return name
    fields = [*layer.__struct_fields__, *META, *(["branches"] if layer.arity[1] != 1 else [])]
    hint = nearest(key.text, fields, layer.field_aliases) or f"{layer.kind} takes {listed(fields, most=20)}"
    if key.text == "<<":
        hint = "YAML 1.2 has no merge keys; use a block with arguments for what layers have in common"
    raise source.error(f"{layer.kind} has no field '{key.text}'", key, hint=hint)


def first_field(source: Source, layer: type[Layer], name: str, value: Node) -> str:
    """The field that a value without a field's name is for (``- linear: 10``).

    Raises:
        SpecError: the layer has no fields.
    """
    for field in layer.__struct_fields__:
        return field
    raise source.error(f"{name} takes no value, got {form(value)}", value)


def form(node: Node) -> str:
    """A value in a message about its form."""
    if isinstance(node, Scalar):
        return "nothing" if node.value is None else f"'{node.text}'"
    return "a list" if isinstance(node, Sequence) else "a mapping"


class Maker:
    """Makes the layers of a spec; equal ones are one object."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.made: dict[Layer, Layer] = {}

    def one(self, layer: Layer) -> Layer:
        """The object that stands for all layers equal to this one."""
        return self.made.setdefault(layer, layer)

    def make(self, layer: type[Layer], at: Node, values: Values, entries: Mapping[str | None, Entry]) -> Layer:
        """A layer from the values of its fields and the entries they came from.

        Raises:
            SpecError: a field is missing or of the wrong type or range; points at the value.
        """
        try:
            return self.one(msgspec.convert(values, layer))
        except msgspec.ValidationError as error:
            problem = str(error)
        if missing := re.search(r"missing required field `(\w+)`", problem):
            raise missing_field(self.source, layer, at, missing[1]) from None
        match = re.fullmatch(r"(.*) - at `\$\.(\w+)(.*)`", problem)
        assert match, problem
        name = match[2]
        value, (_, node) = values[name], entries[name]
        for index in map(int, re.findall(r"\[(\d+)\]", match[3])):
            if isinstance(value, tuple):
                value = value[index]
            if isinstance(node, Sequence) and index < len(node.items):
                node = node.items[index]
        words = choices(layer)[name]
        message = f"'{name}' of {layer.kind} {_expected(match[1], words)}, got {_show(value, node)}"
        raise self.source.error(message, node, hint=_hint(value, words, match[1])) from None


def missing_field(source: Source, layer: type[Layer], at: Node, name: str) -> Exception:
    """The error for a missing required field."""
    example = ", ".join(f"{field}: …" for field in required_fields(layer))
    return source.error(f"{layer.kind} needs '{name}'", at, hint=f"write '- {layer.kind}: {{{example}}}'")


_WORDS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "a word", "array": "a list",
    ">=": "of at least", "<=": "of at most", ">": "above", "<": "below",
}  # fmt: skip
"""What msgspec calls types and bounds, in plain words."""


def _expected(problem: str, words: frozenset[str]) -> str:
    """What msgspec expected, in plain words."""
    if problem.startswith(("Invalid enum value", "Expected `str`")):
        return f"must be one of {', '.join(sorted(words))}" if words else "must be a word"
    if match := re.fullmatch(r"Expected `array` of length (.)= (\d+)", problem):
        return f"must be a list of at {'least' if match[1] == '>' else 'most'} {match[2]} values"
    match = re.match(r"Expected `([^`]*)`(?: (\S+) ([^,]*))?", problem)
    if match is None:
        return f"is wrong ({problem})"
    kinds = [_WORDS.get(kind, kind) for kind in match[1].split(" | ")]
    if words and "a word" in kinds:
        kinds.remove("a word")
        kinds += [f"'{word}'" for word in sorted(words)]
    bound = f" {_WORDS[match[2]]} {match[3].removesuffix('.0')}" if match[2] in _WORDS else ""
    return f"must be {', '.join(kinds[:-1])}{' or ' if len(kinds) > 1 else ''}{kinds[-1]}{bound}"


def _show(value: Any, node: Node) -> str:
    """A value as written, and what it was computed from."""
    if isinstance(value, str):
        return f"'{value}'"
    shown = written(value)
    computed = isinstance(node, Scalar) and isinstance(node.value, str) and node.text != shown
    return f"{shown} (from '{node.text}')" if computed and isinstance(node, Scalar) else shown


def written(value: Any) -> str:
    """A value as written in a spec."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        more = [f"… ({len(value) - 10} more)"] if len(value) > 10 else []
        return f"[{', '.join([*map(written, value[:10]), *more])}]"
    text = str(value)
    return text if len(text) <= 40 or isinstance(value, str) else f"{text[:10]}… ({len(text)} digits)"


def _hint(value: Any, words: frozenset[str], problem: str) -> str | None:
    if isinstance(value, float) and not isfinite(value):
        return None if isnan(value) else "the number is too large"
    if isinstance(value, float) and not value.is_integer() and "`int" in problem:
        return "'//' divides to a whole number; round(), floor() and ceil() make one"
    return nearest(value, words) if isinstance(value, str) else None
