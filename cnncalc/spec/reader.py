"""YAML text to nodes that know their line and column; plain data, nothing executed.

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
    quoted: bool = False


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


class Source(Struct, frozen=True):
    """A spec's text and the name it goes by in messages."""

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
        SpecError: not YAML, several documents, a tag, a duplicate key, nesting or aliases beyond reason.
    """
    try:
        return _Composer(source).compose()
    except yaml.MarkedYAMLError as error:
        _explain(source, error)
    except yaml.reader.ReaderError as error:
        before = source.text[: error.position]
        raise source.error(
            f"character {_shown(error.character)} is not allowed in YAML",
            (before.count("\n") + 1, len(before) - before.rfind("\n")),
            hint="is this a binary file?" if error.position < 8 else None,
        ) from None


def _shown(character: int | str | bytes) -> str:
    code = character if isinstance(character, int) else ord(character)
    return f"U+{code:04X}"


def _explain(source: Source, error: yaml.MarkedYAMLError) -> NoReturn:
    """libyaml's complaint at its place, with a hint for the commonest mistakes."""
    mark = error.problem_mark or error.context_mark
    at = None if mark is None else (mark.line + 1, mark.column + 1)
    problem = (error.problem or "cannot be read").replace("%", "")
    hint = None
    if at is not None:
        lines = source.text.splitlines()
        row = lines[at[0] - 1] if at[0] <= len(lines) else ""
        if "\t" in row[: at[1]]:
            at = (at[0], row.index("\t") + 1)
            problem, hint = "a tab cannot indent", "use spaces"
        elif "mapping values" in problem:
            hint = "is a space missing after a ':'? A value that holds ': ' stands in quotes"
        elif "did not find expected" in problem or "could not find expected" in problem:
            hint = "look for a bracket, brace or quote that is not closed, a missing ':' or a wrong indent above"
    raise source.error(f"not valid YAML: {problem}", at, hint=hint) from None


class _Composer:
    """Turns one document's events into nodes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.stack: list[tuple[Sequence | Mapping, str | None, int]] = []
        """The open collections, each with its anchor and the count of nodes when it was opened."""
        self.keys: list[Scalar | None] = []
        """For each open collection the key that waits for its value."""
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.aliased = 0
        self.count = 0
        self.documents = 0

    def compose(self) -> Node:
        loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
        handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.SequenceStartEvent: self.open,
            yaml.MappingStartEvent: self.open,
            yaml.SequenceEndEvent: self.close,
            yaml.MappingEndEvent: self.close,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.document,
        }
        for event in yaml.parse(self.source.text, Loader=loader):
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
        if self.root is None or (isinstance(self.root, Scalar) and self.root.value is None):
            raise self.source.error("the file is empty", None, hint="a spec needs at least 'input:' and 'layers:'")
        return self.root

    def add(self, node: Node) -> None:
        """Puts a finished node into the innermost open collection."""
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1][0]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif (key := self.keys[-1]) is not None:
            parent.entries.append((key, node))
            self.keys[-1] = None
        elif isinstance(node, Scalar):
            self.keys[-1] = node
        else:
            raise self.source.error("a key must be a plain name", node)

    def scalar(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            self.refuse_tag(event)
        self.count += 1
        mark, text = event.start_mark, event.value
        value = resolve(text) if event.implicit[0] else text
        node = Scalar(value, text, mark.line + 1, mark.column + 1, event.style in ("'", '"'))
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, 1)
        self.add(node)

    def open(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            self.refuse_tag(event)
        at = _at(event)
        if len(self.stack) >= MAX_DEPTH:
            hint = "use blocks to give structure a name"
            raise self.source.error(f"nested deeper than {MAX_DEPTH} levels", at, hint=hint)
        if self.stack and type(self.stack[-1][0]) is Mapping and self.keys[-1] is None:
            raise self.source.error("a key must be a plain name", at)
        kind = Sequence if type(event) is yaml.SequenceStartEvent else Mapping
        self.stack.append((kind([], *at), event.anchor, self.count))
        self.keys.append(None)
        self.count += 1

    def close(self, event: Any) -> None:
        node, anchor, before = self.stack.pop()
        self.keys.pop()
        if type(node) is Mapping and len(node.entries) > 1:
            self.check_unique(node)
        if anchor is not None:
            self.anchors[anchor] = (node, self.count - before)
        self.add(node)

    def alias(self, event: Any) -> None:
        name, at = event.anchor, _at(event)
        if any(anchor == name for _, anchor, _ in self.stack):
            raise self.source.error(f"alias '*{name}' stands inside its own anchor", at)
        if name not in self.anchors:
            hint = f"write '&{name}' in front of the value it repeats"
            raise self.source.error(f"alias '*{name}' has no anchor before it", at, hint=hint)
        node, size = self.anchors[name]
        self.aliased += size
        self.count += size
        if self.aliased > MAX_ALIASED_NODES:
            hint = "use blocks and repeat instead of aliases"
            raise self.source.error(f"aliases repeat more than {MAX_ALIASED_NODES:,} values", at, hint=hint)
        self.add(node)

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.source.error("a spec is one YAML document; here a second one begins", _at(event))

    def refuse_tag(self, event: Any) -> NoReturn:
        hint = "write plain values; a spec is data and never runs code"
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        raise self.source.error(f"tags such as '{tag}' have no meaning in a spec", _at(event), hint=hint)

    def check_unique(self, node: Mapping) -> None:
        seen: dict[str, Scalar] = {}
        for key, _ in node.entries:
            if key.text in seen:
                hint = f"it stands already in line {seen[key.text].line}"
                raise self.source.error(f"duplicate key '{key.text}'", key, hint=hint)
            seen[key.text] = key


def _at(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
