"""CNN2..: what units see of the net's input: holes, more than there is, less than there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cnncalc.analysis.lint.design import Design, SlidingAxis
from cnncalc.analysis.lint.rule import Found, rule
from cnncalc.analysis.receptive_field import LocalField
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Node, Ref
from cnncalc.layers.axes import axis_name

MOST_BITS = 1 << 15
"""Sets of taps wider than this are not followed further."""


# -- gridding --------------------------------------------------------------------------------------


class Stack(NamedTuple):
    """Layers of stride 1 one after the other: which units of the tensor where they begin a unit sees, as bits.

    ``low`` is the place of the lowest bit; ``base`` the node of that tensor; ``dilated`` the last node with
    a dilation, and -1 where there is none yet; ``axis`` the axis of that one's output.
    """

    base: int
    low: int
    taps: int
    dilated: int = -1
    axis: int = 0


@rule(
    "CNN201",
    "gridding",
    "warning",
    why="Stacked dilations with a common factor look at every n-th pixel only: neighbouring units use disjoint sets of "
    "pixels, and dense predictions show a grid. What lies in the holes never reaches the unit.",
    mend="choose dilations that fill each other's gaps, as 1, 2, 5 repeated (hybrid dilated convolution), or end the "
    "stack with convolutions of decreasing dilation down to 1",
    source="Wang et al. 2018, Understanding convolution for semantic segmentation, arXiv:1702.08502, §3.2; "
    "Yu, Koltun & Funkhouser 2017, Dilated residual networks, arXiv:1705.09914, §4",
)
def gridding(design: Design) -> Iterator[Found]:
    """Stacked dilated layers between which pixels are never seen, and nothing after them fills the gaps."""
    if not any(taps.step > 1 and taps.last > taps.first for taps in _all_taps(design)):
        return
    states: list[dict[int, Stack]] = []
    holes: dict[int, dict[int, Stack]] = {}
    for number, node in enumerate(design.graph.nodes):
        here: dict[int, Stack] = {}
        slides = {(slide.position, slide.axis): slide for slide in design.slides(node)} if node.layer else {}
        for axis in range(1, len(node.output_shape)):
            stacks = [
                _after(design, number, node, ref, position, axis, slides, states, holes)
                for position, ref in enumerate(node.inputs)
            ]
            here[axis] = _together(number, stacks)
        states.append(here)
    for number in design.results:
        for stack in states[number].values():
            _judge(stack, holes)
    for number, by_axis in sorted(holes.items()):
        parts, numbers = [], []
        rank = len(design.graph.nodes[number].output_shape) - 1
        for axis, stack in sorted(by_axis.items()):
            name = axis_name(axis - 1, rank)
            seen, span = stack.taps.bit_count(), stack.taps.bit_length()
            parts.append(f"{name}: {seen} of {span}")
            numbers.append({"axis": name, "seen": seen, "span": span, "largest_gap": _largest_gap(stack.taps)})
        base = design.graph.nodes[next(iter(by_axis.values())).base].path
        message = f"units see the output of {base} with gaps ({', '.join(parts)})"
        yield Found(number, message, {"of": base, "axes": numbers})


def _all_taps(design: Design) -> Iterator[rf.Taps]:
    for _, node, _ in design.layers():
        for slide in design.slides(node):
            if slide.sliding:
                yield slide.window.taps[0]


def _after(
    design: Design,
    number: int,
    node: Node,
    ref: Ref,
    position: int,
    axis: int,
    slides: dict[tuple[int, int], SlidingAxis],
    states: list[dict[int, Stack]],
    holes: dict[int, dict[int, Stack]],
) -> Stack | None:
    """The stack that reaches output axis ``axis`` through one input; ``None`` where it ends before."""
    reads = design.reads(node)[position]
    source = next((a for a, read in enumerate(reads) if a > 0 and read.axis == axis and read.window is not None), None)
    if source is None or source not in states[ref.node]:
        return None
    stack = states[ref.node][source]
    slide = slides.get((position, source))
    if slide is None:
        return stack
    if not slide.sliding:
        if len(slide.window.taps) > 1:  # upsampling: the stack ends before it
            _judge(stack, holes)
        return None
    first, last, step = slide.window.taps[0]
    if stack.taps.bit_length() + last - first > MOST_BITS:
        return None
    taps = 0
    for tap in range(0, last - first + 1, step):
        taps |= stack.taps << tap
    last_dilated = (number, axis) if step > 1 and last > first else (stack.dilated, stack.axis)
    after = Stack(stack.base, stack.low + first, taps, *last_dilated)
    if slide.window.stride == 1:
        return after
    _judge(after, holes)
    return None


def _together(number: int, stacks: list[Stack | None]) -> Stack:
    """What a unit sees through all inputs; a new stack begins here where they do not have the same beginning."""
    first = stacks[0] if stacks else None
    if first is None or any(stack is None or stack.base != first.base for stack in stacks):
        return Stack(number, 0, 1)
    known = [stack for stack in stacks if stack is not None]
    low = min(stack.low for stack in known)
    taps = 0
    for stack in known:
        taps |= stack.taps << (stack.low - low)
    return Stack(first.base, low, taps, *max((stack.dilated, stack.axis) for stack in known))


def _judge(stack: Stack, holes: dict[int, dict[int, Stack]]) -> None:
    """Notes a stack that ends with gaps, with its last dilated layer."""
    if stack.dilated >= 0 and stack.taps.bit_count() < stack.taps.bit_length():
        holes.setdefault(stack.dilated, {})[stack.axis] = stack


def _largest_gap(taps: int) -> int:
    """The longest run of units that are not seen."""
    return max(map(len, bin(taps)[2:].split("1")))


# -- more than there is ----------------------------------------------------------------------------


@rule(
    "CNN202",
    "unproductive-layer",
    "warning",
    why="Every unit that this layer reads already sees more than the whole input, along the shortest way through the "
    "net: a kernel larger than 1 has no new context to bring together here. Trained nets solve the task before such "
    "layers, which then cost and add little.",
    mend="feed larger inputs, leave such layers out, stride later, or use 1x1 convolutions here",
    source="Richter et al. 2021, Should you go deeper? Optimizing convolutional neural network architectures without "
    "training by receptive field analysis, arXiv:2106.12307",
)
def unproductive_layer(design: Design) -> Iterator[Found]:
    """A convolution whose input units see more than the whole input of the net already."""
    for number, node, layer in design.layers():
        if not layer.is_product:
            continue
        wide = [slide for slide in design.slides(node) if _widens(slide)]
        fields = [(slide.name, *found) for slide in wide if (found := design.shortest(node, slide)) is not None]
        numbers = [design.of_input(index, name, field) for name, index, field in fields]
        numbers = [one for one in numbers if one["field"] > one["input"]]
        if wide and len(numbers) == len(wide):
            shown = _shown(numbers, together=True)
            yield Found(number, f"the units that it reads see {shown} already", {"axes": numbers})


def _shown(numbers: list[dict[str, Any]], together: bool) -> str:
    """Sizes of fields beside the input's, axis by axis, or ``together`` where they are equal."""
    if together and len({(one["field"], one["input"]) for one in numbers}) == 1:
        return f"{numbers[0]['field']} pixels of {numbers[0]['input']}"
    return ", ".join(f"{one['field']} of {one['input']} along {one['axis']}" for one in numbers)


