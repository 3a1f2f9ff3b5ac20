"""Nets written in PyTorch as specs and as code: what comes out means what went in, or is refused."""

from __future__ import annotations

import re

import pytest
import torch
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.convert import spec
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.torch.capture import capture, copy_weights
from cnncalc.torch.module import Net
from cnncalc.torch.source import render
from tests.convert.generated import agree, make

SHAPE = (3, 16, 16)


class Up(nn.Module):
    """Twice the size, and a skip connection that only some have."""

    def __init__(self, channels, beside, out):
        super().__init__()
        self.mix = nn.Conv2d(channels + beside, out, 3, padding=1)
        self.norm = nn.BatchNorm2d(out)
        self.last = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x, skip=None):
        x = nn.functional.interpolate(x, scale_factor=2)
        if skip is not None:
            x = torch.cat([x, skip], 1)
        return self.last(torch.relu(self.norm(self.mix(x))))


class UNet(nn.Module):
    """Ronneberger et al. 2015, whose last step up has no skip connection."""

    def __init__(self):
        super().__init__()
        sizes = [(3, 4), (4, 8), (8, 16)]
        self.down = nn.ModuleList([nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in sizes])
        self.up = nn.ModuleList([Up(16, 8, 8), Up(8, 4, 4), Up(4, 0, 2)])

    def forward(self, x):
        maps = []
        for layer in self.down:
            x = layer(x)
            maps.append(x)
        for layer, skip in zip(self.up, [maps[1], maps[0], None], strict=True):
            x = layer(x, skip)
        return x


def test_no_number_of_a_tensor_stands_in_a_spec():
    """A block is given the skip connection that it reads by name, and one that reads none has no argument for it."""
    text = spec.render(capture(UNet().eval(), SHAPE).graph)
    data = yaml.safe_load(text)
    assert [item["block"]["skip"] for item in data["layers"] if "block" in item] == ["down.1", "down.0"]
    assert "skip" not in data["blocks"]["block_2"].get("args", {})
    graph = load_text(text)
    agree(graph, render(graph))


class Wave(nn.Module):
    """A WaveNet (van den Oord et al. 2016), whose last residual nobody reads, as nobody reads its ``spare`` part."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(3, 4, 1)
        self.gate = nn.ModuleList([nn.Conv1d(4, 4, 3, padding=2**i, dilation=2**i) for i in range(3)])
        self.back = nn.ModuleList([nn.Conv1d(4, 4, 1) for _ in range(3)])
        self.skip = nn.ModuleList([nn.Conv1d(4, 5, 1) for _ in range(3)])
        self.spare = nn.Sequential(nn.Conv1d(4, 2, 1), nn.BatchNorm1d(2), nn.ReLU())
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        x = self.first(x)
        self.spare(x)
        total = 0
        for gate, back, skip in zip(self.gate, self.back, self.skip, strict=True):
            z = torch.tanh(gate(x))
            x = x + back(z)
            total = total + skip(z)
        return total


def flops(net: nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x)
    return int(counter.get_total_flops())


def test_what_nobody_reads_is_computed_as_well():
    """The code has the module's parameters and does all of its work, so that it costs what the module does."""
    module = Wave()
    found = capture(module.eval(), (3, 16))
    net = make(render(found.graph))
    agree(found.graph, render(found.graph))
    assert {name.removesuffix(".weight") for name in net.state_dict()} >= {
        name.removesuffix(".weight") for name in module.state_dict() if not name.startswith("unused")
    }
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in module.parameters())
    x = torch.randn(2, 3, 16)
    assert flops(net.eval(), x) == flops(module, x)
    # a norm that nobody reads keeps its statistics in training
    net.train()(x)
    assert net.get_buffer("spare.1.num_batches_tracked") == 1


class Anchors(nn.Module):
    """The grid of a detector's head, made of sizes alone, as YOLO makes it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x):
        x = self.conv(x)
        return x + torch.arange(x.shape[-1]) * 8.0 + 4.0


class Table(nn.Module):
    """A tensor that is neither a parameter nor a buffer, and one that only the trace computes of two buffers."""

    def __init__(self, registered):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)
        self.table = torch.tensor([2.0, 5.0])[:, None, None]
        if registered:
            del self.table
            self.register_buffer("table", torch.tensor([2.0, 5.0])[:, None, None])

    def forward(self, x):
        return self.conv(x) * self.table


@pytest.mark.parametrize(("module", "shape"), [(Anchors(), "16"), (Table(False), "2×1×1")])
def test_code_without_the_values_of_a_constant_is_refused(module: nn.Module, shape: str):
    graph = capture(module.eval(), SHAPE).graph
    with pytest.raises(
        CnncalcError,
        match=re.escape(f"the values of constant1 ({shape}) are not in the graph, so code without them would be wrong")
        + "\n  hint: .*register_buffer",
    ):
        render(graph)


def test_a_buffer_comes_with_the_state_dict():
    module = Table(True)
    found = capture(module.eval(), SHAPE)
    built, net = Net(found.graph), make(render(found.graph))
    copy_weights(found, module, built)
    net.load_state_dict(built.state_dict())
    x = torch.randn(2, *SHAPE)
    torch.testing.assert_close(net(x), module(x))


def test_a_constant_that_changes_no_result_is_no_obstacle():
    class Beside(Anchors):
        def forward(self, x):
            super().forward(x)
            return self.conv(x)

    graph = capture(Beside().eval(), SHAPE).graph
    agree(graph, render(graph))


def test_code_says_which_values_a_spec_does_not_give():
    """A spec's constant has no values of its own, which the code's first lines say."""
    text = render(load_text("{input: [3], layers: [{constant: {shape: [3], name: k}}, {add: {from: [input, k]}}]}"))
    assert "\nThe values of k are not given: they count up from 0 until others are set.\n" in text.split('"""')[1]
    assert "not given" not in render(load_text("{input: [3], layers: [{linear: 3}]}"))
