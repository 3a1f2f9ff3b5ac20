"""Explanations in LaTeX: a fragment to paste into a document that uses ``amsmath``; plain ASCII."""

from __future__ import annotations

from collections.abc import Iterable

from cnncalc.analysis.explain.answer import INDICES, TEX, Entry, Explanation, Part, Total, variables
from cnncalc.analysis.explain.notation import counted, escaped
from cnncalc.report.explain import chain, remarks, variables_text
from cnncalc.report.words import shapes_text


def render(found: Explanation) -> str:
    """The explanation as a LaTeX fragment."""
    title = escaped(f"{found.title}, batch {found.batch}, {found.dtype}")
    symbols = {
        symbol: meaning for part in found.parts for symbol, meaning in part.trace.meanings.items()
    } | found.symbols
    lines = [r"% needs \usepackage{amsmath}", rf"\section*{{{title}}}"]
    for part in found.parts:
        lines += ["", *_part(part)]
    for total in found.totals:
        lines += ["", *_total(total)]
    if symbols:
        legend = "; ".join(f"${TEX.symbol(symbol)}$: {escaped(meaning)}" for symbol, meaning in symbols.items())
        lines += ["", r"\subsection*{Symbols}", f"{legend}; {escaped(INDICES)}."]
    if found.sources:
        lines += ["", r"\subsection*{Sources}", r"\begin{enumerate}"]
        lines += [rf"  \item {escaped(text)}" for text in found.sources]
        lines += [r"\end{enumerate}"]
    return "\n".join(lines) + "\n"


def _part(part: Part) -> list[str]:
    shapes = f"{shapes_text(part.node.input_shapes)} → {shapes_text(part.node.output_shapes)}"
    lines = [rf"\subsection*{{{escaped(f'{part.path} ({part.kind}), {shapes}')}}}"]
    if part.like is not None:
        lines.append(rf"Sizes and costs as for {escaped(part.like)}.")
    lines += _with(variables_text(variables(part, [*part.entries, *part.field]), latex=True))
    zero = " = ".join(TEX.symbol(one.symbol) for one in part.zeros)
    lines += aligned(part.entries, [rf"  {zero} &= 0"] if zero else [], part)
    lines += aligned(part.field, [], part)
    for other in part.versus:
        lines += [
            escaped(f"In its place: {other.title} (ratios are to this layer)."),
            *aligned(other.entries, []),
        ]
    return lines


def _with(variables: list[str]) -> list[str]:
    return [f"With {', '.join(f'${one}$' for one in variables)}:"] if variables else []


def aligned(
    entries: Iterable[Entry], more: list[str], part: Part | None = None, environment: str = "align*"
) -> list[str]:
    """The entries as one block, aligned at ``=``; what has no number is said below it."""
    rows, said = [], []
    for entry in entries:
        note = "; ".join(remarks(entry, part))
        marks = "".join(f" [{number}]" for number in entry.sources)
        if entry.quantity.expr is None:
            said.append(escaped(f"{entry.title}: {note or 'unknown'}.").capitalize())
            continue
        first, *steps = chain(entry, latex=True)
        title = rf" && \text{{{escaped(entry.title + (f' ({note})' if note else '') + marks)}}}"
        rows += [f"  {first} &= {steps[0]}{title}", *(f"    &= {step}" for step in steps[1:])]
    rows += more
    block = [rf"\begin{{{environment}}}", " \\\\\n".join(rows), rf"\end{{{environment}}}"] if rows else []
    return block + said


def _total(total: Total) -> list[str]:
    sign = r"\ge" if total.missing else "="
    terms = " + ".join(counted(term.value, latex=True) for term in total.terms) or "0"
    lines = [
        r"\begin{align*}",
        f"  {TEX.symbol(total.symbol)} &{sign} {terms} \\\\",
        f"    &= {counted(total.value, latex=True)}",
    ]
    lines += [r"\end{align*}"]
    if total.terms:
        lines += [r"\begin{tabular}{lr}"]
        lines += [rf"  {escaped(term.path)} & {counted(term.value, latex=True)} \\" for term in total.terms]
        lines += [r"\end{tabular}"]
    if total.missing:
        lines.append(escaped(f"A lower bound, without {', '.join(total.missing)}."))
    return lines
