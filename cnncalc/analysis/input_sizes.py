"""Which input sizes a net works for, which lose nothing, and how to fix one that fails.

Every answer comes from the shape engine: each size of the range is run along each axis, while the
other axes are fixed. Pairs of sizes then test that the axes do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from random import Random
from typing import Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from cnncalc.errors import CnncalcError
from cnncalc.graph import Node, Ref
from cnncalc.layers.axes import axis_name, per_axis, spatial
from cnncalc.layers.base import Layer, Shape
from cnncalc.layers.shape import Crop, Pad
from cnncalc.spec.resize import Attempt, Change, Inputs, Left, Outcome, Resizable

Question = Literal["works", "lossless", "exact", "weights"]
QUESTIONS: tuple[Question, ...] = ("works", "lossless", "exact", "weights")
"""Whether a size works at all; whether besides no window's floor loses a pixel of a map; whether it
leaves out nothing, not even padding; whether every weight keeps the shape that it has at the spec's size.
"""
MendKind = Literal["output_padding", "pads", "crops"]
SAMPLES = 48
MOST_CHANGES = 12
MOST_TRANSPOSED = 4
Pair = tuple[int, int]


class SizeAxis(NamedTuple):
    """One spatial axis of the input, or of several inputs that have the same size there."""

    number: int
    name: str
    inputs: tuple[str, ...]
    size: int


class Scan(NamedTuple):
    """The sizes along one axis of which each question is true."""

    axis: SizeAxis
    sizes: dict[Question, frozenset[int]]


class Dependence(NamedTuple):
    """Sizes whose axes work separately but not together, or the other way round."""

    question: Question
    sizes: tuple[int, ...]
    together: bool


class Survey(NamedTuple):
    """The sizes that a net accepts. ``base`` are the sizes of the other axes while one is varied."""

    base: dict[str, Shape]
    most: int
    scans: tuple[Scan, ...]
    samples: int
    dependence: Dependence | None


def size_axes(inputs: Inputs) -> tuple[SizeAxis, ...]:
    """The axes that can be varied: those of inputs of equal rank and size go together.

    Raises:
        CnncalcError: no input has a spatial axis.
    """
    groups: dict[tuple[int, int, int], list[str]] = {}
    for name, shape in inputs.items():
        for number, size in enumerate(shape[1:]):
            groups.setdefault((number, len(shape) - 1, size), []).append(name)
    if not groups:
        raise CnncalcError("error: the net's input has channels alone\n  hint: there is no height or width to vary")
    several = len([shape for shape in inputs.values() if len(shape) > 1]) > 1
    return tuple(
        SizeAxis(number, axis_name(number, rank) + (f" of {', '.join(names)}" if several else ""), tuple(names), size)
        for (number, rank, size), names in groups.items()
    )


def resized(inputs: Inputs, sizes: Mapping[SizeAxis, int]) -> dict[str, Shape]:
    """The inputs with other sizes along some axes."""
    shapes = {name: list(shape) for name, shape in inputs.items()}
    for axis, size in sizes.items():
        for name in axis.inputs:
            shapes[name][1 + axis.number] = size
    return {name: tuple(shape) for name, shape in shapes.items()}


def answer(question: Question, outcome: Outcome, base: Outcome, axis: SizeAxis | None = None) -> bool:
    """An outcome's answer to a question, for one axis or all."""
    bits = -1 if axis is None else 1 << axis.number
    if question == "lossless":
        return outcome.works and not outcome.loses & bits
    if question == "exact":
        return outcome.works and not outcome.leaves & bits
    if question == "weights":
        return outcome.works and outcome.weights == base.weights
    return outcome.works


def find_base(net: Resizable, inputs: Inputs, most: int) -> dict[str, Shape] | None:
    """Input shapes that work: these, or of those that are equal along all axes the nearest; ``None`` if none does."""
    if net.at(inputs).works:
        return dict(inputs)
    axes = size_axes(inputs)
    wanted = max(axis.size for axis in axes)
    for size in sorted(range(1, most + 1), key=lambda size: (abs(size - wanted), size)):
        shapes = resized(inputs, dict.fromkeys(axes, size))
        if net.at(shapes).works:
            return shapes
    return None


def survey(
    net: Resizable, base: Inputs, most: int = 1024, progress: Callable[[str], object] = lambda _: None
) -> Survey:
    """Runs every size of ``1…most`` along each axis with the others at ``base``, which must work."""
    at_base = net.at(base)
    scans = []
    for axis in size_axes(base):
        true: dict[Question, list[int]] = {question: [] for question in QUESTIONS}
        for start in range(1, most + 1, 64):
            progress(f"{axis.name} {start}")
            sizes = range(start, min(start + 64, most + 1))
            outcomes = net.at_each([resized(base, {axis: size}) for size in sizes])
            for size, outcome in zip(sizes, outcomes, strict=True):
                for question in QUESTIONS:
                    if answer(question, outcome, at_base, axis):
                        true[question].append(size)
        scans.append(Scan(axis, {question: frozenset(sizes) for question, sizes in true.items()}))
    samples, dependence = _dependence(net, base, scans, most)
    return Survey(dict(base), most, tuple(scans), samples, dependence)


