"""How we say that PyTorch lays tensors out in memory, against the strides that its kernels and views return."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from cnncalc.layers import REGISTRY
from cnncalc.layers.strides import in_order, is_in_order, reshaped
from cnncalc.torch import build_layer

pytestmark = pytest.mark.torch

FIELDS = {
    "threshold": {"threshold": 0.1, "value": 0.0},
    "linear": {"out": 5},
    "group_norm": {"groups": 2},
    "layer_norm": {"axes": -1},
    "rms_norm": {"axes": -1},
    "local_response_norm": {"size": 2},
    "upsample": {"scale_factor": 2.0},
    "max_pool": {"kernel": 2},
    "stochastic_depth": {"p": 0.1},
    "channel_shuffle": {"groups": 2},
    "pad": {"padding": 1},
    "slice": {"start": 1, "step": 2, "axis": -1},
    "split": {"chunks": 2},
    "permute": {"axes": (2, 0, 1)},
    "transpose": {"axis0": 0, "axis1": 1},
    "unsqueeze": {"axis": 1},
    "crop": {"size": 2},
    "unflatten": {"axis": 0, "sizes": (2, 2)},
    "reshape": {"shape": (2, -1)},
    "multi_head_attention": {"num_heads": 2},
}
NEARLY = {"conv", "conv_transpose", "batch_norm", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool"}
"""Of these a few kernels have rules of their own for layouts with single channels or pixels; nothing depends on it."""
LATER = {"depthwise_conv", "separable_conv"}  # short forms
OWN_AXES = [(layer, axes) for layer in ("layer_norm", "rms_norm") for axes in (0, (0, 1), None)]


def laid_out(batch, shape):
    """Tensors of this shape in all orders in memory, dense and with gaps."""
    full = (batch, *shape)
    for order in permutations(range(len(full))):
        back = [order.index(axis) for axis in range(len(full))]
        yield torch.zeros([full[axis] for axis in order]).permute(back)
        wide = [full[axis] * (1 + (axis == order[-1])) for axis in order]
        yield torch.zeros(wide)[..., ::2].permute(back)


def compare(layer, shapes, others=torch.zeros):
    """How often the layer's strides were found so."""
    compared = 0
    for shape in shapes:
        count = max(layer.arity[0], 1)
        try:
            layer.output_shapes(*(shape,) * count)
        except ValueError:
            continue
        module = build_layer(layer, *(shape,) * count).eval()
        for batch in (1, 3):
            for first in laid_out(batch, shape):
                inputs = [first, *(others(first.shape) for _ in range(count - 1))]
                with torch.no_grad():
                    outs = module(*inputs)
                outs = (outs,) if isinstance(outs, torch.Tensor) else outs
                claimed = layer.torch_strides(batch, tuple(x.stride() for x in inputs), *(shape,) * count)
                for out, strides in zip(outs, claimed, strict=True):
                    there = [(a, b) for a, b, size in zip(out.stride(), strides, out.shape, strict=True) if size != 1]
                    assert all(a == b for a, b in there), (layer, first.shape, first.stride(), out.stride(), strides)
                    assert out.is_contiguous() == is_in_order(tuple(out.shape), strides)
                    compared += 1
    return compared


@pytest.mark.parametrize("kind", sorted(set(REGISTRY) - NEARLY - LATER))
def test_strides(kind):
    layer = REGISTRY[kind]
    required = list(layer.__struct_fields__[: len(layer.__struct_fields__) - len(layer.__struct_defaults__)])
    fields = FIELDS.get(kind, {})
    if kind not in FIELDS and required:
        fields = {"axes": 0} if required == ["axes"] else {required[0]: 2}
    assert compare(layer(**fields), [(4, 2, 6), (4, 6), (4,), (4, 4)]) >= 8


@pytest.mark.parametrize(("kind", "axes"), OWN_AXES)
def test_norms_over_other_axes(kind, axes):
    assert compare(REGISTRY[kind](axes=axes), [(4, 4, 6), (4, 6)])


@pytest.mark.parametrize("kind", ["add", "multiply"])
def test_broadcast(kind):
    layer = REGISTRY[kind]()
    first, second = (4, 1, 6), (1, 5, 6)
    for one in laid_out(2, first):
        for other in laid_out(2, second):
            out = build_layer(layer, first, second)(one, other)
            (claimed,) = layer.torch_strides(2, (one.stride(), other.stride()), first, second)
            assert claimed == out.stride()


def test_reshapes_are_views_where_pytorch_has_views():
    for tensor in laid_out(2, (3, 4)):
        for sizes in ((6, 4), (2, 12), (24,), (2, 3, 2, 2), (2, 1, 3, 4), (8, 3), (4, 6)):
            claimed = reshaped(tuple(tensor.shape), tensor.stride(), sizes)
            assert claimed == tensor.reshape(sizes).stride(), (tensor.stride(), sizes)


def test_in_order():
    assert in_order((2, 3, 4)) == torch.zeros(2, 3, 4).stride()
