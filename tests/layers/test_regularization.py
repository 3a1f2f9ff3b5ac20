"""Dropout and its kin: nothing in evaluation, and in training what their papers say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given

from cnncalc.layers.base import REGISTRY
from cnncalc.layers.regularization import (
    AlphaDropout,
    ChannelDropout,
    Dropout,
    Identity,
    LayerScale,
    PassThrough,
    StochasticDepth,
)
from cnncalc.torch import build_layer
from tests.layers.draws import shapes
from tests.layers.oracle import check_layer, draw

PASS_THROUGH = [Identity(), Dropout(p=0.2), ChannelDropout(), AlphaDropout(), StochasticDepth(p=0.2)]


def test_every_layer_is_here():
    family = {cls for cls in REGISTRY.values() if cls.__module__ == PassThrough.__module__}
    assert family == {*map(type, PASS_THROUGH), LayerScale}


@pytest.mark.parametrize("layer", PASS_THROUGH, ids=lambda layer: layer.kind)
@given(shape=shapes(least_rank=0))
def test_nothing_happens_in_evaluation(layer, shape):
    module = check_layer(layer, shape)
    x = draw(shape, 2)
    assert torch.equal(module(x), x)
    assert (layer.macs(shape), layer.elementwise_ops(shape), layer.weights(shape)) == (0, 0, ())


@given(shapes(least_rank=0))
def test_layer_scale(shape):
    module = check_layer(LayerScale(), shape)
    x = draw(shape, 2)
    per_channel = (-1, *(1 for _ in shape[1:]))
    torch.testing.assert_close(module(x), x * module.weight.reshape(per_channel))
    assert LayerScale().elementwise_ops(shape) == x[0].numel()


def test_layer_scale_starts_at_its_initial_value():
    module = build_layer(LayerScale(init_value=0.25), (3, 2, 2))
    assert module.weight.flatten().tolist() == [0.25] * 3


@pytest.mark.parametrize("shape", [(50,), (50, 6), (50, 3, 4), (50, 2, 3, 2)])
def test_channel_dropout_takes_whole_channels(shape):
    """In training each channel is all zero, or all scaled by 1/(1 − p)."""
    torch.manual_seed(0)
    out = build_layer(ChannelDropout(p=0.5), shape).train()(torch.ones((4, *shape))).reshape(4, 50, -1)
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(out.amin(-1), out.amax(-1))


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_takes_whole_samples(mode):
    """All zero or all scaled by 1/(1 − p): each sample by itself (row), or all alike (batch)."""
    torch.manual_seed(0)
    module = build_layer(StochasticDepth(p=0.5, mode=mode), (3, 4)).train()
    batches = [module(torch.ones(8, 3, 4)) for _ in range(20)]
    samples = [tuple(sample.unique().tolist()) for batch in batches for sample in batch]
    assert set(samples) == {(0.0,), (2.0,)}
    mixed = any(len(batch.unique()) > 1 for batch in batches)
    assert mixed == (mode == "row")


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_stochastic_depth_at_its_ends(p):
    out = build_layer(StochasticDepth(p=p), (3, 4)).train()(torch.ones(8, 3, 4))
    assert torch.equal(out, torch.full((8, 3, 4), 1 - p))
