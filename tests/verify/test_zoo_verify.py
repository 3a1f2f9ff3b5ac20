"""The zoo under ``verify``: a fast part in the usual run, every name and variant in the slow one."""

from __future__ import annotations

from typing import Any

import pytest

from cnncalc.layers.base import Shape
from cnncalc.sources import load, zoo_names
from cnncalc.torch.verify import CHECKS, verify

FAST: dict[str, tuple[Shape, dict[str, Any]]] = {
    "lenet5": ((1, 32, 32), {}),
    "resnet18": ((3, 64, 64), {}),
    "mobilenet_v3_small": ((3, 64, 64), {}),
    "shufflenet_v2_x0_5": ((3, 64, 64), {}),
    "googlenet": ((3, 64, 64), {}),
    "convnext_tiny": ((3, 64, 64), {"depths": [1, 1, 2, 1]}),
    "unet": ((1, 188, 188), {"width": 8}),
}
REDUCED: dict[str, Shape] = {
    "efficientnet_b4": (3, 224, 224),
    "efficientnet_b5": (3, 224, 224),
    "efficientnet_b6": (3, 224, 224),
    "efficientnet_b7": (3, 224, 224),
}
"""The largest, at a reduced input; all others are verified at their own size."""


def assert_holds(name: str, shape: Shape | None, **args: Any) -> None:
    graph = load(name, input=shape, args=args)
    found = verify(graph, resize=lambda shapes: load(name, input=shapes, args=args))
    assert not found.mismatches
    made = {row.check.partition(",")[0] for row in found.rows if row.measured}
    assert made >= {*CHECKS} - {"buffers"}
    # every layer has rows for its shape, its FLOPs and its values
    layers = [node.path for node in graph.nodes if node.layer is not None]
    for check in ("shape", "flops", "backward", "values"):
        assert [row.layer for row in found.rows if row.check == check and row.layer] == layers


@pytest.mark.parametrize("name", FAST)
def test_a_part_of_the_zoo_verifies(name: str) -> None:
    shape, args = FAST[name]
    assert_holds(name, shape, **args)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo_names())
def test_the_whole_zoo_verifies(name: str) -> None:
    assert_holds(name, REDUCED.get(name))


def test_what_is_reduced_is_in_the_zoo() -> None:
    assert {*FAST, *REDUCED} <= {*zoo_names()}
