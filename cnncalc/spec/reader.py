"""YAML text to nodes that know their line and column; plain data, nothing is executed.

Built from libyaml's events rather than its nodes: depth, aliases and duplicate keys are checked as
the text is read, without recursion. Scalars are resolved by YAML 1.2's core schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

import yaml
from msgspec import Struct

from cnncalc.spec.problem import SpecError

MAX_DEPTH = 100
MAX_ALIASED_NODES = 100_000
MAX_DIGITS = 150

Plain = str | int | float | bool | None


class Scalar(Struct, gc=False):
    """One value: resolved where it was written plain, its text where quoted. Lines and columns from 1."""

    value: Plain
    text: str
    line: int
    column: int


class Sequence(Struct, gc=False):
    """A list of nodes."""

    items: list[Node]
    line: int
    column: int


class Mapping(Struct, gc=False):
    """Key scalars and their values, in order, keys unique."""

    entries: list[tuple[Scalar, Node]]
    line: int
    column: int

    def get(self, key: str) -> Node | None:
        """The value under ``key``, if any."""
        return next((value for name, value in self.entries if name.text == key), None)


Node = Scalar | Sequence | Mapping
Entry = tuple[Scalar, Node]
"""A key of a mapping and its value."""


class Source(Struct, frozen=True):
    """A spec's text and its name in messages."""

    name: str
    text: str

    def error(
        self,
        message: str,
        at: Node | tuple[int, int] | None,
        *,
        details: list[str] | None = None,
        hint: str | None = None,
    ) -> SpecError:
        """An error that points at a node, or at a line and column."""
        line, column = (None, None) if at is None else at if isinstance(at, tuple) else (at.line, at.column)
        return SpecError(
            message, file=self.name, line=line, column=column, text=self.text, details=details or (), hint=hint
        )


_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Plain] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip


def resolve(text: str) -> Plain:
    """A plain scalar's value by the YAML 1.2 core schema (``yes``, ``on``, ``1:30`` are strings)."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= MAX_DIGITS and _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def read(source: Source) -> Node:
    """The document's root node.

    Raises:
        SpecError: not YAML, several documents, a tag, a duplicate key, too much nesting or too many aliases.
    """
    try:
        return _Composer(source).compose()
    except yaml.MarkedYAMLError as error:
        _explain(source, error)
    except (yaml.reader.ReaderError, UnicodeEncodeError) as error:
        # The reader's own position does not do: libyaml counts bytes.
        character = error.character if isinstance(error, yaml.reader.ReaderError) else error.object[error.start]
        code = character if isinstance(character, int) else ord(character)
        before = source.text.partition(chr(code))[0]
        raise source.error(
            f"character U+{code:04X} is not allowed in YAML",
            (before.count("\n") + 1, len(before) - before.rfind("\n")),
            hint="is this a binary file?" if len(before) < 8 else None,
        ) from None


def _explain(source: Source, error: yaml.MarkedYAMLError) -> NoReturn:
    """libyaml's error at its place, with a hint for the most common mistakes."""
    mark = error.problem_mark or error.context_mark
    at = None if mark is None else (mark.line + 1, mark.column + 1)
    problem = (error.problem or "cannot be read").replace("%", "")
    hint = None
    if at is not None:
        lines = source.text.splitlines()
        row = lines[at[0] - 1] if at[0] <= len(lines) else ""
        if "nesting depth" in problem:  # libyaml 0.2.6 has its own limit, and reads ahead to it
            raise _too_deep(source, (at[0], _deep_column(row, at[1]))) from None
        if "\t" in row[: len(row) - len(row.lstrip())] or row[at[1] - 1 : at[1]] == "\t":
            at = (at[0], row.index("\t") + 1)
            problem, hint = "a tab cannot indent", "use spaces"
        elif "mapping values" in problem:
            hint = "is a space missing after a ':'? A value that contains ': ' needs quotes"
        elif row[at[1] - 1 : at[1]] == "[":
            hint = "inside braces or brackets an expression with brackets needs quotes"
        elif "did not find expected" in problem or "could not find expected" in problem:
            hint = "look for a bracket, brace or quote that is not closed, a missing ':' or a wrong indent above"
    raise source.error(f"not valid YAML: {problem}", at, hint=hint) from None


_STARTS = frozenset([yaml.SequenceStartEvent, yaml.MappingStartEvent])
_ENDS = frozenset([yaml.SequenceEndEvent, yaml.MappingEndEvent])


def _too_deep(source: Source, at: tuple[int, int]) -> SpecError:
    hint = "use blocks to give structure a name"
    return source.error(f"nested deeper than {MAX_DEPTH} levels", at, hint=hint)


