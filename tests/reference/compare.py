"""NumPy beside PyTorch, in float64, with the same inputs and weights."""

from __future__ import annotations

import numpy as np
import torch

from cnncalc.torch import build_layer

torch.set_num_threads(1)  # the tensors are tiny, and test runs are parallel already


def distinct(generator, *shapes):
    """Arrays of either sign, no two elements nearer than a 300th, none at a round number: no maximum is a tie."""
    total = sum(int(np.prod(shape)) for shape in shapes)
    values = generator.permutation(np.linspace(-2, 2, total) if total < 1200 else np.arange(total) / 300 - total / 600)
    values = values + 0.0123456
    parts, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        parts.append(values[start : start + size].reshape(shape))
        start += size
    return parts


def build(layer, shapes, generator):
    """The PyTorch module of a layer, in evaluation, and its tensors as arrays; all drawn anew, variances positive."""
    module = build_layer(layer, *shapes).eval().double()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                drawn = generator.normal(size=tuple(tensor.shape))
                tensor.copy_(torch.from_numpy(np.asarray(np.abs(drawn) + 0.3 if name.endswith("var") else drawn)))
    return module, {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def tensor(array):
    """An array as a leaf that gradients are asked of."""
    return torch.from_numpy(np.array(array)).requires_grad_()


def assert_same(ours, theirs, tolerance=1e-9, where=""):
    """Equal shapes, and values to ``tolerance`` of the largest."""
    expected = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert ours.shape == expected.shape, where
    assert ours.dtype == expected.dtype, where
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(
        ours, expected, rtol=tolerance, atol=tolerance * max(1.0, finite.max(initial=0)), err_msg=str(where)
    )
