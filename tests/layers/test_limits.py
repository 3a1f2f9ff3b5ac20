"""Every layer class at its limits, against PyTorch: numbers of axes, and extreme values of its fields.

PyTorch's modules are made past the layer's own checks and run on the ``meta`` device, which refuses what PyTorch
refuses but computes no values and takes no memory.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch

from cnncalc.errors import LayerError
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Layer, Shape, Shapes, ShortForm
from cnncalc.sources import load_text
from cnncalc.spec.problem import SpecError
from cnncalc.torch import BUILDERS
from tests.layers.oracle import REJECTIONS, tensors

pytestmark = pytest.mark.torch

NEEDED: dict[str, dict[str, Any]] = {
    "adaptive_avg_pool": {"output_size": 2},
    "adaptive_max_pool": {"output_size": 2},
    "avg_pool": {"kernel": 2},
    "channel_shuffle": {"groups": 2},
    "conv": {"out": 4, "kernel": 1},
    "conv_transpose": {"out": 4, "kernel": 1},
    "crop": {"size": 2},
    "group_norm": {"groups": 2},
    "linear": {"out": 4},
    "local_response_norm": {"size": 3},
    "lp_pool": {"kernel": 2, "norm_type": 2.0},
    "math": {"function": "add", "value": 1.0},
    "max": {"axes": 0},
    "max_pool": {"kernel": 2},
    "mean": {"axes": 0},
    "min": {"axes": 0},
    "multi_head_attention": {"num_heads": 2},
    "pad": {"padding": 1},
    "pixel_shuffle": {"upscale_factor": 2},
    "pixel_unshuffle": {"downscale_factor": 2},
    "reshape": {"shape": [-1]},
    "roll": {"shifts": 1, "axes": 0},
    "sliding_windows": {"size": 2},
    "split": {"chunks": 2},
    "stochastic_depth": {"p": 0.5},
    "sum": {"axes": 0},
    "threshold": {"threshold": 0.0, "value": 0.0},
    "transpose": {"axis0": 0, "axis1": -1},
    "unflatten": {"axis": 0, "sizes": [2, -1]},
    "unfold": {"kernel": 2},
    "unsqueeze": {"axis": 0},
    "upsample": {"scale_factor": 2.0},
    "variance": {"axes": 0},
    "vector_norm": {"axes": 0},
}
"""Fields that a layer cannot do without, by its kind."""
ELSEWHERE = {"broadcast", "constant", "fold", "opaque", "parameter", "permute"}
"""Layers that name each axis themselves."""

KINDS = sorted(
    kind
    for kind, cls in REGISTRY.items()
    if cls.arity[0] == 1 and not issubclass(cls, ShortForm) and kind not in ELSEWHERE and cls.__module__ != __name__
)


def ours(layer_class: type[Layer], fields: dict[str, Any], *shapes: Shape) -> Shapes | str:
    """Output shapes, or why we do not take these fields."""
    try:
        return msgspec.convert(fields, layer_class).output_shapes(*shapes)
    except (LayerError, msgspec.ValidationError) as error:
        return str(error)


def theirs(layer_class: type[Layer], fields: dict[str, Any], *shapes: Shape) -> Shapes | str:
    """Output shapes of PyTorch's module of these fields, or why it refuses them."""
    try:
        with torch.device("meta"), torch.no_grad():
            module = BUILDERS[layer_class](msgspec.convert(fields, layer_class), *shapes).eval()
            outputs = tensors(module(*(torch.empty((2, *shape)) for shape in shapes)))
    except (*REJECTIONS, msgspec.ValidationError, LayerError) as error:
        return f"{type(error).__name__}: {error}"
    return tuple(tuple(out.shape[1:]) for out in outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_no_layer_takes_more_axes_than_pytorchs(kind: str) -> None:
    layer_class, fields = REGISTRY[kind], NEEDED.get(kind, {})
    for rank in range(7):
        shape = (4,) * rank
        mine = ours(layer_class, fields, shape)
        if not isinstance(mine, str):
            assert mine == theirs(layer_class, fields, shape), f"{rank} axes"


def test_the_message_tells_how_many_axes_there_are() -> None:
    spec = "input: [4, 8, 8, 8]\nlayers:\n  - unsqueeze: {axis: 1}\n  - max_pool: {kernel: 1}\n"
    with pytest.raises(SpecError, match=r"takes at most 3 spatial axes, the input 4×1×8×8×8 has 4") as caught:
        load_text(spec)
    assert "<text>:4:5" in str(caught.value)
