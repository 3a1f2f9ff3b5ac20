"""Nets that do something with the number of their samples: at batch 1 we say what PyTorch counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cnncalc
from cnncalc.torch.capture import capture
from cnncalc.torch.capture.values import Batch, written
from cnncalc.torch.original import Original, measure_source

pytestmark = pytest.mark.torch
SHAPE = (3, 8, 8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)


class Loop(Net):
    def forward(self, x):
        return torch.stack([self.second(self.first(image[None]))[0] for image in x])


class Chosen(Net):
    def forward(self, x):
        return torch.cat([self.first(x[number : number + 1]) for number in range(len(x))])


class Branch(Net):
    def forward(self, x):
        x = self.first(x)
        return self.second(x) if len(x) > 1 else x


class Alone(Net):
    def forward(self, x):
        assert len(x) == 1
        return self.second(self.first(x).reshape(1, 8, 4, 16)).flatten(1)


class Divided(Net):
    def forward(self, x):
        return self.first(x) / len(x)


CHANGING = {
    Loop: "does not do the same for two samples as for one (from unsqueeze on)",
    Chosen: "does not do the same for two samples as for one (from cat on)",
    Branch: "does not do the same for two samples as for one (from conv2d in second on)",
    Alone: "does not take two samples: PyTorch cannot export Alone: ",
    Divided: "does not do the same for two samples as for one (from div on)",
}


def warnings_of(report):
    return [one.message for one in report.diagnostics if one.code == "batch"]


@pytest.mark.parametrize("net", CHANGING)
def test_a_net_that_changes_with_the_batch_is_that_of_batch_1_with_a_warning(net):
    module = net().eval()
    report = cnncalc.analyze(module, input=SHAPE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = module(torch.zeros(1, *SHAPE))
    assert (report.totals.status, report.totals.flops) == ("complete", counter.get_total_flops())
    (shape,) = report.model.outputs.values()
    assert shape[-3:] == tuple(out.shape[1:])
    (said,) = warnings_of(report)
    assert CHANGING[net] in said
    assert said.endswith("its numbers are right for a batch of 1")
    captured = capture(module, SHAPE)
    assert [row.reason for row in measure_source(Original(captured, module), progress=str) if row.reason] == []


class Few(Net):
    def forward(self, x):
        assert len(x) <= 2, "too many"
        return self.second(self.first(x))


class Twins(Net):
    """Sizes in it that are the batch's too: 2 channels, groups and maps."""

    def forward(self, x):
        maps = self.first(x).reshape(len(x), 2, 4, 8, 8)
        weights = torch.ones(2, 1, 1, 1).expand(2, 4, 8, 8)
        first = torch.zeros(len(x), 2, 1, 8, 8)
        return torch.cat([maps * weights, first], 2).permute(1, 0, 2, 3, 4).flatten(1, 2).mean(0)


@pytest.mark.parametrize("net", [Few, Twins])
def test_any_batch_that_the_net_takes_is_followed(net):
    module = net().eval()
    report = cnncalc.analyze(module, input=SHAPE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = module(torch.zeros(2, *SHAPE))
    assert (report.totals.status, 2 * report.totals.flops) == ("complete", counter.get_total_flops())
    assert warnings_of(report) == []
    if net is Few:
        assert [*report.model.outputs.values()] == [tuple(out.shape[1:])]


class Statistics(Net):
    def forward(self, x):
        return nn.functional.batch_norm(self.first(x).mean((2, 3)), None, None, training=True)


def test_a_net_that_needs_two_samples_is_taken_with_them():
    report = cnncalc.analyze(Statistics(), input=SHAPE)
    assert report.totals.macs == 3 * 8 * 9 * 64
    (said,) = warnings_of(report)
    assert "does not take one sample: PyTorch cannot export Statistics: Expected more than 1 value per channel" in said


def test_no_message_speaks_of_samples_that_the_user_did_not_give():
    with pytest.raises(cnncalc.CnncalcError, match=r"got input\[1, 4, 8, 8\]|input\[1, 4, 8, 8\] to have 3 channels"):
        cnncalc.load(Few(), input=(4, 8, 8))


class Similar(Net):
    """Two results that grow with the square of the batch, and a constant that does."""

    def forward(self, x):
        flat = self.second(self.first(x)).flatten(1)
        alike = flat @ flat.T
        return alike, (torch.cdist(flat, flat) * 2).sum(1), torch.eye(len(x)) @ flat


class Doubled(Net):
    """Two features for each sample, and what each is to all: twice the batch in both axes."""

    def forward(self, x):
        flat = self.first(x).reshape(len(x) * 2, -1)
        return torch.cdist(flat, flat)


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (Similar(), {"opaque1": ((1,),), "opaque2": ((1,),), "constant1": ((1, 1),)}),
        (Doubled(), {"opaque1": ((2, 2),)}),
    ],
)
def test_what_grows_with_the_batch_twice_is_as_for_one_sample(module, shapes):
    report = cnncalc.analyze(module, input=SHAPE)
    found = {node.path: node.output_shapes for node in capture(module, SHAPE).graph.nodes}
    assert {path: found[path] for path in shapes} == shapes
    assert "997" not in report.to_json() + str(report) + str(cnncalc.explain(module, input=SHAPE))


def test_messages_show_samples_as_a_letter():
    assert written((997, 3, 8), Batch(0)) == "[N, 3, 8]"
    assert written((4, 997 * 6), Batch(1, 2, 3)) == "[4, 6·N]"
    assert written((4, 8), None) == "[4, 8]"
