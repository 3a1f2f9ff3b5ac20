"""What several commands take, once: the source and how to read it, the format and where to write."""

# No "from __future__ import annotations": typer would evaluate every annotation from its text.
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.graph import Graph

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A YAML file, '-' for standard input, or the name of a shipped net, as resnet50 (see 'cnncalc zoo').",
        show_default=False,
    ),
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
Batch = Annotated[int, typer.Option(min=1, help="Samples in a batch; MACs, FLOPs and activations are per batch.")]
Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html"] | None,
    typer.Option("--format", help="By default what the ending of --output says, else a table.", show_default=False),
]
Output = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Write here, whole or not at all, as report.json; '-' is standard output."),
]

Show = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Further analyses, as initialisation (commas between), or all; their columns and options bring them.",
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="For the least loss that it leaves (initialisation), as 0.1.", show_default=False),
]

Dtype = Annotated[
    Literal["float32", "float64", "float16", "bfloat16", "int8"] | None,
    typer.Option(help="Of weights and activations (memory); int8: the weights alone.", show_default=False),
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


def load(source: str, *, set: list[str] | None, variant: str | None, input: list[str] | None) -> "Graph":
    """The graph of a source under the common options."""
    from cnncalc import sources

    return sources.load(source, variant=variant, args=set or [], input=input_shapes(input or []))


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
