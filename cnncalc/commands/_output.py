"""Where results of commands that lay out their own pages go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnncalc.document import output as document_output
from cnncalc.document.output import (
    ENDINGS,
    OutputError,
    chosen_format,
    complain,
    keep_existing,
    write,
)

__all__ = ["ENDINGS", "OutputError", "chosen_format", "complain", "keep_existing", "terminal", "write", "write_grid"]


def terminal(output: str | None) -> tuple[int | None, bool]:
    """Width and colour for a result: none and no for everything but a terminal."""
    width, _, colour = document_output.screen(output)
    return width, colour


def write_grid(
    columns: Any,
    rows: Any,
    whole: Any = None,
    *,
    format: str,
    output: str | None,
    notes: Sequence[str] = (),
    drawing: Sequence[str] = (),
    drop: bool = False,
) -> None:
    """Rows of any kind in a tabular format, and what is to be said about them; ``drawing`` follows a table only.

    CSV keeps to rows: the notes go to standard error.
    """
    from cnncalc.document.blocks import Block, Document, Group, Note, Table, Verbatim

    table = Table(columns, rows, whole, drop=drop)
    blocks: list[Block] = [table] if rows or not notes else []
    blocks.append(Group([Note(note) for note in notes]))
    if drawing and format == "table":
        blocks.append(Verbatim("\n".join(drawing)))
    document_output.show(Document(None, blocks, table), format, output)
