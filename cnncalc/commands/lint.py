"""``cnncalc lint``: design faults of a net, before anyone trains it."""

from typing import TYPE_CHECKING, Annotated

import typer

from cnncalc.commands import _options as options

if TYPE_CHECKING:
    from cnncalc.graph import Graph

Choices = list[str] | None


def lint(
    source: options.Source = "",
    select: Annotated[
        Choices,
        typer.Option(
            "--select",
            metavar="RULES",
            help="Only these rules: numbers or their beginnings, as CNN101,CNN2. Repeatable.",
        ),
    ] = None,
    ignore: Annotated[
        Choices, typer.Option("--ignore", metavar="RULES", help="Not these rules, of those selected. Repeatable.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 for warnings too, not for errors alone.")
    ] = False,
    rules: Annotated[
        bool, typer.Option("--rules", help="List the rules, with why, what mends it and the source.")
    ] = False,
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    output: options.Output = None,
) -> None:
    """Find design faults: lost pixels, shifts, checkerboards, blind units, layers that do nothing.

    Each finding has a rule number, the layer and its place in the spec, and exact numbers; each rule says why
    it matters, what would mend it and who says so. Errors are faults whatever the net is for, warnings most
    likely are, and notes (info) are what is worth knowing. Exit status 1 where there is an error.

    A comment on a layer's line silences rules there: '# cnncalc: ignore[CNN101]', or all with '# cnncalc: ignore'.

    Example: cnncalc lint resnet50 --ignore CNN3
    """
    from cnncalc.analysis import lint as linter
    from cnncalc.commands import _output
    from cnncalc.errors import CnncalcError
    from cnncalc.report import lint as reports

    numbers = chosen(select or [], ignore or [])
    applied = [rule for rule in sorted(linter.RULES.values()) if rule.number in numbers]
    kind = _output.chosen_format(format, output)
    width, colour = _output.terminal(output)
    if rules:
        listed = reports.rule_list(applied)
        if kind == "table":
            _output.write(reports.render_rules(listed, width=width, colour=colour), output)
        elif kind == "json":
            from cnncalc.report.json import render

            _output.write(render(listed) + "\n", output)
        else:
            _output.write_grid(reports.RULE_COLUMNS, listed.rules, format=kind, output=output)
        return
    if not source:
        raise CnncalcError("give a net to look at\n  hint: cnncalc lint resnet50, or --rules to list the rules")
    graph, text = load(source, set=set, variant=variant, input=input, kwargs=kwargs, dtype=dtype)
    found = linter.lint(graph, wanted=lambda rule: rule.number in numbers, silent=linter.silenced(text))
    result = reports.report(graph, found, applied, strict=strict)
    if kind == "table":
        _output.write(reports.render(result, width=width, colour=colour), output)
    elif kind == "json":
        from cnncalc.report.json import render

        _output.write(render(result) + "\n", output)
    elif kind == "csv":
        _output.write_grid(reports.COLUMNS, result.findings, format=kind, output=output)
    else:
        _output.write_grid(reports.GROUP_COLUMNS, reports.groups(result.findings), format=kind, output=output)
    if result.status == "fail":
        raise typer.Exit(1)


def chosen(select: list[str], ignore: list[str]) -> frozenset[str]:
    """The numbers of the rules that are selected (all, where nothing is) and not ignored.

    Raises:
        CnncalcError: a choice that means no rule; the message has the nearest.
    """
    from cnncalc.analysis.lint import RULES, lookup
    from cnncalc.report.columns import unknown_name

    def numbers(texts: list[str]) -> frozenset[str]:
        try:
            return frozenset(lookup([choice for text in texts for choice in text.split(",")]))
        except KeyError as error:
            names = {rule.name: number for number, rule in RULES.items()}
            raise unknown_name("rule", error.args[0], [*names, *(n.lower() for n in RULES)], RULES) from None

    return (numbers(select) if select else frozenset(RULES)) - numbers(ignore)


def load(
    source: str,
    *,
    set: Choices,
    variant: str | None,
    input: Choices,
    kwargs: str | None = None,
    dtype: str | None = None,
) -> tuple["Graph", str]:
    """The graph of a source, and the text that it was read from (none, where it is Python code)."""
    from cnncalc import sources

    if sources.is_torch(source):
        return options.load(source, set=set, variant=variant, input=input, kwargs=kwargs, dtype=dtype), ""
    text, shown, chosen = sources.text_of(source, variant)
    shapes = options.input_shapes(input or [])
    return sources.load_text(text, shown, variant=chosen, args=set or [], input=shapes), text
