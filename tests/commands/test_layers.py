"""``cnncalc layers``: everything in it is from the classes, and every example is built."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from cnncalc.analysis.layers import families, layer_info
from cnncalc.layers import REGISTRY
from cnncalc.report.schema import report_schema
from cnncalc.sources import load_text
from tests.commands.conftest import Run


def test_the_list_has_every_layer_on_one_screen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnncalc.document.output.screen", lambda output: (80, 50, False))
    lines = run("layers").out.splitlines()
    assert lines[0] == f"{len(REGISTRY)} layers in {len(families())} families"
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 80
    assert set(re.findall(r"\w+", " ".join(lines))) >= set(REGISTRY)
    assert "conv            conv, conv_transpose, functional_conv, depthwise_conv," in lines
    # a line that wraps keeps its indent
    assert " " * 16 + "separable_conv" in lines


def test_a_family_lists_fields_with_their_defaults(run: Run) -> None:
    lines = run("layers", "pool").out.splitlines()
    assert lines[0] == "pool"
    assert len([line for line in lines if re.match(r"\w+_pool ", line)]) == len(families()["pool"])
    assert lines[4].startswith("max_pool           kernel, stride=null, ceil_mode=false, padding=0, dilation=1  ")


def test_one_layer_has_its_fields_formulas_and_an_example(run: Run) -> None:
    text = run("layers", "conv").out
    assert "out           int ≥ 1                                                  required  out_channels" in text
    assert "bias          true or false                                            true" in text
    assert "padding_mode  circular | reflect | replicate | zeros                   zeros" in text
    # Dumoulin & Visin 2016, eq. 15; the course notes' parameters and MACs
    assert "output size  H_out = ⌊(H + 2·P − (K − 1)·D − 1)/S⌋ + 1\n" in text
    assert "parameters   params = C_out·(C_in/G)·K² + C_out\n" in text
    assert "MACs         MACs = H_out·W_out·K²·(C_in/G)·C_out\n" in text
    # 32 − 3 + 1 = 30
    assert text.endswith("- conv: {out: 8, kernel: 3}\ngives 16×32×32 → 8×30×30\n")


@pytest.mark.parametrize(("name", "first"), [("bn", "batch_norm"), ("gap", "global_avg_pool"), ("fc", "linear")])
def test_aliases_are_taken(run: Run, name: str, first: str) -> None:
    assert run("layers", name).out.splitlines()[0] == first


def test_an_unknown_name_has_the_nearest(run: Run) -> None:
    result = run("layers", "cnov")
    assert (result.status, result.out) == (2, "")
    assert result.err == "error: unknown layer 'cnov'\n  hint: did you mean 'conv'?\n"


def test_json_is_as_its_schema_says(run: Run) -> None:
    answer = json.loads(run("layers", "--format", "json").out)
    jsonschema.validate(answer, report_schema("layers"))
    assert [layer["name"] for layer in answer["layers"]] == [*REGISTRY]


@pytest.mark.parametrize("kind", REGISTRY)
def test_every_example_is_a_spec_that_gives_what_it_says(kind: str) -> None:
    """A second way to the shapes: the spec is written out and loaded as a file is."""
    info = layer_info(REGISTRY[kind])
    assert info.summary
    if info.example is None:
        assert kind == "opaque"  # what a capture could not name: no one writes it
        return
    named = {name: [*shape] for name, shape in zip("abc", info.example.input_shapes, strict=False)}
    graph = load_text(json.dumps({"input": named or {"a": [1]}})[:-1] + f', "layers": [{info.example.text[2:]}]}}')
    assert tuple(graph.shape(ref) for _, ref in graph.outputs) == info.example.output_shapes


@pytest.mark.torch
@pytest.mark.parametrize(
    "kind", ["conv", "conv_transpose", "max_pool", "avg_pool", "linear", "pixel_shuffle", "flatten"]
)
def test_torch_gives_the_example_its_shape(kind: str) -> None:
    import torch

    info = layer_info(REGISTRY[kind])
    assert info.example is not None
    fields = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", info.example.text)}
    (shape,), (out,) = info.example.input_shapes, info.example.output_shapes
    values = {
        "conv": [shape[0], fields.get("out"), fields.get("kernel")],
        "conv_transpose": [shape[0], fields.get("out"), fields.get("kernel")],
        "linear": [shape[-1], fields.get("out")],
    }.get(kind, [*fields.values()])
    module = getattr(torch.nn, info.torch.replace("Nd", "2d"))(*values)
    assert tuple(module(torch.zeros(1, *shape)).shape[1:]) == out


@pytest.mark.parametrize(
    ("name", "many"), [("conv", "1"), ("concat", "1 or more"), ("multihead_attention", "1 to 3"), ("subtract", "2")]
)
def test_how_many_inputs_a_layer_takes(run: Run, name: str, many: str) -> None:
    assert f"\ninputs        {many}\n" in run("layers", name).out
