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
    """A block that reads no skip connection in some of its calls is given none there."""
    text = spec.render(capture(UNet().eval(), SHAPE).graph)
    calls = [item for item in yaml.safe_load(text)["layers"] if "block" in item]
    assert [item["block"].get("skip") for item in calls] == ["down.1", "down.0", None]
    graph = load_text(text)
    agree(graph, render(graph))
