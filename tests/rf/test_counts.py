"""Path counts and exact pixel sets against PyTorch's gradients, against exact_fields, and by hand."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest

from cnncalc.analysis.exact_field import Along, exact_fields
from cnncalc.analysis.unit_field import UnknownPaths, centred_width, frames, unit_field
from cnncalc.formulas.positions import indices
from cnncalc.graph import Graph, Ref
from cnncalc.sources import load_text
from tests.rf.nets import random_graph


def some_units(graph: Graph, seed: int, count: int = 6) -> list[tuple[Ref, tuple[int, ...]]]:
    """Units all over the net, those of the last map among them."""
    draw = random.Random(seed)
    rank = len(graph.nodes[0].output_shape) - 1
    # the channels of a convolution are alike, and one stands for all; elsewhere they are parts of one
    maps = [
        n
        for n, node in enumerate(graph.nodes)
        if node.layer is not None
        and len(node.output_shape) == rank + 1
        and (node.kind != "conv" or node.layer.out == 1)
    ]
    chosen = [maps[-1], maps[-1], *(draw.choice(maps) for _ in range(count - 2))]
    return [(Ref(n), tuple(draw.randrange(size) for size in graph.nodes[n].output_shape[1:])) for n in chosen]


def told(graph: Graph, ref: Ref, unit: tuple[int, ...]) -> tuple[int, ...]:
    """The unit with index 0 along the axes that have no units of their own."""
    frame = frames(graph, 0)[ref]
    return tuple(index if isinstance(place, int) else 0 for index, place in zip(unit, frame, strict=True))


def check_against_gradients(seed: int) -> None:
    from tests.rf.unit_weights import gradients

    graph = random_graph(seed)
    units = some_units(graph, seed)
    for (ref, unit), gradient in zip(units, gradients(graph, units), strict=True):
        if ref not in frames(graph, 0):
            assert not gradient.any()
            continue
        field = unit_field(graph, 0, ref, told(graph, ref, unit))
        where = f"seed {seed}, unit {unit} of {graph.path(ref)}"
        assert (field.reached == (gradient.numpy() > 0)).all(), where
        np.testing.assert_array_equal(field.counts, gradient.numpy(), err_msg=where)


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(40))
def test_counts_and_pixels_are_the_gradient_with_unit_weights(seed):
    check_against_gradients(seed)


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_counts_and_pixels_of_300_more_nets(seed):
    check_against_gradients(seed)


def for_each(seeds, check):
    for seed in seeds:
        check(seed)


@pytest.mark.torch
def test_this_comparison_can_fail(monkeypatch):
    """A tap that is forgotten is found within a few nets."""
    from cnncalc.analysis import unit_field as engine

    true = engine._add_tap
    monkeypatch.setattr(
        engine, "_add_tap", lambda r, p, tap, w, b: None if tap == w.taps[0].last else true(r, p, tap, w, b)
    )
    with pytest.raises(AssertionError, match="seed"):
        for_each(range(10), check_against_gradients)


@pytest.mark.parametrize("seed", range(2000, 2040))
def test_the_pixels_along_each_axis_are_those_of_the_sets_engine(seed):
    """Two engines: bit sets per axis for all units, and counts over all axes for one.

    A set of the first holds what the units at one index see together, whatever their other index.
    """
    graph = random_graph(seed)
    rank = len(graph.nodes[0].output_shape) - 1
    ref, unit = some_units(graph, seed)[0]
    if ref not in frames(graph, 0):
        return
    sizes = graph.shape(ref)[1:]
    for axis in range(rank):
        sight = exact_fields(graph, 0, axis)[ref.node]
        if not isinstance(sight, Along | int):
            continue
        seen = sight.units[unit[axis]] if isinstance(sight, Along) else sight
        together = set()
        for index in product(*([unit[k]] if k == axis else range(size) for k, size in enumerate(sizes))):
            reached = unit_field(graph, 0, ref, told(graph, ref, index)).reached
            together |= set(reached.nonzero()[axis].tolist())
        assert sorted(together) == indices(seen), (seed, graph.path(ref), unit, axis)


def graph_of(shape, *layers):
    import yaml

    return load_text(yaml.safe_dump({"input": shape, "layers": list(layers)}))


def last(graph: Graph) -> Ref:
    return Ref(len(graph.nodes) - 1)


def test_two_convolutions_of_three_by_hand():
    """1 2 3 2 1: the convolution of 1 1 1 with itself."""
    graph = graph_of([1, 9], *[{"conv": {"out": 4, "kernel": 3, "padding": 1}}] * 2)
    assert unit_field(graph, 0, last(graph), (4,)).counts.tolist() == [0, 0, 1, 2, 3, 2, 1, 0, 0]
    assert unit_field(graph, 0, last(graph), (0,)).counts.tolist() == [2, 2, 1, 0, 0, 0, 0, 0, 0]


def test_a_chain_is_a_product_of_its_axes():
    chain = [
        {"conv": {"out": 2, "kernel": [3, 5], "padding": [1, 2]}},
        {"max_pool": 2},
        {"conv": {"out": 1, "kernel": 3}},
    ]
    both = unit_field(g := graph_of([3, 20, 22], *chain), 0, last(g), (3, 4)).counts
    rows = [
        [{"conv": {"out": 1, "kernel": k, "padding": k // 2}}, {"max_pool": 2}, {"conv": {"out": 1, "kernel": 3}}]
        for k in (3, 5)
    ]
    one = unit_field(g := graph_of([3, 20], *rows[0]), 0, last(g), (3,)).counts
    two = unit_field(g := graph_of([3, 22], *rows[1]), 0, last(g), (4,)).counts
    assert both.tolist() == np.outer(one, two).tolist()


def test_branches_add_and_are_no_product():
    """A row and a column meet in a cross."""
    cross = [
        [{"conv": {"out": 1, "kernel": [1, 3], "padding": [0, 1]}}],
        [{"conv": {"out": 1, "kernel": [3, 1], "padding": [1, 0]}}],
    ]
    graph = graph_of([1, 5, 5], {"concat": cross})
    found = unit_field(graph, 0, last(graph), (2, 2)).counts[1:4, 1:4]
    assert found.tolist() == [[0, 1, 0], [1, 2, 1], [0, 1, 0]]


def test_a_linear_layer_after_flatten_reads_everything_once():
    graph = graph_of([2, 4, 5], {"conv": {"out": 3, "kernel": 1}}, "flatten", {"linear": 7})
    found = unit_field(graph, 0, last(graph), (0, 0))
    assert found.counts.tolist() == [[1] * 5] * 4


def test_a_unit_after_flatten_has_no_place():
    graph = graph_of([2, 4, 5], "flatten")
    with pytest.raises(UnknownPaths, match=r"which pixels reach a unit of flatten1 is told by no single axis"):
        unit_field(graph, 0, last(graph), (0, 0))


def test_the_number_of_paths_of_a_very_deep_net_stays_finite_and_its_rarest_pixel_reached():
    """3^800 exceeds what a float holds; the outermost pixel has a single path."""
    graph = graph_of([1, 1601], {"repeat": {"times": 800, "layers": [{"conv": {"out": 1, "kernel": 3, "padding": 1}}]}})
    found = unit_field(graph, 0, last(graph), (800,))
    assert found.scaled
    assert np.isfinite(found.counts).all()
    assert found.reached.all()


def test_one_map_on_another_skips_what_lies_before():
    graph = graph_of([1, 20], *[{"conv": {"out": 1, "kernel": 3, "name": f"c{i}"}} for i in range(3)])
    assert unit_field(graph.seen_from(1), 1, Ref(3), (5,)).counts.tolist() == [0] * 5 + [1, 2, 3, 2, 1] + [0] * 8


@pytest.mark.parametrize(
    ("mass", "centre", "width"),
    [([0, 0, 1, 0, 0], 2, 1), ([1, 1, 1, 1], 1.5, 4), ([1, 98, 1], 1, 1), ([3, 94, 3], 1, 3), ([0, 0, 0], 1, None)],
)
def test_the_width_is_the_smallest_centred_interval_with_95_percent(mass, centre, width):
    assert centred_width(np.array(mass, dtype=float), centre) == width


def test_the_width_of_a_stack_of_threes_is_that_of_the_binomial():
    """Luo et al. 2016: n layers of width 3 have variance 2n/3, and the effective width grows as its root."""
    n = 60
    graph = graph_of([1, 301], {"repeat": {"times": n, "layers": [{"conv": {"out": 1, "kernel": 3, "padding": 1}}]}})
    mass = unit_field(graph, 0, last(graph), (150,)).counts
    assert centred_width(mass, 150) == pytest.approx(2 * 1.96 * (2 * n / 3) ** 0.5, abs=2)


JOINED = {"concat": {"axis": 2, "branches": [[{"conv": {"out": 1, "kernel": [1, 3], "padding": [0, 1]}}], []]}}


@pytest.mark.parametrize(
    ("width", "layers", "unit", "pixels"),
    [
        # left half from a convolution, right half the input itself
        (5, [JOINED], (2, 1), {(2, 0), (2, 1), (2, 2)}),
        (5, [JOINED], (2, 8), {(2, 3)}),
        # a window over the seam reads the last pixel of one and the first of the other
        (5, [JOINED, {"conv": {"out": 1, "kernel": [1, 2]}}], (0, 4), {(0, 3), (0, 4), (0, 0)}),
        # the two halves of the width, each through its own branch
        (6, [{"split": {"chunks": 2, "axis": 2}}, {"concat": [[], []]}], (1, 0), {(1, 0), (1, 3)}),
    ],
)
def test_joins_and_splits_along_space_are_exact_or_refused(width, layers, unit, pixels):
    graph = graph_of([1, 4, width], *layers)
    try:
        found = unit_field(graph, 0, last(graph), unit).reached
    except UnknownPaths:
        return
    assert {tuple(map(int, place)) for place in np.argwhere(found)} == pixels
