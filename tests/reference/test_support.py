"""What units see, measured by running the net, against gradients of PyTorch and against the analysis."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnncalc.analysis.receptive_field import LocalField, receptive_fields
from cnncalc.errors import CnncalcError
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers.activation import Hardtanh, LogSoftmax, Softmax, Threshold
from cnncalc.layers.merge import Maximum, Minimum
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm
from cnncalc.layers.reduce import Min
from cnncalc.layers.shape import Pad
from cnncalc.reference import dependency, jumps, spans
from cnncalc.reference.support import ENOUGH, STAND_INS, hand_on, is_element_by_element, moved
from cnncalc.sources import load_text
from tests.reference.compare import build
from tests.reference.draws import LAYERS
from tests.reference.nets import GATED, RESIDUAL


def one_layer(layer, *shapes):
    """The net of a single layer."""
    inputs = tuple(Node(f"input{i}", None, (), (), (shape,)) for i, shape in enumerate(shapes))
    refs = tuple(Ref(i) for i in range(len(shapes)))
    node = Node("layer1", layer, refs, shapes, layer.output_shapes(*shapes))
    return Graph("one", (*inputs, node), (("layer1", Ref(len(shapes))),))


def by_bumps(layer, axis, *shapes):
    """PyTorch's word: ``[unit, pixel]`` along each axis of the (first) output, with planes of input 0 moved."""
    module, _ = build(layer, shapes, np.random.default_rng(0))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator, dtype=torch.float64) + 0.5)
        base = [torch.rand((1, *shape), generator=generator, dtype=torch.float64) / 2 + 0.25 for shape in shapes]
        bump = 1000 * (1 + torch.rand((1, *shapes[0]), generator=generator, dtype=torch.float64))

        def first(inputs):
            out = module(*inputs)
            return out if isinstance(out, torch.Tensor) else out[0]

        before = first(base)
        changed = []
        for pixel in range(shapes[0][axis + 1]):
            plane = (slice(None),) * (axis + 2) + (pixel,)
            any_change = torch.zeros_like(before, dtype=torch.bool)
            for sign in (1, -1):
                x = base[0].clone()
                x[plane] += sign * bump[plane]
                any_change |= ~torch.isclose(first([x, *base[1:]]), before, rtol=1e-9, atol=0)
            changed.append(any_change[0].numpy())
    seen = np.stack(changed, -1)
    return [seen.any(tuple(o for o in range(seen.ndim - 1) if o != a)) for a in range(seen.ndim - 1)]


@pytest.mark.parametrize("layer_class", [cls for cls in LAYERS if cls.arity[1] != 0], ids=lambda cls: cls.kind)
@settings(max_examples=8)
@given(data=st.data())
def test_every_layer_sees_what_it_sees_in_pytorch(layer_class, data):
    layer, shapes = data.draw(LAYERS[layer_class].filter(lambda case: len(case[1][0]) > 1))
    # PyTorch takes no statistics of a single value.
    assume(layer_class is not BatchNorm or layer.track_running_stats or prod(shapes[0][1:]) > 1)
    axis = data.draw(st.integers(0, len(shapes[0]) - 2))
    found = dependency(one_layer(layer, *shapes), axis)[-1][0]
    for number, (ours, theirs) in enumerate(zip(found, by_bumps(layer, axis, *shapes), strict=True)):
        assert np.array_equal(ours, theirs), f"output axis {number}, input axis {axis} of {layer} on {shapes}"


@pytest.mark.parametrize("layer_class", STAND_INS, ids=lambda cls: cls.kind)
@settings(max_examples=15)
@given(data=st.data(), share=st.sampled_from([0.03, 0.3]), same=st.booleans())
def test_stand_ins_do_what_the_layer_does(layer_class, data, share, same):
    """On any marks, with channels alike or not, the cheap way and the general one agree, element by element."""
    layer, (shape,) = data.draw(LAYERS[layer_class])
    generator = np.random.default_rng(0)
    marks = generator.random((2, 1 if same else shape[0], *shape[1:])) < share
    marks = np.broadcast_to(marks, (2, *shape))
    weights = {w.name: generator.random(w.shape) + 0.5 for w in layer.weights(shape)}
    (cheap,) = hand_on(layer, [marks], {})
    assert np.array_equal(cheap, moved(layer, weights, marks)[0]), layer


