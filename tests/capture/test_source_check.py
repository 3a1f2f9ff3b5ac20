"""The check ``source`` of ``cnncalc verify``: a module beside the net that is built of its graph."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from msgspec.structs import replace
from torch import nn

from cnncalc.__main__ import run as main
from cnncalc.torch import original
from cnncalc.torch import verify as torch_verify
from cnncalc.torch.capture import capture
from cnncalc.torch.capture.registry import HANDLERS
from cnncalc.torch.capture.values import Batch
from cnncalc.torch.original import samples_first
from tests.capture import nets

SIZE = ["--input", "3x8x8"]
CONSTANT = {"windows", "constants", "rotary", "queries", "fixed", "moves", "equations"}
"""Nets that compute constants, whose values a graph does not hold."""
CODE = """
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.scale = nn.Parameter(torch.full((4, 1, 1), 1e-6))

    def forward(self, x):
        print("running")
        x = self.norm(self.conv(x))
        return x + self.scale * x.relu(), self.pool(x)


def without_values():
    with torch.device("meta"):
        return Small()
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "made.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "made", raising=False)


def rows_of(module, shape):
    """The rows, by what they are about, of a module that is captured as it is now."""
    found = capture(module, shape)
    checked = torch_verify.verify(found.graph, checks=("source",), module=(found, module))
    return {row.check.removeprefix("source, "): row for row in checked.rows}


@pytest.mark.parametrize("name", nets.NETS)
def test_a_module_is_its_graph(name):
    factory, shape = nets.NETS[name]
    torch.manual_seed(0)
    module = factory()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    rows = rows_of(module, shape)
    params = rows.pop("params")
    assert (params.measured, params.reason) == (f"{sum(p.numel() for p in module.parameters()):,} params", "")
    assert rows
    for row in rows.values():
        assert row.reason == ""
        if name in CONSTANT:
            assert (row.claimed, row.measured) == ("", "not compared")
            assert row.note == "not compared: the graph does not hold the values of the constant constant1"
        else:
            assert (row.claimed, row.note) == ("within 1e-05", "")
    assert module.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())


# -- faults ----------------------------------------------------------------------------------------


def changed(make, **fields):
    """The handler, but that the last layer that it emits has other fields."""

    def handler(tracer, call):
        result = make(tracer, call)
        tracer.pending[-1].layer = replace(tracer.pending[-1].layer, **fields)
        return result

    return handler


def reordered(make):
    """The handler, but that the last layer that it emits takes its inputs the other way round."""

    def handler(tracer, call):
        result = make(tracer, call)
        last = tracer.pending[-1]
        last.inputs, last.input_shapes = last.inputs[::-1], last.input_shapes[::-1]
        return result

    return handler


class Strided(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, (1, 3), stride=(2, 1), padding=(0, 1))

    def forward(self, x):
        return self.conv(x), x.mean((2, 3))


class Joined(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return torch.cat([x, self.conv(x)], dim=1)


FAULTS = {
    "stride": (Strided, "conv2d", lambda make: changed(make, stride=(1, 2)), {"conv"}),
    "eps": (lambda: nn.Sequential(nn.BatchNorm2d(3)), "batch_norm", lambda make: changed(make, eps=1e-3), {"0"}),
    "concat": (Joined, "cat", reordered, {"concat1"}),
    "border": (
        lambda: nn.Sequential(nn.AvgPool2d(3, 2, padding=1)),
        "avg_pool2d",
        lambda make: changed(make, count_include_pad=False),
        {"0"},
    ),
    "slope": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.LeakyReLU(0.01)),
        "leaky_relu",
        lambda make: changed(make, negative_slope=0.011),
        {"1"},
    ),
    "gelu": (lambda: nn.Sequential(nn.GELU()), "gelu", lambda make: changed(make, approximate="tanh"), {"0"}),
    "order of a difference": (
        lambda: Difference(),
        "sub",
        reordered,
        {"subtract1"},
    ),
}


class Difference(Joined):
    def forward(self, x):
        return x - self.conv(x)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_capture_fails_in_its_output_alone(name, monkeypatch):
    factory, operator, fault, wrong = FAULTS[name]
    torch.manual_seed(0)
    module = factory()
    assert not any(row.reason for row in rows_of(module, (3, 8, 8)).values())
    monkeypatch.setitem(HANDLERS, operator, fault(HANDLERS[operator]))
    assert {key for key, row in rows_of(module, (3, 8, 8)).items() if row.reason} == wrong


