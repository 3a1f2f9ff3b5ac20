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


Text = str | None
Texts = list[str] | None

NET, RESULT, MORE = "Net", "Result", "Memory, training and speed"
"""Groups of options in the help."""


def option(help: str, metavar: str | None = None, group: str | None = None, **more: Any) -> Any:
    """An option, ``called`` as its parameter is: its help, what its value is called there, and its group in the help.

    It stands where a parameter has its default (which is None, or False for a flag, unless ``default`` is given), or in
    the annotation of one that several commands have.
    """
    called = [more.pop("called")] if "called" in more else []
    return typer.Option(more.pop("default", ...), *called, help=help, metavar=metavar, rich_help_panel=group, **more)


def flag(name: str, help: str, group: str | None = None) -> Any:
    """An option without a value."""
    return option(help, group=group, called=name)


def argument(metavar: str, help: str) -> Any:
    """An argument of a command."""
    return typer.Argument(metavar=metavar, help=help, show_default=False)


def one_data_type(*names: str, **more: Any) -> Any:
    """An option that takes one of these types, by its short name too."""

    def parser(text: str) -> str:
        if data_type(text) not in names:
            raise typer.BadParameter(f"'{text}' is not one of {', '.join(map(repr, names))}")
        return data_type(text)

    return option(metavar=f"<{'|'.join(names)}>", parser=parser, **more)


_TORCH = "or torch:package.module:factory (torch:path/to/file.py:factory) for a PyTorch module, with --input."
_SOURCES = argument(
    "SOURCE...",
    "YAML files, folders of them, '-' for standard input, names of shipped nets, e.g. resnet50 (see 'cnncalc zoo'), "
    + _TORCH,
)
Source = Annotated[
    str,
    argument(
        "SOURCE",
        "A YAML file, '-' for standard input, the name of a shipped net, e.g. resnet50 (see 'cnncalc zoo'), " + _TORCH,
    ),
]
Sources = Annotated[list[str], _SOURCES]
MaybeSources = Annotated[Texts, _SOURCES]
Device = Annotated[str, option("Where PyTorch runs: cpu, cuda (or cuda:1), mps.")]
AllVariants = Annotated[bool, flag("--all-variants", "Take each variant of a spec that has variants.")]
Set = Annotated[Texts, option("Set an argument of the spec, e.g. classes=10. Repeatable.", "KEY=VALUE", NET)]
Variant = Annotated[Text, option("Take a variant of the spec, e.g. resnet101.", "NAME", NET)]
Input = Annotated[
    Texts,
    option(
        "Channels, then the spatial sizes, e.g. 3x224x224; for a net of several inputs NAME=SHAPE. Repeatable.",
        "SHAPE",
        NET,
    ),
]
Kwargs = Annotated[Text, option("Arguments of a torch: source's factory, e.g. '{\"weights\": null}'.", "JSON", NET)]
InputDtype = Annotated[
    Text,
    option("Type of a torch: source's inputs, e.g. int64.", "NAME", NET, parser=data_type, show_default="float32"),
]
Batch = Annotated[int, option("Samples in a batch; MACs, FLOPs and activations are per batch.", group=NET, min=1)]

Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html"] | None,
    option("By default the ending of --output decides, else a table.", group=RESULT),
]
Output = Annotated[
    Text, option("Write to this file atomically, e.g. report.json; '-' is standard output.", "FILE", RESULT)
]
Force = Annotated[bool, flag("--force", "Replace an existing file.", RESULT)]

Columns = Annotated[Text, option("Which columns, e.g. layer,params; an unknown one lists them all.", "NAMES")]
Depth = Annotated[int | None, option("Levels of blocks to show, e.g. 1; the row of a block has its sums.", min=1)]
Sort = Annotated[Text, option("Sort the rows by a column, the largest numbers first.", "COLUMN")]
Top = Annotated[int | None, option("Show only the first rows, e.g. 10 (with --sort).", min=1)]
AllRows = Annotated[bool, flag("--all", "Every row, however many.")]

Machine = Annotated[
    Text,
    option(
        "Least times on a machine (speed): a shipped one, e.g. h100_sxm ('cnncalc bench --machines' lists them), "
        "or a YAML file.",
        "NAME",
        MORE,
    ),
]
Algorithms = Annotated[
    Literal["direct", "fast"] | None,
    option(
        "For the lower bound: every product is computed (direct, the default), or convolutions may use Winograd "
        "or the FFT (fast, the default of bench on a GPU).",
        group=MORE,
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


def warn(graph: "Graph", codes: "Container[str] | None" = None) -> None:
    """Says on standard error what is odd about a net; of some ``codes`` alone where they are given."""
    from cnncalc.analysis.remarks import remarks
    from cnncalc.document.output import complain
    from cnncalc.report.words import about

    for remark in remarks(graph):
        if codes is None or remark.code in codes:
            complain(f"{graph.source or graph.name}: {remark.message}{about(remark.layers)}", mark="warning: ")


def parse_kwargs(text: str | None) -> dict[str, Any] | None:
    """The arguments of ``--kwargs``, if they are given.

    Raises:
        CnncalcError: it is not a JSON object.
    """
    import json

    if text is None:
        return None
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


def parse_shape(text: str, wrong: str = "") -> tuple[int, ...]:
    """``3x224x224``, with ``×`` or commas too, as numbers.

    Raises:
        CnncalcError: it is not a shape; the message is ``wrong``, where that is given.
    """
    parts = text.strip().lower().strip("[]()").replace("×", "x").replace(",", "x").split("x")
    sizes = [part.strip() for part in parts]
    if not all(size.isascii() and size.isdigit() and len(size) < 19 and int(size) for size in sizes):
        hint = "channels, then the spatial sizes, each at least 1, e.g. 3x8x8"
        raise CnncalcError(wrong or f"--input: '{text}' is not a shape\n  hint: {hint}")
    return tuple(map(int, sizes))
