"""What several commands take, once: the source and how to read it, the format and where to write."""

# No "from __future__ import annotations": typer would evaluate every annotation from its text.
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from collections.abc import Container

    from cnncalc.analysis.roofline import Machine as MachineData
    from cnncalc.graph import Graph

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A YAML file, '-' for standard input, the name of a shipped net, as resnet50 (see 'cnncalc zoo'), or "
        "torch:package.module:factory (torch:path/to/file.py:factory) for a PyTorch module, with --input.",
        show_default=False,
    ),
]
_SOURCES = typer.Argument(
    metavar="SOURCE...",
    help="YAML files, folders of them, '-' for standard input, or names of shipped nets (see 'cnncalc zoo').",
    show_default=False,
)
Sources = Annotated[list[str], _SOURCES]
MaybeSources = Annotated[list[str] | None, _SOURCES]
AllVariants = Annotated[
    bool, typer.Option("--all-variants", help="Of a spec that has variants, take each in place of its own arguments.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Give an argument of the spec a value, as classes=10. Repeatable."),
]
Variant = Annotated[str | None, typer.Option(help="Take a variant of the spec, as resnet101.", metavar="NAME")]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SHAPE",
        help="Channels, then the spatial sizes, as 3x224x224; for a net of several inputs NAME=SHAPE. Repeatable.",
    ),
]
Kwargs = Annotated[
    str | None,
    typer.Option(
        metavar="JSON",
        help="For a torch: source, the factory's arguments, as '{\"weights\": null}'.",
        show_default=False,
    ),
]
InputDtype = Annotated[
    str | None,
    typer.Option(
        "--input-dtype",
        metavar="NAME",
        help="For a torch: source, its inputs' dtype, as int64.",
        show_default="float32",
    ),
]
Batch = Annotated[int, typer.Option(min=1, help="Samples in a batch; MACs, FLOPs and activations are per batch.")]
Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html"] | None,
    typer.Option("--format", help="By default what the ending of --output says, else a table.", show_default=False),
]
Output = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Write here, whole or not at all, as report.json; '-' is standard output."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]

Show = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Further analyses, as initialisation (commas between), or all; their columns and options bring them.",
    ),
]
Convention = Annotated[
    str | None,
    typer.Option(metavar="TOOL", help="Add what another tool counts, as thop; see 'cnncalc conventions'."),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="For the least loss that it leaves (initialisation), as 0.1.", show_default=False),
]

Images = Annotated[
    str | None, typer.Option(metavar="N", help="Images of a training run (training), as 1.28M.", show_default=False)
]
Epochs = Annotated[
    str | None, typer.Option(metavar="N", help="Epochs of a training run (training), as 300.", show_default=False)
]
Machine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Least times on a machine (speed): a shipped one, as h100_sxm ('cnncalc bench --machines' lists them), or "
        "a YAML file.",
        show_default=False,
    ),
]
Dtype = Annotated[
    Literal["float64", "float32", "tf32", "float16", "bfloat16", "int8"] | None,
    typer.Option(
        help="Of all tensors (memory, speed), by default float32; int8 in memory: the weights alone.",
        show_default=False,
    ),
]
Algorithms = Annotated[
    Literal["direct", "fast"] | None,
    typer.Option(
        help="For the lower bound: every product is computed (direct, the default), or convolutions may take "
        "Winograd's or the FFT's way (fast; bench on a GPU takes that).",
        show_default=False,
    ),
]
Optimizer = Annotated[
    Literal["sgd", "momentum", "adam", "adamw"] | None,
    typer.Option(help="Whose state training holds (memory).", show_default=False),
]
MixedPrecision = Annotated[
    bool | None,
    typer.Option(
        "--mixed-precision",
        help="Weights in --dtype (float16) and float32 (memory).",
        show_default=False,
    ),
]
Checkpoint = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="DEPTH",
        help="Run blocks at this level again for gradients (memory).",
        show_default=False,
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="The largest batch that fits, as 24GB or 24GiB (memory).", show_default=False),
]


def count(option: str, text: str | None) -> int | None:
    """The count that an option gives, if it is given.

    Raises:
        CnncalcError: it is no count.
    """
    from cnncalc import units

    try:
        return None if text is None else units.parse(text)
    except CnncalcError as error:
        raise CnncalcError(f"{option}: {error}") from None


def machine(name: str | None) -> "MachineData | None":
    """The machine of ``--machine``, if it is given.

    Raises:
        CnncalcError: there is no such machine, or its file is wrong.
    """
    if name is None:
        return None
    from cnncalc import machines

    return machines.load(name)


def load(
    source: str,
    *,
    set: list[str] | None,
    variant: str | None,
    input: list[str] | None,
    kwargs: str | None = None,
    input_dtype: str | None = None,
    quiet: bool = False,
) -> "Graph":
    """The graph of a source under the common options.

    What is odd about it is said on standard error, unless ``quiet``: by those whose report says it.
    """
    from cnncalc import sources

    shapes = input_shapes(input or [])
    given = None if kwargs is None else parse_kwargs(kwargs)
    graph = sources.load(source, variant=variant, args=set or [], input=shapes, kwargs=given, dtype=input_dtype)
    if not quiet:
        warn(graph)
    return graph


def warn(graph: "Graph", codes: "Container[str] | None" = None) -> None:
    """Says on standard error what is odd about a net; of some ``codes`` alone where they are given."""
    from cnncalc.analysis.remarks import remarks
    from cnncalc.commands._output import complain
    from cnncalc.report.words import about

    for remark in remarks(graph):
        if codes is None or remark.code in codes:
            complain(f"{graph.source or graph.name}: {remark.message}{about(remark.layers)}", mark="warning: ")


def parse_kwargs(text: str) -> dict[str, Any]:
    """The arguments of ``--kwargs``.

    Raises:
        CnncalcError: it is no JSON object.
    """
    import json

    try:
        found = json.loads(text)
    except ValueError as error:
        raise CnncalcError(f"--kwargs: '{text}' is no JSON: {error}\n  hint: as '{{\"weights\": null}}'") from None
    if not isinstance(found, dict):
        raise CnncalcError(f"--kwargs: '{text}' is no JSON object\n  hint: as '{{\"weights\": null}}'")
    return found


def input_shapes(texts: list[str]) -> dict[str, tuple[int, ...]] | tuple[int, ...] | None:
    """The shapes of ``--input``: one, or one for each name.

    Raises:
        CnncalcError: a text is no shape, or they do not go together.
    """
    named: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, equals, shape = text.rpartition("=")
        if not equals and len(texts) > 1:
            raise CnncalcError(f"--input {text}: several inputs need their names\n  hint: write NAME={text}")
        if name in named:
            raise CnncalcError(f"--input {text}: there are two shapes for '{name}'")
        named[name] = parse_shape(shape)
    return named.get("", named) if named else None


def parse_shape(text: str) -> tuple[int, ...]:
    """``3x224x224``, with ``×`` or commas too, as numbers.

    Raises:
        CnncalcError: it is no shape.
    """
    parts = text.strip().lower().strip("[]()").replace("×", "x").replace(",", "x").split("x")
    sizes = [part.strip() for part in parts]
    if not all(size.isascii() and size.isdigit() and len(size) < 19 and int(size) for size in sizes):
        raise CnncalcError(
            f"--input: '{text}' is no shape\n  hint: channels, then the spatial sizes, all at least 1, as 3x224x224"
        )
    return tuple(map(int, sizes))
