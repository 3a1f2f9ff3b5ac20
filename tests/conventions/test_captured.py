"""What the tools answer for a module as it is, which calls some functions and some modules: asked themselves."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnncalc
from cnncalc.analysis.conventions import CONVENTIONS, answer
from tests.conventions.tools import TOOLS, ask

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
SHAPE = (3, 12, 12)


class Both(nn.Module):
    """Each thing once as a module and once as a function."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.pool, self.drop, self.flat, self.head = nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(8, 4)
        self.mean = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x))) + 1
        x = self.pool(self.relu(x))
        x = F.avg_pool2d(F.max_pool2d(x, 2), 1)
        return self.head(F.dropout(self.drop(self.flat(self.mean(x))), 0.1, self.training))


class Functions(Both):
    """As DenseNet's end: all but the convolution and the head are functions."""

    def forward(self, x):
        x = F.relu(self.conv(x))
        return F.softmax(self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)), 1)


class OwnNorm(nn.LayerNorm):
    """A class that no tool knows, as ConvNeXt's."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class OwnClass(Both):
    def __init__(self):
        super().__init__()
        self.norm = OwnNorm(8)

    def forward(self, x):
        return torch.cat([self.relu(self.norm(self.conv(x))), F.gelu(self.conv(x))], 1)


@pytest.mark.parametrize("net", [Both, Functions, OwnClass])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_captured_net_is_answered_for_as_it_is(net, batch):
    module = net().eval()
    graph = cnncalc.load(module, input=SHAPE)
    wrong = {}
    for tool in TOOLS:
        theirs = ask(tool, module, [torch.zeros(batch, *SHAPE)])
        ours = answer(graph, CONVENTIONS[tool], batch)
        if (theirs.count, theirs.partial) != (ours.count, ours.partial):
            wrong[tool] = theirs, ours.count, ours.partial, ours.problem
    assert wrong == {}
