"""The receptive field over graphs: published formulas, hand-built cases, and the exact engine as a second opinion."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

import cnncalc
from cnncalc.analysis import receptive_field
from cnncalc.analysis.exact_field import Along, exact_fields
from cnncalc.analysis.report import LayerReport, Report
from cnncalc.formulas.positions import indices
from cnncalc.graph import Graph
from cnncalc.sources import load_text, zoo_names


def analyze(layers: str, shape: str = "[2, 40, 41]") -> Report:
    return cnncalc.analyze(load_text(f"input: {shape}\nlayers:\n{layers}"))


def last(layers: str, shape: str = "[2, 40, 41]") -> LayerReport:
    return analyze(layers, shape).layers[-1]


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=6
    )
)
def test_chain_against_the_closed_form(windows: list[tuple[int, int, int, int]]) -> None:
    """Araujo, Norris & Sim 2019, eq. 2: r_0 = Σ_l (k_l − 1)·Π_{i<l} s_i + 1, and eq. for u_0 with padding."""
    layers = "".join(
        f"  - conv: {{out: 1, kernel: {k}, stride: {s}, padding: {p}, dilation: {d}}}\n" for k, s, p, d in windows
    )
    field = last(layers, "[1, 3000]").receptive_field
    size, start = 1, 0
    for layer, (k, _, p, d) in enumerate(windows):
        step = 1
        for _, stride, _, _ in windows[:layer]:
            step *= stride
        size += (k - 1) * d * step
        start -= p * step
    jump = 1
    for _, stride, _, _ in windows:
        jump *= stride
    assert field is not None
    assert (field.size, field.jump, field.start) == ((size,), (jump,), (start,))


def interior_agrees(graph: Graph, source: int, axis: int) -> int:
    """Counts the units of all maps whose exact pixel set, clear of the borders, is what the report says."""
    report = cnncalc.analyze(graph)
    size = graph.nodes[source].output_shape[axis + 1]
    agreed = 0
    named = {layer.path: layer for layer in report.layers}
    for node, sight in zip(graph.nodes, exact_fields(graph, source, axis), strict=True):
        field = named[node.path].receptive_field if node.path in named else None
        if not isinstance(sight, Along) or field is None or field.kind == "global" or field.jump is None:
            continue
        if field.phases is not UNSET and field.phases[axis] > 1:
            continue
        here, jump, start = field.size[axis], field.jump[axis], field.start[axis]
        if here is None or jump is None or start is None or not isinstance(jump, int):
            continue
        for unit, pixels in enumerate(sight.units):
            first = start + jump * unit
            if first >= here and first + here <= size - here:
                seen = indices(pixels)
                assert (seen[0], seen[-1]) == (first, first + here - 1), f"{node.path}, unit {unit}"
                agreed += 1
    return agreed


@pytest.mark.parametrize("name", sorted(zoo_names()))
def test_recurrence_and_exact_engine_agree_on_the_zoo(name: str) -> None:
    graph = cnncalc.load(name)
    assert interior_agrees(graph, 0, 0) > 0


def test_upsampling_makes_the_jump_a_fraction() -> None:
    """Nearest ×2: units 2i and 2i+1 see pixel i alone; a 3-wide window over them sees 2 pixels at every phase."""
    field = last("  - upsample: {scale_factor: 2}\n  - conv: {out: 1, kernel: 3, padding: 1}\n").receptive_field
    assert field is not None
    assert (field.size, field.jump, field.jump_exact, field.start) == ((2, 2), (0.5, 0.5), ("1/2", "1/2"), (-1, -1))
    assert field.phases == (2, 2)


def test_the_size_is_the_largest_over_the_phases() -> None:
    """A 2-wide window over nearest ×2 sees 1 pixel at even units, 2 at odd ones."""
    field = last("  - upsample: {scale_factor: 2}\n  - conv: {out: 1, kernel: 2}\n").receptive_field
    assert field is not None
    assert field.size == (2, 2)


def test_a_pool_undoes_an_upsampling() -> None:
    field = last("  - upsample: {scale_factor: 2}\n  - max_pool: 2\n").receptive_field
    assert field is not None
    assert (field.size, field.jump, field.start) == ((1, 1), (1, 1), (0, 0))


@pytest.mark.parametrize(
    "layers",
    [
        "  - global_avg_pool\n",
        "  - flatten\n  - linear: 3\n",
        "  - multiply: [[], [global_avg_pool, {conv: {out: 2, kernel: 1}}, sigmoid]]\n",
        "  - group_norm: 2\n",
        "  - layer_norm\n",
    ],
    ids=["global pool", "linear after flatten", "squeeze-excite", "group norm", "layer norm over all"],
)
def test_global_fields(layers: str) -> None:
    field = last(layers).receptive_field
    assert field is not None
    assert (field.kind, field.size, field.jump, field.start) == ("global", None, None, None)


def test_layer_norm_over_channels_sees_its_own_place() -> None:
    field = last("  - layer_norm: {axes: [0]}\n").receptive_field
    assert field is not None
    assert (field.kind, field.size) == ("local", (1, 1))


def test_linear_on_the_last_axis_sees_that_axis_whole() -> None:
    field = last("  - conv: {out: 2, kernel: 3, padding: 1}\n  - linear: 5\n").receptive_field
    assert field is not None
    assert (field.size, field.jump) == ((3, None), (1, None))


def test_permuted_axes_keep_their_fields() -> None:
    field = last(
        "  - conv: {out: 2, kernel: [5, 3], stride: [2, 1]}\n  - permute: [2, 1, 0]\n  - permute: [2, 1, 0]\n"
    ).receptive_field
    assert field is not None
    assert (field.size, field.jump) == ((5, 3), (2, 1))


def test_flatten_keeps_the_size_and_loses_the_place() -> None:
    field = last("  - conv: {out: 2, kernel: 3}\n  - flatten\n").receptive_field
    assert field is not None
    assert (field.kind, field.size, field.jump, field.start) == ("local", (3, 3), (None, None), (None, None))


def misaligned(report: Report) -> list[str]:
    return [f"{', '.join(d.layers)}: {d.message}" for d in report.diagnostics if d.code == "misaligned"]


def test_branches_of_one_centre_are_aligned() -> None:
    report = analyze("  - concat: [[{conv: {out: 1, kernel: 1}}], [{conv: {out: 1, kernel: 5, padding: 2}}]]\n")
    assert misaligned(report) == []
    assert report.layers[-1].receptive_field.size == (5, 5)


def test_branches_with_other_centres_are_reported() -> None:
    """A 2-wide window padded before sees pixels i−1 and i: its centre lies half a pixel before i."""
    report = analyze("  - add: [[], [{conv: {out: 2, kernel: 2, padding: [[1, 0], [0, 1]]}}]]\n")
    assert misaligned(report) == [
        "add1: branches meet out of line: height: centres 1/2 pixels apart; width: centres 1/2 pixels apart"
    ]
    field = report.layers[-1].receptive_field
    assert (field.size, field.start, field.aligned) == ((2, 2), (-1, 0), False)


def test_branches_with_other_jumps_are_reported() -> None:
    """One branch takes every second unit of 9, the other 5 of its 9 by a window: 5 units each, other jumps."""
    report = analyze("  - add: [[{conv: {out: 2, kernel: 1, stride: 2}}], [{conv: {out: 2, kernel: 5}}]]\n", "[2, 9]")
    assert misaligned(report) == ["add1: branches meet out of line: length: jumps 2 and 1"]
    # unit 4: pixel 8 by one branch, pixels 4 to 8 by the other; unit 0: pixel 0, and 0 to 4
    assert report.layers[-1].receptive_field.size == (5,)


def test_two_inputs_have_a_field_each() -> None:
    report = cnncalc.analyze(
        load_text(
            "input: {left: [2, 16], right: [2, 32]}\nlayers:\n"
            "  - conv: {out: 2, kernel: 4, stride: 2, padding: 1, from: right, name: r}\n"
            "  - conv: {out: 2, kernel: 3, padding: 1, from: left}\n  - add: {from: [-1, r]}\n"
        )
    )
    fields = report.layers[-1].receptive_fields
    assert {name: (field.size, field.jump, field.start) for name, field in fields.items()} == {
        "left": ((3,), (1,), (-1,)),
        "right": ((4,), (2,), (-1,)),
    }
    assert report.layers[0].receptive_fields.keys() == {"right"}


def test_a_net_of_many_inputs_unites_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with the inputs, and not with their square."""
    calls = 0

    def count(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return unite(*arguments)

    unite = receptive_field._unite
    monkeypatch.setattr(receptive_field, "_unite", count)
    inputs = 60
    shapes = ", ".join(f"i{number}: [4, 8, 8]" for number in range(inputs))
    graph = load_text(
        f"input: {{{shapes}}}\nlayers: [{{add: {{from: [{', '.join(f'i{number}' for number in range(inputs))}]}}}}]\n"
    )
    found = receptive_field.receptive_fields(graph)
    assert calls <= 2 * inputs
    assert all(found.seen[-1].tracks)
    assert sum(len(seen.found) for seen in found.seen) == 2 * 2 * inputs
