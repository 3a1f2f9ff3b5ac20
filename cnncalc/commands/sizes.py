"""``cnncalc sizes``: which input sizes a net takes."""

import builtins
from typing import TYPE_CHECKING, Annotated

import typer

from cnncalc.commands import _options as options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnncalc.analysis.input_sizes import SizeAxis


def sizes(
    source: options.Source,
    near: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Say which sizes near this one fit, as 700x500, and the padding to get there.",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHAPE",
            help="Say what happens at this input, as 3x573x573, where it fails and what would mend it; by default "
            "at the spec's. For a net of several inputs NAME=SHAPE. Repeatable.",
            show_default=False,
        ),
    ] = None,
    max: Annotated[int, typer.Option(min=1, max=100_000, help="Try the sizes from 1 to this one.")] = 1024,
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    format: options.Format = None,
    output: options.Output = None,
) -> None:
    """Say which input sizes work, which lose no pixel, and which fit near a wanted size.

    Every size of the range is run through the shape engine along each axis, and the rule that is printed
    describes exactly the sizes that were found. A size works where every layer takes what it gets and
    all branches fit. It loses no pixel where no floor of a convolution or pool leaves out part of a map.
    Padding may be left out; a row of its own says where not even that is. Sizes that keep every weight's
    shape are those that a trained net can take. Exit status 1 where the net does not work at the size of
    --at, of --input or of the spec.

    JSON has everything; CSV, Markdown and HTML have the table of rules and the verdict.

    Example: cnncalc sizes unet --near 700x500
    """
    from cnncalc import sources
    from cnncalc.analysis import input_sizes as analysis
    from cnncalc.commands import _output
    from cnncalc.commands._progress import Progress
    from cnncalc.errors import CnncalcError
    from cnncalc.report import sizes as reports

    kind = _output.chosen_format(format, output)
    net = sources.resizable(source, variant=variant, args=set or [])
    inputs = net.inputs(options.input_shapes(input or []))
    axes = analysis.size_axes(inputs)
    wanted = None if near is None else near_sizes(near, axes)
    try:
        place = {**inputs, **net.inputs(options.input_shapes(at))} if at else inputs
    except CnncalcError as error:
        raise CnncalcError(str(error).replace("--input", "--at")) from None
    if [*map(len, place.values())] != [*map(len, inputs.values())]:
        raise CnncalcError(
            "--at: another number of axes than the net's input\n  hint: give the net's too, with --input"
        )
    diagnosis = analysis.diagnose(net, place)
    if diagnosis.attempt.graph is not None:
        options.warn(diagnosis.attempt.graph)
    fault = diagnosis.attempt.error
    with Progress() as progress:
        progress.show("looking for a size that works")
        base = analysis.find_base(net, inputs, max)
        if base is None:
            first = net.attempt(inputs).error
            raise CnncalcError(f"{first}\n  note: no size in 1…{max}, the same along all axes, works")
        survey = analysis.survey(net, base, max, progress.show)
        stand = tuple(scan.axis for scan in survey.scans)
        others = None
        if fault is not None:
            there = {axis: place[axis.inputs[0]][1 + axis.number] for axis in stand}
            same_channels = {name: (place[name][0], *shape[1:]) for name, shape in base.items()}
            if net.at(same_channels).works:
                others = analysis.near(net, same_channels, there, "works", max)
        fits = []
        if wanted is not None:
            chosen = {axis: wanted[axis.number] for axis in stand}
            fits = [analysis.near(net, base, chosen, question, max) for question in analysis.QUESTIONS[:3]]
    report = reports.report(
        variant or net.variant or net.document.name or net.source.name,
        net.source.name,
        survey,
        reports.at_report(place, diagnosis, others),
        near=fits,
        wanted=() if wanted is None else tuple(wanted[axis.number] for axis in stand),
    )
    if kind == "json":
        from cnncalc.document.json import render

        _output.write(render(report) + "\n", output)
    elif kind == "table":
        width, colour = _output.terminal(output)
        _output.write(reports.render(report, width=width, colour=colour), output)
    else:
        rows, said = reports.rows(report), reports.notes(report)
        _output.write_grid(reports.COLUMNS, rows, format=kind, output=output, notes=said)
    if report.at.status == "fails":
        raise typer.Exit(1)


def near_sizes(text: str, axes: "Sequence[SizeAxis]") -> tuple[int, ...]:
    """The sizes of ``--near``, one for each spatial axis; one alone is meant for all.

    Raises:
        CnncalcError: it is no size, or has another number of axes.
    """
    from cnncalc.errors import CnncalcError

    rank = 1 + builtins.max(axis.number for axis in axes)
    try:
        sizes = options.parse_shape(text)
    except CnncalcError:
        raise CnncalcError(f"--near: '{text}' is no size\n  hint: as 700x500, without the channels") from None
    if len(sizes) == 1:
        sizes *= rank
    if len(sizes) != rank:
        raise CnncalcError(
            f"--near {text}: {len(sizes)} sizes for {rank} spatial axes\n"
            "  hint: without the channels; one size alone is meant for all axes"
        )
    return sizes
