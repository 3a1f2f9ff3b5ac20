"""``cnncalc zoo``: the nets that come with cnncalc."""

from typing import Annotated

import typer

from cnncalc.commands import _options as options
from cnncalc.commands._command import Sink, command

app = typer.Typer()


@app.callback(invoke_without_command=True)
def zoo(context: typer.Context) -> None:
    """List the nets that come with cnncalc, or show one.

    Example: cnncalc zoo show resnet50
    """
    if context.invoked_subcommand is None:
        list_models(**Sink()._asdict())


@app.command("list")
@command
def list_models(
    *,
    sink: Sink,
) -> None:
    """List the nets with their parameters, MACs, input and source.

    Example: cnncalc zoo list --format csv
    """
    from cnncalc import sources
    from cnncalc.analysis.zoo import models
    from cnncalc.report.zoo import document

    kind = sink.kind()
    sink.show(document(models((name, sources.load(name)) for name in sources.zoo_names())), kind)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A net's name, e.g. resnet50.", show_default=False)],
    path: Annotated[bool, typer.Option("--path", help="Print the path of the file instead of its text.")] = False,
    output: options.Output = None,
    force: options.Force = False,
) -> None:
    """Print the spec that a net comes from; it can be copied and changed.

    Example: cnncalc zoo show resnet50 --output mine.yaml
    """
    from cnncalc import sources
    from cnncalc.commands import _output
    from cnncalc.errors import unknown_name

    names = sources.zoo_names()
    if name not in names:
        raise unknown_name("net", name, names, names)
    _output.keep_existing(output, force)
    file, _ = names[name]
    if path:
        _output.write(f"{file}\n", output)
    else:
        with open(file, encoding="utf-8") as stream:
            _output.write(stream.read(), output)
