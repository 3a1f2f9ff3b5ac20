"""Modules as graphs: PyTorch's own numbers, and the same outputs from the module that we build of the graph."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import cnncalc
from cnncalc.torch import build
from cnncalc.torch.capture import capture, copy_weights
from tests.capture import nets

pytestmark = pytest.mark.torch
BATCH = 3


def made(name):
    """A module with random weights and statistics, its input shapes, and inputs."""
    factory, shape = nets.NETS[name]
    torch.manual_seed(0)
    module = factory().eval()
    with torch.no_grad():
        for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    shapes = shape.values() if isinstance(shape, dict) else [shape]
    return module, shape, [torch.randn(BATCH, *one) for one in shapes]


@pytest.mark.parametrize("name", nets.NETS)
def test_numbers_are_pytorchs(name):
    module, shape, inputs = made(name)
    report = cnncalc.analyze(module, input=shape, batch=BATCH)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # without gradients PyTorch takes a fused path, which it does not count
        outputs = tree_leaves(module(*inputs))
    assert report.totals.status == "complete", report.diagnostics
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert report.totals.buffers == sum(b.numel() for b in module.buffers())
    assert report.totals.flops == counter.get_total_flops()
    assert [*report.model.outputs.values()] == [tuple(out.shape[1:]) for out in outputs]


@pytest.mark.parametrize("name", sorted(set(nets.NETS) - {"constants", "moves", "windows", "equations"}))
def test_the_graphs_module_gives_the_same_outputs(name):
    """But for nets that compute constants, whose values a graph does not hold."""
    module, shape, inputs = made(name)
    found = capture(module, shape)
    net = build(found.graph).eval()
    copy_weights(found, module, net)
    with torch.no_grad():
        theirs, ours = tree_leaves(module(*inputs)), net(*inputs)
    ours = [*ours.values()] if isinstance(ours, dict) else [ours]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", nets.NETS)
def test_paths_are_unique_and_legal(name):
    module, shape, _ = made(name)
    paths = [node.path for node in capture(module, shape).graph.nodes]
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert all(segment.isidentifier() or segment.isdigit() for segment in path.split("."))
        assert not any(other.startswith(f"{path}.") for other in paths)
