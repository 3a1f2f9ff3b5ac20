"""The page of ``cnncalc analyze``: what the net is, its layers as a tree, totals, shares and notes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, structs

from cnncalc import units
from cnncalc.analysis.fold import COUNTS, block
from cnncalc.analysis.report import LayerReport, Report
from cnncalc.document.blocks import Bar, Bars, Block, Document, Fact, Facts, Group, Heading, Note, Table, Text
from cnncalc.document.column import Column
from cnncalc.document.tree import folded, outline
from cnncalc.report.columns import COLUMNS, at_least, default_columns, section_columns
from cnncalc.report.remarks import noted
from cnncalc.report.words import TITLES, named_shapes, settings_text

MOST_SHARES = 6
LEAST_SHARE = 0.01


def document(
    report: Report,
    *,
    columns: Sequence[Column] | None = None,
    rows: Sequence[LayerReport] | None = None,
    depth: int | None = None,
) -> Document:
    """The page of a report.

    Args:
        report: what to show.
        columns: which columns; by default all that say something, on a terminal the most important ones that fit.
        rows: the rows where they are not the report's layers: folded, sorted or only some.
        depth: how many levels of blocks the tree on a terminal has, where the rows are folded so; by default as many
            as fit.
    """
    shown = report.layers if rows is None else rows
    chosen = default_columns(report) if columns is None else columns
    as_tree = (rows is None or depth is not None) and any(column.path for column in chosen)
    flat = None if as_tree else shown
    table = outline(chosen, report.layers, block, report, flat=flat, depth=depth, drop=columns is None)
    blocks: list[Block] = [_heading(report), table]
    if len(shown) < len(report.layers):
        blocks.append(Text(_left_out(report, len(shown), depth)))
    blocks.append(Facts([*(_total(report, name) for name in COUNTS), *_memory(report)], strong=True))
    if report.totals.status == "partial":
        text = "partial: some layers could not be counted; the totals are lower bounds"
        blocks.append(Note(text, tone="yellow"))
    blocks += _sections(report)
    blocks += _shares(report)
    blocks.append(Group([Note(text, mark) for mark, text in noted(report)]))
    answer = report if rows is None else structs.replace(report, layers=tuple(rows))
    every = [*COLUMNS.values(), *section_columns(report)] if columns is None else columns
    return Document(answer, blocks, rows=Table(every, shown, report))


def _heading(report: Report) -> Group:
    model = report.model
    shapes = f"{named_shapes(model.inputs)} → {named_shapes(model.outputs)}"
    below = [Text(text, "dim") for text in (settings_text(model.args), model.citation) if text]
    return Group([Heading(f"{model.name or model.source}   {shapes}   batch {model.batch}", 1), *below])


def _left_out(report: Report, shown: int, depth: int | None) -> str:
    whole = f"the net has {len(report.layers)} layers"
    return f"{shown} rows shown; {whole}" if depth is None else f"{whole}, folded at level {depth}"


def _total(report: Report, name: str) -> Fact:
    """All digits of a total, and the same for a person."""
    value: int = getattr(report.totals, name)
    return Fact(TITLES[name], f"{at_least(report, name)}{value:,}", units.show(value) if value >= 10_000 else "")


def _memory(report: Report) -> list[Fact]:
    """What the weights take, and what a pass in inference has at most."""
    totals, peak = report.totals, report.totals.inference_peak_bytes
    return [
        Fact("weights", at_least(report, "params") + units.show_bytes(totals.weight_bytes), "float32"),
        *([] if peak is UNSET else [Fact("inference peak", _bytes(peak), "of tensors alive at once, float32")]),
    ]


def _bytes(count: int | None) -> str:
    return "?" if count is None else units.show_bytes(count)


def _sections(report: Report) -> list[Facts]:
    """What the further analyses have to say: a heading and facts for each."""
    if not report.has_sections:
        return []
    from cnncalc.report import sections

    return sections.facts(report)


def _shares(report: Report) -> list[Bars]:
    """The top-level blocks' shares of FLOPs and parameters; the smaller blocks together.

    Nothing for a net of very many blocks that are all alike.
    """
    blocks = [row for row in folded(report.layers, 1, block) if row.flops != 0 or row.params != 0]
    total, params = report.totals.flops, report.totals.params
    if len(blocks) < 2 or not total:
        return []

    def weight(row: LayerReport) -> float:
        return max((row.flops or 0) / total, (row.params or 0) / (params or 1))

    large = sorted(blocks, key=weight, reverse=True)[: MOST_SHARES if len(blocks) > MOST_SHARES + 1 else None]
    if weight(large[0]) < LEAST_SHARE:
        return []
    kept = {id(row) for row in large}
    rows = [row for row in blocks if id(row) in kept]
    if others := [row for row in blocks if id(row) not in kept]:
        rows.append(block(f"{len(others)} others", others))
    parts = [((row.flops or 0) / total, (row.params or 0) / (params or 1)) for row in rows]
    most = max(map(max, parts))
    bars = [
        Bar(row.path, ((_share(row.flops, total), ours / most), (_share(row.params, params), theirs / most)))
        for row, (ours, theirs) in zip(rows, parts, strict=True)
    ]
    return [Bars("where the FLOPs and the parameters go", ("FLOPs %", "params %"), bars)]


def _share(part: int | None, whole: int) -> str:
    return "?" if part is None else units.share(part, whole)
