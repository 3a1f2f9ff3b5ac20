"""Where results go: standard output or a file, in one of the formats."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cnncalc.errors import CnncalcError
from cnncalc.text import harmless, message, visible, wrap

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


def terminal(output: str | None) -> tuple[int | None, bool]:
    """Width and colour for a result: none and no for everything but a terminal."""
    if output not in (None, "-") or sys.stdout is None or not sys.stdout.isatty():
        return None, False
    from shutil import get_terminal_size

    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb" if os.name == "posix" else "") != "dumb"
    return get_terminal_size().columns, colour


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
        module = renderer(format)
        text = module.table(columns, rows, whole)
        write(text if format == "csv" else text + module.notes(notes), output)
        for note in notes if format == "csv" else ():
            complain(note, mark="")
        return
    from cnncalc.report.grid import grid

    width, colour = terminal(output)
    table = grid(columns, rows, whole, width=width, colour=colour, drop=drop) if rows or not notes else []
    said = [line for note in notes for line in wrap(visible(note), width, "  ")]
    write("\n\n".join("\n".join(lines) for lines in (table, said, drawing) if lines) + "\n", output)


def renderer(format: str) -> Any:
    """The module that writes a format."""
    from importlib import import_module

    return import_module(f"cnncalc.report.{format}")


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
        result = harmless(result, colour=terminal(output)[1])
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
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _silence(stream)
        if not isinstance(error, BrokenPipeError):  # a reader that has seen enough is no fault
            raise OutputError(f"cannot write to standard output: {error.strerror or error}") from None


def _silence(stream: Any) -> None:
    """Send what is still buffered nowhere, so that Python's own flush at the end has nothing to report."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
