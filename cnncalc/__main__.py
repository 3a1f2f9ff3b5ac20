"""The command line: finds the command, imports it alone, and turns every error into one message."""

from __future__ import annotations

import gc
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

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
        arguments = in_full(arguments)
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
        return complain(usage_error(error, (arguments or [""])[0]) or internal_error(error))


def in_full(arguments: list[str]) -> list[str]:
    """The command line with its command: a source alone is analyzed, and a net's name after ``zoo`` is shown.

    Raises:
        CnncalcError: the first word is neither a command nor a source.
    """
    first, second, *_ = [*arguments, "", ""]
    if first == "zoo" and second and not second.startswith("-") and second not in ("list", "show"):
        return ["zoo", "show", *arguments[1:]]
    if not first or first in COMMANDS or (first.startswith("-") and first != "-"):
        return arguments
    from cnncalc import sources

    if sources.is_source(first):
        return ["analyze", *arguments]
    from difflib import get_close_matches

    near = [
        f"the {what} '{found[0]}'"
        for what, names in (("command", COMMANDS), ("net", sources.zoo_names()))
        if (found := get_close_matches(first.lower(), names, 1, 0.65))
    ]
    hint = (
        f"did you mean {' or '.join(near)}?" if near else "'cnncalc --help' lists the commands, 'cnncalc zoo' the nets"
    )
    raise CnncalcError(f"'{first}' is not a command, a shipped net or a file\n  hint: {hint}")


def application(arguments: list[str]) -> typer.Typer:
    """The app with the one command that is called; with all of them for help, completion and wrong names."""
    from importlib import import_module

    import typer

    app = typer.Typer(
        name="cnncalc",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 200},
    )
    form = None
    if "--help" in arguments or "-h" in arguments:
        form = import_module("cnncalc.commands._help").Grouped

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
        subcommands = [one.callback for one in module.app.registered_commands] if hasattr(module, "app") else []
        if "_CNNCALC_COMPLETE" in os.environ:
            offer = import_module("cnncalc.commands._complete").offer
            for function in subcommands or [getattr(module, name)]:
                offer(function)
        if subcommands:
            app.add_typer(module.app, name=name)
        else:
            app.command(name, cls=form)(getattr(module, name))
    return app


def show_version(wanted: bool) -> None:
    """Print the version and stop, where it is wanted."""
    if wanted:
        from cnncalc import __version__

        print(f"cnncalc {__version__}")
        raise SystemExit(0)


def complain(message: str, mark: str = "") -> int:
    """One message on standard error; exit status 2."""
    from cnncalc.document import output

    output.complain(message, mark=mark)
    return 2


def usage_error(error: Any, called: str) -> str:
    """What is wrong with a call of the command ``called``, and how to fix it; nothing about other errors."""
    if not hasattr(error, "show"):  # its errors are Click's or typer's copy of them, as its version has it
        return ""
    from cnncalc.spec.problem import nearest

    said: str = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        return said
    said = said[0].lower() + said[1:].rstrip(".")
    near, parameter = None, getattr(error, "param", None)
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):
        said = f"there is no option '{error.option_name}'"
        near = nearest(error.option_name, [name for one in error.ctx.command.params for name in (*one.opts, "--help")])
    elif parameter is not None:
        name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.human_readable_name
        said = f"{name}: {error.message.rstrip('.')}" if error.message else f"there is no {name.rstrip('.')}"
        said = re.sub(r"not a valid int\w*( range)?$", "not a whole number", said)
        said = re.sub(r"not a valid float( range)?$", "not a number", said)
        if wrong := re.match(r".*?: '(.*?)' is not one of", said):
            near = nearest(wrong[1], re.findall(r"'([^']*)'", said[wrong.end() :]))
    elif extra := re.search(r"extra arguments?(?:\(s\))? \((.*)\)$", said):
        said = f"unexpected argument '{extra[1]}'"
    command = error.ctx.command_path if error.ctx else f"cnncalc {called}"
    near = near or f"'{command} --help' has the options"
    return f"error: {said}\n  hint: {near}"


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
