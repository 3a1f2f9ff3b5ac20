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
from cnncalc.text import visible, wrap

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
    if format != "table":
        from importlib import import_module

        module = import_module(f"cnncalc.document.{format}")
        text = module.table(columns, rows, whole)
        write(text if format == "csv" else text + renderer(format).notes(notes), output)
        for note in notes if format == "csv" else ():
            complain(note, mark="")
        return
    from cnncalc.document.grid import grid

    width, colour = terminal(output)
    table = grid(columns, rows, whole, width=width, colour=colour, drop=drop) if rows or not notes else []
    said = [line for note in notes for line in wrap(visible(note), width, "  ")]
    write("\n\n".join("\n".join(lines) for lines in (table, said, drawing) if lines) + "\n", output)


def renderer(format: str) -> Any:
    """The module that writes a format."""
    from importlib import import_module

    return import_module(f"cnncalc.report.{format}")
