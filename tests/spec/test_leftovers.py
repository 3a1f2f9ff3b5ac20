"""What a spec holds and never uses: layers that reach no output, arguments and blocks that nothing mentions."""

from __future__ import annotations

import pytest

from cnncalc.sources import load, load_text, zoo_names

DEAD = """\
input: [3, 32, 32]
args: {widht: 64, width: 16, depth: 2, act: relu}
variants: {deep: {depth: 3}}
blocks:
  never: {layers: [conv: {out: 3, kernel: 1}]}
  twice: {args: {out: required, kernel: 3, groups: 1}, layers: [conv: {out: out, kernel: kernel}]}
  held: {layers: [act]}
layers:
  - conv: {name: a, out: 8, kernel: 3}
  - relu
  - twice: {name: b, from: input, out: 8}
  - if: depth > 7
    then: [{conv: {out: width, kernel: 1}}]
  - held
outputs: [held1]
"""


def test_what_no_output_depends_on():
    assert [node.path for node in load_text(DEAD).unused()] == ["a", "relu1"]


def test_an_input_and_one_side_of_a_split():
    graph = load_text(
        "input: {x: [4, 8, 8], y: [4, 8, 8]}\nlayers:\n"
        "  - split: {from: x, chunks: 2, name: s}\n  - relu: {from: s.1}\n  - tanh: {from: s.0}\n"
    )
    assert [node.path for node in graph.unused()] == ["y", "relu1"]


def test_arguments_and_blocks_that_nothing_mentions():
    """What another variant or the other side of an ``if`` uses is used; a value of ``args`` may name a block."""
    found = [(one.kind, one.name, one.place.line, one.place.column, one.hint) for one in load_text(DEAD).leftovers]
    assert found == [
        ("argument", "widht", 2, 8, "did you mean 'width'?"),
        ("block", "never", 5, 3, None),
        ("block argument", "groups", 6, 52, None),
    ]


def test_a_name_is_first_the_block_argument():
    text = (
        "input: [3, 8, 8]\nargs: {out: 4}\nblocks: {b: {args: {out: 8}, layers: [conv: {out: out, kernel: 1}]}}\n"
        "layers: [b]\n"
    )
    assert [(one.kind, one.name) for one in load_text(text).leftovers] == [("argument", "out")]


@pytest.mark.parametrize("name", zoo_names())
def test_the_zoo_uses_all_that_it_has(name):
    graph = load(name)
    assert graph.unused() == ()
    assert graph.leftovers == ()
