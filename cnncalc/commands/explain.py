"""``cnncalc explain``: every number with its formula."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cnncalc.commands import _options as options

if TYPE_CHECKING:
    from cnncalc.graph import Graph

ENDINGS = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".tex": "latex", ".txt": "text"}


def explain(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A YAML file, '-', a shipped net, or the name of a layer, whose fields follow as out=64 kernel=7.",
            show_default=False,
        ),
    ],
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]",
            help="A layer or block of the net, as stage1, or 'total'. For a layer: its fields, as FIELD=VALUE.",
            show_default=False,
        ),
    ] = None,
    total: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="This total and its terms: params, buffers, macs, flops, elementwise_ops or activations. Repeatable.",
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            parser=options.data_type,
            metavar="TYPE",
            help="The type of weights and outputs, for memory, e.g. float16.",
        ),
    ] = "float32",
    compare: Annotated[
        bool | None,
        typer.Option(
            "--compare/--no-compare",
            help="What would do in the place of a convolution: a dense layer, a 1×1, grouped or separable one.",
            show_default="for a single layer",
        ),
    ] = None,
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    input_dtype: options.InputDtype = None,
    batch: options.Batch = 1,
    format: Annotated[
        Literal["text", "latex", "markdown", "json"] | None,
        typer.Option(
            "--format",
            help="By default what the ending of --output says (.tex, .md, .json), else text.",
            show_default=False,
        ),
    ] = None,
    output: options.Output = None,
) -> None:
    """The formula of every number, with the numbers in it, and where it is from.

    For each layer (or one, a block, or the totals): output size, parameters, MACs, FLOPs, elementwise
    operations, activations, memory and receptive field. The formulas are those that compute the numbers. A
    layer needs no file: its name, --input (once for each input) and its fields do.

    Example: cnncalc explain conv --input 3x224x224 out=64 kernel=7 stride=2 padding=3
    """
    from cnncalc.commands import _output
    from cnncalc.report import explain as explanations

    kind = _output.chosen_format(format, output, ENDINGS)
    torch = {"kwargs": kwargs, "input_dtype": input_dtype}
    graph, path = chosen(source, what or [], set=set, variant=variant, input=input, torch=torch)
    found = explanations.explain(graph, path, totals=names(total or []), batch=batch, dtype=dtype, compare=compare)
    if kind == "json":
        _output.write(found.to_json() + "\n", output)
    elif kind == "latex":
        _output.write(found.to_latex(), output)
    elif kind == "markdown":
        _output.write(found.to_markdown(), output)
    else:
        from cnncalc.report.explain_text import render

        width, colour = _output.terminal(output)
        _output.write(render(found, width=width, colour=colour), output)


def names(texts: list[str]) -> list[str]:
    """The totals of ``--total``, by the names that the columns of ``analyze`` have too."""
    from cnncalc.report.columns import ALIASES

    given = [name.strip().lower() for text in texts for name in text.split(",")]
    return [ALIASES.get(name, name) for name in given]


def chosen(
    source: str,
    what: list[str],
    *,
    set: list[str] | None,
    variant: str | None,
    input: list[str] | None,
    torch: dict[str, Any],
) -> "tuple[Graph, str | None]":
    """The net, and what of it is meant: of a layer's name, a net of that layer alone.

    Raises:
        CnncalcError: there is no such net or layer, or what follows does not go with it.
    """
    import os

    from cnncalc.errors import CnncalcError
    from cnncalc.layers import REGISTRY
    from cnncalc.sources import find_shipped, is_stream, layer_graph
    from cnncalc.spec.fields import aliases, named_layer
    from cnncalc.spec.problem import nearest

    is_net = (
        os.path.isfile(source) or is_stream(source) or (os.path.basename(source) == source and find_shipped(source))
    )
    fields = [text for text in what if "=" in text]
    if is_net or (named_layer(source) is None and not fields):
        if fields:
            raise CnncalcError(
                f"explain {source}: '{fields[0]}' is no path\n"
                f"  hint: an argument of the net is given as --set {fields[0]}"
            )
        if len(what) > 1:
            raise CnncalcError(f"explain {source}: one path at a time, not {' and '.join(what)}")
        if not is_net and source.isidentifier() and (near := nearest(source, [*REGISTRY, *aliases()])):
            raise CnncalcError(f"there is no net or layer '{source}'\n  hint: {near}")
        return options.load(source, set=set, variant=variant, input=input, **torch), (what[0] if what else None)
    layer = named_layer(source)
    if layer is None:
        hint = nearest(source, [*REGISTRY, *aliases()]) or f"choose from {', '.join(REGISTRY)}"
        raise CnncalcError(f"there is no layer '{source}'\n  hint: {hint}")
    if set or variant:
        raise CnncalcError(f"explain {source}: a layer has fields, as out=64, and no --{'set' if set else 'variant'}")
    if len(fields) < len(what):
        wrong = next(text for text in what if "=" not in text)
        raise CnncalcError(f"explain {source}: '{wrong}' is no field\n  hint: fields are FIELD=VALUE, as out=64")
    if not input:
        raise CnncalcError(
            f"explain {source}: the layer needs the shape of its input\n"
            "  hint: as --input 3x224x224; once for each input where there are several"
        )
    shapes = {}
    for number, text in enumerate(input, start=1):
        name, equals, shape = text.rpartition("=")
        label = name if equals else "input" if len(input) == 1 else f"input{number}"
        if label in shapes:
            raise CnncalcError(f"--input {text}: there are two shapes for '{label}'")
        shapes[label] = options.parse_shape(shape)
    given: dict[str, str] = {}
    for text in fields:
        name, _, value = text.partition("=")
        if name.strip() in given:
            raise CnncalcError(f"explain {source}: there are two values for '{name.strip()}'")
        given[name.strip()] = value
    return layer_graph(layer.kind, given, shapes), None
