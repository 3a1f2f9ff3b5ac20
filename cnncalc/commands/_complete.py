"""What a shell offers for an argument or the value of an option; imported only when a shell asks."""

from collections.abc import Callable, Iterable
from glob import glob
from importlib import import_module
from inspect import signature
from itertools import chain
from os import environ, sep
from os.path import isdir, isfile
from typing import Any

from typer import Context

from cnncalc.errors import CnncalcError

Offers = Callable[[Context, str], list[str]]


def offer(function: Callable[..., Any]) -> None:
    """Give each argument and option of a command what a shell offers for it, by its name."""
    for name, parameter in signature(function).parameters.items():
        offers = BY_NAME.get(f"{function.__name__} {name}") or BY_NAME.get(name)
        for declared in getattr(parameter.annotation, "__metadata__", ()):
            declared.autocompletion = offers


def nets(context: Context, incomplete: str) -> list[str]:
    """Shipped nets, specs and folders."""
    from cnncalc.sources import zoo_names

    found = glob(f"{incomplete}*")
    files = [one for one in found if one.endswith((".yaml", ".yml"))] + [one + sep for one in found if isdir(one)]
    return [*_beginning(zoo_names(), incomplete), *sorted(files)]


def paths(context: Context, incomplete: str) -> list[str]:
    """Layers and blocks of the named net, one level of the tree at a time."""
    from cnncalc import sources

    variant, settings = context.params.get("variant"), context.params.get("set")
    source = context.params.get("source") or next((one for one in _words() if one != variant and _is_net(one)), "")
    try:
        if sources.is_torch(source):  # importing PyTorch takes seconds
            return []
        graph = sources.load(source, variant=variant, args=settings or ())
    except CnncalcError:
        return []
    found = [node.path for node in graph.nodes if node.path.startswith(incomplete)]
    ends = [path.find(".", len(incomplete)) for path in found]
    levels = [path if end < 0 else path[:end] for path, end in zip(found, ends, strict=True)]
    return [*dict.fromkeys(levels)]


def _words() -> list[str]:
    """The words of the line so far, as the shell gives them; its parser stops at an option without its value."""
    return (environ.get("COMP_WORDS") or environ.get("_TYPER_COMPLETE_ARGS") or "").split()[2:]


def _is_net(word: str) -> bool:
    from cnncalc.sources import find_shipped

    return isfile(word) or (sep not in word and find_shipped(word) is not None)


def columns(context: Context, incomplete: str) -> list[str]:
    """Columns of the command."""
    if context.info_name in TABLES:
        module, table = TABLES[context.info_name]
        found = [column.name for column in getattr(import_module(f"cnncalc.report.{module}"), table)]
        return _beginning(found, incomplete, several=True)
    from cnncalc.analysis.sections import SECTIONS
    from cnncalc.report.columns import COLUMNS

    return _beginning(chain(COLUMNS, *SECTIONS.values()), incomplete, several=True)


def names(module: str, table: str, *more: str, several: bool = False) -> Offers:
    """The names in a table of a module, or that a function of it gives; ``several`` may follow each other."""

    def offers(context: Context, incomplete: str) -> list[str]:
        found = getattr(import_module(f"cnncalc.{module}"), table)
        return _beginning([*(found() if callable(found) else found), *more], incomplete, several=several)

    return offers


def _beginning(names: Iterable[str], incomplete: str, *, several: bool = False) -> list[str]:
    """The names that go on so; of ``several``, which commas separate, the last one."""
    before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
    return sorted(before + comma + name for name in names if name.startswith(last))


TABLES: dict[str | None, tuple[str, str]] = {
    "bench": ("bench", "EVERY_COLUMN"),
    "conventions": ("conventions", "LAYER_COLUMNS"),
    "diff": ("diff", "LAYER_COLUMNS"),
    "list": ("zoo", "COLUMNS"),
    "rf": ("rf", "COLUMNS"),
}
"""The columns of a command's table: where they are, if they are not those of ``analyze``."""
_KINDS = names("layers", "REGISTRY")
_TOOLS = names("analysis.conventions", "CONVENTIONS")
_RULES = names("analysis.lint", "RULES", several=True)
BY_NAME: dict[str, Offers] = {
    **dict.fromkeys(("source", "sources", "show name"), nets),
    **dict.fromkeys(("layer", "layers", "from_", "what"), paths),
    **dict.fromkeys(("solve layer", "layers name"), _KINDS),
    **dict.fromkeys(("columns", "sort"), columns),
    "analyze show": names("analysis.sections", "SECTIONS", "all", several=True),
    "machine": names("machines", "names"),
    **dict.fromkeys(("tool", "convention"), _TOOLS),
    **dict.fromkeys(("select", "ignore", "lint explain"), _RULES),
}
"""By the name of a parameter, or by command and parameter."""
