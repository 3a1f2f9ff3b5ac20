"""Folding keeps every sum; sorting and cutting choose rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cnncalc.analysis.fold import COUNTS, block
from cnncalc.analysis.report import Report
from cnncalc.document.tree import folded
from cnncalc.report.columns import COLUMNS, select
from tests.report.draws import few, layer, report, reports


@few
@given(reports(partial=False), st.integers(1, 6))
def test_sums_over_folded_rows_are_the_totals(net: Report, depth: int) -> None:
    rows = folded(net.layers, depth, block)
    for name in COUNTS:
        assert sum(getattr(row, name) for row in rows) == getattr(net.totals, name)


@few
@given(reports(), st.integers(1, 6))
def test_a_folded_row_stands_for_the_layers_below_its_path(net: Report, depth: int) -> None:
    rows = folded(net.layers, depth, block)
    assert len({row.path for row in rows}) == len(rows)
    for row in rows:
        parts_of = row.path.count(".") + 1
        assert parts_of <= depth
        whole = parts_of == depth  # a shorter path is a layer of its own, whatever lies below its name
        below = [one for one in net.layers if one.path == row.path or (whole and one.path.startswith(f"{row.path}."))]
        assert (row.input_shapes, row.output_shape) == (below[0].input_shapes, below[-1].output_shape)
        assert row.receptive_field == below[-1].receptive_field
        assert row in below or row.settings == {"layers": len(below)}
        for name in COUNTS:
            parts = [getattr(one, name) for one in below]
            assert getattr(row, name) == (None if None in parts else sum(parts))


@few
@given(reports())
def test_at_full_depth_nothing_is_folded(net: Report) -> None:
    assert folded(net.layers, 9, block) == net.layers


@few
@given(reports(), st.sampled_from(["params", "flops", "activations", "buffers"]), st.integers(1, 5))
def test_sorting_puts_unknown_first_and_then_the_largest(net: Report, name: str, top: int) -> None:
    expected = sorted(net.layers, key=lambda row: (getattr(row, name) is not None, -(getattr(row, name) or 0)))
    assert [getattr(row, name) for row in select(net, sort=name, top=top)] == [getattr(r, name) for r in expected[:top]]


@few
@given(reports(), st.sampled_from(sorted(COLUMNS)))
def test_every_column_can_be_sorted_by(net: Report, name: str) -> None:
    rows = select(net, sort=name)
    assert sorted(row.path for row in rows) == sorted(row.path for row in net.layers)


def test_numbers_in_names_count_as_numbers() -> None:
    net = report(layer("a10"), layer("a9"), layer("a9.b2"))
    assert [row.path for row in select(net, sort="layer")] == ["a9", "a9.b2", "a10"]
