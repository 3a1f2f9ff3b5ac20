"""The batch norm in training against PyTorch: output, running statistics, gradient."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncalc.layers.norm import BatchNorm
from cnncalc.reference.norm import batch_norm, batch_norm_training
from cnncalc.reference.registry import layer_gradients
from tests.reference.compare import assert_same, build, tensor
from tests.reference.draws import maps

MODULES = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@settings(max_examples=40)
@given(maps(least_rank=0), st.integers(2, 4), st.sampled_from([0.1, 0.3]), st.integers(0, 99))
def test_training(shape, batch, momentum, seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(batch, *shape))
    module = MODULES[len(shape) - 1](shape[0], momentum=momentum).double()
    weight, bias = generator.normal(size=(2, shape[0]))
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
        module.bias.copy_(torch.from_numpy(bias))
    mean, variance = np.zeros(shape[0]), np.ones(shape[0])
    leaf = tensor(x)
    for _ in range(2):
        theirs = module(leaf)
        ours, mean, variance = batch_norm_training(x, mean, variance, weight, bias, momentum=momentum)
    assert_same(ours, theirs)
    assert_same(mean, module.running_mean)
    assert_same(variance, module.running_var)
    assert_same(batch_norm(x, mean, variance, weight, bias), module.eval()(leaf))

    g = generator.normal(size=x.shape)
    expected = torch.autograd.grad(theirs, [leaf, module.weight, module.bias], torch.from_numpy(g))
    layer = BatchNorm(track_running_stats=False)
    (over_x,), over_weights = layer_gradients(layer, {"weight": weight, "bias": bias}, (x,), g)
    assert_same(over_x, expected[0], 1e-8)
    assert_same(over_weights["weight"], expected[1])
    assert_same(over_weights["bias"], expected[2])


def test_drawn_statistics_are_used():
    module, weights = build(BatchNorm(affine=False), [(3, 4)], np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    assert_same(batch_norm(x, weights["running_mean"], weights["running_var"]), module(torch.from_numpy(x)))
