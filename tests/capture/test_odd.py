"""What has no numbers here is said to have none, or has PyTorch's; and wrong arguments get one message."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnncalc
from cnncalc.torch.capture import capture
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.original import Original, measure_source

pytestmark = pytest.mark.torch
SHAPE = (3, 8, 8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)


class Complex(Net):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, dtype=torch.complex64)

    def forward(self, x):
        return self.linear(self.conv(x.to(torch.complex64)).abs().mean((2, 3)))


class Masked(Net):
    def forward(self, x):
        y = self.conv(x).permute(0, 2, 3, 1)
        return self.linear(y[y.sum(-1) > 0])


class Force(Net):
    def forward(self, x):
        with torch.enable_grad():
            x = x.requires_grad_()
            return torch.autograd.grad(self.conv(x).tanh().sum(), x)[0]


ODD = {
    Complex: ("aten.conv2d, which gives 8×6×6, are not known (it calculates with complex numbers)", 8 * 4),
    Masked: ("aten.index.Tensor, which gives 1×8, are not known (a size of it depends on the data", 64 * 8 * 27),
    Force: ("aten.convolution_backward, which gives 3×8×8, are not known", 64 * 8 * 27),
}


@pytest.mark.parametrize("net", ODD)
def test_what_is_not_known_makes_the_totals_partial(net):
    said, macs = ODD[net]
    report = cnncalc.analyze(net(), input=SHAPE)
    assert (report.totals.status, report.totals.macs) == ("partial", macs)
    assert report.totals.params == sum(p.numel() for p in net().parameters())
    assert any(said in one.message for one in report.diagnostics), report.diagnostics


def test_the_bytes_of_complex_weights_are_said_to_be_more():
    held = sum(p.numel() for p in Complex().parameters() if p.is_complex())
    (said,) = [one.message for one in cnncalc.analyze(Complex(), input=SHAPE).diagnostics if one.code == "complex"]
    assert said.startswith(f"{held} parameters are complex numbers")


class Functional(Net):
    """Statistics that no norm module holds, and which are not called as those of one are."""

    def __init__(self, function=F.batch_norm, weight=False):
        super().__init__()
        self.function, self.scale = function, nn.Parameter(torch.rand(8)) if weight else None
        self.register_buffer("m", torch.rand(8))
        self.register_buffer("v", torch.rand(8) + 1)

    def forward(self, x):
        return self.function(self.conv(x), self.m, self.v, self.scale)


@pytest.mark.parametrize("weight", [False, True])
def test_a_batch_norm_by_buffers_of_the_nets_own(weight):
    module = Functional(weight=weight).eval()
    captured = capture(module, SHAPE)
    report = cnncalc.analyze(captured.graph)
    assert (report.totals.status, report.totals.buffers) == ("complete", 16)
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    rows = [*measure_source(Original(captured, module), progress=str)]
    assert [row.reason or row.note for row in rows] == ["", ""]


def test_an_instance_norm_by_buffers_of_the_nets_own_has_just_these():
    report = cnncalc.analyze(Functional(F.instance_norm), input=SHAPE)
    assert (report.totals.status, report.totals.buffers) == ("partial", 16)


class Scaled(Net):
    """A number that a tensor holds."""

    def forward(self, x):
        return self.conv(x) * x.abs().max().item()


def test_a_number_that_depends_on_the_data_is_said():
    report = cnncalc.analyze(Scaled(), input=SHAPE)
    assert (report.totals.status, report.totals.macs) == ("partial", 64 * 8 * 27)
    assert any(
        "aten.mul.Tensor, which gives 8×8×8, are not known (a number" in one.message for one in report.diagnostics
    )


class Namesake(Net):
    """A buffer by the name that PyTorch gives to what is computed of another."""

    def __init__(self):
        super().__init__()
        self.register_buffer("add", torch.rand(2))
        self.register_buffer("shift", torch.rand(8))

    def forward(self, x):
        return (self.conv(x).mean((2, 3)) * (self.shift + 1)), self.add


def test_a_constant_is_not_taken_for_a_buffer_of_its_name():
    report = cnncalc.analyze(Namesake(), input=SHAPE)
    assert (report.totals.status, report.totals.buffers) == ("complete", 10)
    assert [layer.output_shape for layer in report.layers if layer.type == "constant"] == [(8,), (2,), (8,)]


def test_an_operator_has_one_handler():
    with pytest.raises(ValueError, match="conv2d is captured by conv already"):
        captures("conv2d")(lambda tracer, call: None)


class Counter(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.seen += 1
        return self.conv(x)


def test_a_buffer_may_change():
    module = Counter()
    totals = cnncalc.analyze(module, input=SHAPE).totals
    assert (totals.status, totals.macs, totals.buffers) == ("complete", 64 * 8 * 27, 1)
    assert int(module.seen) == 0


def test_training_mode_is_said_not_to_be_what_is_counted():
    module = Counter()
    note, unused = cnncalc.analyze(module, input=SHAPE).diagnostics
    assert unused.layers == ("linear.weight", "linear.bias", "seen")
    assert (note.severity, note.message) == (
        "info",
        "the module is in training mode; what is counted is what it does in evaluation mode",
    )
    assert cnncalc.analyze(module.eval(), input=SHAPE).diagnostics == (unused,)


def test_a_dtype_may_be_pytorchs_own():
    report = cnncalc.analyze(nn.Embedding(10, 4), input=(7,), dtype=torch.int64)
    assert report.totals.params == 40


ARGUMENTS = [
    ((torch.zeros(1),), {}, "a Tensor is not a source\n  hint: give a path"),
    ((None,), {}, "a NoneType is not a source"),
    ((torch.export.export(nn.ReLU(), (torch.zeros(1),)),), {}, "a ExportedProgram is not a source"),
    ((Counter(),), {"input": ((3, (8, 8)),)}, r"\(3, \(8, 8\)\) is not an input shape\n  hint: give whole numbers"),
    ((Counter(),), {"input": (3, (8, 8))}, "is not an input shape"),
    ((Counter(),), {"input": "3x8x8"}, "'3x8x8' is not an input shape"),
    ((Counter(),), {"input": 3}, "3 is not an input shape"),
    ((Counter(),), {"input": {"x": 3}}, "3 is not an input shape"),
    ((Counter(),), {"input": (3, 0, 8)}, "is not an input shape"),
    ((Counter(),), {"input": (3, True, 8)}, "is not an input shape"),
    ((Counter(),), {"input": SHAPE, "dtype": {"x": "int64"}}, "a dtype is a name, the same for all inputs, not a dict"),
]


@pytest.mark.parametrize(("source", "options", "message"), ARGUMENTS)
@pytest.mark.parametrize("function", [cnncalc.load, cnncalc.analyze])
def test_arguments_of_the_wrong_kind(function, source, options, message):
    with pytest.raises(cnncalc.CnncalcError, match=message):
        function(*source, **options)
