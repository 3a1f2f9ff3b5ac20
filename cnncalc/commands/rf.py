"""``cnncalc rf``: what units see of the input."""

from typing import TYPE_CHECKING, Annotated

import typer

from cnncalc.commands import _options as options

if TYPE_CHECKING:
    from cnncalc.report.rf import Unit


def rf(
    source: options.Source,
    layer: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Exactly what one unit of this layer (or block) sees, as stage3."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="Y,X",
            help="Which unit of --layer: an index for each spatial axis, centre, or corner.",
            show_default="centre",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="PATH", help="The field on this layer's output instead of on the input."),
    ] = None,
    picture: Annotated[
        bool | None,
        typer.Option(
            "--picture/--no-picture",
            help="The heat map in the terminal; without --layer of the last map that does not see everything.",
            show_default="with --layer",
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Draw the growth along the depth, or with --layer the unit: .png, .svg or .pdf."
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With --plot and --layer: your own image under the heat map."),
    ] = None,
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    input_dtype: options.InputDtype = None,
    format: options.Format = None,
    output: options.Output = None,
) -> None:
    """Receptive fields: size, jump, start and centre of every map, or exactly what one unit sees.

    With --layer: the unit's box, the exact set of pixels that reach it, on how many paths each, and the
    width that holds 95% of the paths. CSV lists every pixel.

    Example: cnncalc rf resnet50 --layer stage3 --unit 7,7 --plot field.png
    """
    from cnncalc.commands import _output
    from cnncalc.errors import CnncalcError
    from cnncalc.report import rf as fields
    from cnncalc.text import visible

    kind = _output.chosen_format(format, output)
    if layer is None and unit is not None:
        raise CnncalcError("--unit needs --layer\n  hint: as --layer stage3 --unit 7,7")
    if image is not None and (plot is None or layer is None):
        raise CnncalcError("--image needs --plot and --layer\n  hint: as --layer stage3 --plot field.png")
    ending = None
    if plot is not None:
        from cnncalc.report.pictures import kind_of

        ending = kind_of(plot)
    graph = options.load(source, set=set, variant=variant, input=input, kwargs=kwargs, input_dtype=input_dtype)
    if layer is not None:
        found = fields.unit_report(graph, layer, unit, from_)
        if plot is not None and ending is not None:
            from cnncalc.report.pictures import unit_picture

            _output.write(unit_picture(found, ending, image), plot)
        _write_unit(found, kind, output, picture is not False)
        return
    report = fields.field_report(graph, from_)
    if plot is not None and ending is not None:
        from cnncalc.report.pictures import net_picture

        _output.write(net_picture(graph, report, ending, from_), plot)
    if kind == "json":
        from cnncalc.document.json import render

        _output.write(render(report) + "\n", output)
        return
    drawing: list[str] = []
    if picture:
        last = next((one for one in reversed(report.maps) if one.kind == "local" and one.start is not None), None)
        if last is not None:
            shown = fields.unit_report(graph, last.path, None, from_)
            drawing = [visible(fields.unit_heading(shown.report)), *_picture(shown, output)]
    columns, notes = fields.columns(report), fields.notes(report)
    _output.write_grid(columns, report.maps, format=kind, output=output, notes=notes, drawing=drawing, drop=True)


def _write_unit(found: "Unit", kind: str, output: str | None, picture: bool) -> None:
    """One unit in any of the formats."""
    from cnncalc.commands import _output
    from cnncalc.report import rf as fields

    heading, notes = fields.unit_heading(found.report), fields.unit_notes(found.report).split("\n")
    if kind == "json":
        from cnncalc.document.json import render

        _output.write(render(found.report) + "\n", output)
    elif kind == "csv":
        columns = fields.pixel_columns(len(found.report.axes))
        _output.write_grid(columns, fields.pixels(found), format=kind, output=output, notes=[heading, *notes])
    elif kind != "table":
        axes = found.report.axes
        _output.write_grid(fields.UNIT_COLUMNS, axes, format=kind, output=output, notes=[heading, *notes])
    else:
        from cnncalc.document.grid import grid, style
        from cnncalc.text import visible, wrap

        width, colour = _output.terminal(output)
        title = [style(line, "bold", colour) for line in wrap(visible(heading), width)]
        table = grid(fields.UNIT_COLUMNS, found.report.axes, width=width, colour=colour)
        said = [line for note in notes for line in wrap(visible(note), width)]
        drawing = _picture(found, output) if picture else []
        parts = [title, table, said, drawing]
        _output.write("\n\n".join("\n".join(lines) for lines in parts if lines) + "\n", output)


def _picture(found: "Unit", output: str | None) -> list[str]:
    """The heat map in characters; none where there are no path counts."""
    if found.field is None:
        return []
    from cnncalc.commands import _output
    from cnncalc.report.blocks import draw

    width, colour = _output.terminal(output)
    counts = found.field.counts
    while counts.ndim > 2:
        counts = counts.sum(axis=0)
    rows = counts.tolist() if counts.ndim == 2 else [counts.tolist()]
    spans = [axis.clipped for axis in found.report.axes[-2:]]
    spans = [(0, 0), *spans] if len(spans) == 1 else spans
    box = (spans[0], spans[1]) if spans[0] is not None and spans[1] is not None else None
    return draw(rows, box, width=width, colour=colour)
