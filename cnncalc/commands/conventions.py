"""``cnncalc conventions``: what other tools answer for a net, and why they differ."""

from cnncalc.commands import _options as options
from cnncalc.commands._command import Net, Rows, Sink, command
from cnncalc.commands._options import Text, Texts, option


@command
def conventions(
    net: Net,
    tool: Texts = option("Only this tool, with each layer, e.g. thop. Repeatable.", "NAME"),
    functional: Text = option(
        "These types of layers are calls of functions, not modules, e.g. relu,add: tools that look at "
        "modules do not see them.",
        "TYPES",
    ),
    batch: options.Batch = 1,
    *,
    rows: Rows,
    sink: Sink,
) -> None:
    """Say what other tools count for a net, to the last digit, and why each differs.

    The tools are torch.utils.flop_counter, fvcore, torchinfo, ptflops (both backends), thop, torchprofile
    and torchscan, each in one version, asked about the PyTorch module that cnncalc builds, where every layer is a
    module (but see --functional). Nothing is run: what each counts is data, and its miscounts are reproduced
    and marked as miscounts. With --tool each layer is listed; --columns, --depth, --sort and --top are for this list.

    Example: cnncalc conventions resnet50 --tool thop
    """
    from msgspec import UNSET
    from msgspec.structs import replace

    from cnncalc.analysis.conventions import comparison
    from cnncalc.document.tree import folded
    from cnncalc.report.conventions import LAYER_COLUMNS, document

    kind = sink.kind()
    rows.check(kind)
    columns = rows.pick(LAYER_COLUMNS)
    chosen = [comparison.find(name).name for name in tool] if tool else None
    as_functions = comparison.types(functional.split(",")) if functional else ()
    report = comparison.report(net.load(), batch, chosen, as_functions)
    tools = []
    for one in report.tools:
        layers = one.layers or ()
        if rows.depth is not None:
            layers = folded(layers, rows.depth, comparison.block)
        tools.append(one if one.layers is UNSET else replace(one, layers=tuple(rows.cut(layers, LAYER_COLUMNS))))
    shown = replace(report, tools=tuple(tools))
    sink.show(document(shown, columns, flat=rows.flat), kind, fold=not rows.chosen)
