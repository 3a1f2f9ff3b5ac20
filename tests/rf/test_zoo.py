"""Every shipped net: the pixels found by walking back from a unit against the recurrence, and published fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnncalc import sources
from cnncalc.analysis.fields import field_report, unit_report
from cnncalc.analysis.measuring import enlarged, flattened, tracks
from cnncalc.analysis.measuring import sources as axes_of
from cnncalc.analysis.receptive_field import LocalField
from cnncalc.analysis.unit_field import UnknownPaths, frames, unit_field
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Ref
from tests.work import at_most

FACTS = json.loads((Path(__file__).parents[1] / "data" / "receptive_fields.json").read_text())
LAST = FACTS["last_feature_map"]
UNITS = 9


def check_maps(name: str, every: int) -> None:
    """On an input so long that nothing touches a border, the first and last pixel reached are the recurrence's."""
    graph = sources.load(name)
    for axis in axes_of(graph):
        narrow = graph.narrowed()
        # the U-Net of valid convolutions takes few sizes, but is inside its input as it is
        large = enlarged(narrow, axis, graph.rebuilt) or flattened(narrow, axis, graph.rebuilt)
        seen, known = tracks(large, axis), frames(large, axis.node)
        pixels = large.nodes[axis.node].output_shape[axis.axis + 1]
        # a layer that keeps its one input's shape and field (an activation, a norm) has been checked with it
        local = [
            number
            for number, (node, track) in enumerate(zip(large.nodes, seen, strict=True))
            if isinstance(track, LocalField) and node.inputs
            if [(seen[ref.node], large.shape(ref)) for ref in node.inputs] != [(track, node.output_shape)]
        ]
        for number in local[::-every][::-1]:
            track, shape = seen[number], large.nodes[number].output_shape
            units = shape[track.axis]
            index = [shape[place] // 2 if isinstance(place, int) else 0 for place in known[Ref(number)]]
            centre = units // 2 - UNITS // 2
            checked = 0
            for unit in range(max(0, centre), min(units, centre + UNITS)):
                bounds = rf.bounds_of(track.field, unit)
                if bounds is None or bounds[0] < 0 or bounds[1] >= pixels:
                    continue
                index[axis.axis] = unit
                try:
                    reached = unit_field(large, axis.node, Ref(number), tuple(index)).reached.nonzero()[axis.axis]
                except UnknownPaths:  # flattened: the other axis has no index of its own
                    assert any(isinstance(place, frozenset) for place in known[Ref(number)])
                    checked += 1
                    break
                assert (reached.min(), reached.max()) == bounds, (name, large.nodes[number].path, unit)
                checked += 1
            assert checked >= 1, (name, large.nodes[number].path)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "unet", "mobilenet_v2"])
def test_walking_back_ends_where_the_recurrence_says(name):
    check_maps(name, every=16)


@pytest.mark.slow
@pytest.mark.parametrize("name", sources.zoo_names())
def test_walking_back_ends_where_the_recurrence_says_in_every_map_of_every_net(name):
    check_maps(name, every=1)


@pytest.mark.parametrize("name", [name for name in LAST if name in sources.zoo_names()])
def test_the_last_map_of_torchvision_nets_is_as_measured_there(name):
    """Size, jump and first pixel of the last convolutional map, measured on torchvision's own models."""
    fact = LAST[name]
    maps = [one for one in field_report(sources.load(name)).maps if one.kind == "local" and one.start[0] is not None]
    last = max(maps, key=lambda one: one.size)
    assert (last.size[0], last.jump[0], last.start[0]) == (fact["size"], fact["jump"], fact["first_pixel"])


@pytest.mark.parametrize("name", ["resnet152", "densenet201", "efficientnet_b7", "unet"])
def test_a_unit_of_a_large_net_is_quick(name):
    """A few hundred calls of functions for each layer: less than a second."""
    graph = sources.load(name)
    with at_most(1000 * len(graph.nodes)):
        maps = field_report(graph).maps
    layer = next(one for one in reversed(maps) if one.kind == "local" and one.start is not None)
    with at_most(1000 * len(graph.nodes)):
        unit_report(graph, layer.path)
