"""``cnncalc diff``: two nets side by side."""

from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.commands import _options as options
from cnncalc.commands._command import Reading, Rows, Sink, command
from cnncalc.commands._options import Text, Texts, argument, option
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnncalc.analysis.difference import DiffReport, LayerDiff
    from cnncalc.graph import Graph


def _only(side: str, metavar: str) -> Any:
    return option(f"The same for {side} alone.", metavar)


class Sides(NamedTuple):
    """What holds for one side alone, in place of the same of both (arguments of the spec: after them)."""

    set_a: Texts = _only("A", "KEY=VALUE")
    set_b: Texts = _only("B", "KEY=VALUE")
    variant_a: Text = _only("A", "NAME")
    variant_b: Text = _only("B", "NAME")
    input_a: Texts = _only("A", "SHAPE")
    input_b: Texts = _only("B", "SHAPE")
    kwargs_a: Text = _only("A", "JSON")
    kwargs_b: Text = _only("B", "JSON")

    def of(self, side: int) -> Reading:
        """Those of A (0) or of B (1)."""
        own: Any = self[side::2]
        return Reading(*own)


@command
def diff(
    sources: Texts = argument(
        "A [B]",
        "The net before and the net after: any SOURCE. Without B, A with the options of B. "
        "With --git, files and folders.",
    ),
    git: Text = option(
        "Compare all specs at or below the paths with what they were there, e.g. main or main...", "REVISION"
    ),
    *,
    reading: Reading,
    sides: Sides,
    batch: options.Batch = 1,
    fail_on: Texts = option(
        "Exit status 1 where this holds, e.g. 'params>+1%', 'macs>+100k', 'flops>4G', 'rf!='. Repeatable.", "CONDITION"
    ),
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
    from cnncalc.report import diff as pages

    wanted = [conditions.parse(text) for text in fail_on or []]
    kind = sink.kind()
    rows.check(kind)
    columns = rows.pick(pages.LAYER_COLUMNS)

    def choose(report: "DiffReport") -> "Sequence[LayerDiff]":
        from cnncalc.analysis.difference import folded

        found = report.layers if rows.depth is None else folded(report.layers, rows.depth)
        return rows.cut(found, pages.LAYER_COLUMNS, report)

    if git is not None:
        if any(reading) or any(sides):
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

    a, b = both(sources or [], any(sides.of(1)))
    before, after = load(a, sides.of(0), reading), load(b, sides.of(1), reading)
    one = compare(before, after, batch=batch, conditions=wanted)
    sink.show(pages.diff_document(one, choose(one) if rows.chosen else None, columns), kind)


def load(source: str, own: Reading, both: Reading) -> "Graph":
    """The graph of one side: its own options before those of both, of which some are for modules of PyTorch only."""
    from cnncalc.sources import is_torch

    code = is_torch(source)
    return Reading(
        (both.set or []) + (own.set or []),
        own.variant or both.variant,
        own.input or both.input,
        own.kwargs or (both.kwargs if code else None),
        both.input_dtype if code else None,
    ).load(source)


def both(sources: list[str], differs: bool) -> tuple[str, str]:
    """The two sources; one alone is both, where ``differs`` says that options make the other.

    Raises:
        CnncalcError: there is one, and nothing that makes the other differ; or there are more.
    """
    if len(sources) > 2:
        raise CnncalcError(
            f"diff takes two nets, got {len(sources)}\n  hint: --git REVISION compares any number of files"
        )
    if not sources or (len(sources) == 1 and not differs):
        raise CnncalcError(
            "there is nothing to compare with\n"
            "  hint: cnncalc diff A B, or one net with options for the other side: diff net.yaml --set-b width=48"
        )
    a, b = sources[0], sources[-1]
    if a == b == "-":
        raise CnncalcError("standard input can be only one of the two nets\n  hint: write the other to a file")
    return a, b
