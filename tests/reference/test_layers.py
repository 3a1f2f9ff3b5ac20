"""Every layer class: values and gradients in NumPy equal PyTorch's."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnncalc.errors import CnncalcError, LayerError
from cnncalc.layers.activation import Hardsigmoid, Relu
from cnncalc.layers.base import REGISTRY, Elementwise, Layer, ShortForm
from cnncalc.layers.conv import Conv
from cnncalc.layers.norm import BatchNorm
from cnncalc.layers.pool import LpPool, MaxPool
from cnncalc.layers.tensor import Opaque
from cnncalc.reference import DIFFERENTIATORS, EVALUATORS, evaluate_layer, layer_gradients
from tests.reference.compare import assert_same, build, distinct, tensor
from tests.reference.draws import LAYERS

CLASSES = [
    cls
    for cls in REGISTRY.values()
    if cls.__module__.startswith("cnncalc.") and not issubclass(cls, (ShortForm, Opaque))
]
"""All that compute something that is known."""
BY_EQUATION = [cls for cls in CLASSES if cls.equation is not Layer.equation and cls not in EVALUATORS]
"""Those that are computed as their equation says."""


def test_every_layer_class_has_an_equation_and_is_drawn():
    assert set(CLASSES) == set(LAYERS)
    assert {cls for cls in CLASSES if cls not in EVALUATORS} == set(BY_EQUATION)
    assert Conv in BY_EQUATION


@pytest.mark.parametrize("layer_class", CLASSES, ids=lambda cls: cls.kind)
@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 1000), batch=st.integers(1, 3))
def test_layer(layer_class, data, seed, batch):
    layer, shapes = data.draw(LAYERS[layer_class])
    # PyTorch has no word on the batch's own statistics where that batch is a single value per channel.
    assume(layer_class is not BatchNorm or layer.track_running_stats or batch * prod(shapes[0][1:]) > 1)
    generator = np.random.default_rng(seed)
    inputs = distinct(generator, *((batch, *shape) for shape in shapes))
    if layer_class is LpPool:
        inputs = [np.abs(x) + 0.1 for x in inputs]
    if layer_class.__module__.endswith("activation"):  # beyond all their kinks, some of the time
        inputs = [x * data.draw(st.sampled_from([1.0, 5.0])) for x in inputs]
    module, weights = build(layer, shapes, generator)

    leaves = list(map(tensor, inputs))
    outputs = module(*leaves)
    theirs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    values = evaluate_layer(layer, weights, *inputs)
    ours = values if isinstance(values, tuple) else (values,)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine, other, where=layer)

    # Of a window that lies in the padding alone PyTorch's backward pass of max pools writes somewhere, or crashes.
    if not all(np.isfinite(y).all() for y in ours):
        assert layer_class is MaxPool
        return

    parameters = dict(module.named_parameters())
    if not leaves and not parameters:
        return
    gradients = [generator.normal(size=y.shape) for y in ours]
    loss = sum((y * torch.from_numpy(g)).sum() for y, g in zip(theirs, gradients, strict=True))
    over_inputs, over_weights = layer_gradients(layer, weights, tuple(inputs), *gradients)
    assert over_weights.keys() == parameters.keys()
    expected = torch.autograd.grad(loss, [*leaves, *parameters.values()], allow_unused=True)
    # Differences are as good as the fourth power of their step; an equation is as good as the numbers.
    # (In its backward formula of hardsigmoid PyTorch has 1/6 in single precision.)
    tolerance = 1e-9 if layer_class in (*DIFFERENTIATORS, *BY_EQUATION) and layer_class is not Hardsigmoid else 1e-7
    found = [*over_inputs, *(over_weights[name] for name in parameters)]
    for mine, other in zip(found, expected, strict=True):
        assert_same(mine, np.zeros_like(mine) if other is None else other, tolerance, where=layer)


def test_a_layer_without_an_equation_is_named():
    class Nameless(Elementwise, frozen=True):
        """A layer that only this test has."""

        kind = "nameless_for_numpy"
        ops_per_element = 1

    try:
        with pytest.raises(
            CnncalcError, match=r"nameless_for_numpy cannot be evaluated in NumPy: .*@evaluates\(Nameless\)"
        ):
            evaluate_layer(Nameless(), {}, np.zeros((1, 3)))
    finally:
        del REGISTRY["nameless_for_numpy"]


def test_shapes_are_checked_first():
    with pytest.raises(LayerError, match="kernel 7 is larger than the padded input"):
        evaluate_layer(Conv(out=2, kernel=7), {}, np.zeros((1, 3, 4, 4)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_is_the_inputs(dtype):
    assert evaluate_layer(Relu(), {}, np.zeros((1, 3), dtype)).dtype == dtype
