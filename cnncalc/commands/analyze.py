"""``cnncalc analyze``: everything about a net, layer by layer."""

from typing import Annotated

import typer

from cnncalc.commands import _options as options


def analyze(
    source: options.Source,
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    input_dtype: options.InputDtype = None,
    batch: options.Batch = 1,
    format: options.Format = None,
    output: options.Output = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Which columns, as layer,output,params,rf; an unknown one lists them all."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Fold blocks below this level into one row with their sums, as 1.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Sort the rows, the largest numbers first, as flops.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Show only the first rows, as 10 (with --sort).")] = None,
    show: options.Show = None,
    label_smoothing: options.LabelSmoothing = None,
    convention: options.Convention = None,
    images: options.Images = None,
    epochs: options.Epochs = None,
    machine: options.Machine = None,
    dtype: options.Dtype = None,
    algorithms: options.Algorithms = None,
    optimizer: options.Optimizer = None,
    mixed_precision: options.MixedPrecision = None,
    checkpoint: options.Checkpoint = None,
    fit: options.Fit = None,
) -> None:
    """Shapes, parameters, FLOPs and receptive fields, layer by layer; with --show also what stands there.

    Example: cnncalc analyze resnet50 --depth 1 --sort flops
    """
    from cnncalc.analysis.assemble import assemble
    from cnncalc.commands import _output
    from cnncalc.errors import CnncalcError

    kind = _output.chosen_format(format, output)
    if kind == "json" and columns is not None:
        raise CnncalcError(
            "--columns: JSON always holds every number\n  hint: use --format csv for a choice of columns"
        )
    chosen = None
    if columns is not None:
        from cnncalc.report.columns import choose

        chosen = choose(columns)
    graph = options.load(
        source,
        set=set,
        variant=variant,
        input=input,
        kwargs=kwargs,
        input_dtype=input_dtype,
        quiet=kind in ("table", "json"),
    )
    report = assemble(graph, batch)
    settings = {
        "label_smoothing": label_smoothing,
        "convention": convention,
        "images": options.count("--images", images),
        "epochs": options.count("--epochs", epochs),
        "machine": options.machine(machine),
        "dtype": dtype,
        "algorithms": algorithms,
        "optimizer": optimizer,
        "mixed_precision": mixed_precision,
        "checkpoint": checkpoint,
        "fit": fit,
    }
    if show is not None or columns is not None or sort is not None or any(v is not None for v in settings.values()):
        from cnncalc.analysis import sections

        report = sections.add_wanted(report, graph, show=show, columns=[columns, sort], settings=settings)
    rows = None
    if (depth, sort, top) != (None, None, None):
        from cnncalc.report.columns import select

        rows = select(report, depth=depth, sort=sort, top=top)
    if kind == "json":
        from msgspec import structs

        _output.write((report if rows is None else structs.replace(report, layers=rows)).to_json() + "\n", output)
    elif kind == "table":
        from cnncalc.report import table

        width, colour = _output.terminal(output)
        _output.write(table.render(report, width=width, colour=colour, columns=chosen, rows=rows), output)
    else:
        _output.write(_output.renderer(kind).render(report, columns=chosen, rows=rows), output)
        if kind == "csv":  # it keeps to rows
            from cnncalc.report.remarks import noted

            for mark, text in noted(report):
                _output.complain(f"{mark}: {text}", mark="")