def _dependence(net: Resizable, base: Inputs, scans: Sequence[Scan], most: int) -> tuple[int, Dependence | None]:
    """How many choices of sizes along all axes were run, and the first that contradicts the separate axes."""
    if len(scans) < 2:
        return 0, None
    draw, at_base = Random(0), net.at(base)
    pools = [[sorted(sizes) for sizes in (*scan.sizes.values(), range(1, most + 1)) if sizes] for scan in scans]
    for number in range(SAMPLES):
        sizes = tuple(draw.choice(draw.choice(pool)) for pool in pools)
        if number % 4 == 0:  # what is made for squares
            sizes = sizes[:1] * len(sizes)
        outcome = net.at(resized(base, {scan.axis: size for scan, size in zip(scans, sizes, strict=True)}))
        for question in QUESTIONS:
            alone = all(size in scan.sizes[question] for scan, size in zip(scans, sizes, strict=True))
            together = answer(question, outcome, at_base)
            # Features of a flattened map are a product of sizes: other factors can have the same.
            if alone != together and (question != "weights" or alone):
                return number + 1, Dependence(question, sizes, together)
    return SAMPLES, None


# -- near a wanted size ------------------------------------------------------------------------------


class Fit(Struct, frozen=True):
    """Sizes near the wanted ones, and pixels to add (negative: to take off) before and after, axis by axis."""

    sizes: tuple[int, ...]
    change: tuple[Pair, ...]


class Near(Struct, frozen=True):
    """The fits nearest to the wanted sizes of which one thing is true; ``null`` where there is none in reach."""

    question: Question
    closest: Fit | None
    above: Fit | None
    below: Fit | None


def near(net: Resizable, base: Inputs, wanted: Mapping[SizeAxis, int], question: Question, reach: int) -> Near:
    """The nearest fitting sizes, at most ``reach`` away; each is confirmed with all axes at once."""
    at_base = net.at(base)

    def first(axis: SizeAxis, sizes: Iterable[int]) -> int | None:
        return next((s for s in sizes if answer(question, net.at(resized(base, {axis: s})), at_base, axis)), None)

    above = [first(axis, range(size, size + reach + 1)) for axis, size in wanted.items()]
    below = [first(axis, range(size, max(0, size - reach - 1), -1)) for axis, size in wanted.items()]
    closest = [
        min((s for s in (up, down) if s is not None), key=lambda s: (abs(s - size), -s), default=None)
        for up, down, size in zip(above, below, wanted.values(), strict=True)
    ]

    def fit(found: Sequence[int | None]) -> Fit | None:
        sizes = tuple(size for size in found if size is not None)
        if len(sizes) < len(found):
            return None
        if not answer(question, net.at(resized(base, dict(zip(wanted, sizes, strict=True)))), at_base):
            return None
        return Fit(sizes, tuple(_ends(size - have) for size, have in zip(sizes, wanted.values(), strict=True)))

    return Near(question, fit(closest), fit(above), fit(below))


def _ends(change: int) -> Pair:
    """A number of pixels shared between the two ends, the odd one after."""
    before = abs(change) // 2
    after = abs(change) - before
    return (before, after) if change >= 0 else (-before, -after)


# -- a size that fails -------------------------------------------------------------------------------


class Step(Struct, frozen=True):
    """A change: a field of a layer gets a value, or (with ``input``, from 0) that input of it is changed first."""

    layer: str
    field: str
    value: tuple[int | Pair, ...]
    input: int | UnsetType = UNSET


class Mend(Struct, frozen=True):
    """Changes after which the whole net was built without fault at this size."""

    kind: MendKind
    steps: tuple[Step, ...]


class Diagnosis(NamedTuple):
    """What happens at one size: the run, and where it fails how to fix it; else what its windows leave out."""

    attempt: Attempt
    mends: tuple[Mend, ...]
    left: tuple[tuple[Node, tuple[Left, ...]], ...]


def diagnose(net: Resizable, inputs: Inputs) -> Diagnosis:
    """Runs the net at one size, and looks for changes that fix it where it fails."""
    attempt = net.attempt(inputs)
    if attempt.error is None:
        return Diagnosis(attempt, (), tuple(net.left_out(attempt.nodes)))
    mends = (
        _mend(net, inputs, attempt, "output_padding", _output_paddings),
        _mend(net, inputs, attempt, "pads", _pads),
        _mend(net, inputs, attempt, "crops", _crops),
    )
    return Diagnosis(attempt, tuple(mend for mend in mends if mend is not None), ())


Option = tuple[str, Change, tuple[Step, ...]]


