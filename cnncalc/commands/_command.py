"""Options that several commands have, declared once: a parameter whose type is a group of options stands for them."""

# No "from __future__ import annotations": typer reads annotations, not their texts.
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_args, get_type_hints

from cnncalc.commands import _options as options
from cnncalc.document import output
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.analysis.answer import Answer
    from cnncalc.analysis.broken import Broken
    from cnncalc.document.blocks import Document
    from cnncalc.document.column import Column
    from cnncalc.graph import Graph
    from cnncalc.targets import Target

Thing = TypeVar("Thing")
Found = TypeVar("Found")


class Reading(NamedTuple):
    """How sources are read."""

    set: options.Set = None
    variant: options.Variant = None
    input: options.Input = None
    kwargs: options.Kwargs = None
    input_dtype: options.InputDtype = None

    @property
    def given(self) -> dict[str, Any]:
        """The same as ``sources.load`` takes it.

        Raises:
            CnncalcError: a shape or the arguments of a factory are wrong.
        """
        return {
            "variant": self.variant,
            "args": self.set or [],
            "input": options.input_shapes(self.input or []),
            "kwargs": options.parse_kwargs(self.kwargs),
            "dtype": self.input_dtype,
        }

    def load(self, source: str, *, quiet: bool = False) -> "Graph":
        """The graph of a source.

        What is odd about it is said on standard error, unless ``quiet``: by those whose report says it.
        """
        from cnncalc import sources

        graph = sources.load(source, **self.given)
        if not quiet:
            options.warn(graph)
        return graph


class Net(NamedTuple):
    """One net: its source and how to read it."""

    source: options.Source
    reading: Reading = Reading()

    def load(self) -> "Graph":
        """The graph; what is odd about it is said on standard error."""
        return self.reading.load(self.source)


class Nets(NamedTuple):
    """How several nets are read, whose sources are an argument beside it."""

    reading: Reading = Reading()
    all_variants: options.AllVariants = False

    def targets(self, sources: list[str], *, lenient: bool = False) -> "list[Target]":
        """The nets that sources mean."""
        from cnncalc import targets

        return targets.targets(sources, variant=self.reading.variant, all_variants=self.all_variants, lenient=lenient)

    def several(self, sources: list[str]) -> bool:
        """Whether they mean a list of nets, and not one net."""
        from cnncalc import targets

        return targets.is_many(sources) or self.all_variants

    def load(self, target: "Target", *, quiet: bool = False) -> "Graph":
        """The graph of one of them."""
        return self.reading._replace(variant=target.variant).load(target.source, quiet=quiet)


def collected(
    nets: "Iterable[tuple[str, Thing]]", look: "Callable[[Thing], Found]", *, go_on: bool = True
) -> "tuple[list[Found], list[Broken]]":
    """What is found of each net, by the names of the nets, and those that could not be read.

    Raises:
        CnncalcError: one could not be read, and the others are not to ``go_on``.
    """
    from cnncalc.analysis.broken import broken

    found, unread = [], []
    for label, net in nets:
        try:
            found.append(look(net))
        except CnncalcError as error:
            if not go_on:
                raise
            unread.append(broken(label, error))
    return found, unread


