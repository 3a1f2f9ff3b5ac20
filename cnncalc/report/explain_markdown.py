"""Explanations in Markdown, formulas in LaTeX between dollars as GitHub, GitLab and Jupyter show them."""

from __future__ import annotations

from cnncalc.document.markdown import escape
from cnncalc.report.explain import (
    INDICES,
    TEX,
    Entry,
    Explanation,
    Part,
    Total,
    chain,
    remarks,
    terms_text,
    variables_text,
)
from cnncalc.report.words import shapes_text
from cnncalc.text import visible


def render(found: Explanation) -> str:
    """The explanation as Markdown."""
    lines = [f"# {cell(found.title)}", "", f"Batch {found.batch}, {found.dtype}."]
    for part in found.parts:
        lines += ["", *_part(part)]
    for total in found.totals:
        lines += ["", *_total(total)]
    if found.symbols:
        legend = "; ".join(f"${TEX.symbol(symbol)}$: {cell(meaning)}" for symbol, meaning in found.symbols.items())
        lines += ["", "## Symbols", "", f"{legend}; {cell(INDICES)}."]
    if found.sources:
        lines += ["", "## Sources", ""]
        lines += [f"{number}. {cell(text)}" for number, text in enumerate(found.sources, start=1)]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text as itself."""
    return escape(visible(text))


def _part(part: Part) -> list[str]:
    shapes = f"{shapes_text(part.node.input_shapes)} → {shapes_text(part.node.output_shapes)}"
    lines = [f"## {cell(part.path)}", "", f"{cell(part.kind)}, {shapes}"]
    if part.like is not None:
        lines += ["", f"Sizes and costs as for {cell(part.like)}."]
    lines += _with(variables_text(part.variables, latex=True))
    for entry in part.entries:
        lines += _entry(entry, part)
    if part.zeros:
        lines += ["", "zero: $" + " = ".join([*(TEX.symbol(one.symbol) for one in part.zeros), "0"]) + "$"]
    lines += _with(variables_text(part.field_variables, latex=True))
    for entry in part.field:
        lines += _entry(entry, part)
    for other in part.versus:
        lines += ["", f"### In its place: {cell(other.comparison.title)}", "", "Ratios are to this layer."]
        for entry in other.entries:
            lines += _entry(entry, None)
    return lines


def _with(variables: list[str]) -> list[str]:
    return ["", f"With {', '.join(f'${one}$' for one in variables)}:"] if variables else []


def _entry(entry: Entry, part: Part | None) -> list[str]:
    note = "; ".join(remarks(entry, part))
    marks = "".join(f" [{number}]" for number in entry.sources)
    if entry.quantity.expr is None:
        return ["", f"**{cell(entry.title)}**: {cell(note or 'unknown')}"]
    first, *steps = chain(entry, latex=True)
    aside = f" ({cell(note)})" if note else ""
    rows = [f"{first} &= {steps[0]}", *(f"&= {step}" for step in steps[1:])]
    return [
        "",
        f"**{cell(entry.title)}**{aside}{marks}",
        "",
        "$$",
        r"\begin{aligned}",
        " \\\\\n".join(rows),
        r"\end{aligned}",
        "$$",
    ]


def _total(total: Total) -> list[str]:
    least = "at least " if total.missing else ""
    lines = [
        f"**{total.symbol}** = {terms_text(total)} = {least}{total.value:,}",
        "",
        "| part | layers | value |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| {cell(term.path)} | {term.layers} | {term.value:,} |" for term in total.terms]
    if total.missing:
        lines += ["", f"A lower bound, without {', '.join(map(cell, total.missing))}."]
    return lines
