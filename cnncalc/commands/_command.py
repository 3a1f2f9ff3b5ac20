"""Options that several commands have, declared once: a parameter whose type is a group of options stands for them."""

# No "from __future__ import annotations": typer reads annotations, not their texts.
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from cnncalc.commands import _options as options

if TYPE_CHECKING:
    from cnncalc.document.blocks import Document
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

    def show(self, document: "Document", kind: str, *, fold: bool = True) -> None:
        """Write the document and end with its status."""
        from cnncalc.document import output

        status = output.show(document, kind, self.output, fold=fold)
        if status:
            raise SystemExit(status)


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