def with_torch(command: str, module: str, hint: str = "") -> Any:
    """A module that needs PyTorch, for a command that cannot do without.

    Raises:
        CnncalcError: PyTorch is not installed; ``hint`` says what can be done besides installing it.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
    raise CnncalcError(f"{command}: PyTorch is not installed\n  hint: pip install 'cnncalc[torch]' brings it{hint}")


class Sink(NamedTuple):
    """Where the result goes, and as what."""

    format: options.Format = None
    output: options.Output = None
    force: options.Force = False

    def kind(self, endings: Mapping[str, str] | None = None) -> str:
        """The format, chosen before anything is read.

        Args:
            endings: endings of files that this command alone knows, each with its format.

        Raises:
            CnncalcError: the ending of the file is that of no format, or the file is there and not to be replaced.
        """
        given: str | None = self.format
        kind = output.chosen_format(
            "table" if given == "text" else given, self.output, {**output.ENDINGS, **(endings or {})}
        )
        output.keep_existing(self.output, self.force)
        return kind

    def show(self, document: "Document | Answer", kind: str, *, fold: bool = True) -> None:
        """Write the document and end with its status; for JSON an answer alone is enough."""
        from cnncalc.analysis.answer import Answer

        if isinstance(document, Answer):
            output.write(f"{document.to_json()}\n", self.output)
            return
        status = output.show(document, kind, self.output, fold=fold)
        if status:
            raise SystemExit(status)


class Rows(NamedTuple):
    """Which rows and columns of a table to show."""

    columns: options.Columns = None
    depth: options.Depth = None
    sort: options.Sort = None
    top: options.Top = None
    all: options.AllRows = False

    @property
    def chosen(self) -> bool:
        """Whether any rows are chosen, in place of those that fit."""
        return self.all or (self.depth, self.sort, self.top) != (None, None, None)

    @property
    def flat(self) -> bool:
        """Whether rows are not in the order of a tree."""
        return self.sort is not None or self.top is not None

    def check(self, kind: str) -> None:
        """Columns are for tables, and all levels are no number of levels.

        Raises:
            CnncalcError: there are columns for JSON, or both ``--all`` and ``--depth``.
        """
        if self.all and self.depth is not None:
            raise CnncalcError("--all: it shows every level\n  hint: leave --depth out")

        if kind == "json" and self.columns is not None:
            raise CnncalcError(
                "--columns: JSON always holds every number\n  hint: use --format csv for a choice of columns"
            )

    def pick(self, columns: "Sequence[Column]") -> "Sequence[Column] | None":
        """The columns of ``--columns`` among those there are.

        Raises:
            CnncalcError: one is not among them.
        """
        from cnncalc.document.column import named

        return None if self.columns is None else [named(name, columns) for name in self.columns.split(",")]

    def cut(self, rows: "Sequence[Any]", columns: "Sequence[Column]", whole: Any = None) -> "Sequence[Any]":
        """The rows sorted, and the first of them.

        Raises:
            CnncalcError: ``--sort`` is not one of the columns.
        """
        from cnncalc.document.column import named, sort_rows

        ordered = rows if self.sort is None else sort_rows(rows, named(self.sort, columns), whole)
        return ordered[: self.top]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """``function`` with each parameter whose type is a group of options (a ``NamedTuple``) spread into them.

    ``Annotated[Sink, {"format": Format}]`` is a group in which an option of this command stands for that of the group.
    """
    parameters = dict(signature(function).parameters)
    hints = get_type_hints(function, include_extras=True)
    flat = [one for name, hint in hints.items() if name in parameters for one in _spread(parameters[name], hint)]

    @wraps(function)
    def run(**given: Any) -> None:
        function(**{name: _gathered(name, hints[name], given) for name in parameters})

    run.__signature__ = Signature(flat)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return run


def _group(hint: Any) -> tuple[Any, dict[str, Any]]:
    """The group that a type stands for, if it does, and the options that replace some of its own."""
    replaced = next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, dict)), {})
    kind = get_args(hint)[0] if replaced else hint
    return (kind if hasattr(kind, "_field_defaults") else None), replaced


def _spread(parameter: Parameter, hint: Any) -> Iterator[Parameter]:
    kind, replaced = _group(hint)
    if kind is None:
        declared = parameter.default
        if hasattr(declared, "param_decls"):  # typer wants an option in the annotation, and its default apart
            default = (False if hint is bool else None) if declared.default is ... else declared.default
            declared.default = ...
            parameter, hint = parameter.replace(default=default), Annotated[hint, declared]
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hint)
        return
    for name, inner in {**get_type_hints(kind, include_extras=True), **replaced}.items():
        default = kind._field_defaults.get(name, Parameter.empty)
        yield from _spread(Parameter(name, Parameter.KEYWORD_ONLY, default=default), inner)


def _gathered(name: str, hint: Any, given: dict[str, Any]) -> Any:
    kind, _ = _group(hint)
    if kind is None:
        return given[name]
    return kind(
        **{name: _gathered(name, inner, given) for name, inner in get_type_hints(kind, include_extras=True).items()}
    )
