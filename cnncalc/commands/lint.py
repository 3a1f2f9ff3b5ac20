"""``cnncalc lint``: design faults of nets, before anyone trains them."""

from typing import TYPE_CHECKING, Annotated, Literal

from cnncalc.commands import _options as options
from cnncalc.commands._command import Nets, Reading, Sink, collected, command
from cnncalc.commands._options import Texts, flag, option
from cnncalc.errors import CnncalcError, unknown_name

if TYPE_CHECKING:
    from cnncalc.analysis.lint import Resize
    from cnncalc.graph import Graph
    from cnncalc.targets import Target

Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html", "github", "junit", "sarif"] | None,
    option(
        "By default what the ending of --output says, else text. github: annotations of a workflow.",
        group=options.RESULT,
    ),
]


@command
def lint(
    sources: options.MaybeSources = None,
    select: Texts = option("Only these rules: numbers or their beginnings, e.g. CNN101,CNN2. Repeatable.", "RULES"),
    ignore: Texts = option("Not these rules, of those selected. Repeatable.", "RULES"),
    strict: bool = flag("--strict", "Exit status 1 for warnings too, not for errors alone."),
    rules: bool = flag("--rules", "List the rules."),
    explain: Texts = option(
        "Explain these rules, by number or name: why, how to fix it, and the source. Repeatable.", "RULES"
    ),
    *,
    nets: Nets,
    lenient: bool = flag("--lenient", "Skip files that are not specs."),
    sink: Annotated[Sink, {"format": Format}],
) -> None:
    """Find design faults: lost pixels, shifts, checkerboards, blind units, layers that do nothing.

    Each finding has a rule number, the layer and its place in the spec, and exact numbers; --explain says why
    a rule matters, how to fix it and the source. Errors are faults whatever the net is for, warnings most
    likely are, and notes (info) are what is worth knowing. Exit status 1 where there is an error. A folder
    means all its specs.

    A comment on a layer's line silences rules there: '# cnncalc: ignore[CNN101]', or all with '# cnncalc: ignore'.

    Example: cnncalc lint resnet50 --ignore CNN3

    Example: cnncalc lint --explain CNN101

    Example: cnncalc lint models --output lint.sarif
    """
    from cnncalc.analysis import lint as linter
    from cnncalc.analysis.lint import answer
    from cnncalc.report import lint as pages

    numbers = chosen([*(select or []), *(explain or [])], ignore or [])
    applied = [rule for number, rule in sorted(linter.RULES.items()) if number in numbers]
    kind = sink.kind({".xml": "junit", ".sarif": "sarif"})
    if rules or explain:
        if kind in ("github", "junit", "sarif"):
            raise CnncalcError(f"--rules: there is no list of rules as {kind}\n  hint: use --format json")
        listed = answer.rule_list(applied)
        sink.show(pages.explained(listed) if explain else pages.rules(listed), kind)
        return
    if not sources:
        raise CnncalcError("give a net to look at\n  hint: cnncalc lint resnet50, or --rules to list the rules")
    several = nets.several(sources)

    def look(net: "Target") -> answer.LintReport:
        graph, text, at = load(net.source, nets.reading._replace(variant=net.variant))
        found = linter.lint(graph, wanted=lambda rule: rule.rule in numbers, silent=linter.silenced(text), at=at)
        return answer.report(graph, found, applied, strict=strict)

    targets = nets.targets(sources, lenient=lenient)
    results, unread = collected(
        ((net.label, net) for net in targets), look, go_on=several or kind in ("github", "junit", "sarif")
    )
    sink.show(pages.document(results[0] if results and not several else answer.together(results, unread)), kind)


def chosen(select: list[str], ignore: list[str]) -> frozenset[str]:
    """The numbers of the rules that are selected (all, where nothing is) and not ignored.

    Raises:
        CnncalcError: a choice that means no rule; the message has the nearest.
    """
    from cnncalc.analysis.lint import RULES, lookup

    def numbers(texts: list[str]) -> frozenset[str]:
        try:
            return frozenset(lookup([choice for text in texts for choice in text.split(",")]))
        except KeyError as error:
            names = {rule.name: number for number, rule in RULES.items()}
            raise unknown_name("rule", error.args[0], [*names, *(n.lower() for n in RULES)], RULES) from None

    return (numbers(select) if select else frozenset(RULES)) - numbers(ignore)


def load(source: str, reading: Reading) -> tuple["Graph", str, "Resize | None"]:
    """The graph of a source, the text that it was read from, and what builds it for inputs of other shapes.

    Python code has neither of the two.
    """
    from cnncalc import sources

    if sources.is_torch(source):
        return reading.load(source), "", None
    text, shown, chosen = sources.text_of(source, reading.variant)
    shapes = options.input_shapes(reading.input or [])
    net = sources.resizable_text(text, shown, variant=chosen, args=reading.set or [])
    attempt = net.attempt(sources.inputs_by_name(shapes, net.document.input))
    if attempt.graph is None:
        assert attempt.error is not None
        raise attempt.error
    options.warn(attempt.graph, ("input-shape",))  # for the others it has rules
    return attempt.graph, text, net.graph
