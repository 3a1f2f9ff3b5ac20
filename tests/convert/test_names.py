"""Names of a spec in generated code: they are data, whatever they say, and the code works whatever they are."""

from __future__ import annotations

import ast
import keyword

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import cnncalc
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.torch.source import render
from tests.convert.generated import agree

LIBRARY = {"torch": torch, "nn": nn, "F": nn.functional, "Tensor": torch.Tensor}
USED = {"super", "range", "enumerate", "getattr", "str", "int", "float", "bool", "type", "dict", "tuple"}
"""Builtins that the code uses."""
METHODS = {"add_module", "_modules", "__init__", "chunk", "cat", "flatten", "mean"}


def check_code(graph: cnncalc.Graph, text: str) -> None:
    """No name, attribute or call stands in the code that is none of the library's, the paths' or the code's own."""
    nodes = list(ast.walk(ast.parse(text)))
    made = {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    made |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    made |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert not made & {*LIBRARY, *USED, "OrderedDict", *keyword.kwlist}
    assert all(name.isascii() and name.isidentifier() for name in made)
    parts = {part for node in graph.nodes for part in node.path.split(".")}
    parts |= {f"{part}_" for part in parts} | {f"activation{number}" for number in range(9)}
    for node in nodes:
        if isinstance(node, ast.Name):
            assert node.id in made | {*LIBRARY, *USED, "OrderedDict"}
        elif isinstance(node, ast.Attribute):
            from_library = isinstance(node.value, ast.Name) and node.value.id in LIBRARY
            assert hasattr(LIBRARY[node.value.id], node.attr) if from_library else node.attr in parts | made | METHODS
        elif isinstance(node, ast.JoinedStr):
            values = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
            assert [ast.unparse(value) for value in values] == ["i"]
        assert not isinstance(node, (ast.Lambda, ast.Await, ast.Delete, ast.Global, ast.NamedExpr, ast.comprehension))


PAYLOADS = (
    '"+str(print("run"))+"',
    "'+str(print('run'))+'",
    "{print(1)}",
    "{i}",
    '"""\nprint(1)\n"""',
    "\\",
    '\\"',
    "\n",
    "\u2028",
    "\u202e",
    "\x1b[1m",
    "é",
    "٣",
    "ｎｎ",
    "#",
    " ",
)
WORDS = (
    *keyword.kwlist,
    *keyword.softkwlist,
    *sorted(USED | {*LIBRARY, "OrderedDict", "slice", "len"}),
    *("print", "input", "self", "i", "x", "out", "skip", "part", "parts", "forward", "training", "train", "type"),
    *("append", "add_module", "_modules", "__init__", "__x", "_", "1", "01", "_3a", "a1", "take", "LearnedTensor"),
    *("Net", "learned_tensor", "bias", "depth", "in_channels", "out_channels", "position"),
)
WORD = st.sampled_from(WORDS)
TEXT = WORD | st.lists(WORD | st.sampled_from(PAYLOADS) | st.text(max_size=2), min_size=1, max_size=3).map("".join)
NAME = TEXT.filter(lambda text: all(text.split(".")) and text.strip() == text)
IDENTIFIER = WORD.filter(lambda word: word.isidentifier() and not keyword.iskeyword(word))


def quoted(text: str) -> str:
    """As YAML."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text) + '"'


def label(text: str) -> str:
    """A name of a layer as YAML, whose braces are no expressions."""
    return quoted(text.replace("{", "{{").replace("}", "}}"))


@st.composite
def specs(draw: st.DrawFn) -> str:
    """One net, in which everything that can have a name has a drawn one."""
    block, stage, size = draw(st.lists(IDENTIFIER, min_size=3, max_size=3, unique=True))
    first, second = draw(st.lists(NAME.filter(lambda name: "." not in name), min_size=2, max_size=2, unique=True))
    names = draw(st.lists(NAME, min_size=8, max_size=8, unique=True))
    one, two, three, four, five, six, many, more = map(label, names)
    return f"""
name: {quoted(draw(TEXT))}
source: {quoted(draw(TEXT))}
input: {{{quoted(first)}: [4, 8, 8], {quoted(second)}: [4, 8, 8]}}
args: {{{size}: 7, rest: relu}}
blocks:
  {block}:
    args: {{width: 4, more: false}}
    layers:
      - conv: {{out: width, kernel: 1, name: {one}}}
      - {{if: more, then: [{{conv: {{out: width, kernel: 1, name: {two}}}}}]}}
      - relu
  {stage}:
    args: {{k: 2}}
    layers: [{{repeat: {{times: 4, layers: [{{{block}: {{name: {many}, more: index % k == 1}}}}]}}}}]
layers:
  - add: {{from: [{quoted(first)}, {quoted(second)}]}}
  - conv: {{out: 4, kernel: 1, name: {three}}}
  - {stage}
  - {stage}: {{k: 3}}
  - repeat: {{times: 3, layers: [{{relu: {{name: {more}}}}}]}}
  - {block}: {{name: {four}, more: true}}
  - {block}: {{name: {five}, width: 6}}
  - split: {{chunks: 2, name: {six}}}
  - concat
  - global_avg_pool
  - flatten
  - linear: {{out: {size}, name: the_end}}
outputs: {{{quoted(draw(TEXT))}: the_end, second: add1}}
"""


@settings(max_examples=25)
@given(specs())
def test_names_are_data_and_the_code_works(text: str) -> None:
    try:
        graph = load_text(text)
    except CnncalcError:
        assume(False)
    code = render(graph)
    check_code(graph, code)
    agree(graph, code)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "true",
            "None",
            "class",
            "nn",
            "torch",
            "super",
            "F",
            "Tensor",
            "OrderedDict",
            "str",
            "self",
            "i",
            "x",
            "len",
        ),
        *("training", "training_", "forward", "type", "append", "_modules", "__init__", "__x", "_", "1", "é", "print"),
        *("take", "per_sample", "fixed_tensor", "FixedTensor", "LearnedTensor", "{print(1)}", '"+str(print(1))+"'),
    ],
)
def test_a_net_of_one_name_works(name: str) -> None:
    """The net, its input, layers and blocks; among what PyTorch lacks, whose code is in the file too."""
    one, two = quoted(name), quoted(f"{name}_0")
    spec = f"""
name: {one}
input: {{{one}: [4, 8, 8], {two}: [4, 8, 8]}}
blocks:
  b:
    layers:
      - concat: [[{{conv: {{out: 3, kernel: 1, name: {label(name)}}}}}, relu], []]
      - conv: {{out: 4, kernel: 1, name: {label(name)}}}
      - residual: [{{relu: {{name: {label(f"{name}_2.{name}")}}}}}]
      - parameter: {{shape: [4, 8, 8], name: {label(f"{name}_3")}}}
      - constant: {{shape: [3], name: {label(f"{name}_4.{name}")}}}
      - take: {{from: [add1, {quoted(f"{name}_4.{name}")}], axis: 1}}
      - concat: [[{{repeat: {{times: 3, layers: [{{tanh: {{name: {label(name)}}}}}]}}}}], []]
      - multiply: {{from: [-1, -1]}}
layers: [{{subtract: {{from: [{one}, {two}]}}}}, {{b: {{name: {label(f"{name}_b")}}}}}]
"""
    graph = load_text(spec)
    agree(graph, render(graph))


def test_a_block_that_takes_nothing_works() -> None:
    """Its name is the net's input's: a tensor, which is no module."""
    graph = load_text("{input: [4, 8, 8], layers: [{parameter: {shape: [4, 4], name: input.0}}]}")
    agree(graph, render(graph))
