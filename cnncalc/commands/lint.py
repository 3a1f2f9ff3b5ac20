"""``cnncalc lint``: design faults of nets, before anyone trains them."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnncalc.commands import _options as options

if TYPE_CHECKING:
    from cnncalc.analysis.lint import Resize
    from cnncalc.graph import Graph
    from cnncalc.report.broken import Broken
    from cnncalc.report.lint import LintReport

Choices = list[str] | None
Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html", "github", "junit", "sarif"] | None,
    typer.Option(
        "--format",
        help="By default what the ending of --output says, else a table. github: annotations of a workflow.",
        show_default=False,
    ),
]


def lint(
    sources: options.MaybeSources = None,
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
    all_variants: options.AllVariants = False,
    lenient: Annotated[bool, typer.Option("--lenient", help="Pass over files that are no specs.")] = False,
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    input_dtype: options.InputDtype = None,
    format: Format = None,
    output: options.Output = None,
) -> None:
    """Find design faults: lost pixels, shifts, checkerboards, blind units, layers that do nothing.

    Each finding has a rule number, the layer and its place in the spec, and exact numbers; each rule says why
    it matters, what would mend it and who says so. Errors are faults whatever the net is for, warnings most
    likely are, and notes (info) are what is worth knowing. Exit status 1 where there is an error. Of a folder
    all specs in it are looked at.

    A comment on a layer's line silences rules there: '# cnncalc: ignore[CNN101]', or all with '# cnncalc: ignore'.

    Example: cnncalc lint resnet50 --ignore CNN3

    Example: cnncalc lint models --output lint.sarif
    """
    from cnncalc import targets
    from cnncalc.analysis import lint as linter
    from cnncalc.commands import _output
    from cnncalc.errors import CnncalcError
    from cnncalc.report import lint as reports
    from cnncalc.report.broken import broken

    numbers = chosen(select or [], ignore or [])
    applied = [rule for rule in sorted(linter.RULES.values()) if rule.number in numbers]
    endings = {**_output.ENDINGS, ".xml": "junit", ".sarif": "sarif"}
    kind = _output.chosen_format(format, output, endings)
    width, colour = _output.terminal(output)
    if rules:
        listed = reports.rule_list(applied)
        if kind == "table":
            _output.write(reports.render_rules(listed, width=width, colour=colour), output)
        elif kind == "json":
            from cnncalc.document.json import render

            _output.write(render(listed) + "\n", output)
        elif kind in ("github", "junit", "sarif"):
            raise CnncalcError(f"--rules: there is no list of rules as {kind}\n  hint: use --format json")
        else:
            _output.write_grid(reports.RULE_COLUMNS, listed.rules, format=kind, output=output)
        return
    if not sources:
        raise CnncalcError("give a net to look at\n  hint: cnncalc lint resnet50, or --rules to list the rules")
    several = targets.is_many(sources) or all_variants
    results: list[LintReport] = []
    unread: list[Broken] = []
    for target in targets.targets(sources, variant=variant, all_variants=all_variants, lenient=lenient):
        try:
            graph, text, at = load(
                target.source, set=set, variant=target.variant, input=input, kwargs=kwargs, input_dtype=input_dtype
            )
            found = linter.lint(graph, wanted=lambda rule: rule.number in numbers, silent=linter.silenced(text), at=at)
            results.append(reports.report(graph, found, applied, strict=strict))
        except CnncalcError as error:
            if not several and kind not in ("github", "junit", "sarif"):
                raise
            unread.append(broken(target.label, error))
    alone = results[0] if results and not several else None
    if kind == "table":
        blocks = [reports.render(result, width=width, colour=colour) for result in results]
        _output.write("\n".join(blocks), output)
    elif kind in ("csv", "markdown", "html"):
        faults = [fault for result in results for fault in result.findings]
        columns, rows = (reports.COLUMNS, faults) if kind == "csv" else (reports.GROUP_COLUMNS, reports.groups(faults))
        _output.write_grid(columns, rows, format=kind, output=output, notes=list(map(reports.verdict, results)))
    else:
        _output.write(text_of(results, unread, kind, alone), output, annotations=kind == "github")
    for problem in unread if kind != "github" else ():
        _output.complain(problem.message)
    if unread:
        raise typer.Exit(2)
    if any(result.status == "fail" for result in results):
        raise typer.Exit(1)


def text_of(results: "list[LintReport]", unread: "list[Broken]", kind: str, alone: "LintReport | None") -> str:
    """All reports as JSON or for CI, ``alone`` where one net was asked for."""
    from cnncalc.report import lint as reports

    if kind == "json":
        from cnncalc.document.json import render

        return render(alone or reports.together(results, unread)) + "\n"
    if kind == "github":
        return reports.github(results, unread)
    if kind == "junit":
        from cnncalc.report import junit

        return junit.render("cnncalc lint", reports.suites(results, unread))
    from cnncalc.report import sarif

    return sarif.render(results, unread)


def chosen(select: list[str], ignore: list[str]) -> frozenset[str]:
    """The numbers of the rules that are selected (all, where nothing is) and not ignored.

    Raises:
        CnncalcError: a choice that means no rule; the message has the nearest.
    """
    from cnncalc.analysis.lint import RULES, lookup
    from cnncalc.errors import unknown_name

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
    input_dtype: str | None = None,
) -> tuple["Graph", str, "Resize | None"]:
    """The graph of a source, the text that it was read from, and what builds it for inputs of other shapes.

    Python code has neither of the two.
    """
    from cnncalc import sources

    if sources.is_torch(source):
        graph = options.load(source, set=set, variant=variant, input=input, kwargs=kwargs, input_dtype=input_dtype)
        return graph, "", None
    text, shown, chosen = sources.text_of(source, variant)
    shapes = options.input_shapes(input or [])
    net = sources.resizable_text(text, shown, variant=chosen, args=set or [])
    attempt = net.attempt(sources.inputs_by_name(shapes, net.document.input))
    if attempt.graph is None:
        assert attempt.error is not None
        raise attempt.error
    options.warn(attempt.graph, ("input-shape",))  # for the others it has rules
    return attempt.graph, text, net.graph
