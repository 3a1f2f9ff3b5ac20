"""``cnncalc explain``: every number with its formula."""

from typing import TYPE_CHECKING, Annotated, Literal

from cnncalc.commands import _options as options
from cnncalc.commands._command import Net, Sink, command
from cnncalc.commands._options import Text, Texts, argument, flag, option
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.graph import Graph

Format = Annotated[
    Literal["table", "text", "latex", "markdown", "html", "csv", "json"] | None,
    option(
        "By default what the ending of --output says (.tex, .md, .json, …), else a table.",
        "[table|latex|markdown|html|csv|json]",
        options.RESULT,
    ),
]


@command
def explain(
    net: Net,
    what: Texts = argument(
        "[PATH]", "A layer or block of the net, e.g. stage1, or 'total'. For a layer: its fields, as FIELD=VALUE."
    ),
    layer: Text = option("A layer, a block or a pattern, e.g. 'stage1.*'.", "PATH"),
    total: Texts = option(
        "This total and its terms: params, buffers, macs, flops, elementwise_ops or activations. Repeatable.", "METRIC"
    ),
    all: bool = flag("--all", "Every layer and every quantity: memory, buffers and the rest."),
    depth: int | None = option("Fold the blocks of a net below this level, e.g. 1.", min=1),
    sources: bool = flag("--sources", "Where each formula is from."),
    dtype: str = option(
        "The type of weights and outputs, for memory, e.g. float16.",
        "TYPE",
        parser=options.data_type,
        default="float32",
    ),
    compare: bool | None = flag(
        "--compare/--no-compare",
        "Compare a convolution with a dense layer, a 1×1, a grouped and a separable one in its place.",
    ),
    batch: options.Batch = 1,
    *,
    sink: Annotated[Sink, {"format": Format}],
) -> None:
    """The formula of every number, with the numbers in it.

    Of one layer: output size, parameters, MACs, FLOPs and receptive field. Of a net or a block: its layers, to
    choose one from. The formulas are those that compute the numbers. A layer needs no file: SOURCE may be its
    name, with --input (once for each input) and its fields.

    Example: cnncalc explain conv --input 3x224x224 out=64 kernel=7 stride=2 padding=3
    """
    from cnncalc.analysis.explain.answer import explain as explained
    from cnncalc.report.explain import document

    kind = sink.kind({".tex": "latex"})
    graph, path = chosen(net, what or [], layer)
    found = explained(graph, path, totals=names(total or []), batch=batch, dtype=dtype, compare=compare)
    sink.show(document(found, all=all, sources=sources, depth=depth), kind)


def names(texts: list[str]) -> list[str]:
    """The totals of ``--total``, by the names that the columns of ``analyze`` have too."""
    from cnncalc.report.columns import ALIASES

    given = [name.strip().lower() for text in texts for name in text.split(",")]
    return [ALIASES.get(name, name) for name in given]


def chosen(net: Net, what: list[str], path: str | None) -> "tuple[Graph, str | None]":
    """The net, and what of it is meant: of a layer's name, a net of that layer alone.

    Raises:
        CnncalcError: there is no such net or layer, or what follows does not go with it.
    """
    import os

    from cnncalc.layers import REGISTRY
    from cnncalc.sources import find_shipped, is_stream, layer_graph
    from cnncalc.spec.fields import aliases, named_layer
    from cnncalc.spec.problem import nearest

    source = net.source
    is_net = (
        os.path.isfile(source) or is_stream(source) or (os.path.basename(source) == source and find_shipped(source))
    )
    fields = [text for text in what if "=" in text]
    if is_net or (named_layer(source) is None and not fields):
        if fields:
            raise CnncalcError(
                f"explain {source}: '{fields[0]}' is not a path\n"
                f"  hint: an argument of the net is given as --set {fields[0]}"
            )
        paths = [*what, *([] if path is None else [path])]
        if len(paths) > 1:
            raise CnncalcError(f"explain {source}: one path at a time, not {' and '.join(paths)}")
        if not is_net and source.isidentifier() and (near := nearest(source, [*REGISTRY, *aliases()])):
            raise CnncalcError(f"there is no net or layer '{source}'\n  hint: {near}")
        return net.load(), (paths[0] if paths else None)
    layer = named_layer(source)
    if layer is None:
        hint = nearest(source, [*REGISTRY, *aliases()]) or f"choose from {', '.join(REGISTRY)}"
        raise CnncalcError(f"there is no layer '{source}'\n  hint: {hint}")
    if net.reading.set or net.reading.variant:
        raise CnncalcError(
            f"explain {source}: a layer has fields, e.g. out=64, and no --{'set' if net.reading.set else 'variant'}"
        )
    if len(fields) < len(what):
        wrong = next(text for text in what if "=" not in text)
        raise CnncalcError(f"explain {source}: '{wrong}' is not a field\n  hint: fields are FIELD=VALUE, e.g. out=64")
    if not net.reading.input:
        raise CnncalcError(
            f"explain {source}: the layer needs the shape of its input\n"
            "  hint: e.g. --input 3x224x224; once for each input where there are several"
        )
    shapes = {}
    for number, text in enumerate(net.reading.input, start=1):
        name, equals, shape = text.rpartition("=")
        label = name if equals else "input" if len(net.reading.input) == 1 else f"input{number}"
        if label in shapes:
            raise CnncalcError(f"--input {text}: there are two shapes for '{label}'")
        shapes[label] = options.parse_shape(shape)
    given: dict[str, str] = {}
    for text in fields:
        name, _, value = text.partition("=")
        if name.strip() in given:
            raise CnncalcError(f"explain {source}: there are two values for '{name.strip()}'")
        given[name.strip()] = value
    return layer_graph(layer.kind, given, shapes), path