@pytest.mark.parametrize("factor", [0.0, 1e-6])
def test_a_branch_that_a_first_weight_hides_is_seen(factor, monkeypatch):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.scale = nn.Parameter(torch.full((3, 1, 1), factor))

        def forward(self, x):
            return x + self.scale * nn.functional.leaky_relu(self.conv(x))

    monkeypatch.setitem(HANDLERS, "leaky_relu", changed(HANDLERS["leaky_relu"], negative_slope=0.2))
    rows = rows_of(Scaled(), (3, 8, 8))
    assert "differ by" in rows["add1"].reason


def test_an_activation_behind_small_weights_is_seen(monkeypatch):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 1), nn.GELU(), nn.Conv2d(16, 4, 1))
    for conv in (module[0], module[2]):
        nn.init.normal_(conv.weight, std=0.002)
        nn.init.zeros_(conv.bias)
    monkeypatch.setitem(HANDLERS, "gelu", changed(HANDLERS["gelu"], approximate="tanh"))
    assert "differ by" in rows_of(module, (3, 8, 8))["2"].reason


def test_parameters_that_the_graph_has_not_fail():
    found = capture(module := nets.Residual(), (3, 8, 8))
    module.more = nn.Linear(2, 3)
    (row, *others) = torch_verify.verify(found.graph, checks=("source",), module=(found, module)).rows
    assert row.reason == "the graph has 856, the module 865"
    assert not any(one.reason for one in others)


# -- what is not compared --------------------------------------------------------------------------


class Partly(nn.Module):
    """One output of an operator that nobody knows, one without."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.odd = nets.Sorted()

    def forward(self, x):
        return {"known": self.conv(x), "odd": self.odd(self.conv(x)) + 1}


class Random(nn.Module):
    """Dropout that is never off."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True), x + torch.rand_like(x), x + 1


def test_an_unknown_operator_is_said_and_the_other_outputs_are_compared():
    rows = rows_of(Partly(), (3, 4, 4))
    assert rows["odd"].note == "not compared: odd.opaque1 (aten.sort) has no layer here"
    assert (rows["known"].claimed, rows["known"].reason, rows["known"].note) == ("within 1e-05", "", "")


def test_random_outputs_are_said_and_the_others_are_compared():
    dropped, noisy, plain = list(rows_of(Random(), (3, 4, 4)).values())[1:]
    assert dropped.note == "not compared: the module's output differs from run to run"
    assert noisy.note.startswith("not compared: the graph does not hold the values of the constant")
    assert (plain.claimed, plain.reason, plain.note) == ("within 1e-05", "", "")


def test_a_module_that_cannot_be_run_is_said():
    class Picky(nn.Module):
        def forward(self, x):
            if not torch.compiler.is_exporting():
                raise ValueError("not today")
            return x + 1

    (_, row) = rows_of(Picky(), (3, 4, 4)).values()
    assert row.note == "not compared: PyTorch refuses to run the module: ValueError: not today"


def test_outputs_that_show_little_are_said():
    class Tiny(nn.Module):
        def forward(self, x):
            return x * 0, x.mean((1, 2, 3)) * 1e-6 + 1

    zero, flat = list(rows_of(Tiny(), (3, 4, 4)).values())[1:]
    assert (zero.reason, zero.note) == ("", "all of its values are 0, or none is finite: that shows little")
    assert (flat.reason, flat.note) == ("", "it hardly depends on the input: that shows little")


@pytest.mark.parametrize("everywhere", [False, True])
def test_rounding_that_a_net_magnifies_is_told_from_a_fault_in_float64(everywhere, monkeypatch):
    real = original._net_outputs

    def rounded(net, inputs):
        outputs = real(net, inputs)
        return {key: x * 1.0001 if everywhere or x.dtype == torch.float32 else x for key, x in outputs.items()}

    monkeypatch.setattr(original, "_net_outputs", rounded)
    row = rows_of(nets.Residual(), (3, 8, 8))["relu_2"]
    if everywhere:
        assert (row.reason, row.note) == ("the module and the graph's net differ by 1.0e-04 of the largest value", "")
    else:
        assert row.reason == ""
        assert row.note.startswith("the net magnifies rounding: 1.0e-04 in float32, ")


