"""Where results go: standard output or a file, in one of the formats."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnncalc.errors import CnncalcError
from cnncalc.text import harmless, message

if TYPE_CHECKING:
    from cnncalc.document.blocks import Document

ENDINGS = {
    ".json": "json",
    ".csv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".txt": "table",
}
"""The formats of most commands by the ending of a file; one without an ending is for people, as a terminal is."""


class OutputError(CnncalcError):
    """A result that could not be written."""


def chosen_format(format: str | None, output: str | None, endings: Mapping[str, str] = ENDINGS) -> str:
    """The format asked for, else the one that the file's ending tells, else that of a ``.txt``.

    Args:
        format: the option.
        output: the file.
        endings: those that the command knows, each with its format.

    Raises:
        CnncalcError: the ending is that of no format.
    """
    ending = os.path.splitext(output or "")[1].lower()
    kind = format or endings.get(ending or ".txt")
    if kind is None:
        *known, last = endings
        raise CnncalcError(
            f"--output {output}: '{ending}' is the ending of no format\n"
            f"  hint: it can be {', '.join(known)} or {last}; with --format the name may be any"
        )
    return kind


def screen(output: str | None) -> tuple[int | None, int | None, bool]:
    """Width, height and colour for a result: none, none and no for everything but a terminal."""
    if output not in (None, "-") or sys.stdout is None or not sys.stdout.isatty():
        return None, None, False
    from shutil import get_terminal_size

    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb" if os.name == "posix" else "") != "dumb"
    size = get_terminal_size()
    return size.columns, size.lines, colour


def show(document: Document, format: str, output: str | None, *, fold: bool = True) -> int:
    """Write a document in a format to standard output or a file; the exit status.

    Args:
        document: what to show.
        format: ``table``, ``json``, ``csv``, ``markdown``, ``html`` or one of the document's own texts.
        output: the file; ``None`` or ``-`` for standard output.
        fold: whether trees are folded into the height of a terminal.

    Raises:
        OutputError: it could not be written.
    """
    said: list[str] = []
    if format in document.texts:
        write(document.texts[format](), output, annotations=format == "github")
    elif format == "json":
        from cnncalc.document import json

        write(json.render(document.answer) + "\n", output)
    elif format == "csv":
        from cnncalc.document import csv
        from cnncalc.document.blocks import Note, Table, flat

        blocks = flat(document.blocks, folds=True)
        rows = document.rows or next(block for block in blocks if isinstance(block, Table))
        rows = rows if isinstance(rows, Table) else rows()
        write(csv.table(rows.columns, rows.rows, rows.whole), output)
        said = [block.said for block in blocks if isinstance(block, Note)]
    elif format == "table":
        from cnncalc.document.terminal import render

        width, height, colour = screen(output)
        page = render(document, width=width, height=height if fold else None, colour=colour, tree=width is not None)
        write(page, output)
    else:
        write(import_module(f"cnncalc.document.{format}").render(document), output)
    for text in said:
        complain(text, mark="")
    for text in document.complaints if format != "github" else ():
        complain(text)
    return document.status


def complain(text: str, *, mark: str = "error: ") -> None:
    """One message on standard error; the command goes on. ``mark`` stands before one that has no mark of its own."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(message(text, mark), file=sys.stderr, flush=True)


def write(result: str | bytes, output: str | None, *, annotations: bool = False) -> None:
    """A result to standard output, or to the file ``output``: all of it or nothing.

    Text is made harmless here, whoever wrote it; ``annotations``: its lines are commands to a workflow's runner, each
    harmless by itself.

    Raises:
        OutputError: it could not be written.
    """
    if isinstance(result, str) and not annotations:
        result = harmless(result, colour=screen(output)[2])
    if output is None or output == "-":
        assert isinstance(result, str)
        _to_stdout(result)
        return
    data = result.encode() if isinstance(result, str) else result
    try:
        mode = _mode(output)
        if mode is None or stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            _replace(os.path.realpath(output), data, mode)
        else:
            with open(output, "wb") as device:  # a terminal, a pipe: nothing to replace
                device.write(data)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from None


def keep_existing(output: str | None, force: bool) -> None:
    """Where a file is to be written that someone may have changed by hand: what is there is kept.

    Raises:
        OutputError: there is a file of that name, and ``force`` does not say to replace it.
    """
    if not force and output not in (None, "-") and os.path.isfile(output or ""):
        raise OutputError(f"{output} is there already\n  hint: --force replaces it")


def _mode(path: str) -> int | None:
    """The mode of what is at ``path``, or where its links lead; ``None`` where nothing is there yet."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _replace(path: str, data: bytes, mode: int | None) -> None:
    """Write a new file beside ``path`` and put it in its place; what was there stays whole until then."""
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(21, "it is a folder")
    fresh = os.path.join(os.path.dirname(path), f".{os.path.basename(path)[:200]}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        if mode is not None:
            os.chmod(fresh, stat.S_IMODE(mode))
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def _to_stdout(text: str) -> None:
    stream = sys.stdout
    if stream is None:
        raise OutputError("cannot write to standard output: it is closed")
    reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        # A terminal has its own encoding, a pipe or a file gets UTF-8 as --output does.
        reconfigure(**({"errors": "replace"} if stream.isatty() else {"encoding": "utf-8"}))
    if not _takes_marks(stream):
        text = text.translate(_ASCII)
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _silence(stream)
        if not isinstance(error, BrokenPipeError):  # a reader that has seen enough is no fault
            raise OutputError(f"cannot write to standard output: {error.strerror or error}") from None


_ASCII = str.maketrans(
    {
        "─": "-", "│": "|", "×": "x", "·": "*", "–": "-", "−": "-", "→": ">", "…": "~", "✓": "+", "✗": "x", "≥": ">=",
        "≤": "<=", "≠": "!=", "±": "+-", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "µ": "u", "²": "^2",
        "³": "^3", "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": "", "▎": "", "▏": "", "∞": "inf",
    }
)  # fmt: skip
"""Plain forms of the marks, for a terminal whose encoding has none of them."""


def _takes_marks(stream: Any) -> bool:
    """Whether a stream's encoding has the marks that results are written with."""
    try:
        "─✓█".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _silence(stream: Any) -> None:
    """Send what is still buffered nowhere, so that Python's own flush at the end has nothing to report."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
