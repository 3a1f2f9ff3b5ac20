"""``cnncalc sizes``: which input sizes a net takes."""

import builtins
from typing import TYPE_CHECKING

from cnncalc.commands import _options as options
from cnncalc.commands._command import Sink, command
from cnncalc.commands._options import Text, Texts, option
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnncalc.analysis.input_sizes import SizeAxis


@command
def sizes(
    source: options.Source,
    near: Text = option("Say which sizes near this one fit, e.g. 700x500, and the padding to get there.", "SIZE"),
    at: Texts = option(
        "Say what happens at this input, e.g. 3x573x573, where it fails and how to fix it; by default "
        "at the spec's. For a net of several inputs NAME=SHAPE. Repeatable.",
        "SHAPE",
    ),
    max: int = option("Try the sizes from 1 to this one.", min=1, max=100_000, default=1024),
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    *,
    sink: Sink,
) -> None:
    """Say which input sizes work, which lose no pixel, and which fit near a wanted size.

    Every size of the range is run through the shape engine along each axis, and the rule that is printed
    describes exactly the sizes that were found. A size works where every layer takes what it gets and
    all branches fit. It loses no pixel where no floor of a convolution or pool leaves out part of a map.
    Padding may be left out; a row of its own says where not even that is. Sizes that keep every weight's
    shape are those that a trained net can take. Exit status 1 where the net does not work at the size of
    --at, of --input or of the spec.

    Example: cnncalc sizes unet --near 700x500
    """
    from cnncalc import sources
    from cnncalc.analysis.input_sizes import diagnose, size_axes
    from cnncalc.analysis.sizes import answer
    from cnncalc.commands._progress import Progress
    from cnncalc.report.sizes import document

    kind = sink.kind()
    net = sources.resizable(source, variant=variant, args=set or [])
    inputs = net.inputs(options.input_shapes(input or []))
    axes = size_axes(inputs)
    wanted = None if near is None else near_sizes(near, axes)
    try:
        place = {**inputs, **net.inputs(options.input_shapes(at))} if at else inputs
    except CnncalcError as error:
        raise CnncalcError(str(error).replace("--input", "--at")) from None
    if [*map(len, place.values())] != [*map(len, inputs.values())]:
        raise CnncalcError(
            "--at: another number of axes than the net's input\n  hint: give the net's too, with --input"
        )
    found = diagnose(net, place)
    if found.attempt.graph is not None:
        options.warn(found.attempt.graph)
    name = variant or net.variant or net.document.name or net.source.name
    with Progress("looking for a size that works") as progress:
        report = answer(net, inputs, place, found, name=name, wanted=wanted, most=max, progress=progress.show)
    sink.show(document(report), kind)


def near_sizes(text: str, axes: "Sequence[SizeAxis]") -> tuple[int, ...]:
    """The sizes of ``--near``, one for each spatial axis; one alone applies to all.

    Raises:
        CnncalcError: it is not a size, or has another number of axes.
    """
    rank = 1 + builtins.max(axis.number for axis in axes)
    wrong = f"--near: '{text}' is not a size\n  hint: e.g. 700x500, without the channels"
    sizes = options.parse_shape(text, wrong)
    if len(sizes) == 1:
        sizes *= rank
    if len(sizes) != rank:
        raise CnncalcError(
            f"--near {text}: {len(sizes)} sizes for {rank} spatial axes\n"
            "  hint: without the channels; one size alone applies to all axes"
        )
    return sizes
