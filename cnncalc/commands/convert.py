"""``cnncalc convert``: a net as a file for another tool."""

# No "from __future__ import annotations": typer would evaluate every annotation from its text.
from typing import TYPE_CHECKING, Annotated

from cnncalc.commands import _options as options
from cnncalc.commands._command import Reading, command, with_torch
from cnncalc.commands._options import Text, argument, option
from cnncalc.document import output
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.convert import Writer


@command
def convert(
    source: options.Source,
    target: Annotated[
        str,
        argument("TARGET", "The file to write, atomically; its ending says what. '-' is standard output (with --to)."),
    ],
    to: Text = option("What to write, e.g. py. By default TARGET's ending.", "FORMAT"),
    depth: int | None = option("Fold blocks below this level in a drawing, e.g. 2.", min=1),
    *,
    reading: Reading,
    force: options.Force = False,
) -> None:
    """Write a net as PyTorch code (.py) or as a spec (.yaml), or draw it for Graphviz (.dot) or Mermaid (.mmd).

    The code needs PyTorch alone: a class for each kind of block, with the spec's names, so that a state dict
    of cnncalc.torch.build() fits. Writing it takes PyTorch too.

    Example: cnncalc convert resnet50 resnet50.py
    """
    writer = chosen_writer(target, to)
    if depth is not None and not writer.folds:
        raise CnncalcError("--depth: only a drawing can be folded\n  hint: write a .dot or .mmd file")
    output.keep_existing(target, force)
    graph = reading.load(source)
    render = with_torch("convert", writer.module).render
    output.write(render(graph, depth) if writer.folds else render(graph), target)


def chosen_writer(target: str, to: str | None) -> "Writer":
    """The format that is asked for, or that the file's ending tells.

    Raises:
        CnncalcError: there is no such format, or nothing tells one.
    """
    import os

    from cnncalc.convert import WRITERS

    listed = ", ".join(f".{ending} ({writer.help})" for ending, writer in WRITERS.items())
    if to is not None:
        if (ending := to.lower().lstrip(".")) in WRITERS:
            return WRITERS[ending]
        raise CnncalcError(f"--to {to}: there is no such format\n  hint: it can be {listed}")
    if target == "-":
        raise CnncalcError(
            f"-: standard output has no ending to tell the format\n  hint: add --to, as --to py: {listed}"
        )
    ending = os.path.splitext(target)[1].lower().lstrip(".")
    if ending not in WRITERS:
        what = f"'.{ending}' is the ending of no format" if ending else "it has no ending to tell the format"
        raise CnncalcError(f"{target}: {what}\n  hint: it can be {listed}")
    return WRITERS[ending]
