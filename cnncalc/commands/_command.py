"""Options that several commands have, declared once: a parameter whose type is a group of options stands for them."""

# No "from __future__ import annotations": typer reads annotations, not their texts.
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from cnncalc.commands import _options as options

if TYPE_CHECKING:
    from cnncalc.analysis.answer import Answer
    from cnncalc.document.blocks import Document
    from cnncalc.document.column import Column
    from cnncalc.graph import Graph


class Net(NamedTuple):
    """One net: its source and how to read it."""

    source: options.Source
    set: options.Set = None
    variant: options.Variant = None
    input: options.Input = None
    kwargs: options.Kwargs = None
    input_dtype: options.InputDtype = None

    def load(self, *, quiet: bool = False) -> "Graph":
        """The graph; what is odd about it is said on standard error, unless ``quiet``."""
        return options.load(**self._asdict(), quiet=quiet)


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
        from cnncalc.document import output

        kind = output.chosen_format(self.format, self.output, {**output.ENDINGS, **(endings or {})})
        output.keep_existing(self.output, self.force)
        return kind

    def show(self, document: "Document | Answer", kind: str, *, fold: bool = True) -> None:
        """Write the document and end with its status; for JSON an answer alone is enough."""
        from cnncalc.analysis.answer import Answer
        from cnncalc.document import output

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
        from cnncalc.errors import CnncalcError

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
    """``function`` with each parameter whose type is a group of options (a ``NamedTuple``) spread into them."""
    hints = get_type_hints(function, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if hasattr(kind, "_field_defaults")}
    parameters = []
    for name, parameter in signature(function).parameters.items():
        spread = get_type_hints(groups[name], include_extras=True) if name in groups else {name: hints[name]}
        defaults = groups[name]._field_defaults if name in groups else {name: parameter.default}
        for field, kind in spread.items():
            default = defaults.get(field, Parameter.empty)
            parameters.append(Parameter(field, Parameter.KEYWORD_ONLY, default=default, annotation=kind))

    @wraps(function)
    def run(**given: Any) -> None:
        own = {name: kind(**{field: given.pop(field) for field in kind._fields}) for name, kind in groups.items()}
        function(**own, **given)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
