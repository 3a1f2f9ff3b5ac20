"""The command line: finds the command, imports it alone, and turns every error into one message."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    import typer

COMMANDS = (
    "analyze",
    "explain",
    "layers",
    "rf",
    "sizes",
    "solve",
    "conventions",
    "lint",
    "check",
    "diff",
    "verify",
    "bench",
    "convert",
    "zoo",
    "schema",
)
"""One module in ``cnncalc.commands`` for each: with a function of its name, or an ``app`` of subcommands."""

_NO_MEMORY = ("allocate memory", "out of memory", "Overflow when unpacking long")
"""PyTorch's words where it does not raise a ``MemoryError``; the last where not even the size is a number for it."""


def main() -> None:
    """Run the command line of this process and exit."""
    # The collector finds nothing to collect in a run, and on a large file it is up to 80% of the time.
    gc.disable()
    status = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # who wrote has said so already; a reader that has gone is no fault
            if stream is not None:
                stream.flush()
    # The operating system frees memory faster than the interpreter takes its objects apart: 10 ms of 100.
    os._exit(status)


def run(arguments: list[str]) -> int:
    """Run one command line; the exit status: 0 well, 1 the net fails a check, 2 bad input or usage.

    Never a traceback; with ``CNNCALC_DEBUG=1`` an internal error has one.
    """
    try:
        if arguments == ["--version"]:
            show_version(True)
        return application(arguments)(args=arguments, prog_name="cnncalc", standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2 if end.code else 0
    except CnncalcError as error:
        return complain(str(error), mark="error: ")
    except KeyboardInterrupt:
        return 130
    except RecursionError:
        return complain("error: the input is nested too deeply")
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
            return complain("error: the net needs more memory than there is")
        return complain(usage_error(error) or internal_error(error))


def application(arguments: list[str]) -> typer.Typer:
    """The app with the one command that is called; with all of them for help, completion and wrong names."""
    from importlib import import_module

    import typer

    app = typer.Typer(name="cnncalc", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.callback()
    def root(
        version: bool = typer.Option(
            False, "--version", help="Print the version.", callback=show_version, is_eager=True
        ),
    ) -> None:
        """The calculator for convolutional networks: shapes, parameters, FLOPs, receptive fields."""

    called = arguments[0] if arguments else ""
    for name in [called] if called in COMMANDS else COMMANDS:
        module = import_module(f"cnncalc.commands.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def show_version(wanted: bool) -> None:
    """Print the version and stop, where it is wanted."""
    if wanted:
        from cnncalc import __version__

        print(f"cnncalc {__version__}")
        raise SystemExit(0)


def complain(message: str, mark: str = "") -> int:
    """One message on standard error; exit status 2."""
    from cnncalc.commands import _output

    _output.complain(message, mark=mark)
    return 2


def usage_error(error: Exception) -> str:
    """What typer has to say about a wrong command line; nothing about other errors."""
    show = getattr(error, "show", None)  # its errors are Click's or its own copy of them, as its version has it
    if show is None:
        return ""
    from io import StringIO

    said = StringIO()
    show(file=said)
    return said.getvalue().rstrip()


def internal_error(error: Exception) -> str:
    """The message for an error that is cnncalc's own."""
    if os.environ.get("CNNCALC_DEBUG"):
        from traceback import format_exception

        return "".join(format_exception(error)).rstrip()
    return (
        f"internal error: {type(error).__name__}: {str(error).partition(chr(10))[0]}\n"
        "  hint: this is a fault of cnncalc, please report it; CNNCALC_DEBUG=1 shows where it happened"
    )


if __name__ == "__main__":
    main()
