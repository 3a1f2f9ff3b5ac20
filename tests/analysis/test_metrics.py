"""The field that a net is measured by: that of the last map before nothing but single units see everything."""

from __future__ import annotations

import pytest

import cnncalc
from cnncalc.analysis.metrics import last_field
from cnncalc.sources import load_text

SQUEEZE = "multiply: {branches: [[], [global_avg_pool, {conv: {out: 4, kernel: 1}}, sigmoid]]}"


@pytest.mark.parametrize(
    ("layers", "size"),
    [
        # 3, then 3 + 2·2 = 7; the single unit behind sees all, which is not what the net's maps see
        ("{conv: {out: 4, kernel: 3, stride: 2}}, {conv: {out: 4, kernel: 3}}, global_avg_pool", (7, "")),
        # 2×2 units that all see everything, as little as they are
        ("{conv: {out: 4, kernel: 7}}, {" + SQUEEZE + "}", (None, "every unit of multiply1 sees the whole input")),
        ("global_avg_pool", (None, "no layer has a local receptive field")),
    ],
)
def test_the_last_local_field_is_the_nets(layers: str, size: tuple[int | None, str]) -> None:
    report = cnncalc.analyze(load_text(f"input: [3, 8, 8]\nlayers: [{layers}]\n"))
    assert last_field(report, "size") == size
