"""A document as text: for a terminal of some width and height, or without limits for a pipe or a file."""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc.document import blocks
from cnncalc.document.blocks import flat, folded
from cnncalc.document.grid import grid, style
from cnncalc.text import display_width, shorten, visible, wrap

LEAST = 8
"""Columns that a paragraph keeps behind its lead, however narrow the terminal."""
TITLES = 27
"""Columns that titles of equations get at most; a longer one stands above its equation."""
NARROW = 72
"""Below this width all titles of equations stand above them."""
BAR = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"
_TONES = {"": "", "note": "bold", "warning": "yellow", "error": "red"}
_PROMPT = 1
"""Lines that the shell's next prompt takes."""


def render(
    document: blocks.Document,
    *,
    width: int | None = None,
    height: int | None = None,
    colour: bool = False,
    tree: bool = False,
) -> str:
    """The document as text that ends in a newline.

    Args:
        document: what to show.
        width: columns of the terminal; ``None`` (a pipe, a file) cuts and wraps nothing.
        height: lines of the terminal, into which tables that are trees are folded; ``None`` for all.
        colour: whether to use ANSI codes.
        tree: whether tables that are trees are shown as such; otherwise each row has its whole path.
    """
    chosen: dict[int, tuple[Sequence[blocks.Branch] | None, str]] = {}
    every = flat(document.blocks, folds=True) if tree else []
    trees = [block for block in every if isinstance(block, blocks.Table) and block.tree]
    if trees:
        bare: _Chosen = {id(table): ([], " ") for table in trees}
        used = _text(document.blocks, width, colour, bare).count("\n") + _PROMPT
        for table in trees:
            chosen[id(table)] = folded(table, None if height is None else (height - used) // len(trees))
    page = _text(document.blocks, width, colour, chosen)
    closed = [block.closed for block in document.blocks if isinstance(block, blocks.Fold) and block.closed]
    if height is not None and closed and page.count("\n") + _PROMPT > height:
        left = [block for block in document.blocks if not (isinstance(block, blocks.Fold) and block.closed)]
        return _text([*left, blocks.Text(closed[0], "dim")], width, colour, chosen={})
    return page


_Chosen = dict[int, tuple[Sequence[blocks.Branch] | None, str]]


def _text(several: Sequence[blocks.Block], width: int | None, colour: bool, chosen: _Chosen) -> str:
    parts = [_lines(block, width, colour, chosen) for block in several]
    parts.append([style(line, "dim", colour) for _, said in chosen.values() for line in wrap(said, width) if line])
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _lines(block: blocks.Block, width: int | None, colour: bool, chosen: _Chosen) -> list[str]:
    match block:
        case blocks.Heading():
            return [style(line, "bold", colour) for line in wrap(visible(block.text), width)]
        case blocks.Text():
            return _paragraph(block, width, colour)
        case blocks.Note():
            return _note(block, width, colour)
        case blocks.Facts():
            return _facts(block, width, colour)
        case blocks.Equations():
            return _equations(block, width, colour)
        case blocks.Table():
            tree, _ = chosen.get(id(block), (None, ""))
            return grid(block.columns, block.rows, block.whole, width=width, colour=colour, drop=block.drop, tree=tree)
        case blocks.Bars():
            return _bars(block, width, colour)
        case blocks.Verbatim():
            return [part for line in visible(block.text, keep="\n").splitlines() for part in _verbatim(line, width)]
        case blocks.Picture():
            return list(block.draw(width, colour))
        case blocks.Findings():
            return [line for one in block.findings for line in _finding(one, width, colour)]
        case blocks.Fold():
            parts = [_lines(one, width, colour, chosen) for one in block.blocks]
            inner = "\n\n".join("\n".join(lines) for lines in parts if lines).split("\n")
            return [*(style(line, "bold", colour) for line in wrap(visible(block.title), width)), *inner]
        case blocks.Group():
            return [line for one in block.blocks for line in _lines(one, width, colour, chosen)]


def _paragraph(block: blocks.Text, width: int | None, colour: bool) -> list[str]:
    lead = visible(block.lead)
    before = display_width(lead)
    room = None if width is None else max(width - before, LEAST if lead else 1)
    first, *rest = wrap(visible(block.text), room, block.indent) or [""]
    lines = [lead + first, *(" " * before + line for line in rest)]
    if block.strong:
        strong = visible(block.strong)
        lines[0] = lines[0].replace(strong, style(strong, "bold", colour), 1)
    return [style(line, block.tone, colour) if block.tone else line for line in lines]


def _verbatim(line: str, width: int | None) -> list[str]:
    """A line that is laid out already; one that is too long goes on below its own beginning."""
    text = line.lstrip(" ")
    indent = " " * (len(line) - len(text))
    return [indent + part for part in wrap(text, None if width is None else max(width - len(indent), LEAST), "  ")]


def _note(block: blocks.Note, width: int | None, colour: bool) -> list[str]:
    lead = f"{block.mark}: " if block.mark else ""
    first, *rest = wrap(lead + visible(block.text), width, "  ")
    if lead:
        return [style(lead[:-1], _TONES[block.mark], colour) + first.removeprefix(lead[:-1]), *rest]
    return [style(line, block.tone, colour) if block.tone else line for line in (first, *rest)]


def _finding(one: blocks.Finding, width: int | None, colour: bool) -> list[str]:
    """``file:line:column: code mark subject: message``; lines after the first are indented."""
    where = f"{visible(one.where)}: " if one.where else ""
    code = visible(one.code)
    head = f"{where}{code} {one.mark}"
    first, *rest = wrap(f"{head} {visible(one.message)}", width, "    ")
    if first.startswith(head):
        mark = style(one.mark, _TONES[one.mark], colour)
        first = f"{style(where, 'dim', colour)}{style(code, 'bold', colour)} {mark}{first[len(head) :]}"
    return [first, *rest]


def _facts(block: blocks.Facts, width: int | None, colour: bool) -> list[str]:
    facts = [[visible(text) for text in fact] for fact in block.facts]
    names = max((display_width(name) for name, _, _ in facts), default=0)
    values = max((display_width(value) for _, value, _ in facts), default=0)
    indent = " " * (names + values + 6 if width and width > names + values + 26 else 2)
    lines = [style(visible(block.title), "bold", colour)] if block.title else []
    for name, value, remark in facts:
        padded = f"{' ' * (values - display_width(value))}{value}"
        text = f"{name}{' ' * (names - display_width(name))}   {padded}   {remark}".rstrip()
        first, *rest = (line.rstrip() for line in wrap(text, width, indent))
        if block.strong and value:
            first = first.replace(padded, style(padded, "bold", colour), 1)
        lines += [first, *rest]
    return lines


def _equations(block: blocks.Equations, width: int | None, colour: bool) -> list[str]:
    widths = [display_width(visible(one.title)) for one in block.equations]
    titles = max((width for width in widths if width <= TITLES), default=0)
    indent = "    " if width is not None and width < NARROW else " " * (titles + 4)
    return [line for one in block.equations for line in _equation(one, indent, width, colour)]


def _equation(one: blocks.Equation, indent: str, width: int | None, colour: bool) -> list[str]:
    """On one line if it fits, else a line for each step, the result behind the last."""
    title = f"  {visible(one.title)}"
    gap = max(len(indent) - display_width(title), 2 if width is None else 0)
    above = [] if gap > 1 else wrap(title, width, "    ")
    equation, remark = " = ".join(map(visible, one.steps)), f"({visible(one.remark)})" if one.remark else ""
    room = None if width is None else max(LEAST, width - len(indent))
    if room is None or display_width(f"{equation}   {remark}") <= room:
        lines = [f"{equation}   {style(remark, 'dim', colour)}" if remark else equation]
    else:
        lines = _steps([visible(step) for step in one.steps], room)
        lines += [style(line, "dim", colour) for line in wrap(remark, room, "  ")] if remark else []
    lines = [indent + line for line in lines]
    if not above:
        lines[0] = title + " " * gap + lines[0][len(indent) :]
    return [*above, *lines]


def _steps(steps: Sequence[str], room: int) -> list[str]:
    if display_width(whole := " = ".join(steps)) <= room:
        return [whole]
    lines = wrap(" = ".join(steps[:2]), room, "    ")
    for number, step in enumerate(steps[2:], start=3):
        short = number == len(steps) and display_width(f"{lines[-1]} = {step}") <= room
        if short:
            lines[-1] += f" = {step}"
        else:
            first, *rest = wrap(f"= {step}", room - 2, "  ")
            lines += [f"  {line}" for line in (first, *rest)]
    return lines


def _bars(block: blocks.Bars, width: int | None, colour: bool) -> list[str]:
    """A bar of eighths of a column for each part."""
    texts = [visible(bar.name) for bar in block.bars]
    names = max(6, *map(display_width, texts))
    if width is not None:
        names = min(names, max(10, width // 3))
    count = len(block.heads)
    wide = BAR if width is None else max(4, min(BAR * 2, (width - names - 10 * count) // count))
    heads = "".join(f"   {head}{' ' * (6 + wide - display_width(head))}" for head in map(visible, block.heads))
    lines = [style(visible(block.title), "bold", colour)] if block.title else []
    lines.append(style(f"{'':<{names}}{heads}".rstrip(), "dim", colour))
    for name, bar in zip(texts, block.bars, strict=True):
        short = shorten(name, names)
        parts = "".join(f"   {visible(text):>5} {_bar(share, wide)}" for text, share in bar.parts)
        lines.append(f"{short}{' ' * (names - display_width(short))}{parts}".rstrip())
    return lines


def _bar(part: float, width: int) -> str:
    """``part`` of ``width``, in eighths of a column."""
    full, eighths = divmod(round(part * width * 8), 8)
    return ("█" * full + _EIGHTHS[eighths].strip()).ljust(width)
