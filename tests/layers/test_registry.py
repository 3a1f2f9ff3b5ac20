"""Every layer has a name of its own and a builder."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
import torch

from cnncalc.errors import CnncalcError, LayerError
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Elementwise, Layer, Shape, ShortForm
from cnncalc.layers.conv import Conv
from cnncalc.torch import BUILDERS, build_layer, builds


def test_every_layer_can_be_built():
    layers = {cls for cls in REGISTRY.values() if not issubclass(cls, ShortForm)}
    assert set(BUILDERS) <= layers
    assert [cls for cls in layers - set(BUILDERS) if not cls.torch_name] == []


def test_no_two_layers_share_a_name():
    names = Counter(name for kind, cls in REGISTRY.items() for name in {kind, *cls.aliases})
    assert [name for name, count in names.items() if count > 1] == []


def test_a_field_alias_means_a_field():
    for cls in REGISTRY.values():
        assert set(cls.field_aliases.values()) <= set(cls.__struct_fields__), cls
        assert not set(cls.field_aliases) & set(cls.__struct_fields__), cls


def test_every_layer_says_what_its_elementwise_operations_are():
    for cls in REGISTRY.values():
        if not issubclass(cls, ShortForm):
            assert "lementwise" in (cls.__doc__ or ""), cls


def test_a_layer_without_a_builder_says_so():
    try:

        class Unbuilt(Layer, frozen=True):
            """A layer that PyTorch has no module for."""

            def output_shape(self, *inputs):
                return inputs[0]

        with pytest.raises(CnncalcError, match=r"unbuilt cannot be built in PyTorch: .* @builds\(Unbuilt\)"):
            build_layer(Unbuilt(), (3, 4, 4))
    finally:
        REGISTRY.pop("unbuilt", None)


def test_a_layer_has_one_builder():
    before = BUILDERS[Conv]
    with pytest.raises(ValueError, match="Conv has a builder: build_conv"):
        builds(Conv)(lambda layer, shape: torch.nn.Identity())
    assert BUILDERS[Conv] is before


def test_a_layer_that_torch_nn_has_under_the_same_fields_needs_no_builder():
    try:

        class Rrelu(Elementwise, frozen=True):
            """As ``torch.nn.RReLU``. Elementwise operations: 1 per element."""

            torch_name = "RReLU"
            ops_per_element = 1
            lower: float = 0.1
            upper: float = 0.5

        module = build_layer(Rrelu(upper=0.25), (3, 4, 4))
        assert type(module) is torch.nn.RReLU
        assert (module.lower, module.upper) == (0.1, 0.25)
    finally:
        REGISTRY.pop("rrelu", None)


def test_a_layer_that_does_not_fit_is_not_built():
    with pytest.raises(LayerError, match="kernel 5 is larger than the padded input"):
        build_layer(Conv(out=1, kernel=5), (1, 4))


SEVERAL: dict[str, tuple[dict[str, Any], list[Shape]]] = {
    "concat": ({}, [(2, 4), (2, 4)]),
    "functional_conv": ({}, [(2, 4), (3, 2, 1), (3,)]),
    "matmul": ({}, [(2, 4), (4, 3)]),
    "multi_head_attention": ({"num_heads": 2}, [(3, 4), (5, 4), (5, 4)]),
    "per_sample": ({}, [(2, 4), (3,)]),
    "scaled_dot_product_attention": ({}, [(3, 4), (5, 4), (5, 4)]),
    "take": ({}, [(5, 4), (2,)]),
}
"""Fields and inputs of the layers of several inputs, where not any two tensors of one shape do."""


def test_a_gradient_passes_through_the_inputs_that_autograd_says():
    for kind, cls in REGISTRY.items():
        if cls.arity[1] == 1 or cls.arity[0] == 0:
            continue
        fields, shapes = SEVERAL.get(kind, ({}, [(2, 4), (2, 4)]))
        module = build_layer(msgspec.convert(fields, cls), *shapes).requires_grad_(False)
        for number in range(len(shapes)):
            inputs = [torch.ones(1, *shape, requires_grad=other == number) for other, shape in enumerate(shapes)]
            assert module(*inputs).requires_grad == (number in range(len(shapes))[: cls.differentiable]), kind
