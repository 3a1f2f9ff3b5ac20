"""Every layer class at its limits, against PyTorch: numbers of axes, and extreme values of its fields.

PyTorch's modules are made past the layer's own checks and run on the ``meta`` device, which refuses what PyTorch
refuses but computes no values and takes no memory.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

import msgspec
import pytest
import torch

from cnncalc.errors import LayerError
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Activation, Layer, Shape, Shapes, ShortForm
from cnncalc.sources import load_text
from cnncalc.spec.problem import SpecError
from cnncalc.torch.registry import unchecked
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
ELSEWHERE: dict[str, tuple[dict[str, Any], list[Shape]]] = {
    "broadcast": ({"shape": [4, 4, 4]}, [(4, 4, 4)]),
    "constant": ({"shape": [4]}, []),
    "fold": ({"size": 4, "kernel": 2}, [(16, 9)]),
    "parameter": ({"shape": [4]}, []),
    "permute": ({"axes": [0, 1, 2]}, [(4, 4, 4)]),
}
"""Layers that name each axis themselves, with what they need and inputs for it."""
INSTEAD = {("upsample", "size"): "scale_factor", ("crop", "cropping"): "size", ("split", "sizes"): "chunks"}
"""Fields that take another's place."""

KINDS = sorted(
    kind
    for kind, cls in REGISTRY.items()
    if cls.arity[0] == 1 and not issubclass(cls, ShortForm) and kind not in ELSEWHERE and cls.__module__ != __name__
)
WHOLE = [0, -1, 2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**63, 10**20, -(2**63) - 1]
REAL = [0.0, -1.0, inf, -inf, nan, 1e39, 1e150, 1.7e308, 1e-9, 1e-45, 5e-324]
NO_ROOM = ("Storage size calculation overflowed", "resulted in a negative output size", "Negative strides")
"""How PyTorch says that a place in memory is no 64-bit number: no matter of the layer."""


def ours(layer_class: type[Layer], fields: dict[str, Any], *shapes: Shape) -> Shapes | str:
    """Output shapes, or why we do not take these fields."""
    try:
        return msgspec.convert(fields, layer_class).checked_shapes(*shapes)
    except (LayerError, msgspec.ValidationError) as error:
        return str(error)


def theirs(layer_class: type[Layer], fields: dict[str, Any], *shapes: Shape, device: str = "meta") -> Shapes | str:
    """Output shapes of PyTorch's module of these fields, or why it refuses them."""
    try:
        with torch.device(device), torch.no_grad():
            module = unchecked(msgspec.convert(fields, layer_class), *shapes).eval()
            outputs = tensors(module(*(torch.ones((2, *shape)) for shape in shapes)))
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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*KINDS, *ELSEWHERE])
def test_what_pytorch_refuses_of_extreme_numbers_is_refused(kind: str) -> None:
    """Whole numbers on the ``meta`` device, others where values are computed."""
    layer_class = REGISTRY[kind]
    needed, shapes = ELSEWHERE.get(
        kind, (NEEDED.get(kind, {}), [(4, 4) if kind == "multi_head_attention" else (4, 4, 4)])
    )
    for field in msgspec.structs.fields(layer_class):
        hint, usual = str(field.type), needed.get(field.name)
        whole = "float" not in hint
        if "int" not in hint and whole:
            continue
        for value in WHOLE if whole else REAL:
            forms: list[Any] = [[*usual[:-1], value]] if isinstance(usual, list) else [value]
            if "tuple" in hint and not isinstance(usual, list):
                forms.append([value, *(1,) * (len(shapes[0]) - 2)])
            for form in forms:
                fields = {**needed, field.name: form}
                fields.pop(INSTEAD.get((kind, field.name), ""), None)
                mine = ours(layer_class, fields, *shapes)
                if isinstance(mine, str):
                    continue
                layer = msgspec.convert(fields, layer_class)
                if isinstance(layer, Activation):
                    assert (gain := layer.gain()) is None or gain >= 0, fields
                other = theirs(layer_class, fields, *shapes, device="meta" if whole else "cpu")
                if not isinstance(other, str) or not any(reason in other for reason in NO_ROOM):
                    assert mine == other, fields


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "celu: {alpha: 1.0e+150}",
            r"4:1\d: error: celu: alpha 1e\+150 is beyond ±3.40282e\+38, the largest of float32",
        ),
        ("celu: {alpha: 1.0e-45}", r"4:1\d: error: celu: alpha 1e-45 is too close to zero"),
        ("lp_pool: {kernel: 2, norm_type: .inf}", r"4:3\d: error: lp_pool: norm_type must be finite"),
        ("conv: {out: 1, kernel: 1, stride: 9223372036854775808}", r"4:39: error: conv: stride is beyond 2\^63"),
        ("conv: {out: 1, kernel: 1, stride: [1, 9223372036854775808]}", r"4:39: error: conv: stride is beyond 2\^63"),
        ("pad: {padding: 4611686018427387904}", r"4:5: error: pad: a size of 9223372036854775816 is beyond 2\^63"),
    ],
)
def test_what_is_said_of_extreme_numbers(layer: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_text(f"input: [4, 8, 8]\nname: net\nlayers:\n  - {layer}\n")


def test_an_input_too_large_for_any_tensor_is_refused() -> None:
    with pytest.raises(SpecError, match=r"1:12: error: an input size must be below 2\^63"):
        load_text("input: [1, 100000000000000000000]\nlayers:\n  - tanh\n")
