"""``cnncalc check``: nets' totals against limits."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnncalc.commands import _options as options
from cnncalc.commands._command import Sink, command

if TYPE_CHECKING:
    from cnncalc.report.check import Checked, Limits
    from cnncalc.targets import Target

Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html", "github", "junit"] | None,
    typer.Option(
        "--format",
        help="By default what the ending of --output says, else a table. github: annotations of a workflow.",
        show_default=False,
        rich_help_panel=options.RESULT,
    ),
]


@command
def check(
    sources: options.Sources,
    max: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="METRIC=VALUE", help="Greatest allowed total, as params=26M. Repeatable."),
    ] = None,
    min: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="METRIC=VALUE", help="Least allowed total, as macs=100M. Repeatable."),
    ] = None,
    set: options.Set = None,
    variant: options.Variant = None,
    all_variants: options.AllVariants = False,
    lenient: Annotated[
        bool,
        typer.Option("--lenient", help="Skip files that are not specs, and accept specs without a budget."),
    ] = False,
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    input_dtype: options.InputDtype = None,
    batch: options.Batch = 1,
    format: Format = None,
    output: options.Output = None,
    force: options.Force = False,
) -> None:
    """Hold the totals of nets against limits.

    The limits are the spec's budget and those given here, which replace the spec's for that metric and
    side. Exit status 1 where one is broken, or cannot be shown to be kept. Of a folder all specs in it are
    checked; of several, those without limits are only read.

    Metrics: params, buffers, macs, flops, elementwise_ops, activations.

    Example: cnncalc check resnet50 --max params=26M --max macs=4.2G

    Example: cnncalc check models --all-variants --format github
    """
    from cnncalc import targets
    from cnncalc.analysis.broken import broken
    from cnncalc.errors import CnncalcError
    from cnncalc.report.check import document, together

    given = {"max": limits("max", max or []), "min": limits("min", min or [])}
    sink = Sink._make((format, output, force))
    kind = sink.kind({".xml": "junit"})
    several = targets.is_many(sources) or all_variants
    checked, unread = [], []
    for target in targets.targets(sources, variant=variant, all_variants=all_variants, lenient=lenient):
        try:
            checked.append(
                one_net(target, given, set=set, input=input, kwargs=kwargs, input_dtype=input_dtype, batch=batch)
            )
        except CnncalcError as error:
            if not several and kind not in ("github", "junit"):
                raise
            unread.append(broken(target.label, error))
    if not lenient and checked and not unread and not any(net.report.checks for net in checked):
        raise CnncalcError(
            f"{' '.join(sources)}: there is nothing to check\n"
            "  hint: give the spec a budget ('budget: {params: {max: 26M}}'), or limits here (--max params=26M)"
        )
    alone = not several and any(net.report.checks for net in checked)
    sink.show(document(checked[0].report if alone else together(checked, unread), checked), kind)


def one_net(
    target: "Target",
    given: "Limits",
    *,
    set: list[str] | None,
    input: list[str] | None,
    kwargs: str | None,
    input_dtype: str | None,
    batch: int,
) -> "Checked":
    """A net held against the limits of its spec and those given."""
    from cnncalc.analysis.assemble import assemble
    from cnncalc.report import check as checks

    graph = options.load(
        target.source, set=set, variant=target.variant, input=input, kwargs=kwargs, input_dtype=input_dtype
    )
    merged = {metric: dict(bounds) for metric, bounds in graph.budget.items()}
    places = {metric: dict(sides) for metric, sides in graph.budget_places.items()}
    for side, bounds in given.items():
        for metric, bound in bounds.items():
            merged.setdefault(metric, {})[side] = bound
            places.get(metric, {}).pop(side, None)
    return checks.Checked(target.label, checks.check(assemble(graph, batch), merged), places)


def limits(side: str, texts: list[str]) -> dict[str, int]:
    """The bounds of ``--max`` or ``--min`` by metric; of two for the same metric the last counts.

    Raises:
        CnncalcError: an unknown metric (with the nearest), or a value that is no count.
    """
    from cnncalc import units
    from cnncalc.errors import CnncalcError, unknown_name
    from cnncalc.report.check import METRICS
    from cnncalc.report.columns import ALIASES

    bounds = {}
    for text in texts:
        name, equals, value = text.partition("=")
        metric = ALIASES.get(name.strip().lower(), name.strip().lower())
        if not equals:
            raise CnncalcError(f"--{side} {text}: a limit is METRIC=VALUE\n  hint: as params=26M")
        if metric not in METRICS:
            raise unknown_name("metric", name, METRICS, METRICS)
        try:
            bounds[metric] = units.parse(value)
        except CnncalcError as error:
            raise CnncalcError(f"--{side} {text}: {error}") from None
    return bounds
