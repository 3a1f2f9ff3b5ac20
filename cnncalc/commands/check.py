"""``cnncalc check``: nets' numbers against limits."""

from typing import Annotated, Literal

import typer

from cnncalc.commands import _options as options
from cnncalc.commands._command import Sink, command

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
        typer.Option("--max", metavar="METRIC=VALUE", help="Largest allowed value, e.g. params=26M. Repeatable."),
    ] = None,
    min: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="METRIC=VALUE", help="Smallest allowed value, e.g. macs=100M. Repeatable."),
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
    """Compare the numbers of nets with limits.

    The limits are the spec's budget and those given here, which replace the spec's for that metric and
    side. Exit status 1 where one is broken, or cannot be shown to hold. A folder means all its specs;
    of several nets, those without limits are only read.

    Metrics: params, buffers, macs, flops, elementwise_ops, activations, layers; rf and jump (the receptive
    field of the last layer that does not see everything); and in bytes of float32 weights, peak (tensors in
    inference) and memory (a training step with Adam).

    Example: cnncalc check resnet50 --max params=26M --max macs=4.2G --max peak=16MiB

    Example: cnncalc check models --all-variants --format github
    """
    from cnncalc import targets
    from cnncalc.analysis.broken import broken
    from cnncalc.analysis.check import checked, together
    from cnncalc.errors import CnncalcError
    from cnncalc.report.check import document

    given = limits({"max": max or [], "min": min or []})
    sink = Sink._make((format, output, force))
    kind = sink.kind({".xml": "junit"})
    several = targets.is_many(sources) or all_variants
    nets, unread = [], []
    for target in targets.targets(sources, variant=variant, all_variants=all_variants, lenient=lenient):
        try:
            graph = options.load(
                target.source, set=set, variant=target.variant, input=input, kwargs=kwargs, input_dtype=input_dtype
            )
            nets.append(checked(graph, target.label, batch, given))
        except CnncalcError as error:
            if not several and kind not in ("github", "junit"):
                raise
            unread.append(broken(target.label, error))
    if not lenient and nets and not unread and not any(net.report.checks for net in nets):
        raise CnncalcError(
            f"{' '.join(sources)}: there is nothing to check\n"
            "  hint: give the spec a budget ('budget: {params: {max: 26M}}'), or limits here (--max params=26M)"
        )
    alone = not several and any(net.report.checks for net in nets)
    sink.show(document(nets[0].report if alone else together(nets, unread), nets), kind)


def limits(given: dict[str, list[str]]) -> dict[str, dict[str, int]]:
    """The bounds of ``--max`` and ``--min`` by metric and side; of two for the same the last counts.

    Raises:
        CnncalcError: an unknown metric (with the nearest), or a value that is not a count.
    """
    from cnncalc.analysis.check import metric_named
    from cnncalc.errors import CnncalcError
    from cnncalc.spec.budget import bound

    found: dict[str, dict[str, int]] = {}
    for side, text in [(side, text) for side, texts in given.items() for text in texts]:
        name, equals, value = text.partition("=")
        if not equals:
            raise CnncalcError(f"--{side} {text}: a limit is METRIC=VALUE\n  hint: e.g. params=26M")
        metric = metric_named(name)
        try:
            found.setdefault(metric, {})[side] = bound(metric, value)
        except CnncalcError as error:
            raise CnncalcError(f"--{side} {text}: {error}") from None
    return found