class Cached(nn.Module):
    """Keeps what it computes of its weights until it is trained again, as LeViT keeps its attention bias."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3, 1, 1))
        self.kept = {}

    def train(self, mode=True):
        if mode:
            self.kept.clear()
        return super().train(mode)

    def forward(self, x):
        if self.training or torch.compiler.is_compiling():
            return x + 2 * self.bias
        if "bias" not in self.kept:
            self.kept["bias"] = 2 * self.bias
        return x + self.kept["bias"]


def test_what_a_module_keeps_of_its_weights_is_neither_stale_nor_changed():
    module = Cached().eval()
    x = torch.ones(1, 3, 4, 4)
    with torch.no_grad():
        module(x)
        kept = dict(module.kept)
        assert rows_of(module, (3, 4, 4))["add1"].reason == ""
        assert module.kept.keys() == kept.keys()
        assert all(module.kept[key] is kept[key] for key in kept)
        assert torch.equal(module(x), x)


def test_a_module_that_cannot_be_copied_is_left_as_it_was():
    class Bound(nets.Residual):
        def __deepcopy__(self, memo):
            raise TypeError("one of a kind")

    module = Bound()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    assert rows_of(module, (3, 8, 8))["relu_2"].note == ""
    assert module.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("after", [1, 3])
def test_the_samples_come_first_wherever_they_were(before, after):
    samples = torch.arange(4 * 5 * before * after * 2).reshape(4, 5, before, after, 2)
    merged = samples.permute(1, 2, 0, 3, 4).reshape(5, before * 4 * after, 2)
    kept = [size for size in (before, after) if size > 1]
    assert torch.equal(samples_first(merged, Batch(1, before, after)), samples.reshape(4, 5, *kept, 2))


# -- the command -----------------------------------------------------------------------------------


def answer(capsys, *arguments):
    status = main(["verify", *arguments, "--format", "json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.torch
def test_the_command(code, capsys):
    status, found = answer(capsys, "torch:made.py:Small", *SIZE, "--checks", "source")
    assert (status, found["status"]) == (0, "pass")
    assert [row["check"] for row in found["rows"]] == ["source, params", "source, add1", "source, pool"]
    assert [row["claimed"] for row in found["rows"]] == ["124 params", "within 1e-05", "within 1e-05"]
    assert any("evaluation mode" in remark for remark in found["remarks"])


@pytest.mark.torch
def test_it_is_among_all_checks_of_such_a_source(code, capsys):
    status, found = answer(capsys, "torch:made.py:Small", *SIZE)
    assert status == 0
    assert {"source, params", "source, add1", "shape", "values"} <= {row["check"] for row in found["rows"]}


@pytest.mark.torch
def test_a_failure_is_exit_status_one(code, capsys, monkeypatch):
    monkeypatch.setitem(HANDLERS, "batch_norm", changed(HANDLERS["batch_norm"], eps=1.0))
    assert main(["verify", "torch:made.py:Small", *SIZE, "--checks", "source"]) == 1
    said = capsys.readouterr().out
    assert "error: the net, source, add1: the module and the graph's net differ by" in said
    assert "2 of 3 claims fail" in said


@pytest.mark.torch
def test_what_is_not_compared_is_not_counted_as_held(code, capsys):
    assert main(["verify", "torch:made.py:without_values", *SIZE, "--checks", "source"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("✓ 1 of 1 claims hold for without_values; 2 not measured\nsource 1\n")
    assert "note: source, add1: the net: not compared: the module's weights have no values" in said


@pytest.mark.torch
def test_a_module_without_values_is_said(code, capsys):
    status, found = answer(capsys, "torch:made.py:without_values", *SIZE, "--checks", "source")
    assert status == 0
    assert [row["note"] for row in found["rows"]][1:] == [
        "not compared: the module's weights have no values (it is on the meta device)"
    ] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet5"], "and lenet5 is a spec\n  hint: it is for torch:package.module:factory"),
        (["torch:made.py:Small", *SIZE, "--backend", "numpy"], "the check 'source' runs PyTorch\n  hint: leave"),
    ],
)
def test_where_there_is_nothing_to_compare_with(code, capsys, arguments, message):
    assert main(["verify", *arguments, "--checks", "source"]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
