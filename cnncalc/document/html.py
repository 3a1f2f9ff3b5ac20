"""A document as HTML: a page of its own, or the part of one that a notebook shows; readable in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from cnncalc.document import blocks
from cnncalc.document.blocks import flat, folded
from cnncalc.document.column import Column
from cnncalc.document.grid import cells, totals_row
from cnncalc.text import visible

# Only opacity and the text's own colour: both follow the page's theme.
_STYLE = (
    "<style>.cnncalc{font-size:.9em;border-collapse:collapse;font-variant-numeric:tabular-nums}"
    ".cnncalc caption{text-align:left;padding:.3em 0;white-space:normal}"
    ".cnncalc th,.cnncalc td{padding:.15em .6em;text-align:left;border:0;white-space:nowrap}"
    ".cnncalc th,.cnncalc td{background:none;color:inherit}"
    ".cnncalc .n{text-align:right}.cnncalc .p{opacity:.6}"
    ".cnncalc thead th{border-bottom:1px solid currentColor}.cnncalc tfoot td{border-top:1px solid currentColor;"
    "font-weight:bold}.cnncalc tbody tr:hover{outline:1px solid currentColor}</style>"
)


_PAGE = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width">\n<meta name="color-scheme" content="light dark">\n'
)
N = ' class="n"'
"""Of numbers."""
_FONT = "<style>body{font:1em/1.4 system-ui,sans-serif;margin:2em}pre{line-height:1.2}</style>"


def render(document: blocks.Document) -> str:
    """A whole page."""
    titles = [block.text for block in flat(document.blocks) if isinstance(block, blocks.Heading)]
    title = f"<title>{_text(titles[0] if titles else 'cnncalc')}</title>\n"
    return f"{_PAGE}{title}{_FONT}\n</head>\n<body>\n{part(document)}</body>\n</html>\n"


def part(document: blocks.Document, *, height: int | None = None) -> str:
    """The document as a ``<div>``, for a notebook's cell; tables that are trees are folded into ``height`` rows."""
    return f"<div>{_STYLE}\n{''.join([_block(block, height) for block in document.blocks])}</div>\n"


def _block(block: blocks.Block, height: int | None = None) -> str:
    match block:
        case blocks.Heading():
            return f"<h{block.level}>{_text(block.text)}</h{block.level}>\n"
        case blocks.Text():
            written = _text(block.said)
            return f"<p><b>{written}</b></p>\n" if block.tone == "bold" else f"<p>{written}</p>\n"
        case blocks.Note():
            mark = f"<b>{block.mark}:</b> " if block.mark else ""
            return f"<p>{mark}{_text(block.text)}</p>\n"
        case blocks.Facts():
            return _small(block.title, block.facts, ("", N, ""))
        case blocks.Equations():
            return _small("", [[one.title, " = ".join(one.steps), one.remark] for one in block.equations])
        case blocks.Table():
            if block.tree is None or height is None:
                return table(block.columns, block.rows, block.whole)
            tree, said = folded(block, height)
            return table(block.columns, [], block.whole, tree) + (f"<p>{_text(said)}</p>\n" if said else "")
        case blocks.Bars():
            heads = "".join(f"<th{N}>{_text(head)}</th>" for head in block.heads)
            rows = [[bar.name, *(text for text, _ in bar.parts)] for bar in block.bars]
            return _small(block.title, rows, ("", *[N] * len(block.heads)), f"<thead><tr><th></th>{heads}</tr></thead>")
        case blocks.Verbatim():
            return f"<pre>{escape(visible(block.text, keep=chr(10)))}</pre>\n"
        case blocks.Picture():
            return f"<pre>{escape(chr(10).join(block.draw(None, False)))}</pre>\n"
        case blocks.Findings():
            return table(blocks.FINDING_COLUMNS, block.findings)
        case blocks.Fold():
            inner = "".join([_block(one, height) for one in block.blocks])
            return f"<details open><summary>{_text(block.title)}</summary>\n{inner}</details>\n"
        case blocks.Group():
            return "".join([_block(one, height) for one in block.blocks])


def _small(title: str, rows: Iterable[Sequence[str]], kinds: Sequence[str] = ("",) * 3, head: str = "") -> str:
    """A table below its title; ``kinds`` are the attributes of its columns."""
    caption = f"<caption><b>{_text(title)}</b></caption>" if title else ""
    body = "".join(f"<tr>{_row(kinds, list(map(_text, row)))}</tr>\n" for row in rows)
    return f'<table class="cnncalc">{caption}{head}<tbody>\n{body}</tbody></table>\n'


def table(
    columns: Sequence[Column], rows: Sequence[Any], whole: Any = None, tree: Sequence[blocks.Branch] | None = None
) -> str:
    """Rows of any kind, or in their place those of a tree with indented names, as a ``<div>``."""
    if tree is not None:
        rows = [branch.row for branch in tree]
    kinds = [N if column.right else "" for column in columns]
    texts = [[_cell(text, column) for text in cells(column, rows, whole)] for column in columns]
    if tree is not None:
        names = ["\u2003" * branch.level + _text(branch.name) for branch in tree]
        texts = [names if column.path else text for column, text in zip(columns, texts, strict=True)]
    head = "".join(f"<th{kind}>{_text(c.header)}</th>" for c, kind in zip(columns, kinds, strict=True))
    body = "".join(f"<tr>{_row(kinds, row)}</tr>\n" for row in zip(*texts, strict=True))
    totals = totals_row(columns, whole) if whole is not None else None
    foot = f"<tfoot><tr>{_row(kinds, [_text(text) for text in totals])}</tr></tfoot>" if totals else ""
    return (
        f'<div style="overflow-x:auto"><table class="cnncalc"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>{foot}</table></div>\n"
    )


def _row(kinds: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(f"<td{kind}>{text}</td>" for kind, text in zip(kinds, texts, strict=True))


def _cell(text: str, column: Column) -> str:
    """A path's prefix is set back, as on a terminal."""
    prefix, dot, last = text.rpartition(".") if column.path else ("", "", text)
    return f'<span class="p">{escape(prefix + dot)}</span>{escape(last)}' if prefix else escape(text)


def _text(text: str) -> str:
    return escape(visible(text))
