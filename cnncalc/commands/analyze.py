"""``cnncalc analyze``: everything about a net, layer by layer."""

from typing import Annotated

import typer

from cnncalc.commands import _options as options
from cnncalc.commands._command import Net, Sink, command


@command
def analyze(
    net: Net,
    batch: options.Batch = 1,
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
    all: Annotated[bool, typer.Option("--all", help="On a terminal show every level of the tree.")] = False,
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
    *,
    sink: Sink,
) -> None:
    """Shapes, parameters, FLOPs and receptive fields, layer by layer; with --show also what stands there.

    Example: cnncalc analyze resnet50 --depth 1 --sort flops
    """
    from cnncalc.analysis.assemble import assemble
    from cnncalc.errors import CnncalcError
    from cnncalc.report.analyze import document

    kind = sink.kind()
    if kind == "json" and columns is not None:
        raise CnncalcError(
            "--columns: JSON always holds every number\n  hint: use --format csv for a choice of columns"
        )
    if all and depth is not None:
        raise CnncalcError("--all: it shows every level\n  hint: leave --depth out")
    chosen = None
    if columns is not None:
        from cnncalc.report.columns import choose

        chosen = choose(columns)
    graph = net.load(quiet=True)
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
    flat = sort is not None or top is not None
    sink.show(document(report, columns=chosen, rows=rows, depth=None if flat else depth), kind, fold=not all)
