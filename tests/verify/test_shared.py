"""Layers that share weights under settings of their own, or at other sizes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cnncalc import torch as cnn
from cnncalc.convert import WRITERS
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.torch.source import render
from cnncalc.torch.verify import verify

PYRAMID = """
input: [4, 11, 13]
layers:
  - conv: {out: 4, kernel: 3, padding: 1, share: one, name: near}
  - conv: {out: 4, kernel: 3, padding: 2, dilation: 2, share: one, name: far}
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1, share: one, name: down}
"""
SIZES = """
input: [2, 11, 13]
layers:
  - conv: {out: 2, kernel: 4, stride: 3, padding: same, share: one, name: large}
  - conv: {out: 2, kernel: 4, stride: 3, padding: same, share: one, name: small}
"""


def test_shared_weights_are_used_under_each_layers_own_settings() -> None:
    net = cnn.build(load_text(PYRAMID)).eval()
    weight, bias = net.near.weight, net.near.bias
    x = torch.randn(2, 4, 11, 13)
    want = F.conv2d(x, weight, bias, padding=1)
    want = F.conv2d(want, weight, bias, padding=2, dilation=2)
    want = F.conv2d(want, weight, bias, stride=2, padding=1)
    with torch.no_grad():
        assert torch.equal(net(x), want.detach())
    assert sorted(net.state_dict()) == ["near.bias", "near.weight"]
    assert sum(p.numel() for p in net.parameters()) == 4 * 4 * 9 + 4


@pytest.mark.parametrize("spec", [PYRAMID, SIZES])
def test_verify_holds_every_claim_about_them(spec: str) -> None:
    found = verify(load_text(spec), batch=2)
    assert found.holds, found.mismatches


def test_lent_tensors_follow_the_net() -> None:
    net = cnn.build(load_text(PYRAMID)).double()
    assert {step.module.weight.dtype for step in net.steps} == {torch.float64}
    net(torch.randn(1, 4, 11, 13, dtype=torch.float64)).sum().backward()
    assert len({id(step.module.weight) for step in net.steps}) == 1
    assert net.near.weight.grad.abs().sum() > 0
    assert [step.module.training for step in net.eval().steps] == [False] * 3
    assert [step.module.training for step in net.train().steps] == [True] * 3


def test_lent_statistics_are_the_owners() -> None:
    spec = "{input: [2, 8, 8], layers: [{batch_norm: {share: n}}, {max_pool: 2}, {batch_norm: {share: n}}]}"
    net = cnn.build(load_text(spec)).train().to(torch.float64)
    net(torch.randn(4, 2, 8, 8, dtype=torch.float64))
    assert net.batch_norm1.num_batches_tracked == 2
    assert sorted(net.state_dict()) == [
        f"batch_norm1.{name}" for name in ("bias", "num_batches_tracked", "running_mean", "running_var", "weight")
    ]


def test_code_for_them_is_refused_rather_than_wrong() -> None:
    assert "py" in WRITERS
    with pytest.raises(CnncalcError, match="far uses the weights of near with other settings"):
        render(load_text(PYRAMID))


def test_a_name_that_pytorch_has_taken_gets_another() -> None:
    """``training`` is the mode of every module; no two layers come to have one name."""
    layers = ", ".join(f"{{conv: {{out: 2, kernel: 1, name: {name}}}}}" for name in ("training", "training_", "train"))
    net = cnn.build(load_text(f"{{input: [2, 8, 8], layers: [{layers}]}}"))
    assert [name for name, _ in net.named_children()] == ["training_", "training__", "train"]
    assert net.eval().training is False
    assert net.train().training is True
