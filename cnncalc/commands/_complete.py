"""What a shell offers for an argument or the value of an option; imported only when a shell asks."""

from collections.abc import Callable, Iterable
from glob import glob
from inspect import signature
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


def kinds(context: Context, incomplete: str) -> list[str]:
    """Layers of the spec language."""
    from cnncalc.layers import REGISTRY

    return _beginning(REGISTRY, incomplete)


def columns(context: Context, incomplete: str) -> list[str]:
    """Columns of the command."""
    from importlib import import_module

    command = context.info_name
    if command in TABLES:
        module, name = TABLES[command]
        table = getattr(import_module(f"cnncalc.report.{module}"), name)
        return _listed([column.name for column in table], incomplete)
    from cnncalc.analysis.sections import SECTIONS
    from cnncalc.report.columns import COLUMNS

    return _listed([*COLUMNS, *(name for names in SECTIONS.values() for name in names)], incomplete)


def sections(context: Context, incomplete: str) -> list[str]:
    """Further analyses."""
    from cnncalc.analysis.sections import SECTIONS

    return _listed([*SECTIONS, "all"], incomplete)


def machines(context: Context, incomplete: str) -> list[str]:
    """Shipped machines."""
    from cnncalc.machines import names

    return _beginning(names(), incomplete)


def tools(context: Context, incomplete: str) -> list[str]:
    """Tools whose counts are known."""
    from cnncalc.analysis.conventions import CONVENTIONS

    return _beginning(CONVENTIONS, incomplete)


def rules(context: Context, incomplete: str) -> list[str]:
    """Rules of ``lint``."""
    from cnncalc.analysis.lint import RULES

    return _listed(RULES, incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _listed(names: Iterable[str], incomplete: str) -> list[str]:
    """The same for the last of several names between commas."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in _beginning(names, last)]


TABLES: dict[str | None, tuple[str, str]] = {
    "bench": ("bench", "EVERY_COLUMN"),
    "conventions": ("conventions", "LAYER_COLUMNS"),
    "diff": ("diff", "LAYER_COLUMNS"),
    "list": ("zoo", "COLUMNS"),
    "rf": ("rf", "COLUMNS"),
}
"""The columns of a command's table: where they are, if they are not those of ``analyze``."""
BY_NAME: dict[str, Offers] = {
    "source": nets,
    "sources": nets,
    "show name": nets,
    "layer": paths,
    "layers": paths,
    "from_": paths,
    "what": paths,
    "solve layer": kinds,
    "layers name": kinds,
    "columns": columns,
    "sort": columns,
    "analyze show": sections,
    "machine": machines,
    "tool": tools,
    "convention": tools,
    "select": rules,
    "ignore": rules,
    "lint explain": rules,
}
"""By the name of a parameter, or by command and parameter."""