@pytest.mark.parametrize("text", [RESIDUAL, GATED])
@pytest.mark.parametrize("scale", [1, 3])
def test_net_sees_what_the_analysis_says(text, scale):
    """Two ways that share nothing, for every node and unit of nets with all kinds of branches."""
    inputs = {name: (shape[0], *(size * scale for size in shape[1:])) for name, shape in load_text(text).inputs.items()}
    graph = load_text(text, input=inputs)
    fields = receptive_fields(graph)
    compared = 0
    for number, axis in enumerate(fields.axes):
        seen = dependency(graph, axis.axis, input=graph.nodes[axis.node].path)
        for node, at in enumerate(fields.seen):
            track = at.tracks[number]
            if not isinstance(track, LocalField):
                continue
            matrix = seen[node][0][track.axis]
            size = matrix.shape[1]
            for unit, span in enumerate(spans(matrix)):
                first, last = rf.bounds_of(track.field, unit)
                clipped = (max(first, 0), min(last, size - 1))
                assert span == (clipped if clipped[0] <= clipped[1] else None), (graph.nodes[node].path, unit)
                compared += 1
    assert compared > 50


def test_global_and_unrelated():
    graph = load_text(GATED)
    seen = dependency(graph, 0, input="right")
    assert not seen[0][0][1].any()
    assert np.array_equal(seen[1][0][1], np.eye(10, dtype=bool))
    graph = load_text(RESIDUAL)
    last = dependency(graph, 0)[-1][0]
    assert [matrix.shape for matrix in last] == [(5, 17)]
    assert last[0].all()


def test_several_outputs_and_channels():
    graph = load_text(
        "name: n\ninput: [4, 3]\nlayers:\n- split: {sizes: [1, 2], axis: 1}\n- concat: {axis: 1, branches: [[], []]}\n"
    )
    split = dependency(graph, 0)[1]
    assert [part[1].tolist() for part in split] == [
        [[True, False, False]],
        [[False, True, False], [False, False, True]],
    ]


@settings(max_examples=20)
@given(st.integers(1, 5), st.sampled_from([1, 40, 1 << 20]))
def test_batches_and_pixels_change_nothing(start, elements):
    graph = load_text(RESIDUAL)
    every = dependency(graph, 0)
    some = dependency(graph, 0, pixels=range(start, 17, 3), elements=elements)
    for whole, part in zip(every, some, strict=True):
        for a, b in zip(whole[0], part[0], strict=True):
            assert np.array_equal(a[:, start:17:3], b)


BIG = (8, 6, 6)


@pytest.mark.parametrize(
    ("layer", "shapes", "expected"),
    [
        (Hardtanh(), [BIG], True),
        (Hardtanh(min_val=-6.0, max_val=-5.0), [BIG], True),
        (Threshold(threshold=20.0, value=0.0), [BIG], True),
        (BatchNorm(), [BIG], True),
        (Minimum(), [BIG, BIG], True),
        (Maximum(), [BIG, (8, 1, 1)], True),
        (Pad(padding=0, value=1.0), [BIG], True),
        (BatchNorm(track_running_stats=False), [BIG], False),
        (InstanceNorm(), [BIG], False),
        (LayerNorm(axes=0), [BIG], False),
        (GroupNorm(groups=8), [BIG], False),
        (LocalResponseNorm(size=2), [BIG], False),
        (LocalResponseNorm(size=1), [BIG], True),
        (Softmax(axis=2), [BIG], False),
        (LogSoftmax(), [BIG], False),
        (Min(axes=0, keepdim=True), [BIG], False),
        (Maximum(), [(2, 3), (2, 3)], False),  # too few elements to tell
    ],
)
def test_which_layers_work_element_by_element(layer, shapes, expected):
    assert is_element_by_element(layer, tuple(shapes)) is expected
    assert ENOUGH < 8 * 6 * 6


def test_a_minimum_is_moved_by_each_candidate():
    marks = np.eye(3, dtype=bool)[:, None, :]
    assert moved(Min(axes=1), {}, marks)[0].all()


def test_spans_and_jumps():
    matrix = np.array([[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1], [0] * 6], bool)
    assert spans(matrix) == [(0, 1), (1, 2), (3, 4), (5, 5), None]
    assert jumps(matrix) == {2}  # the others are cut off at a border, maybe


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": 2}, "input 'input' has no spatial axis 2; it has 2"),
        ({"axis": 0, "input": "image"}, "the net has no input 'image'; its inputs: input"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(CnncalcError, match=message):
        dependency(load_text(RESIDUAL), **arguments)
