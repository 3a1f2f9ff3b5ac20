"""``cnncalc diff``: two nets side by side."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cnncalc.commands import _options as options
from cnncalc.commands._command import Rows, Sink, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnncalc.analysis.difference import DiffReport, LayerDiff
    from cnncalc.graph import Graph

Texts = list[str] | None


@command
def diff(
    sources: Annotated[
        Texts,
        typer.Argument(
            metavar="A [B]",
            help="The net before and the net after: any SOURCE. Without B, A with the options of B. "
            "With --git, files and folders.",
            show_default=False,
        ),
    ] = None,
    git: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION",
            help="Compare all specs at or below the paths with what they were there, e.g. main or main...",
            show_default=False,
        ),
    ] = None,
    set: options.Set = None,
    set_a: Annotated[Texts, typer.Option("--set-a", metavar="KEY=VALUE", help="The same for A alone.")] = None,
    set_b: Annotated[Texts, typer.Option("--set-b", metavar="KEY=VALUE", help="The same for B alone.")] = None,
    variant: options.Variant = None,
    variant_a: Annotated[str | None, typer.Option(metavar="NAME", help="The same for A alone.")] = None,
    variant_b: Annotated[str | None, typer.Option(metavar="NAME", help="The same for B alone.")] = None,
    input: options.Input = None,
    input_a: Annotated[Texts, typer.Option("--input-a", metavar="SHAPE", help="The same for A alone.")] = None,
    input_b: Annotated[Texts, typer.Option("--input-b", metavar="SHAPE", help="The same for B alone.")] = None,
    kwargs: options.Kwargs = None,
    kwargs_a: Annotated[str | None, typer.Option(metavar="JSON", help="The same for A alone.")] = None,
    kwargs_b: Annotated[str | None, typer.Option(metavar="JSON", help="The same for B alone.")] = None,
    input_dtype: options.InputDtype = None,
    batch: options.Batch = 1,
    fail_on: Annotated[
        Texts,
        typer.Option(
            "--fail-on",
            metavar="CONDITION",
            help="Exit status 1 where this holds, e.g. 'params>+1%', 'macs>+100k', 'flops>4G', 'rf!='. Repeatable.",
        ),
    ] = None,
    *,
    rows: Rows,
    sink: Sink,
) -> None:
    """Compare two nets: what came, went, was changed, moved or renamed, and the totals.

    Layers are matched by their paths and their structure. 'affected' are layers in which nothing was edited but
    whose shapes or numbers differ. Whole blocks, runs of them, many new names, and all affected layers are
    one row each, unless --all or --depth is given; numbers in the rows are differences.

    A condition of --fail-on is a metric (params, buffers, macs, flops, elementwise_ops, activations, layers, rf,
    jump, or how many layers are added, removed, changed, moved, renamed, affected, or differ at all), one of
    > >= < <= !=, and a value: with a sign the difference (+1%, +100k, -5%), without one the new number (26M),
    and nothing after != for any change.

    Example: cnncalc diff resnet50 resnet101 --fail-on 'params>+10%'

    Example: git show main:net.yaml | cnncalc diff - net.yaml

    Example: cnncalc diff net.yaml --set-b width=48

    Example: cnncalc diff net.yaml torch:model.py:build --input 3x224x224

    Example: cnncalc diff --git main... models --format markdown
    """
    from cnncalc.analysis import conditions
    from cnncalc.errors import CnncalcError
    from cnncalc.report import diff as pages

    wanted = [conditions.parse(text) for text in fail_on or []]
    kind = sink.kind()
    rows.check(kind)
    columns = rows.pick(pages.LAYER_COLUMNS)
    sides = {
        "a": Side(set_a, variant_a, input_a, kwargs_a),
        "b": Side(set_b, variant_b, input_b, kwargs_b),
        "": Side(set, variant, input, kwargs, input_dtype),
    }

    def choose(report: "DiffReport") -> "Sequence[LayerDiff]":
        from cnncalc.analysis.difference import folded

        found = report.layers if rows.depth is None else folded(report.layers, rows.depth)
        return rows.cut(found, pages.LAYER_COLUMNS, report)

    if git is not None:
        if any(any(side) for side in sides.values()):
            raise CnncalcError(
                "--git: the nets are taken as their files have them\n"
                "  hint: leave out --set, --variant, --input and --kwargs"
            )
        from cnncalc import history
        from cnncalc.analysis.changes import changes

        since = history.changes(git, sources or ["."])
        many = changes(git, since.unchanged, history.nets(since), batch=batch, conditions=wanted)
        sink.show(pages.changes_document(many, choose if rows.chosen else None, columns), kind)
        return
    from cnncalc.analysis.difference import diff as compare

    a, b = both(sources or [], sides["b"])
    before, after = (load(source, sides[side], sides[""]) for source, side in ((a, "a"), (b, "b")))
    one = compare(before, after, batch=batch, conditions=wanted)
    sink.show(pages.diff_document(one, choose(one) if rows.chosen else None, columns), kind)


class Side(NamedTuple):
    """The options of one side, or those of both."""

    set: Texts
    variant: str | None
    input: Texts
    kwargs: str | None = None
    input_dtype: str | None = None


def load(source: str, own: Side, common: Side) -> "Graph":
    """The graph of one side: its own options before those of both, of which some are for modules of PyTorch only."""
    from cnncalc.sources import is_torch

    return options.load(
        source,
        set=(common.set or []) + (own.set or []),
        variant=own.variant or common.variant,
        input=own.input or common.input,
        kwargs=own.kwargs or (common.kwargs if is_torch(source) else None),
        input_dtype=common.input_dtype if is_torch(source) else None,
    )


def both(sources: list[str], side: Side) -> tuple[str, str]:
    """The two sources.

    Raises:
        CnncalcError: there is one, and nothing that makes the other differ; or there are more.
    """
    from cnncalc.errors import CnncalcError

    if len(sources) > 2:
        raise CnncalcError(
            f"diff takes two nets, got {len(sources)}\n  hint: --git REVISION compares any number of files"
        )
    if not sources or (len(sources) == 1 and not any(side)):
        raise CnncalcError(
            "there is nothing to compare with\n"
            "  hint: cnncalc diff A B, or one net with options for the other side: diff net.yaml --set-b width=48"
        )
    a, b = sources[0], sources[-1]
    if a == b == "-":
        raise CnncalcError("standard input can be only one of the two nets\n  hint: write the other to a file")
    return a, b
