"""Random nets: every claim holds in PyTorch, and a fault is found and made small."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from random import Random

import msgspec
import pytest

from cnncalc.errors import LayerError
from cnncalc.layers import REGISTRY, conv, linear
from cnncalc.layers.base import ShortForm
from cnncalc.sources import load_text
from cnncalc.spec.random import Fields, outputs_of, random_net, random_spec, render
from cnncalc.torch.random_nets import BATCH, candidates, faults, hunt, kinds, shrink
from cnncalc.torch.verify import CHECKS, verify

STRUCTURES = {"residual", "repeat"}


@cache
def five_hundred():
    """The nets of the slow test."""
    return [random_net(Random(seed)) for seed in range(500)]


def report(found) -> str:
    return "\n".join(found.lines())


def test_random_nets_hold() -> None:
    found = hunt(60, seed=7)
    assert not found.failures, report(found)
    assert found.nets == 60
    assert found.rows > 2000


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_five_hundred_random_nets_hold(part: int) -> None:
    found = hunt(100, seed=100 * part)
    assert not found.failures, report(found)


def test_every_layer_class_appears_in_five_hundred_nets() -> None:
    """Those of the slow test: short forms and structures by the names they are written with."""
    seen = {kind for net in five_hundred() for kind in kinds(net)}
    assert {kind for kind, layer in REGISTRY.items() if layer.drawn} | STRUCTURES == seen


def test_nets_are_as_various_as_they_should_be() -> None:
    texts = [render(net) for net in five_hundred()]
    graphs = [load_text(text) for text in texts]
    ranks = {len(shape) - 1 for graph in graphs for shape in graph.inputs.values()}
    layers = {sum(node.layer is not None for node in graph.nodes) for graph in graphs}
    nodes = [node for graph in graphs for node in graph.nodes]
    assert {1, 2, 3} <= ranks
    assert set(range(1, 11)) <= layers
    assert sum(len(graph.inputs) > 1 for graph in graphs) > 20
    assert sum(len(graph.outputs) > 1 for graph in graphs) > 5
    assert sum(node.shared is not None for node in nodes) > 20
    assert sum(len(node.output_shapes) > 1 for node in nodes) > 20
    assert sum(isinstance(node.layer, conv.ConvTranspose) for node in nodes) > 20
    uneven = [
        p for node in nodes if isinstance(node.layer, conv.Conv) for p in _pairs(node.layer.padding) if p[0] != p[1]
    ]
    assert len(uneven) > 5
    for written in ("shortcut:", "- repeat:", "padding: same", "from: [-1, ", "- concat:", "- add:", "- multiply:"):
        assert sum(written in text for text in texts) > 3, written


def _pairs(padding) -> list[tuple[int, int]]:
    return [entry for entry in padding if isinstance(entry, tuple)] if isinstance(padding, tuple) else []


@pytest.mark.parametrize("seed", range(50))
def test_a_seed_always_gives_the_same_text_and_the_text_the_same_data(seed: int) -> None:
    text = random_spec(Random(seed))
    assert text == random_spec(Random(seed))
    net = random_net(Random(seed))
    assert render(net) == text


def test_nothing_of_a_seed_depends_on_the_process() -> None:
    """Sets of strings are ordered anew in each process; no draw may depend on it."""
    code = "from random import Random; from cnncalc.spec.random import random_spec; "
    code += "print(*[random_spec(Random(seed)) for seed in range(30)])"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hashed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for hashed in ("1", "2")
    }
    assert len(texts) == 1


def test_the_second_call_of_a_shared_layer_reads_what_stands_before_it() -> None:
    """Also where the first one, which begins a net of several inputs, must say what it reads."""
    calls = []
    for net in five_hundred():
        shared = [fields for item in net["layers"] for fields in item.values() if "share" in fields]
        calls += zip(shared[::2], shared[1::2], strict=True)
    assert any("from" in first for first, _ in calls)
    assert not any("from" in second for _, second in calls)


SHAPES = [(), (1,), (5,), (1, 1), (2, 3), (4, 1, 1), (4, 5, 6), (1, 1, 1, 1), (6, 4, 4, 4), (2, 2, 2, 2, 2)]


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_no_layer_fails_but_with_a_reason(kind: str) -> None:
    """On any shape, a scalar too, a layer answers every question or says why it cannot take it."""
    rng, layer_class = Random(0), REGISTRY[kind]
    least, most = layer_class.arity
    for shape in SHAPES:
        for count in range(least, (most or 3) + 1):
            shapes = (shape,) * count
            for _ in range(20):
                fields = Fields(rng, (shape or (3,),)).draw(layer_class)
                try:
                    layer = msgspec.convert(fields, layer_class)
                    outputs_of(layer, shapes)
                except (LayerError, msgspec.ValidationError):
                    continue
                inputs = shapes
                for part in layer.expand(shape) if isinstance(layer, ShortForm) else (layer,):
                    part.weights(*inputs), part.macs(*inputs), part.elementwise_ops(*inputs), part.activations(*inputs)
                    part.input_gradient_macs((True,) * len(inputs), *inputs)
                    part.weight_gradient_macs(*inputs)
                    part.direct_macs(*inputs), part.bilinear_macs(*inputs), part.elements_read(*inputs)
                    part.torch_calls(*inputs)
                    for port, _out in enumerate(outputs := part.output_shapes(*inputs)):
                        assert len(part.port_reads(port, *inputs)) == len(inputs)
                    inputs = outputs


# -- faults ----------------------------------------------------------------------------------------


def test_a_pad_on_the_wrong_side_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = conv.Conv.axes

    def wrong(self, shape):
        return tuple(axis._replace(padding=axis.padding[::-1]) for axis in honest(self, shape))

    monkeypatch.setattr(conv.Conv, "axes", wrong)
    uneven = [seed for seed, net in enumerate(five_hundred()) if "padding: [[" in render(net) or "same" in render(net)]
    failures = [failure for seed in uneven[:25] for failure in hunt(1, seed, checks=("pixels",)).failures]
    assert failures
    for failure in failures:
        assert "pixels" in failure.what
        graph = load_text(failure.spec)
        made = [node.layer.kind for node in graph.nodes if node.layer]
        assert len(made) <= 2
        assert "conv" in made
        assert max(max(shape) for shape in graph.inputs.values()) <= 4


def test_a_forgotten_bias_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = linear.Linear.weights
    monkeypatch.setattr(linear.Linear, "weights", lambda self, *inputs: honest(self, *inputs)[:1])
    found = hunt(30, seed=0, checks=("shape", "params"))
    assert found.failures
    for failure in found.failures:
        assert failure.what.startswith("linear1: params: claimed weight")
        assert failure.spec.splitlines()[2:] == ["layers:", "  - linear: {out: 1}"] or "share" in failure.spec


def test_what_cannot_be_verified_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self, *inputs):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(linear.Linear, "macs", broken)
    net = {"input": [3, 8], "layers": ["relu", {"linear": {"out": 4, "bias": False}}, "tanh"]}
    found, rows = faults(net, CHECKS)
    assert (found, rows) == ({"ZeroDivisionError": "ZeroDivisionError: by nothing"}, 0)
    assert shrink(net, found, CHECKS) == {"input": [1, 1], "layers": [{"linear": {"out": 1}}]}


def test_what_is_printed_is_ready_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure's text as a whole is a spec: what it says about it is a comment."""
    monkeypatch.setattr(linear.Linear, "macs", lambda self, *inputs: 1)
    found = hunt(12, seed=0, checks=("flops",))
    lines = found.lines()
    assert lines[0] == f"# 12 random nets from seed 0, {len(found.layers)} kinds of layers, {found.rows:,} claims: " + (
        f"{len(found.failures)} with a mismatch"
    )
    first = "\n".join(lines[1:]).split("\n---\n")[0]
    graph = load_text(first)
    assert graph.name == f"random{found.failures[0].seed}"
    assert f"# seed {found.failures[0].seed}" in first
    assert not verify(graph, batch=BATCH, checks=("flops",)).holds
    assert msgspec.json.decode(msgspec.json.encode(found))["failures"][0]["spec"] == found.failures[0].spec


@pytest.mark.parametrize("seed", range(8))
def test_steps_of_shrinking_go_somewhere_and_leave_the_net_alone(seed: int) -> None:
    net = random_net(Random(seed))
    before = render(net)
    texts = [render(candidate) for candidate in candidates(net)]
    assert before not in texts
    assert render(net) == before
