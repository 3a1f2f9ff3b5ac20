"""Large nets: that they work, and in how much memory. How fast is for ``benchmarks/scale.py``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import cnncalc
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.spec import document, expression, state

UNIT = ["conv: {out: 8, kernel: 3, padding: 1}", "batch_norm", "relu", "conv: {out: 16, kernel: 1}"]


def flat(layers):
    return "input: [3, 32, 32]\nlayers:\n" + "".join(f"  - {UNIT[i % 4]}\n" for i in range(layers))


def repeated(layers):
    unit = ", ".join(f"{{{layer}}}" if ":" in layer else layer for layer in UNIT)
    return f"input: [3, 32, 32]\nlayers: [{{repeat: {{times: {layers // 4}, layers: [{unit}]}}}}]\n"


def test_a_flat_file():
    report = cnncalc.analyze(load_text(flat(20_000)))
    assert len(report.layers) == 20_000
    first = 8 * 3 * 9 + 8
    others = 8 * 16 * 9 + 8
    assert report.totals.params == first + 4999 * others + 5000 * (2 * 8 + 16 * 8 + 16)
    assert report.layers[-1].receptive_field.size == (2 * 5000 + 1,) * 2
    assert len(json.loads(report.to_json())["layers"]) == 20_000


def test_a_repeat_is_the_flat_file():
    ours, theirs = load_text(repeated(2000)), load_text(flat(2000))
    assert [(n.path, n.layer, n.inputs, n.output_shapes) for n in ours.nodes] == [
        (n.path, n.layer, n.inputs, n.output_shapes) for n in theirs.nodes
    ]


PEAK = """
import re, sys
import cnncalc
from cnncalc.sources import load_text
report = cnncalc.analyze(load_text(sys.stdin.read()))
text = report.to_json()
peak = re.search(r"VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())[1]
print(len(report.layers), report.totals.params, len(text), peak)
"""
"""Not ru_maxrss: that starts from the peak of the process that forked this one."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_repeat_to_100_000_layers_takes_less_than_a_gigabyte():
    """With all its numbers, and their JSON."""
    result = subprocess.run(
        [sys.executable, "-c", PEAK], input=repeated(100_000), capture_output=True, text=True, check=True, timeout=300
    )
    layers, params, characters, kilobytes = map(int, result.stdout.split())
    assert layers == 100_000
    assert params == 8 * 3 * 9 + 8 + 24_999 * (8 * 16 * 9 + 8) + 25_000 * (2 * 8 + 16 * 8 + 16)
    assert characters > 100_000 * 100
    assert kilobytes < 1_000_000


def test_many_branches():
    branches = ", ".join(["[relu]"] * 3000)
    graph = load_text(f"input: [3, 8, 8]\nlayers: [{{concat: [{branches}]}}]\n")
    assert graph.nodes[-1].output_shape == (9000, 8, 8)
    assert cnncalc.analyze(graph).layers[-1].receptive_field.size == (1, 1)


def test_many_arguments_and_names():
    args = "".join(f"  a{i}: a{i - 1} + 1\n" for i in range(1, 3000))
    layers = "".join(f"  - relu: {{name: n{i}}}\n" for i in range(3000))
    text = f"input: [3, 8, 8]\nargs:\n  a0: 1\n{args}layers:\n{layers}  - conv: {{out: a2999, kernel: 1, from: n7}}\n"
    node = load_text(text).nodes[-1]
    assert node.output_shape == (3000, 8, 8)
    assert node.inputs[0].node == 8


def test_strides_without_end():
    """A jump that no report could print is not followed to the end, and the report says so."""
    text = "input: [1, 1, 1]\nlayers: [{repeat: {times: 3000, layers: [{conv: {out: 1, kernel: 1, stride: 2}}]}}]\n"
    report = cnncalc.analyze(load_text(text))
    assert report.layers[99].receptive_field.jump == (2**100, 2**100)
    assert report.layers[-1].receptive_field is None
    (note,) = report.diagnostics
    assert note.message == "the receptive field is not known: its units lie more than 2^512 input pixels apart"
    assert len(note.layers) == 3000 - 511
    assert report.to_json()


NOTHING = {
    "an expression": 'if: "max(range(9999)) < 0", then: [relu]',
    "a list": f"if: [{', '.join('1' * 2000)}], then: []",
    "comparisons": 'if: "range(5000) != range(5000)", then: [relu]',
    "sums of lists": 'if: "len(range(5000) + range(5000)) < 1", then: [relu]',
    "a name": "if: 'ones[0] < 1', then: [relu]",
    "choices": f"if: true, then: [{', '.join(['{if: false, then: [relu]}'] * 50)}]",
}


@pytest.mark.parametrize("name", NOTHING)
def test_rounds_that_make_no_layer_come_to_an_end(name, monkeypatch):
    """By what they do, and not by the clock: so many steps of evaluation."""
    monkeypatch.setattr(state, "MAX_WORK", 20_000)
    steps = counted(monkeypatch, (expression, "_walk"), (state.State, "value"))
    with pytest.raises(CnncalcError, match=r"net\.yaml:4:\d+: error: the expressions, choices and repeats up to here"):
        load_text(ROUNDS.format(NOTHING[name]), "net.yaml")
    assert len(steps) < 21_000


def test_repeats_of_no_rounds_are_measured_once(monkeypatch):
    steps = counted(monkeypatch, (document, "_least"))
    inner = f"repeat: {{times: 0, layers: [{', '.join(['relu'] * 300)}]}}"
    load_text(ROUNDS.replace("500000", "1000").format(inner))
    assert len(steps) < 1000


ROUNDS = """\
input: [3, 8, 8]
args: {{ones: [1, 1]}}
layers:
  - repeat: {{times: 500000, layers: [{{{}}}]}}
  - relu
"""


def counted(monkeypatch, *places):
    """A list that grows with every call of some functions."""
    calls = []

    def count(function):
        def counting(*arguments):
            calls.append(None)
            return function(*arguments)

        return counting

    for owner, name in places:
        monkeypatch.setattr(owner, name, count(getattr(owner, name)))
    return calls


def test_a_net_of_many_layers_may_evaluate_much():
    """Every layer brings what its expressions need."""
    layer = 'conv: {out: "8 if index % 2 else 16", kernel: "min(1 + index % 3, 2)", padding: "index % 2"}'
    graph = load_text(
        f"input: [8, 64, 64]\nlayers: [{{repeat: {{times: 30000, layers: [{{{layer}}}, avg_pool: 1]}}}}]\n"
    )
    assert len(graph.nodes) == 60_001
