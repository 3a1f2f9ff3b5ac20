"""The evaluator of loop nests on examples worked by hand, and its adjoint; ``test_layers`` has PyTorch beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.layers.pool import MaxPool
from cnncalc.reference import evaluate_layer, layer_gradients, nest, windows
from cnncalc.reference.registry import evaluates
from tests.reference.draws import LAYERS
from tests.reference.test_layers import BY_EQUATION


def test_the_example_of_the_book():
    """Goodfellow et al. 2016, figure 9.1: ``aw + bx + ey + fz`` and its neighbours."""
    x = np.arange(1.0, 13).reshape(1, 1, 3, 4)  # a … l
    w = np.array([[2.0, 3], [5, 7]]).reshape(1, 1, 2, 2)  # w x / y z
    a, b, e, f = 1, 2, 5, 6
    y = evaluate_layer(Conv(out=1, kernel=2, bias=False), {"weight": w}, x)
    assert y.shape == (1, 1, 2, 3)
    assert y[0, 0, 0, 0] == a * 2 + b * 3 + e * 5 + f * 7
    assert y[0, 0, 1, 2] == 7 * 2 + 8 * 3 + 11 * 5 + 12 * 7


def test_transposed_convolution_of_one_unit_is_the_kernel():
    w = np.arange(6.0).reshape(1, 1, 2, 3)
    layer = ConvTranspose(out=1, kernel=(2, 3), bias=False)
    assert np.array_equal(evaluate_layer(layer, {"weight": w}, np.ones((1, 1, 1, 1))), w)


def test_of_equal_maxima_the_first_gets_the_gradient():
    x = np.array([[[3.0, 3, 1, 3]]])
    ((over_x,), _) = layer_gradients(MaxPool(kernel=2), {}, (x,), np.array([[[5.0, 7]]]))
    assert over_x.tolist() == [[[5, 0, 0, 7]]]


@pytest.mark.parametrize("layer_class", [cls for cls in BY_EQUATION if cls is not MaxPool], ids=lambda cls: cls.kind)
@settings(max_examples=20)
@given(data=st.data())
def test_the_adjoint_of_each_operand(layer_class, data):
    """``⟨y, g⟩ = ⟨x, Aᵀg⟩`` for ``y = A·x``, whichever of the operands is ``x``."""
    layer, shapes = data.draw(LAYERS[layer_class])
    (one,) = layer.equation(*shapes)
    one = one._replace(start=None)
    generator = np.random.default_rng(0)
    tensors = {
        operand.source: generator.normal(size=operand.shape if operand.learned else (2, *operand.shape))
        for operand in one.operands
    }
    y = nest.evaluate(one, tensors)
    g = generator.normal(size=y.shape)
    for source, gradient in nest.gradients(one, tensors, g).items():
        assert gradient.shape == tensors[source].shape
        assert np.isclose((y * g).sum(), (tensors[source] * gradient).sum())


def test_a_second_function_for_a_layer_is_refused():
    def again(layer, weights, x):
        return x

    with pytest.raises(ValueError, match="Prelu has a function already: evaluate_element"):
        evaluates(next(cls for cls in LAYERS if cls.__name__ == "Prelu"))(again)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=3),
    st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
)
def test_unpad_is_the_adjoint_of_pad(axes, mode):
    if mode == "reflect":
        axes = [(size + 2, before, after) for size, before, after in axes]
    generator = np.random.default_rng(0)
    pads = tuple(pair for _, *pair in axes)
    x = generator.normal(size=(2, 3, *(size for size, _, _ in axes)))
    padded = windows.pad(x, pads, mode)
    g = generator.normal(size=padded.shape)
    assert np.isclose((padded * g).sum(), (x * windows.unpad(g, pads, mode)).sum())
