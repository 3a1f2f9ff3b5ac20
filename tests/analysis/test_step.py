"""The three parts of a training step against what PyTorch counts with weights, or inputs, that want no gradient."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.analysis.training import step_macs
from cnncalc.sources import load, load_text
from cnncalc.torch.module import Net

ATTENTION = """
input: [16, 6, 6]
layers:
  - flatten: {start_axis: 1}
  - permute: [1, 0]
  - multi_head_attention: {num_heads: 4, name: self}
  - linear: 16
  - multi_head_attention: {num_heads: 2, bias: false, from: [-1, self]}
"""


def backward_flops(net: Net, *, weights: bool, inputs: bool) -> int:
    net.requires_grad_(weights)
    given = [torch.empty(2, *shape, device="meta", requires_grad=inputs) for shape in net.graph.inputs.values()]
    out = net(*given)
    total = sum(one.sum() for one in (out.values() if isinstance(out, dict) else [out]))
    with FlopCounterMode(display=False) as counter:
        total.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "googlenet", "unet", "attention"])
def test_parts_of_a_step_are_what_pytorch_counts(name: str) -> None:
    graph = load_text(ATTENTION) if name == "attention" else load(name)
    with torch.device("meta"):
        net = Net(graph)
    everything = backward_flops(net, weights=True, inputs=True)
    of_weights = everything - backward_flops(net, weights=False, inputs=True)
    real = backward_flops(net, weights=True, inputs=False)
    steps = step_macs(graph, 2)
    assert 2 * sum(one.weight_gradient for one in steps) == of_weights
    assert 2 * sum(one.input_gradient for one in steps) == real - of_weights
    assert 2 * sum(one.backward for one in steps) == real