def _deep_column(row: str, column: int) -> int:
    """The column at which a row opens one bracket too many; ``column`` if it does not."""
    depth = 0
    for number, character in enumerate(row[:column], 1):
        depth += (character in "[{") - (character in "]}")
        if depth == MAX_DEPTH:
            return number
    return column


class _Composer:
    """Turns one document's events into nodes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.stack: list[tuple[Any, list[Node], int]] = []
        """The collections being read: the event that began each, its nodes so far (for a mapping, keys and values in
        turn), and how many nodes had been read before it.
        """
        self.anchors: dict[str, tuple[Node, int]] = {}
        """Every anchored node, with its number of nodes."""
        self.aliased = 0
        self.count = 0

    def compose(self) -> Node:
        loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
        next_event: Callable[[], Any] = loader(self.source.text).get_event
        scalar, starts, ends = yaml.ScalarEvent, _STARTS, _ENDS
        resolved: dict[str, Plain] = {}
        root: list[Node] = []
        append = root.append
        while True:
            event = next_event()
            kind = type(event)
            if kind is scalar:
                # Nine of ten events are scalars: they are handled inline, without a call.
                if event.tag is not None:
                    self.check_tag(event)
                self.count += 1
                mark, value = event.start_mark, event.value
                text = value
                if event.implicit[0]:
                    try:
                        value = resolved[text]
                    except KeyError:
                        value = resolved[text] = resolve(text)
                node = Scalar(value, text, mark.line + 1, mark.column + 1)
                if event.anchor is not None:
                    self.anchors[event.anchor] = (node, 1)
                append(node)
            elif kind in starts:
                append = self.open(event)
            elif kind in ends:
                closed = self.close()
                append = self.stack[-1][1].append if self.stack else root.append
                append(closed)
            elif kind is yaml.AliasEvent:
                append(self.alias(event))
            elif kind is yaml.DocumentStartEvent and root:
                raise self.source.error("a spec is one YAML document; here a second one begins", _at(event))
            elif kind is yaml.StreamEndEvent:
                break
        if not root or (isinstance(root[0], Scalar) and root[0].value is None):
            raise self.source.error("the file is empty", None, hint="a spec needs at least 'input:' and 'layers:'")
        return root[0]

    def open(self, event: Any) -> Callable[[Node], None]:
        """Begins a collection; returns the function that adds a node to it."""
        if event.tag is not None:
            self.check_tag(event)
        if len(self.stack) >= MAX_DEPTH:
            raise _too_deep(self.source, _at(event))
        items: list[Node] = []
        self.stack.append((event, items, self.count))
        self.count += 1
        return items.append

    def close(self) -> Node:
        """Ends and returns the innermost collection."""
        event, items, before = self.stack.pop()
        mark = event.start_mark
        node: Node
        if type(event) is yaml.SequenceStartEvent:
            node = Sequence(items, mark.line + 1, mark.column + 1)
        else:
            keys = items[::2]
            self.check_keys(keys)
            node = Mapping(list(zip(keys, items[1::2], strict=True)), mark.line + 1, mark.column + 1)  # type: ignore[arg-type]
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.count - before)
        return node

    def alias(self, event: Any) -> Node:
        name, at = event.anchor, _at(event)
        if any(begun.anchor == name for begun, _, _ in self.stack):
            raise self.source.error(f"alias '*{name}' is inside its own anchor", at)
        if name not in self.anchors:
            hint = f"write '&{name}' before the value that it repeats"
            raise self.source.error(f"alias '*{name}' has no anchor before it", at, hint=hint)
        node, size = self.anchors[name]
        self.aliased += size
        self.count += size
        if self.aliased > MAX_ALIASED_NODES:
            hint = "use blocks and repeat instead of aliases"
            raise self.source.error(f"aliases repeat more than {MAX_ALIASED_NODES:,} values", at, hint=hint)
        return node

    def check_tag(self, event: Any) -> None:
        if event.tag == "!":
            return
        hint = "write plain values; a spec is data and never runs code"
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        raise self.source.error(f"tags such as '{tag}' have no meaning in a spec", _at(event), hint=hint)

    def check_keys(self, keys: list[Node]) -> None:
        """Every key is a scalar, and no two are the same."""
        if len(keys) == 1 and type(keys[0]) is Scalar:
            return
        seen: dict[str, Scalar] = {}
        for key in keys:
            if type(key) is not Scalar:
                raise self.source.error("a key must be a plain name", key)
            if key.text in seen:
                hint = f"it is already in line {seen[key.text].line}"
                raise self.source.error(f"duplicate key '{key.text}'", key, hint=hint)
            seen[key.text] = key


def _at(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
