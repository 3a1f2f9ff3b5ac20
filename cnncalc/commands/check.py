"""``cnncalc check``: a net's totals against limits."""

from typing import Annotated

import typer

from cnncalc.commands import _options as options


def check(
    source: options.Source,
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
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    dtype: options.Dtype = None,
    batch: options.Batch = 1,
    format: options.Format = None,
    output: options.Output = None,
) -> None:
    """Hold a net's totals against limits.

    The limits are the spec's budget and those given here, which replace the spec's for that metric and
    side. Exit status 1 where one is broken, or cannot be shown to be kept.

    Metrics: params, buffers, macs, flops, elementwise_ops, activations.

    Example: cnncalc check resnet50 --max params=26M --max macs=4.2G
    """
    from cnncalc.commands import _output
    from cnncalc.errors import CnncalcError
    from cnncalc.report import check as checks
    from cnncalc.report.assemble import assemble

    given = {"max": limits("max", max or []), "min": limits("min", min or [])}
    graph = options.load(source, set=set, variant=variant, input=input, kwargs=kwargs, dtype=dtype)
    merged = {metric: dict(bounds) for metric, bounds in graph.budget.items()}
    for side, bounds in given.items():
        for metric, bound in bounds.items():
            merged.setdefault(metric, {})[side] = bound
    if not any(merged.values()):
        raise CnncalcError(
            f"{source}: there is nothing to check\n"
            "  hint: give the spec a budget ('budget: {params: {max: 26M}}'), or limits here (--max params=26M)"
        )
    result = checks.check(assemble(graph, batch), merged)
    kind = _output.chosen_format(format, output)
    if kind == "json":
        from cnncalc.report.json import render

        _output.write(render(result) + "\n", output)
    else:
        from cnncalc.text import visible

        failed = sum(one.status == "fail" for one in result.checks)
        count = len(result.checks)
        verdict = f"{failed} of {count} checks failed" if failed else f"all {count} checks passed"
        note = f"{visible(graph.name or graph.source)}, batch {batch}: {verdict}"
        columns = [c for c in checks.COLUMNS if c.name != "reason" or any(c.value(one, None) for one in result.checks)]
        _output.write_grid(columns, result.checks, format=kind, output=output, note=note)
    if result.status == "fail":
        raise typer.Exit(1)


def limits(side: str, texts: list[str]) -> dict[str, int]:
    """The bounds of ``--max`` or ``--min`` by metric; of two for the same metric the last counts.

    Raises:
        CnncalcError: an unknown metric (with the nearest), or a value that is no count.
    """
    from cnncalc import units
    from cnncalc.errors import CnncalcError
    from cnncalc.report.check import METRICS
    from cnncalc.report.columns import ALIASES, unknown_name

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
