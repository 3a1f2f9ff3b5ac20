"""``cnncalc check``: nets' numbers against limits."""

from typing import TYPE_CHECKING, Annotated, Literal

from cnncalc.commands import _options as options
from cnncalc.commands._command import Nets, Sink, collected, command
from cnncalc.commands._options import Texts, flag, option
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.targets import Target

Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html", "github", "junit"] | None,
    option(
        "By default what the ending of --output says, else a table. github: annotations of a workflow.",
        group=options.RESULT,
    ),
]


@command
def check(
    sources: options.Sources,
    max: Texts = option("Largest allowed value, e.g. params=26M. Repeatable.", "METRIC=VALUE"),
    min: Texts = option("Smallest allowed value, e.g. macs=100M. Repeatable.", "METRIC=VALUE"),
    *,
    nets: Nets,
    lenient: bool = flag("--lenient", "Skip files that are not specs, and accept specs without a budget."),
    batch: options.Batch = 1,
    sink: Annotated[Sink, {"format": Format}],
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
    from cnncalc.analysis.check import Checked, checked, together
    from cnncalc.report.check import document

    given = limits({"max": max or [], "min": min or []})
    kind = sink.kind({".xml": "junit"})
    several = nets.several(sources)

    def look(net: "Target") -> Checked:
        return checked(nets.load(net), net.label, batch, given)

    targets = nets.targets(sources, lenient=lenient)
    found, unread = collected(((net.label, net) for net in targets), look, go_on=several or kind in ("github", "junit"))
    if not lenient and found and not unread and not any(net.report.checks for net in found):
        raise CnncalcError(
            f"{' '.join(sources)}: there is nothing to check\n"
            "  hint: give the spec a budget ('budget: {params: {max: 26M}}'), or limits here (--max params=26M)"
        )
    alone = not several and any(net.report.checks for net in found)
    sink.show(document(found[0].report if alone else together(found, unread), found), kind)


def limits(given: dict[str, list[str]]) -> dict[str, dict[str, int]]:
    """The bounds of ``--max`` and ``--min`` by metric and side; of two for the same the last counts.

    Raises:
        CnncalcError: an unknown metric (with the nearest), or a value that is not a count.
    """
    from cnncalc.analysis.check import metric_named
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
