"""What several commands take, once: the source and how to read it, the format and where to write."""

# No "from __future__ import annotations": typer would evaluate every annotation from its text.
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from collections.abc import Container

    from cnncalc.analysis.roofline import Machine as MachineData
    from cnncalc.graph import Graph

DTYPES = {
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
    "float": "float32",
    "fp64": "float64",
    "double": "float64",
}
"""Short names that people type."""


def data_type(name: str) -> str:
    """A type of elements by its full name."""
    return DTYPES.get(name.lower(), name.lower())


def one_data_type(*names: str, **more: Any) -> Any:
    """An option that takes one of these types, by its short name too."""

    def parser(text: str) -> str:
        if data_type(text) not in names:
            raise typer.BadParameter(f"'{text}' is not one of {', '.join(map(repr, names))}")
        return data_type(text)

    return typer.Option(parser=parser, metavar=f"<{'|'.join(names)}>", **more)


NET, RESULT, MORE = "Net", "Result", "Memory, training and speed"
"""Groups of options in the help."""

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A YAML file, '-' for standard input, the name of a shipped net, e.g. resnet50 (see 'cnncalc zoo'), or "
        "torch:package.module:factory (torch:path/to/file.py:factory) for a PyTorch module, with --input.",
        show_default=False,
    ),
]
_SOURCES = typer.Argument(
    metavar="SOURCE...",
    help="YAML files, folders of them, '-' for standard input, names of shipped nets, e.g. resnet50 (see 'cnncalc "
    "zoo'), or torch:package.module:factory (torch:path/to/file.py:factory) for a PyTorch module, with --input.",
    show_default=False,
)
Sources = Annotated[list[str], _SOURCES]
MaybeSources = Annotated[list[str] | None, _SOURCES]
AllVariants = Annotated[bool, typer.Option("--all-variants", help="Take each variant of a spec that has variants.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set an argument of the spec, e.g. classes=10. Repeatable.",
        rich_help_panel=NET,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Take a variant of the spec, e.g. resnet101.", rich_help_panel=NET),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SHAPE",
        help="Channels, then the spatial sizes, e.g. 3x224x224; for a net of several inputs NAME=SHAPE. Repeatable.",
        rich_help_panel=NET,
    ),
]
Kwargs = Annotated[
    str | None,
    typer.Option(
        metavar="JSON",
        help="Arguments of a torch: source's factory, e.g. '{\"weights\": null}'.",
        rich_help_panel=NET,
        show_default=False,
    ),
]
InputDtype = Annotated[
    str | None,
    typer.Option(
        "--input-dtype",
        parser=data_type,
        metavar="NAME",
        help="Type of a torch: source's inputs, e.g. int64.",
        rich_help_panel=NET,
        show_default="float32",
    ),
]
Batch = Annotated[
    int, typer.Option(min=1, help="Samples in a batch; MACs, FLOPs and activations are per batch.", rich_help_panel=NET)
]
Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html"] | None,
    typer.Option(
        "--format",
        help="By default the ending of --output decides, else a table.",
        show_default=False,
        rich_help_panel=RESULT,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write to this file atomically, e.g. report.json; '-' is standard output.",
        rich_help_panel=RESULT,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.", rich_help_panel=RESULT)]

Columns = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Which columns, e.g. layer,params; an unknown one lists them all.")
]
Depth = Annotated[
    int | None,
    typer.Option(min=1, help="Levels of blocks to show, e.g. 1; the row of a block has its sums.", show_default=False),
]
Sort = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Sort the rows by a column, the largest numbers first.")
]
Top = Annotated[int | None, typer.Option(min=1, help="Show only the first rows, e.g. 10 (with --sort).")]
AllRows = Annotated[bool, typer.Option("--all", help="Every row, however many.")]

