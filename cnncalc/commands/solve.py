"""``cnncalc solve``: which settings of one layer make a size of another."""

from typing import Annotated

from cnncalc.commands import _options as options
from cnncalc.commands._command import Sink, command
from cnncalc.commands._options import Texts, argument, flag, option
from cnncalc.errors import CnncalcError, unknown_name

Fixed = Annotated[int | None, option("Only this value.", min=1, max=10**9)]
FixedFromZero = Annotated[int | None, option("Only this value.", min=0, max=10**9)]


@command
def solve(
    layer: Annotated[
        str,
        argument("LAYER", "A layer with a window: conv, conv_transpose, max_pool, avg_pool or lp_pool."),
    ],
    sizes: Texts = argument("IN OUT", "The sizes before and after, e.g. 224 56; 224x160 112x80 for two axes."),
    into: str | None = option("", called="--in", hidden=True),
    out: str | None = option("", called="--out", hidden=True),
    kernel: Fixed = None,
    stride: Fixed = None,
    padding: FixedFromZero = None,
    dilation: Fixed = None,
    output_padding: FixedFromZero = None,
    ceil_mode: bool = flag("--ceil-mode", "A pool that rounds its output size up."),
    top: int = option("Show only the first solutions, e.g. 10.", min=1, default=20),
    limit: int | None = option("", min=1, hidden=True),
    *,
    sink: Sink,
) -> None:
    """List the kernels, strides, paddings and dilations that make one size of another.

    The natural ones come first: those that lose and skip no pixel, whose units stand over a pixel
    or a patch of their own, with odd kernels. Padding is the same at both ends. For sizes of several axes
    (224x160) a solution does for all of them. Exit status 1 where there is none.

    Example: cnncalc solve conv 224 56 --kernel 7
    """
    from cnncalc.analysis import solve as analysis
    from cnncalc.layers import REGISTRY
    from cnncalc.report.solve import document
    from cnncalc.spec.fields import aliases, named_layer

    kind = sink.kind()
    cls = named_layer(layer)
    known = [kind for kind, one in REGISTRY.items() if analysis.solvable(one)]
    if cls is None:
        raise unknown_name("layer", layer, [*known, *aliases()], known)
    if not analysis.solvable(cls):
        raise CnncalcError(f"solve: {cls.kind} has no sliding window\n  hint: layers that have: {', '.join(known)}")
    given = [one for one in (into, *(sizes or []), out) if one is not None]
    if len(given) != 2:
        raise CnncalcError(
            f"solve: it takes two sizes, before and after, got {len(given)}\n  hint: e.g. cnncalc solve {layer} 224 56"
        )
    hint = "e.g. 224, or 224x160 for two axes"
    before, after = (options.parse_shape(one, f"solve: '{one}' is not a size\n  hint: {hint}") for one in given)
    if len(before) != len(after):
        raise CnncalcError(f"solve: {len(before)} sizes before and {len(after)} after\n  hint: e.g. 224x160 112x80")
    wanted = analysis.Wanted(
        tuple(zip(before, after, strict=True)), kernel, stride, padding, dilation, output_padding, ceil_mode
    )
    for field, value, there in zip(analysis.Settings._fields, wanted[1:], analysis.takes(cls), strict=True):
        if value not in (None, False) and not there:
            raise CnncalcError(f"solve: {cls.kind} has no {field}\n  hint: leave --{field.replace('_', '-')} out")
    found = analysis.solve(cls, wanted)
    sink.show(document(analysis.answer(cls.kind, wanted, found, limit or top)), kind)
