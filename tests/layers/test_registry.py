"""Every layer has a name of its own and a builder."""

from __future__ import annotations

from collections import Counter

import pytest

from cnncalc.errors import CnncalcError, LayerError
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Layer, ShortForm
from cnncalc.layers.conv import Conv
from cnncalc.torch import BUILDERS, build_layer


def test_every_layer_can_be_built():
    assert set(BUILDERS) == {cls for cls in REGISTRY.values() if not issubclass(cls, ShortForm)}


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


def test_a_layer_that_does_not_fit_is_not_built():
    with pytest.raises(LayerError, match="kernel 5 is larger than the padded input"):
        build_layer(Conv(out=1, kernel=5), (1, 4))
