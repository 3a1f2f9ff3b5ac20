"""What every answer has: its JSON, who made it, and the net that it is about.

An answer is a structure that *is* the JSON of a command, field for field. How it is shown it does not know: ``print``
and a notebook find its page in ``cnncalc.report`` by the name of its class.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from cnncalc import __version__

if TYPE_CHECKING:
    from cnncalc.graph import Graph

SCHEMA_VERSION = 1
Shape = tuple[int, ...]


class Generator(Struct, frozen=True):
    """What wrote the report."""

    name: str
    version: str


GENERATOR = Generator("cnncalc", __version__)


class Model(Struct, frozen=True):
    """What was analysed."""

    name: str
    source: str
    args: dict[str, Any]
    inputs: dict[str, Shape]
    batch: int
    outputs: dict[str, Shape]
    citation: str = ""


def model(graph: Graph, batch: int = 1) -> Model:
    """The net of an answer."""
    return Model(
        name=graph.name,
        source=graph.source,
        args=graph.args,
        inputs=graph.inputs,
        batch=batch,
        outputs={name: graph.shape(ref) for name, ref in graph.outputs},
        citation=graph.citation,
    )


class Shown(Struct, frozen=True):
    """What a command shows; ``print`` it, or take its JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain dicts, lists, strings and numbers (the JSON of schema version 1)."""
        result: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return result

    def to_json(self, *, indent: int = 2) -> str:
        """The answer as JSON text."""
        text: str = import_module("cnncalc.document.json").render(self, indent=indent)
        return text

    def to_markdown(self) -> str:
        """The answer as GitHub's Markdown."""
        text: str = import_module("cnncalc.document.markdown").render(_page(self))
        return text

    def __str__(self) -> str:
        return _text(self, colour=False)

    def __rich__(self) -> Any:
        """The page, for ``rich.print`` and rich-enabled prompts."""
        from rich.text import Text

        return Text.from_ansi(_text(self, colour=True))

    def _repr_html_(self) -> str:
        """The page, for a notebook."""
        text: str = import_module("cnncalc.document.html").part(_page(self), height=LINES)
        return text


class Answer(Shown, frozen=True):
    """The whole answer of a command, by whom and in which version."""

    schema_version: int = field(default_factory=lambda: SCHEMA_VERSION)
    generator: Generator = field(default_factory=lambda: GENERATOR)


WIDTH, LINES = 120, 40
"""Size of a printed page where no terminal gives another: trees are folded into it."""


def _page(answer: Shown) -> Any:
    return import_module("cnncalc.report").document(answer)


def _text(answer: Shown, *, colour: bool) -> str:
    from shutil import get_terminal_size

    terminal, size = import_module("cnncalc.document.terminal"), get_terminal_size((WIDTH, LINES))
    text: str = terminal.render(_page(answer), width=size.columns, height=size.lines, colour=colour, tree=True)
    return text.rstrip("\n")
