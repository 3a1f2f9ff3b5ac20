"""``cnncalc diff``: two nets side by side."""

from typing import Annotated

import typer

from cnncalc.commands import _options as options

Texts = list[str] | None


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="The net before: any SOURCE.", show_default=False)],
    b: Annotated[
        str | None,
        typer.Argument(metavar="[B]", help="The net after; by default A, with the options of B.", show_default=False),
    ] = None,
    set: options.Set = None,
    set_a: Annotated[Texts, typer.Option("--set-a", metavar="KEY=VALUE", help="The same for A alone.")] = None,
    set_b: Annotated[Texts, typer.Option("--set-b", metavar="KEY=VALUE", help="The same for B alone.")] = None,
    variant: options.Variant = None,
    variant_a: Annotated[str | None, typer.Option(metavar="NAME", help="The same for A alone.")] = None,
    variant_b: Annotated[str | None, typer.Option(metavar="NAME", help="The same for B alone.")] = None,
    input: options.Input = None,
    input_a: Annotated[Texts, typer.Option("--input-a", metavar="SHAPE", help="The same for A alone.")] = None,
    input_b: Annotated[Texts, typer.Option("--input-b", metavar="SHAPE", help="The same for B alone.")] = None,
    batch: options.Batch = 1,
    fail_on: Annotated[
        Texts,
        typer.Option(
            "--fail-on",
            metavar="CONDITION",
            help="Exit status 1 where this holds, as 'params>+1%', 'macs>+100k', 'flops>4G', 'rf!='. Repeatable.",
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Fold blocks below this level into one row with their sums, as 1.")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="A row for each layer that differs, in whatever way.")] = False,
    format: options.Format = None,
    output: options.Output = None,
) -> None:
    """Compare two nets: what came, went, was changed, moved or renamed, and the totals.

    Layers are matched by their paths and their structure. 'affected' are layers in which nothing was edited but
    whose shapes or numbers differ. Whole blocks, runs of them, and all affected layers are one row each,
    unless --all or --depth is given; numbers in the rows are differences.

    A condition of --fail-on is a metric (params, buffers, macs, flops, elementwise_ops, activations, layers, rf,
    jump, or added, removed, changed, moved, renamed), one of > >= < <= !=, and a value: with a sign the difference
    (+1%, +100k, -5%), without one the new number (26M), and nothing after != for any change.

    Example: cnncalc diff resnet50 resnet101 --fail-on 'params>+10%'

    Example: git show main:net.yaml | cnncalc diff - net.yaml

    Example: cnncalc diff net.yaml --set-b width=48
    """
    import sys

    from cnncalc.commands import _output
    from cnncalc.errors import CnncalcError
    from cnncalc.report import conditions
    from cnncalc.report import diff as reports

    if b is None and not (set_b or variant_b or input_b):
        raise CnncalcError(
            "there is nothing to compare with\n"
            "  hint: cnncalc diff A B, or one net with options of its own for each side: diff net.yaml --set-b width=48"
        )
    if a == "-" and b in (None, "-"):
        raise CnncalcError("standard input can be only one of the two nets\n  hint: write the other to a file")
    wanted = [conditions.parse(text) for text in fail_on or []]
    before = options.load(a, set=(set or []) + (set_a or []), variant=variant_a or variant, input=input_a or input)
    after = options.load(b or a, set=(set or []) + (set_b or []), variant=variant_b or variant, input=input_b or input)
    report = reports.diff(before, after, batch=batch, conditions=wanted)
    kind = _output.chosen_format(format, output)
    rows = None if depth is None else reports.folded(report.layers, depth)
    if rows is None and (all or kind == "csv"):
        rows = list(report.layers)
    if kind == "json":
        from msgspec import structs

        shown = report if depth is None else structs.replace(report, layers=tuple(rows or ()))
        _output.write(shown.to_json() + "\n", output)
    elif kind == "markdown":
        _output.write(reports.markdown(report, rows), output)
    elif kind == "table":
        width, colour = _output.terminal(output)
        _output.write(reports.render(report, rows, width=width, colour=colour), output)
    else:
        columns = reports.CSV_COLUMNS if kind == "csv" else reports.LAYER_COLUMNS
        _output.write_grid(columns, report.summary if rows is None else rows, format=kind, output=output)
    if report.status == "fail":
        if kind in ("csv", "html"):
            print("\n".join(reports.failures(report)), file=sys.stderr)
        raise typer.Exit(1)
