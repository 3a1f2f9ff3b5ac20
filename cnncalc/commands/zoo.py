"""``cnncalc zoo``: the nets that come with cnncalc."""

from typing import Annotated

import typer

from cnncalc.commands import _options as options
from cnncalc.commands._command import Rows, Sink, command
from cnncalc.commands._options import argument, flag
from cnncalc.errors import unknown_name

app = typer.Typer()


@app.callback(invoke_without_command=True)
def zoo(context: typer.Context) -> None:
    """List the nets that come with cnncalc, or show one.

    Example: cnncalc zoo show resnet50
    """
    if context.invoked_subcommand is None:
        list_models(sort=None, top=None, all=False, **Sink()._asdict())


@app.command("list")
@command
def list_models(
    sort: options.Sort = None,
    top: options.Top = None,
    all: options.AllRows = False,
    *,
    sink: Sink,
) -> None:
    """List the nets with their parameters, MACs, input and source.

    A terminal that is too low for all of them shows one row for each file, unless --all is given.

    Example: cnncalc zoo list --sort params --top 10
    """
    from cnncalc import sources
    from cnncalc.analysis.zoo import models
    from cnncalc.report.zoo import COLUMNS, document

    kind = sink.kind()
    found = models((name, sources.load(name)) for name in sources.zoo_names())
    rows = Rows(sort=sort, top=None if all else top)
    shown = rows.cut(found.models, COLUMNS) if rows.chosen else None
    sink.show(document(found, shown), kind, fold=not all)


@app.command()
@command
def show(
    name: Annotated[str, argument("NAME", "A net's name, e.g. resnet50.")],
    path: bool = flag("--path", "Print the path of the file instead of its text."),
    output: options.Output = None,
    force: options.Force = False,
) -> None:
    """Print the spec that a net comes from; it can be copied and changed.

    Example: cnncalc zoo show resnet50 --output mine.yaml
    """
    from cnncalc import sources
    from cnncalc.document import output as result

    names = sources.zoo_names()
    if name not in names:
        raise unknown_name("net", name, names, names)
    result.keep_existing(output, force)
    file, _ = names[name]
    if path:
        result.write(f"{file}\n", output)
    else:
        with open(file, encoding="utf-8") as stream:
            result.write(stream.read(), output)
