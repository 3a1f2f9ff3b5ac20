"""Explanations as plain text."""

from __future__ import annotations

from cnncalc.document.grid import style
from cnncalc.report.explain import INDICES, Entry, Explanation, Part, Total, chain, remarks, terms_text, variables_text
from cnncalc.report.words import setting_text, shapes_text
from cnncalc.text import display_width, visible, wrap
from cnncalc.units import share

TITLES = 31
"""Columns that titles get where a formula stands beside them."""
NARROW = 72
"""Below this width a formula stands below its title."""


def render(found: Explanation, *, width: int | None = None, colour: bool = False) -> str:
    """The explanation as text; with a ``width``, long formulas go on several lines."""
    page = _Page(width, colour)
    samples = f"batch {found.batch}   " if found.batch > 1 else ""
    page.add([style(visible(found.title), "bold", colour) + f"   {samples}{found.dtype}"])
    for part in found.parts:
        page.add(_part(page, part))
    for total in found.totals:
        page.add(_total(page, total))
    if found.symbols:
        legend = "; ".join([*(f"{symbol}: {meaning}" for symbol, meaning in found.symbols.items()), INDICES])
        page.add([style("symbols", "bold", colour), *wrap(visible(legend), width)])
    if found.sources:
        lines = [style("sources", "bold", colour)]
        for number, text in enumerate(found.sources, start=1):
            lines += wrap(f"[{number}] {visible(text)}", width, "    ")
        page.add(lines)
    return page.text()


class _Page:
    """Paragraphs, and how wide they may be."""

    def __init__(self, width: int | None, colour: bool) -> None:
        self.width = width
        self.colour = colour
        self.paragraphs: list[str] = []

    def add(self, lines: list[str]) -> None:
        self.paragraphs.append("\n".join(lines))

    def lines(self, text: str, lead: str, indent: str = "  ") -> list[str]:
        """A text in lines that all begin with ``lead``, all but the first with ``indent`` too."""
        room = None if self.width is None else max(20, self.width - len(lead))
        return [lead + line for line in wrap(text, room, indent)]

    def text(self) -> str:
        return "\n\n".join(self.paragraphs) + "\n"


def _part(page: _Page, part: Part) -> list[str]:
    shapes = f"{shapes_text(part.node.input_shapes)} → {shapes_text(part.node.output_shapes)}"
    heading = visible(f"{part.path}   {part.kind}   {shapes}")
    lines = [style(line, "bold", page.colour) for line in wrap(heading, page.width, "  ")]
    if part.settings:
        settings = " ".join(f"{name}={setting_text(value)}" for name, value in part.settings.items())
        lines += [style(line, "dim", page.colour) for line in wrap(visible(settings), page.width)]
    if part.like is not None:
        lines += page.lines(f"sizes and costs as for {visible(part.like)}", "  ")
    lines += _with(page, variables_text(part.variables))
    for entry in part.entries:
        lines += _entry(page, entry, part)
    if part.zeros:
        lines += _titled(page, "zero", [*(one.symbol for one in part.zeros), "0"])
    lines += _with(page, variables_text(part.field_variables))
    for entry in part.field:
        lines += _entry(page, entry)
    for other in part.versus:
        title = f"in its place: {visible(other.comparison.title)} (ratios are to this layer)"
        lines += ["", *page.lines(title, "  ")]
        for entry in other.entries:
            lines += _entry(page, entry)
    return lines


def _with(page: _Page, variables: list[str]) -> list[str]:
    return page.lines(f"with {', '.join(variables)}", "  ") if variables else []


def _entry(page: _Page, entry: Entry, part: Part | None = None) -> list[str]:
    marks = f"[{','.join(map(str, entry.sources))}]" if entry.sources else ""
    said = remarks(entry, part)
    if entry.quantity.expr is None:
        return _titled(page, entry.title, [visible("; ".join(said) or "?")])
    aside = f"   ({visible('; '.join(said))})" if said else ""
    return _titled(page, entry.title, chain(entry), aside, marks)


def _titled(page: _Page, title: str, steps: list[str], aside: str = "", marks: str = "") -> list[str]:
    """A title, and beside or below it an equation: on one line if it fits, else a line for each ``=``."""
    narrow = page.width is not None and page.width < NARROW
    indent = "    " if narrow else " " * (TITLES + 2)
    heading = f"  {title}" + (f" {marks}" if marks else "")
    filling = " " * max(len(indent) - len(heading), 2 if page.width is None else 0)
    heading = f"  {title}" + style(f" {marks}", "dim", page.colour and bool(marks)).rstrip()
    above = [] if len(filling) > 1 else [heading]
    lead = indent if above else heading + filling
    equation = " = ".join(steps)
    taken = len(indent) + display_width(equation)
    if page.width is None or taken + display_width(aside) <= page.width:
        return [*above, lead + equation + style(aside, "dim", page.colour)]
    if taken <= page.width:
        lines = [lead + equation]
    else:
        lines = page.lines(" = ".join(steps[:2]), indent, "    ")
        for step in steps[2:]:
            lines += page.lines(f"= {step}", indent + "  ", "  ")
        lines[0] = lead + lines[0][len(indent) :]
    return [*above, *lines, *(style(line, "dim", page.colour) for line in page.lines(aside.strip(), indent) if aside)]


def _total(page: _Page, total: Total) -> list[str]:
    least = "≥ " if total.missing else ""
    lines = page.lines(f"{total.symbol} = {terms_text(total)} = {least}{total.value:,}", "", "    ")
    names = max((display_width(visible(term.path)) for term in total.terms), default=0)
    digits = max((len(f"{term.value:,}") for term in total.terms), default=0)
    for term in total.terms:
        name = visible(term.path)
        layers = f"{term.layers} layers" if term.layers > 1 else ""
        line = (
            f"  {name}{' ' * (names - display_width(name))}  {term.value:>{digits},}"
            f"  {share(term.value, total.value):>5} %  {layers}"
        )
        lines.append(line.rstrip())
    if total.missing:
        shown = ", ".join(map(visible, total.missing[:10])) + (" …" if len(total.missing) > 10 else "")
        lines += page.lines(f"a lower bound, without {shown}", "  ")
    return lines