Show = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Further analyses, separated by commas, e.g. memory,training, or all. Asking for their columns or options "
        "turns them on.",
        rich_help_panel=MORE,
    ),
]
Convention = Annotated[
    str | None,
    typer.Option(
        metavar="TOOL", help="Add what another tool counts, e.g. thop; see 'cnncalc conventions'.", rich_help_panel=MORE
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Label smoothing, e.g. 0.1, for its minimum loss (initialisation).",
        show_default=False,
        rich_help_panel=MORE,
    ),
]

Images = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Images of a training run, e.g. 1.28M (training).", show_default=False, rich_help_panel=MORE
    ),
]
Epochs = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Epochs of a training run, e.g. 300 (training).", show_default=False, rich_help_panel=MORE
    ),
]
Machine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Least times on a machine (speed): a shipped one, e.g. h100_sxm ('cnncalc bench --machines' lists them), "
        "or a YAML file.",
        show_default=False,
        rich_help_panel=MORE,
    ),
]
Dtype = Annotated[
    str | None,
    one_data_type(
        *("float64", "float32", "tf32", "float16", "bfloat16", "int8"),
        help="Type of all tensors, by default float32 (memory, speed); int8 in memory means the weights only.",
        show_default=False,
        rich_help_panel=MORE,
    ),
]
Algorithms = Annotated[
    Literal["direct", "fast"] | None,
    typer.Option(
        help="For the lower bound: every product is computed (direct, the default), or convolutions may use Winograd "
        "or the FFT (fast, the default of bench on a GPU).",
        show_default=False,
        rich_help_panel=MORE,
    ),
]
Optimizer = Annotated[
    Literal["sgd", "momentum", "adam", "adamw"] | None,
    typer.Option(help="The optimizer whose state training holds (memory).", show_default=False, rich_help_panel=MORE),
]
MixedPrecision = Annotated[
    bool | None,
    typer.Option(
        "--mixed-precision",
        help="Weights in both --dtype (float16) and float32 (memory).",
        show_default=False,
        rich_help_panel=MORE,
    ),
]
Checkpoint = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="DEPTH",
        help="Depth of gradient checkpointing (memory).",
        show_default=False,
        rich_help_panel=MORE,
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="The largest batch that fits, e.g. in 24GB or 24GiB (memory).",
        show_default=False,
        rich_help_panel=MORE,
    ),
]


def count(option: str, text: str | None) -> int | None:
    """The count that an option gives, if it is given.

    Raises:
        CnncalcError: it is not a count.
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
    from cnncalc.document.output import complain
    from cnncalc.report.words import about

    for remark in remarks(graph):
        if codes is None or remark.code in codes:
            complain(f"{graph.source or graph.name}: {remark.message}{about(remark.layers)}", mark="warning: ")


def parse_kwargs(text: str) -> dict[str, Any]:
    """The arguments of ``--kwargs``.

    Raises:
        CnncalcError: it is not a JSON object.
    """
    import json

    try:
        found = json.loads(text)
    except ValueError as error:
        raise CnncalcError(f"--kwargs: '{text}' is not JSON: {error}\n  hint: e.g. '{{\"weights\": null}}'") from None
    if not isinstance(found, dict):
        raise CnncalcError(f"--kwargs: '{text}' is not a JSON object\n  hint: e.g. '{{\"weights\": null}}'")
    return found


def input_shapes(texts: list[str]) -> dict[str, tuple[int, ...]] | tuple[int, ...] | None:
    """The shapes of ``--input``: one, or one for each name.

    Raises:
        CnncalcError: a text is not a shape, or they do not go together.
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
        CnncalcError: it is not a shape.
    """
    parts = text.strip().lower().strip("[]()").replace("×", "x").replace(",", "x").split("x")
    sizes = [part.strip() for part in parts]
    if not all(size.isascii() and size.isdigit() and len(size) < 19 and int(size) for size in sizes):
        raise CnncalcError(
            f"--input: '{text}' is not a shape\n  hint: channels, then the spatial sizes, each at least 1, e.g. 3x8x8"
        )
    return tuple(map(int, sizes))
