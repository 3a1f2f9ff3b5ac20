"""``cnncalc conventions``: what other tools answer for a net, and why they differ."""

from typing import Annotated

import typer

from cnncalc.commands import _options as options


def conventions(
    source: options.Source,
    tool: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this tool, with each layer, as thop. Repeatable.", show_default=False),
    ] = None,
    functional: Annotated[
        str | None,
        typer.Option(
            metavar="TYPES",
            help="Take these types of layers for calls of functions, not for modules, as relu,add: tools that look at "
            "modules do not see them.",
            show_default=False,
        ),
    ] = None,
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    batch: options.Batch = 1,
    format: options.Format = None,
    output: options.Output = None,
) -> None:
    """Say what other tools count for a net, to the last digit, and why each differs.

    The tools are torch.utils.flop_counter, fvcore, torchinfo, ptflops (both backends), thop, torchprofile
    and torchscan, each in one version, asked about the PyTorch module that cnncalc builds, where every layer is a
    module (but see --functional). Nothing is run: what each counts is data, and its miscounts are reproduced
    and said to be some.

    CSV, Markdown and HTML have the table of tools; with --tool that of its layers. JSON has everything.

    Example: cnncalc conventions resnet50 --tool thop
    """
    from cnncalc.commands import _output
    from cnncalc.report import conventions as reports

    kind = _output.chosen_format(format, output)
    chosen = [reports.find(name).name for name in tool] if tool else None
    as_functions = reports.types(functional.split(",")) if functional else ()
    graph = options.load(source, set=set, variant=variant, input=input)
    report = reports.report(graph, batch, chosen, as_functions)
    if kind == "json":
        from cnncalc.document.json import render

        _output.write(render(report) + "\n", output)
    elif kind == "table":
        width, colour = _output.terminal(output)
        _output.write(reports.render(report, width=width, colour=colour), output)
    elif chosen is None:
        _output.write_grid(reports.COLUMNS, report.tools, format=kind, output=output)
    else:
        _output.write_grid(reports.layer_columns(report), reports.layer_rows(report), format=kind, output=output)
