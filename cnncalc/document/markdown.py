"""A document in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape as html_escape
from typing import Any

from cnncalc.document import blocks
from cnncalc.document.blocks import flat
from cnncalc.document.column import Column
from cnncalc.document.grid import cells, totals_row
from cnncalc.text import display_width, visible

# An underscore inside a word is no markup.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~&$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def render(document: blocks.Document) -> str:
    """The whole document."""
    return _blocks(document.blocks)


def _blocks(several: Sequence[blocks.Block]) -> str:
    """Blocks with a line between; notes that follow each other are one list."""
    text, before = "", None
    for block in flat(several):
        follows = isinstance(block, blocks.Note) and isinstance(before, blocks.Note)
        text += ("" if follows or not text else "\n") + _block(block)
        before = block
    return text


def _block(block: blocks.Block) -> str:
    match block:
        case blocks.Heading():
            return f"{'#' * (block.level + 1)} {_line(block.text)}\n"
        case blocks.Text():
            written = _line(block.said)
            return f"**{written}**\n" if block.tone == "bold" else f"{written}\n"
        case blocks.Note():
            return f"- {_line(block.said)}\n"
        case blocks.Facts():
            return _small(block.title, ("",) * 3, "| --- | ---: | --- |", block.facts)
        case blocks.Equations():
            return "\n".join(map(_equation, block.equations))
        case blocks.Table():
            return table(block.columns, block.rows, block.whole)
        case blocks.Bars():
            rule = f"| --- |{' ---: |' * len(block.heads)}"
            rows = [[bar.name, *(text for text, _ in bar.parts)] for bar in block.bars]
            return _small(block.title, ("", *block.heads), rule, rows)
        case blocks.Verbatim():
            lines = visible(block.text, keep="\n").rstrip()
            return f"```{block.language}\n{lines}\n```\n"
        case blocks.Picture():
            lines = "\n".join(block.draw(None, False)).rstrip()
            return f"```\n{lines}\n```\n"
        case blocks.Findings():
            return table(blocks.FINDING_COLUMNS, block.findings)
        case blocks.Fold():
            title = html_escape(visible(block.title))  # a line that begins with a tag is HTML to its end
            return f"<details><summary>{title}</summary>\n\n{_blocks(block.blocks)}\n</details>\n"
        case blocks.Group():
            return "".join(map(_block, block.blocks))


def _small(title: str, heads: Sequence[str], rule: str, rows: Iterable[Sequence[str]]) -> str:
    """A table below its title."""
    lines = [" | ".join(map(_line, row)) for row in (heads, *rows)]
    lines = [f"| {line} |\n" for line in lines]
    return (f"### {_line(title)}\n\n" if title else "") + lines[0] + f"{rule}\n" + "".join(lines[1:])


def _equation(one: blocks.Equation) -> str:
    """Its title, and below it the steps, in LaTeX between dollars where it has any."""
    head = f"**{_line(one.title)}**" + (f" ({_line(one.remark)})" if one.remark else "")
    if not one.latex:
        return f"{head}: {_line(' = '.join(one.steps))}\n"
    first, *steps = one.latex
    rows = " \\\\\n".join([f"{first} &= {steps[0]}", *(f"&= {step}" for step in steps[1:])])
    return f"{head}\n\n$$\n\\begin{{aligned}}\n{rows}\n\\end{{aligned}}\n$$\n"


def _line(text: str) -> str:
    return escape(visible(text))


def table(columns: Sequence[Column], rows: Sequence[Any], whole: Any = None) -> str:
    """Rows of any kind as a Markdown table, aligned in the source too."""
    texts = [[escape(text) for text in cells(column, rows, whole)] for column in columns]
    totals = totals_row(columns, whole) if whole is not None else None
    if totals:
        for text, column in zip(totals, texts, strict=True):
            column.append(f"**{escape(text)}**" if text else "")
    heads = [escape(column.header) for column in columns]
    widths = [max(3, display_width(head), *map(display_width, text)) for head, text in zip(heads, texts, strict=True)]
    rules = ["-" * (width - 1) + ":" if c.right else "-" * width for c, width in zip(columns, widths, strict=True)]
    lines = [heads, rules, *map(list, zip(*texts, strict=True))]
    return "".join(f"| {' | '.join(_pad(columns, widths, line))} |\n" for line in lines)


def _pad(columns: Sequence[Column], widths: Sequence[int], line: Sequence[str]) -> list[str]:
    padded = []
    for column, width, text in zip(columns, widths, line, strict=True):
        space = " " * (width - display_width(text))
        padded.append(space + text if column.right else text + space)
    return padded


def escape(text: str) -> str:
    """``text`` so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", text)
