"""Attention against PyTorch."""

from __future__ import annotations

from math import prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from cnncalc.errors import LayerError
from cnncalc.layers.attention import MultiHeadAttention, ScaledDotProductAttention
from cnncalc.layers.base import EVERYTHING, along
from cnncalc.layers.linear import Linear
from cnncalc.layers.merge import Matmul
from tests.layers.draws import mostly
from tests.layers.oracle import agree, check_layer, check_reads, draw

quick = settings(deadline=None, max_examples=80)


def softmax_ops(rows, keys):
    """An exponential and a division per score, and the additions of each row."""
    return sum(keys + (keys - 1) + keys for _ in range(rows))


@st.composite
def queries(draw):
    """Shapes of query, key and value, which go together, mostly."""
    leading = draw(st.lists(st.integers(1, 3), max_size=2))
    length, keys, features, out = (draw(st.integers(1, 5)) for _ in range(4))
    key = [draw(mostly(st.just(keys), keys + 1)), draw(mostly(st.just(features), features + 1))]
    return (*leading, length, features), (*leading, *key), (*leading, keys, out)


def pytorch_products(query, key, value, causal):
    """PyTorch's attention as matrix products; its fused CPU kernel does not notice a value of another length."""
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


@quick
@given(queries(), st.booleans(), st.integers(1, 3))
@example(((1, 1, 1), (1, 2, 1), (1, 1, 1)), False, 1)
def test_scaled_dot_product_attention(shapes, causal, batch):
    fields = {"is_causal": causal}
    out = agree(
        ScaledDotProductAttention,
        fields,
        *shapes,
        pytorch=lambda q, k, v: pytorch_products(q, k, v, causal),
    )
    if not out:
        return
    query, key, value = shapes
    layer = ScaledDotProductAttention(is_causal=causal)
    # With one key, or the first of causal attention, the softmax is 1 whatever query and key are.
    module = check_layer(layer, *shapes, batch=batch, reads=not causal and key[-2] > 1)
    assert layer.is_product
    # The two products, as layers of their own.
    turned = (*key[:-2], key[-1], key[-2])
    scores = Matmul().output_shape(query, turned)
    assert layer.macs(*shapes) == Matmul().macs(query, turned) + Matmul().macs(scores, value)
    assert layer.elementwise_ops(*shapes) == prod(scores) + softmax_ops(prod(scores[:-1]), scores[-1])
    inputs = [draw(shape, batch) for shape in shapes]
    want = F.scaled_dot_product_attention(*inputs, is_causal=causal)
    assert torch.allclose(module(*inputs), want, rtol=1e-12)


def test_causal_attention_does_not_read_all_keys():
    shape = (2, 5, 4)
    query, key, value = ScaledDotProductAttention(is_causal=True).reads(shape, shape, shape)
    assert query == (along(0), along(1), EVERYTHING)
    assert (key[0], key[2]) == (along(0), EVERYTHING)
    assert (value[0], value[2]) == (along(0), along(2))
    assert key[1] == value[1] != EVERYTHING


@st.composite
def sequences(draw):
    """One to three sequences, and a number of heads that divides the embedding, mostly."""
    heads = draw(st.integers(1, 3))
    embed = heads * draw(st.integers(1, 3))
    length, keys = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    width = st.sampled_from([embed, embed, 2, 5])
    shapes = [(length, embed), (keys, draw(width)), (draw(mostly(st.just(keys), keys + 1)), draw(width))]
    return draw(mostly(st.just(heads), 0, embed + 1, 4)), shapes[: draw(st.integers(1, 3))]


def pytorch_attention(heads, bias, shapes):
    """The module, made from the raw shapes; a missing key is the query, a missing value the key."""
    query, key, value = (*shapes, *[shapes[-1]] * (3 - len(shapes)))
    return nn.MultiheadAttention(
        query[1], heads, bias=bias, kdim=key[1], vdim=value[1], batch_first=True, dtype=torch.float64
    )


@quick
@given(sequences(), st.booleans(), st.integers(1, 2))
def test_multi_head_attention(case, bias, batch):
    heads, shapes = case

    def pytorch(*inputs):
        inputs = (*inputs, *[inputs[-1]] * (3 - len(inputs)))
        return pytorch_attention(heads, bias, shapes)(*inputs)[0]

    if not agree(MultiHeadAttention, {"num_heads": heads, "bias": bias}, *shapes, pytorch=pytorch):
        return
    layer = MultiHeadAttention(num_heads=heads, bias=bias)
    module = check_layer(layer, *shapes, batch=batch, reads=False)
    (length, embed), key, value = (*shapes, *[shapes[-1]] * (3 - len(shapes)))

    # PyTorch's own module has the same tensors, and gives the same values with them.
    own = pytorch_attention(heads, bias, shapes).eval()
    assert {n: p.shape for n, p in own.named_parameters()} == {n: p.shape for n, p in module.named_parameters()}
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.1)  # so that no softmax is saturated
    own.load_state_dict(module.state_dict())
    inputs = [draw(shape, batch) for shape in shapes]
    with torch.no_grad():
        want = own(*inputs, *[inputs[-1]] * (3 - len(inputs)), need_weights=True)[0]
        assert torch.allclose(module(*inputs), want, rtol=1e-10)
    if key[0] > 1:
        check_reads(layer, module, *shapes)

    # The layers that it consists of.
    projections = [((length, embed), embed), (key, embed), (value, embed), ((length, embed), embed)]
    head = embed // heads
    attention = ScaledDotProductAttention()
    parts = (heads, length, head), (heads, key[0], head), (heads, key[0], head)
    assert layer.macs(*shapes) == attention.macs(*parts) + sum(
        Linear(out=out).macs(shape) for shape, out in projections
    )
    assert layer.elementwise_ops(*shapes) == attention.elementwise_ops(*parts) + sum(
        Linear(out=out, bias=bias).elementwise_ops(shape) for shape, out in projections
    )


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (ScaledDotProductAttention(), [(4,), (4,), (4,)], "at least length and features, got 4, 4 and 4"),
        (ScaledDotProductAttention(), [(5, 4), (5, 4), (1, 5, 4)], "of the same number of axes"),
        (ScaledDotProductAttention(), [(5, 4), (5, 3), (5, 4)], "differ in features: 4 and 3"),
        (ScaledDotProductAttention(), [(5, 4), (6, 4), (5, 4)], "differ in length: 6 and 5"),
        (ScaledDotProductAttention(), [(2, 5, 4), (3, 5, 4), (3, 5, 4)], "differ in the axes before"),
        (MultiHeadAttention(num_heads=2), [(8, 4, 4)], "needs a query of length×embed, got 8×4×4"),
        (MultiHeadAttention(num_heads=3), [(8, 4)], "num_heads 3 does not divide embed 4"),
        (MultiHeadAttention(num_heads=2), [(8, 4), (3, 4), (2, 4)], "differ in length: 3 and 2"),
    ],
)
def test_errors(layer, shapes, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape(*shapes)
