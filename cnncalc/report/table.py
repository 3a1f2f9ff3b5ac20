"""The report as a person reads it on a terminal: what it is, its layers, totals, shares and notes."""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc import units
from cnncalc.analysis.fold import folded
from cnncalc.analysis.fold import total as summed
from cnncalc.analysis.report import LayerReport, Report
from cnncalc.document.column import Column
from cnncalc.document.grid import grid, style
from cnncalc.report.columns import at_least, default_columns
from cnncalc.report.remarks import noted
from cnncalc.report.words import setting_text, shape_text
from cnncalc.text import display_width, shorten, visible, wrap

MOST_SHARES = 10
LEAST_SHARE = 0.01
BAR = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"
_TOTALS = (
    ("parameters", "params"),
    ("buffers", "buffers"),
    ("MACs", "macs"),
    ("FLOPs", "flops"),
    ("elementwise ops", "elementwise_ops"),
    ("activations", "activations"),
)


def render(
    report: Report,
    *,
    width: int | None = None,
    colour: bool = False,
    columns: Sequence[Column] | None = None,
    rows: Sequence[LayerReport] | None = None,
) -> str:
    """The whole table as text that ends in a newline.

    Args:
        report: what to show.
        width: columns of the terminal; ``None`` (a pipe, a file) never cuts anything.
        colour: whether to use ANSI codes.
        columns: which columns; by default what fits, the most important ones first.
        rows: the rows where they are not the report's layers: folded, sorted or only some.
    """
    chosen = default_columns(report) if columns is None else columns
    shown = report.layers if rows is None else rows
    parts = [
        _header(report, width, colour),
        grid(chosen, shown, report, width=width, colour=colour, drop=columns is None),
        _left_out(report, shown),
        _totals(report, width, colour),
        *_sections(report, width, colour),
        _shares(report, width, colour),
        _notes(report, width, colour),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _header(report: Report, width: int | None, colour: bool) -> list[str]:
    model = report.model
    inputs = _shapes(model.inputs)
    outputs = _shapes(model.outputs)
    settings = " ".join(f"{name}={setting_text(value)}" for name, value in model.args.items())
    name = visible(model.name or model.source)
    first, *rest = wrap(f"{name}   {visible(inputs)} → {visible(outputs)}   batch {model.batch}", width)
    lines = [first.replace(name, style(name, "bold", colour), 1), *rest]
    for text in (visible(settings), visible(model.citation)):
        lines += [style(line, "dim", colour) for line in wrap(text, width) if line]
    return lines


def _shapes(tensors: dict[str, tuple[int, ...]]) -> str:
    if len(tensors) == 1:
        return shape_text(*tensors.values())
    return ", ".join(f"{name} {shape_text(shape)}" for name, shape in tensors.items())


def _left_out(report: Report, shown: Sequence[LayerReport]) -> list[str]:
    return (
        [f"{len(shown)} rows shown; the net has {len(report.layers)} layers"] if len(shown) < len(report.layers) else []
    )


def _totals(report: Report, width: int | None, colour: bool) -> list[str]:
    """All digits of every total, and the same for a person."""
    totals = report.totals
    numbers = [at_least(report, name) + f"{getattr(totals, name):,}" for _, name in _TOTALS]
    names = max(len(title) for title, _ in _TOTALS)
    digits = max(map(len, numbers))
    lines = []
    for (title, name), number in zip(_TOTALS, numbers, strict=True):
        value = getattr(totals, name)
        short = f"   {units.show(value):>9}" if value >= 10_000 else ""
        short = short if width is None or names + digits + 15 <= width else ""
        lines.append(f"{title:<{names}}   {style(f'{number:>{digits}}', 'bold', colour)}{short}")
    if totals.status == "partial":
        text = "partial: some layers could not be counted; the totals are lower bounds"
        lines += [style(line, "yellow", colour) for line in wrap(text, width)]
    return lines


def _sections(report: Report, width: int | None, colour: bool) -> list[list[str]]:
    """What the further analyses have to say: a heading and aligned facts for each."""
    if not report.has_sections:
        return []
    from cnncalc.report import sections

    parts = []
    for name, facts in sections.facts(report).items():
        names = max((display_width(what) for what, _, _ in facts), default=0)
        digits = max((display_width(exact) for _, exact, _ in facts), default=0)
        lines = [style(name, "bold", colour)]
        for what, exact, short in facts:
            text = f"{what}{' ' * (names - display_width(what))}   {exact:>{digits}}   {short}"
            lines += wrap(
                text.rstrip(), width, " " * (names + digits + 6 if width and width > names + digits + 26 else 2)
            )
        parts.append(lines)
    return parts


def _shares(report: Report, width: int | None, colour: bool) -> list[str]:
    """The top-level blocks' shares of FLOPs and parameters, with bars; the smaller blocks together.

    Nothing for a net of very many blocks that are all alike.
    """
    blocks = [row for row in folded(report.layers, 1) if row.flops != 0 or row.params != 0]
    total, params = report.totals.flops, report.totals.params
    if len(blocks) < 2 or not total:
        return []

    def weight(row: LayerReport) -> float:
        return max((row.flops or 0) / total, (row.params or 0) / (params or 1))

    large = sorted(blocks, key=weight, reverse=True)[: MOST_SHARES if len(blocks) > MOST_SHARES + 1 else None]
    if weight(large[0]) < LEAST_SHARE:
        return []
    kept = {id(row) for row in large}
    rows = [(visible(row.path), row.flops, row.params) for row in blocks if id(row) in kept]
    others = [row for row in blocks if id(row) not in kept]
    if others:
        sums = [summed([getattr(row, metric) for row in others]) for metric in ("flops", "params")]
        rows.append((f"{len(others)} others", sums[0], sums[1]))
    names = max(6, *(display_width(name) for name, _, _ in rows))
    if width is not None:
        names = min(names, max(10, width // 3))
    bar = BAR if width is None else max(4, min(BAR * 2, (width - names - 20) // 2))
    parts = [((flops or 0) / total, (count or 0) / (params or 1)) for _, flops, count in rows]
    most = max(map(max, parts))
    head = f"{'':<{names}}   FLOPs %{'':<{bar}}  params %"
    lines = [style("where the FLOPs and the parameters go", "bold", colour), style(head, "dim", colour)]
    for (name, flops, count), shares in zip(rows, parts, strict=True):
        name = shorten(name, names)
        bars = [_bar(part / most, bar) for part in shares]
        lines.append(
            f"{name}{' ' * (names - display_width(name))}   {_share(flops, total):>5} {bars[0]}"
            f"   {_share(count, params):>5} {bars[1]}".rstrip()
        )
    return lines


def _share(part: int | None, whole: int) -> str:
    return "?" if part is None else units.share(part, whole)


def _bar(part: float, width: int) -> str:
    """``part`` of ``width``, in eighths of a column."""
    full, eighths = divmod(round(part * width * 8), 8)
    return ("█" * full + _EIGHTHS[eighths].strip()).ljust(width)


def _notes(report: Report, width: int | None, colour: bool) -> list[str]:
    """What is to be noted, each in a line or two."""
    lines: list[str] = []
    for mark, text in noted(report):
        name = {"note": "bold", "warning": "yellow", "error": "red"}[mark]
        first, *rest = wrap(f"{mark}: {visible(text)}", width, "  ")
        lines += [style(f"{mark}:", name, colour) + first.removeprefix(f"{mark}:"), *rest]
    return lines