def _mend(
    net: Resizable,
    inputs: Inputs,
    attempt: Attempt,
    kind: MendKind,
    options: Callable[[Attempt], Iterable[Option]],
) -> Mend | None:
    """Changes of one kind, error by error, until the whole net can be built; ``None`` if that fails."""
    changes: dict[str, Change] = {}
    steps: dict[str, tuple[Step, ...]] = {}
    while attempt.error is not None:
        if attempt.failure is None or len(changes) >= MOST_CHANGES:
            return None
        for path, change, written in options(attempt):
            tried = net.attempt(inputs, {**changes, path: change})
            further = tried.failure is None or _progress(tried) > _progress(attempt)
            if further and (tried.error is None or tried.failure is not None):
                changes[path], steps[path], attempt = change, written, tried
                break
        else:
            return None
    return Mend(kind, tuple(step for written in steps.values() for step in written))


def _progress(attempt: Attempt) -> int:
    """How far a run came: its nodes, without those inserted by a change."""
    return sum(not node.path.startswith(".") for node in attempt.nodes)


def _colliding(attempt: Attempt) -> list[Shape]:
    """The shapes of several inputs that differ only along spatial axes; empty for any other error."""
    assert attempt.failure is not None
    shapes = [attempt.nodes[ref.node].output_shapes[ref.port] for ref in attempt.failure.inputs]
    if len(shapes) < 2 or len({len(shape) for shape in shapes}) > 1 or len({shape[1:] for shape in shapes}) < 2:
        return []
    return shapes if len(shapes[0]) > 1 else []


def _pads(attempt: Attempt) -> Iterable[Option]:
    """The smaller inputs padded to the largest size along each axis."""
    return _fitted(attempt, max, lambda ends: Pad(padding=ends))


def _crops(attempt: Attempt) -> Iterable[Option]:
    """The larger inputs cropped to the smallest size along each axis."""
    return _fitted(attempt, min, lambda ends: Crop(cropping=ends))


def _fitted(
    attempt: Attempt, choose: Callable[[Iterable[int]], int], make: Callable[[tuple[Pair, ...]], Layer]
) -> Iterable[Option]:
    shapes = _colliding(attempt)
    if not shapes:
        return
    assert attempt.failure is not None
    target = [choose(sizes) for sizes in zip(*(shape[1:] for shape in shapes), strict=True)]
    extra, steps = [], []
    for number, shape in enumerate(shapes):
        ends = tuple(_ends(abs(want - have)) for want, have in zip(target, shape[1:], strict=True))
        if any(map(any, ends)):
            layer = make(ends)
            field = next(name for name in layer.__struct_fields__ if getattr(layer, name) == ends)
            extra.append((number, layer))
            steps.append(Step(attempt.failure.path, field, ends, number))
    yield attempt.failure.path, Change(before=tuple(extra)), tuple(steps)


def _output_paddings(attempt: Attempt) -> Iterable[Option]:
    """More output padding of a transposed convolution before a too small input, the nearest first."""
    shapes = _colliding(attempt)
    if not shapes:
        return
    assert attempt.failure is not None
    largest = [max(sizes) for sizes in zip(*(shape[1:] for shape in shapes), strict=True)]
    for ref, shape in zip(attempt.failure.inputs, shapes, strict=True):
        short = [want > have for want, have in zip(largest, shape[1:], strict=True)]
        if not any(short):
            continue
        for node in _upstream(attempt.nodes, ref)[:MOST_TRANSPOSED]:
            layer, rank = node.layer, len(spatial(node.input_shapes[0]))
            if rank != len(short):
                continue
            have = per_axis(getattr(layer, "output_padding", 0), rank, "output_padding")
            bounds = [
                max(stride, dilation)
                for stride, dilation in zip(
                    per_axis(getattr(layer, "stride", 1), rank, "stride"),
                    per_axis(getattr(layer, "dilation", 1), rank, "dilation"),
                    strict=True,
                )
            ]
            choices = [range(now, top if grow else now + 1) for now, top, grow in zip(have, bounds, short, strict=True)]
            for more in sorted(product(*choices), key=sum):
                if more != have:
                    assert layer is not None
                    changed = replace(layer, output_padding=more)
                    yield node.path, Change(layer=changed), (Step(node.path, "output_padding", more),)


def _upstream(nodes: Sequence[Node], ref: Ref) -> list[Node]:
    """The nodes with an output padding that a tensor comes from, the nearest first."""
    seen, waiting = set(), {ref.node}
    found = []
    while waiting:
        number = max(waiting)
        waiting.discard(number)
        seen.add(number)
        node = nodes[number]
        if node.layer is not None and "output_padding" in node.layer.__struct_fields__:
            found.append(node)
        waiting |= {before.node for before in node.inputs} - seen
    return found


__all__ = [
    "QUESTIONS",
    "Dependence",
    "Diagnosis",
    "Fit",
    "Mend",
    "Near",
    "Question",
    "Scan",
    "SizeAxis",
    "Step",
    "Survey",
    "diagnose",
    "find_base",
    "near",
    "resized",
    "size_axes",
    "survey",
]