def _widens(slide: SlidingAxis) -> bool:
    """Whether some output unit reads more than one unit along the axis."""
    return any(taps.last > taps.first for taps in slide.window.taps)


# -- less than there is ----------------------------------------------------------------------------


@rule(
    "CNN203",
    "head-sees-part",
    "info",
    why="The layer that gathers the last map takes units that each see a part of the input only: nothing before it "
    "relates what is farther apart. A mean over them is a vote of local patches; a linear layer can still relate them, "
    "at fixed places.",
    mend="add layers, strides or dilation until the field covers the input, or feed smaller inputs; leave it where "
    "local evidence is enough",
    source="Richter et al. 2021, arXiv:2106.12307; Brendel & Bethge 2019, Approximating CNNs with "
    "bag-of-local-features models, arXiv:1904.00760",
)
def head_sees_part(design: Design) -> Iterator[Found]:
    """A head that gathers a map whose units see less than the whole input."""
    for number, node, _ in design.layers():
        numbers = []
        for position, ref in enumerate(node.inputs):
            for index, track in enumerate(design.fields.seen[ref.node].tracks):
                if not isinstance(track, LocalField) or not _gathers(design, number, position, track.axis):
                    continue
                # A squeeze-excite gathers too, but its map goes on beside it.
                if not all(_gathers(design, *reader, track.axis) for reader in design.readers[ref.node]):
                    continue
                numbers.append(design.of_input(index, design.input_axis(index), track.field))
        numbers = [one for one in numbers if one["field"] < one["input"]]
        if numbers:
            shown = _shown(numbers, together=len(numbers) > 1)
            yield Found(number, f"gathers a map whose units see {shown}", {"axes": numbers})


def _gathers(design: Design, number: int, position: int, axis: int) -> bool:
    """Whether the units of an output are told by no index along that axis of an input any more."""
    read = design.reads(design.graph.nodes[number])[position][axis]
    return read.axis is None or read.window is None
