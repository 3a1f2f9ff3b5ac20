"""The blocks that a document is made of: what is said, not how it looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from cnncalc.document.column import Column

Tone = Literal["", "bold", "dim", "green", "yellow", "red"]
Mark = Literal["", "note", "warning", "error"]
Place = tuple[str, int, int]
"""File, line and column (from 1); a line of 0 is the file as a whole."""


class Heading(Struct, frozen=True):
    """The title of what follows. ``level`` 1 is the document's own."""

    text: str
    level: int = 2


class Text(Struct, frozen=True):
    """A paragraph. ``strong`` is a part of it that stands out, ``lead`` stands before its first line; lines after the
    first are indented by ``lead``'s width and ``indent``.
    """

    text: str
    tone: Tone = ""
    strong: str = ""
    lead: str = ""
    indent: str = ""

    @property
    def said(self) -> str:
        """The text behind its lead."""
        return f"{self.lead.strip()} {self.text}".strip()


class Note(Struct, frozen=True):
    """A sentence that every format must say: a diagnostic, a verdict. CSV, which keeps to rows, says it on standard
    error. ``tone`` colours a sentence that has no mark.
    """

    text: str
    mark: Mark = ""
    tone: Tone = ""

    @property
    def said(self) -> str:
        """The text behind its mark."""
        return f"{self.mark}: {self.text}" if self.mark else self.text


class Fact(NamedTuple):
    """A name, its value, and what else is to be said of it."""

    name: str
    value: str
    remark: str = ""


class Facts(Struct, frozen=True):
    """Names and values, aligned below a title; ``strong``: the values stand out."""

    facts: Sequence[Fact]
    title: str = ""
    strong: bool = False


class Equation(NamedTuple):
    """What stands on the left and, step by step, what it equals; ``latex`` is the same for Markdown. A ``title`` stands
    before it, a ``remark`` after it.
    """

    title: str
    steps: Sequence[str]
    remark: str = ""
    latex: Sequence[str] = ()


class Equations(Struct, frozen=True):
    """Equations with their titles, aligned; a long one takes several lines, broken at its signs."""

    equations: Sequence[Equation]


class Branch(NamedTuple):
    """One line of a table whose rows are a tree: how deep it stands, its own name, its row, and whether it is a block
    whose parts follow.
    """

    level: int
    name: str
    row: Any
    open: bool = False


class Table(Struct, frozen=True):
    """Rows of any kind.

    ``whole`` is passed to the columns with each row. ``drop``: columns of low priority may be left out on a narrow
    terminal. ``tree`` gives the rows as a tree down to a level, ``levels`` is its deepest: a terminal shows as many
    levels as fit its height, or exactly ``depth`` where that is given; every other format shows ``rows``. ``folded``
    is said where levels are left out, with ``{depth}`` for the next one.
    """

    columns: Sequence[Column]
    rows: Sequence[Any]
    whole: Any = None
    drop: bool = True
    tree: Callable[[int], Sequence[Branch]] | None = None
    levels: int = 1
    depth: int | None = None
    folded: str = ""


class Bar(NamedTuple):
    """One row of bars: a name, and for each head what is written and its share of the longest bar (0 to 1)."""

    name: str
    parts: Sequence[tuple[str, float]]


class Bars(Struct, frozen=True):
    """Bars under heads, one group of them for each name."""

    title: str
    heads: Sequence[str]
    bars: Sequence[Bar]


class Verbatim(Struct, frozen=True):
    """Lines that are laid out already, such as an error with its caret; ``language`` is that of code."""

    text: str
    language: str = ""


class Picture(Struct, frozen=True):
    """A picture of characters: ``draw`` gives its lines for a width (``None``: any) and with colours or without."""

    draw: Callable[[int | None, bool], Sequence[str]]


class Finding(NamedTuple):
    """One thing found: how grave it is, what, and at which place of a file. ``code`` is the rule's, ``name`` its name;
    ``subject`` is what it is about, the first one where several (``times``) are shown as one.
    """

    mark: Literal["note", "warning", "error"]
    code: str
    text: str
    subject: str = ""
    name: str = ""
    place: Place | None = None
    times: int = 1

    @property
    def title(self) -> str:
        """Code and name."""
        return f"{self.code} {self.name}".rstrip()

    @property
    def about(self) -> str:
        """The subject, and how many more there are."""
        return f"{self.subject} and {self.times - 1} more" if self.times > 1 else self.subject

    @property
    def message(self) -> str:
        """What it is about, and the text."""
        return f"{self.about}: {self.text}" if self.subject else self.text

    @property
    def where(self) -> str:
        """``file:line:column``, as far as it is known."""
        file, line, column = self.place or ("", 0, 0)
        return f"{file}:{line}:{column}" if line else file


class Findings(Struct, frozen=True):
    """What was found, as compilers print it: a line each on a terminal, elsewhere a table."""

    findings: Sequence[Finding]


FINDING_COLUMNS = (
    Column("severity", at="mark"),
    Column("rule", at="title"),
    Column("count", at="times", right=True),
    Column("layer", at="about"),
    Column("where"),
    Column("message", at="text"),
)
"""The columns of the table of findings."""


class Group(Struct, frozen=True):
    """Blocks without space between."""

    blocks: Sequence[Block]


class Fold(Struct, frozen=True):
    """Blocks below a title, folded away at first where a format can do that.

    ``closed``: a terminal too low for the whole page leaves them out and says this, once, in their place.
    """

    title: str
    blocks: Sequence[Block]
    closed: str = ""


Block = Heading | Text | Note | Facts | Equations | Table | Bars | Verbatim | Picture | Findings | Group | Fold


class Document(Struct, frozen=True):
    """All that a command says.

    ``answer`` is the JSON, ``rows`` is what CSV has: by default the first table of the blocks, or a function that makes
    it when it is asked for. ``status`` is the exit status. ``texts`` makes the texts of formats that only this command
    has, such as ``github``; ``complaints`` are errors that did not end the command: they go to standard error, but for
    annotations, which say them.
    """

    answer: Any
    blocks: Sequence[Block]
    rows: Table | Callable[[], Table] | None = None
    status: int = 0
    texts: dict[str, Callable[[], str]] = {}
    complaints: Sequence[str] = ()


def flat(blocks: Sequence[Block], *, folds: bool = False) -> list[Block]:
    """The blocks with those of groups in their place, and with ``folds`` those of folds too."""
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Group) or (folds and isinstance(block, Fold)):
            found += flat(block.blocks, folds=folds)
        else:
            found.append(block)
    return found


def folded(table: Table, room: int | None) -> tuple[Sequence[Branch], str]:
    """As many levels of a tree as have room, at least the first; and what is said of those left out."""
    assert table.tree is not None
    depth = table.depth or (table.levels if room is None else 1)
    rows = table.tree(depth)
    while table.depth is None and room is not None and depth < table.levels:
        more = table.tree(depth + 1)
        if len(more) > room:
            break
        depth, rows = depth + 1, more
    return rows, "" if depth >= table.levels else table.folded.format(depth=depth + 1)
