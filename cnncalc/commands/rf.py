"""``cnncalc rf``: what units see of the input."""

from cnncalc.commands._command import Net, Rows, Sink, command
from cnncalc.commands._options import Text, option
from cnncalc.document import output
from cnncalc.errors import CnncalcError


@command
def rf(
    net: Net,
    layer: Text = option("Exactly what one unit of this layer (or block) sees, e.g. stage3.", "PATH"),
    unit: Text = option(
        "Which unit of --layer: an index for each spatial axis, centre, or corner.", "Y,X", show_default="centre"
    ),
    from_: Text = option("The field on this layer's output instead of on the input.", "PATH", called="--from"),
    picture: bool | None = option(
        "The heat map in the terminal; without --layer of the last map that does not see everything.",
        called="--picture/--no-picture",
        show_default="with --layer",
    ),
    plot: Text = option("Draw the growth along the depth, or with --layer the unit: .png, .svg or .pdf.", "FILE"),
    image: Text = option("With --plot and --layer: your own image under the heat map.", "FILE"),
    *,
    rows: Rows,
    sink: Sink,
) -> None:
    """Receptive fields: size, jump, start and centre of every map, or exactly what one unit sees.

    With --layer: the unit's box, the exact set of pixels that reach it, on how many paths each, and the
    width that holds 95% of the paths. CSV lists every pixel.

    Example: cnncalc rf resnet50 --layer stage3 --unit 7,7 --plot field.png
    """
    from cnncalc.analysis import fields
    from cnncalc.report import rf as pages

    kind = sink.kind()
    rows.check(kind)
    columns = rows.pick(pages.COLUMNS)
    if layer is None and unit is not None:
        raise CnncalcError("--unit needs --layer\n  hint: e.g. --layer stage3 --unit 7,7")
    if image is not None and (plot is None or layer is None):
        raise CnncalcError("--image needs --plot and --layer\n  hint: e.g. --layer stage3 --plot field.png")
    if layer is not None and (rows.chosen or columns is not None):
        raise CnncalcError(
            "--layer shows one unit, which has no rows to choose\n"
            "  hint: leave out --columns, --depth, --sort, --top and --all"
        )
    ending = ""
    if plot is not None:
        from cnncalc.report.pictures import kind_of

        ending = kind_of(plot)
        output.keep_existing(plot, sink.force)
    graph = net.load()
    if layer is not None:
        found = fields.unit_report(graph, layer, unit, from_)
        if plot is not None:
            from cnncalc.report.pictures import unit_picture

            output.write(unit_picture(found, ending, image), plot)
        page = pages.unit_document(*found, picture=picture is not False)
    else:
        report = fields.field_report(graph, from_)
        if plot is not None:
            from cnncalc.report.pictures import net_picture

            output.write(net_picture(graph, report, ending, from_), plot)
        last = next((one for one in reversed(report.maps) if one.kind == "local" and one.start is not None), None)
        more = pages.drawing(*fields.unit_report(graph, last.path, None, from_)) if picture and last else []
        folded = report.maps if rows.depth is None else pages.folded(report, rows.depth)
        some = rows.cut(folded, pages.COLUMNS, report) if rows.flat else None
        page = pages.map_document(report, columns=columns, rows=some, depth=rows.depth, more=more)
    if plot is not None and sink.format is None and sink.output is None:
        page = pages.wrote(plot, found.report if layer is not None else report)
    sink.show(page, kind, fold=not rows.all)
