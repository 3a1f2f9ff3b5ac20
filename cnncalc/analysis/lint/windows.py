"""CNN1..: what layers read of their inputs: pixels lost, features shifted, units that read too little or unevenly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from cnncalc.analysis.lint.design import Design, SlidingAxis, sides
from cnncalc.analysis.lint.rule import Found, rule
from cnncalc.errors import LayerError
from cnncalc.formulas import receptive_field as rf
from cnncalc.formulas.positions import FOLDS, positions_of
from cnncalc.formulas.receptive_field import Taps, Window, taps_of
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Movement

FARTHEST = 64
"""How many pixels larger or smaller an input may be to find one that loses nothing."""
LINES = {"height": "row", "width": "column"}
LARGEST_NET = 5_000
"""Nets of more layers are not rebuilt for other inputs."""


def half(doubled: int) -> str:
    """Half of a whole number, without its sign: ``½``, ``1½``, ``2``."""
    whole, rest = divmod(abs(doubled), 2)
    return f"{whole or ''}½" if rest else str(whole)


def plural(count: int, noun: str) -> str:
    """``1 unit``, ``2 units``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


# -- pixels that nothing reads ---------------------------------------------------------------------


class Loss(NamedTuple):
    """A layer that leaves out ``pixels`` at the end of an axis; which input sizes nearby would not."""

    number: int
    slide: SlidingAxis
    pixels: int
    sizes: list[int]


def lost_at_end(design: Design, node: Node, slide: SlidingAxis) -> int:
    """The units that the floor of the output size leaves out, as bits: one more output unit would read them."""
    read = design.pixels_read(node, slide)
    return design.pixels_read(node, slide, slide.units + 1) & ~read


def in_gaps(design: Design, node: Node, slide: SlidingAxis) -> int:
    """The units between the windows that no output unit reads, as bits."""
    if slide.last - slide.first + 1 >= slide.window.stride and slide.window.taps[0].step == 1:
        return 0
    return ((1 << slide.size) - 1) & ~design.pixels_read(node, slide, slide.units + 1)


@rule(
    "CNN101",
    "pixels-lost",
    "warning",
    why="The output size is rounded down, so the windows stop short of the border: what lies there never reaches "
    "the output and gets no gradient, and the features sit off centre.",
    mend="feed one of the sizes named, pad after the last row or column, or use ceil_mode on a pool",
    source="Dumoulin & Visin 2016, A guide to convolution arithmetic, arXiv:1603.07285, §2.3 and §2.4",
)
def pixels_lost(design: Design) -> Iterator[Found]:
    """A stride that leaves pixels over at a border, which no window reads."""
    losses = [
        Loss(number, slide, lost.bit_count(), [])
        for number, node, slides in design.sliding()
        for slide in slides
        if slide.window.stride > 1 and (lost := lost_at_end(design, node, slide))
    ]
    _find_sizes(design, losses)
    by_node: dict[int, list[Loss]] = {}
    for loss in losses:
        by_node.setdefault(loss.number, []).append(loss)
    for number, here in by_node.items():
        node = design.graph.nodes[number]
        elsewhere = all(not _lost_to_all(design, node, loss.slide, lost_at_end) for loss in here)
        parts, numbers = [], []
        for _, slide, pixels, sizes in here:
            _, border = sides(slide.name)
            parts.append(f"{plural(pixels, LINES.get(slide.name, 'unit'))} of {slide.size} at the {border}")
            place = {"axis": slide.name, "border": border}
            numbers.append({**place, "pixels": pixels, "size": slide.size, "input_sizes": sizes})
        message = f"does not read {' and '.join(parts)}" + (", but other layers do" if elsewhere else "")
        shown = [" or ".join(map(str, loss.sizes)) for loss in here if loss.sizes]
        if shown:
            shown = shown[:1] if len(set(shown)) == 1 else shown
            message += f"; an input of size {' by '.join(shown)} loses none here"
        measured = {"axes": numbers, "read_elsewhere": elsewhere}
        yield Found(number, message, measured, "info" if elsewhere else None)


def _lost_to_all(design: Design, node: Node, slide: SlidingAxis, lost: Any) -> bool:
    """Whether some pixel that is lost here is read by no other layer either."""
    missing: int = lost(design, node, slide)
    return bool(missing & ~design.read_by_all(node.inputs[slide.position], slide.axis))


def _find_sizes(design: Design, losses: list[Loss]) -> None:
    """For each loss the nearest input sizes, one smaller and one larger, at which that layer loses nothing."""
    graph = design.graph
    if not losses or len(graph.nodes) > LARGEST_NET:
        return
    open_losses = {-1: list(losses), 1: list(losses)}
    for distance in range(1, FARTHEST + 1):
        for direction, waiting in open_losses.items():
            if not waiting:
                continue
            other = _resized(design, direction * distance)
            if other is None:
                continue
            there, nodes = Design(other), {node.path: node for node in other.nodes}
            still = []
            for loss in waiting:
                field = design.shortest(graph.nodes[loss.number], loss.slide)
                if field is None:
                    continue
                size = design.input_size(field[0])
                node = nodes.get(graph.nodes[loss.number].path)  # another size may be another net
                slides = there.slides(node) if node is not None and node.layer is not None else ()
                slide = next((s for s in slides if s[:2] == loss.slide[:2]), None)
                if node is not None and slide is not None and not lost_at_end(there, node, slide):
                    loss.sizes.append(size + direction * distance)
                else:
                    still.append(loss)
            open_losses[direction] = still
    for loss in losses:
        loss.sizes.sort()


def _resized(design: Design, by: int) -> Graph | None:
    """The net with every spatial size of its inputs changed ``by`` so much, where it takes that."""
    inputs = {name: (shape[0], *(size + by for size in shape[1:])) for name, shape in design.graph.inputs.items()}
    if any(size < 1 for shape in inputs.values() for size in shape):
        return None
    try:
        return design.at(inputs)
    except LayerError:
        return None


@rule(
    "CNN102",
    "kernel-below-stride",
    "warning",
    why="The windows do not touch: what lies between them is thrown away without being looked at. A 1x1 "
    "convolution with stride 2 ignores three quarters of its input. (Information alone where another layer reads "
    "the rest, as beside a residual net's shortcut.)",
    mend="use a kernel of at least the stride, or pool with kernel = stride before a convolution of stride 1",
    source="He, T. et al. 2019, Bag of tricks for image classification with CNNs, arXiv:1812.01187, §4.2",
)
def kernel_below_stride(design: Design) -> Iterator[Found]:
    """A kernel smaller than its stride (or a dilation that shares a factor with it), so that pixels between the
    taps are never read.
    """
    for number, node, slides in design.sliding():
        strided = [slide for slide in slides if slide.window.stride > 1]
        gaps = [(slide, gap) for slide in strided if (gap := in_gaps(design, node, slide))]
        if not gaps:
            continue
        elsewhere = all(not _lost_to_all(design, node, slide, in_gaps) for slide, _ in gaps)
        names = " and ".join(slide.name for slide, _ in gaps)
        first = gaps[0][0]
        span, stride, step = first.last - first.first + 1, first.window.stride, first.window.taps[0].step
        if span < stride:
            message = f"kernel {span} is less than stride {stride} along {names}"
        else:
            message = f"dilation {step} and stride {stride} leave places out along {names}"
        total, read = 1, 1
        numbers = []
        for slide, gap in gaps:
            pixels = gap.bit_count()
            total, read = total * slide.size, read * (slide.size - pixels)
            window = {"kernel": slide.last - slide.first + 1, "stride": slide.window.stride}
            numbers.append({"axis": slide.name, **window, "pixels": pixels, "size": slide.size})
        message += f": reads {read:,} of {total:,} places" + (" (other layers read the rest)" if elsewhere else "")
        measured = {"axes": numbers, "read": read, "of": total, "read_elsewhere": elsewhere}
        yield Found(number, message, measured, "info" if elsewhere else None)


# -- features that move ----------------------------------------------------------------------------


@rule(
    "CNN103",
    "half-pixel-shift",
    "warning",
    why="Every unit should describe what lies around its own place. An even kernel has no middle pixel: with equal "
    "padding its features fall between the pixels, with one pixel more on one side they move, and in a stack of such "
    "layers the shifts add up; skip connections and boxes then meet what is not theirs. (Information alone where the "
    "map as a whole stays centred.)",
    mend="use an odd kernel with padding dilation·(kernel − 1)/2 on both sides",
    source="Wu et al. 2019, Convolution with even-sized kernels and symmetric padding, arXiv:1903.08385; "
    "Araujo, Norris & Sim 2019, Distill, doi:10.23915/distill.00021",
)
def half_pixel_shift(design: Design) -> Iterator[Found]:
    """An even kernel, or padding that differs between the sides, at stride 1."""
    for number, node, slides in design.sliding():
        parts, numbers, moved = [], [], False
        for slide in slides:
            if slide.window.stride != 1 or slide.first == slide.last or slide.units == 1:
                continue
            if len(node.input_shapes[slide.position]) == 2 and slide.last == 0 and slide.units == slide.size:
                continue  # a causal layer of a sequence sees the past alone, on purpose
            even = (slide.last - slide.first) % 2 == 1
            if not even and not slide.drift:
                continue
            moved = moved or bool(slide.drift)
            pads = (max(-slide.first, 0), max(slide.end - slide.size + 1, 0))
            span = slide.last - slide.first + 1
            shift = f"move by {half(slide.drift)} pixel{'s' if abs(slide.drift) > 2 else ''}"
            shift = shift if slide.drift else "lie half a pixel between those of the input"
            parts.append(f"{slide.name}: span {span}, padding {pads[0]} and {pads[1]}: features {shift}")
            measured = {"axis": slide.name, "span": span, "pads": list(pads)}
            numbers.append(measured | _shift(design, node, slide))
        if parts:
            yield Found(number, "; ".join(parts), {"axes": numbers}, None if moved else "info")


def _shift(design: Design, node: Node, slide: SlidingAxis) -> dict[str, Any]:
    """The shift in units of the layer's input, and in pixels of the net's, exactly, where there is a jump there."""
    found = design.shortest(node, slide)
    if found is None:
        return {"shift": slide.drift / 2}
    top, bottom = rf.jump(found[1])
    return {"shift": slide.drift / 2, "shift_in_input_pixels": slide.drift * top / (2 * bottom)}


@rule(
    "CNN104",
    "one-sided-padding",
    "info",
    why="With this size the stride uses more padding at one border than at the other: the map sits off centre, by as "
    "much again in every stage, and the two borders learn differently.",
    mend="where that matters, feed sizes for which the stride divides size + padding − kernel (225 instead of 224 for "
    "a residual net), or pad both sides explicitly",
    source="Alsallakh et al. 2021, Mind the pad: CNNs can develop blind spots, arXiv:2010.02178",
)
def one_sided_padding(design: Design) -> Iterator[Found]:
    """A layer with a stride that reads padding at one border more than at the other."""
    for number, node, slides in design.sliding():
        parts, numbers = [], []
        for slide in slides:
            if slide.window.stride < 2:
                continue
            pads = (-slide.first, slide.end - slide.size + 1)
            if min(pads) < 0 or pads[0] == pads[1]:
                continue
            names = sides(slide.name)
            parts.append(f"{pads[0]} beyond the {names[0]} and {pads[1]} beyond the {names[1]} of {slide.size}")
            measured = {"axis": slide.name, "padding_read": list(pads), "size": slide.size}
            numbers.append(measured | _shift(design, node, slide))
        if parts:
            yield Found(number, f"windows reach {', '.join(parts)}", {"axes": numbers})


@rule(
    "CNN105",
    "misaligned-branches",
    "warning",
    why="The merge joins units that look at different places of the input: with other centres by a constant amount, "
    "with other jumps by more and more across the map.",
    mend="give the branches the same strides, and kernels and paddings with the same 2·padding − "
    "dilation·(kernel − 1); crop or pad so that the centres agree",
    source="Araujo, Norris & Sim 2019, Computing receptive fields of convolutional neural networks, Distill, "
    "doi:10.23915/distill.00021, Arbitrary computation graphs",
)
def misaligned_branches(design: Design) -> Iterator[Found]:
    """Branches that meet with different jumps or centres."""
    by_node: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for one in design.fields.misalignments:
        name = design.input_axis(one.axis)
        if one.offset is None:
            text = f"{name}: jumps {one.jumps[0]} and {one.jumps[1]}"
        else:
            text = f"{name}: centres {one.offset} input pixel{'' if one.offset == '1' else 's'} apart"
        numbers = {"axis": name, "jumps": list(one.jumps), "centres_apart": one.offset}
        by_node.setdefault(one.node, []).append((text, numbers))
    for number, here in by_node.items():
        message = f"branches meet out of line: {'; '.join(dict.fromkeys(text for text, _ in here))}"
        yield Found(number, message, {"axes": [numbers for _, numbers in here]})


# -- units that read unevenly ----------------------------------------------------------------------


@rule(
    "CNN106",
    "checkerboard",
    "warning",
    why="Where the kernel is no multiple of the stride, neighbouring output units are sums over different numbers of "
    "input units: the output has a pattern of that period before anything is learned, strongest in two dimensions.",
    mend="use a kernel that the stride divides (4 with stride 2), or upsample first and convolve with stride 1",
    source="Odena, Dumoulin & Olah 2016, Deconvolution and checkerboard artifacts, Distill, doi:10.23915/distill.00003",
)
def checkerboard(design: Design) -> Iterator[Found]:
    """A transposed convolution whose output units sum over different numbers of input units."""
    for number, node, layer in design.layers():
        if not layer.is_product:
            continue
        parts, numbers = [], []
        least = most = 1
        for slide in design.slides(node):
            counts = taps_per_phase(slide.window)
            if len(counts) < 2:
                continue
            least, most = least * min(counts), most * max(counts)
            if min(counts) != max(counts):
                shown = "-".join(map(str, counts[:8])) + ("…" if len(counts) > 8 else "")
                parts.append(f"{slide.name}: {shown} inputs in turn")
                numbers.append({"axis": slide.name, "stride": len(counts), "inputs_in_turn": list(counts)})
        if parts:
            message = f"units sum over {least} to {most} inputs ({'; '.join(parts)})"
            yield Found(number, message, {"least": least, "most": most, "axes": numbers})


@lru_cache(maxsize=64)
def taps_per_phase(window: Window) -> tuple[int, ...]:
    """How many input units the units of each phase read, far from any border."""
    return tuple(taps.total for taps in window.taps)


# -- units that see no input -----------------------------------------------------------------------


@rule(
    "CNN107",
    "padding-only",
    "error",
    why="The windows of these units lie in the padding alone: whatever the input, they are the same constant. They "
    "cost memory and work, and say nothing but where the border is.",
    mend="use less padding than the (dilated) kernel, or less output_padding",
    source="Dumoulin & Visin 2016, arXiv:1603.07285, §2.2 (no more than full padding, kernel − 1); "
    "Alsallakh et al. 2021, arXiv:2010.02178",
)
def padding_only(design: Design) -> Iterator[Found]:
    """Output units that see nothing but padding."""
    blind: list[dict[int, frozenset[int]]] = []
    told: list[bool] = []
    for number, node in enumerate(design.graph.nodes):
        if node.layer is None:
            blind.append({})
            told.append(False)
            continue
        before = [blind[ref.node] for ref in node.inputs]
        here, made = _blind_after(design, node, before)
        blind.append(here)
        known = any(told[ref.node] for ref in node.inputs)
        if known and made:  # a layer before is to blame, unless this one alone makes such units too
            _, made = _blind_after(design, node, [{}] * len(before))
        quiet = not made or isinstance(node.layer, Movement)
        told.append(bool(here) and (known or not quiet))
        if quiet:
            continue
        numbers, parts = [], []
        for slide in made:
            units = sorted(here[slide.out_axis])
            parts.append(f"{len(units)} of {slide.units} along {slide.name}")
            numbers.append({"axis": slide.name, "units": units, "of": slide.units})
        yield Found(number, f"units that see padding alone: {', '.join(parts)}", {"axes": numbers})


def _blind_after(
    design: Design, node: Node, before: list[dict[int, frozenset[int]]]
) -> tuple[dict[int, frozenset[int]], list[SlidingAxis]]:
    """The units of an output, by axis, that see no input; and those windows that have made such units."""
    slides = design.slides(node)
    if not slides and not any(before):
        return {}, []
    # A merge's unit sees what any of its inputs lets it see: only what is blind in all of them stays so.
    seen: list[dict[int, frozenset[int]]] = []
    made: list[SlidingAxis] = []
    for position, (blind, reads) in enumerate(zip(before, design.reads(node), strict=True)):
        here: dict[int, frozenset[int]] = {}
        windows = {slide.axis: slide for slide in slides if slide.position == position}
        for axis, read in enumerate(reads):
            if read.axis is None or read.window is None:
                continue
            slide = windows.get(axis)
            if slide is None:
                if axis in blind:
                    here[read.axis] = blind[axis]
                continue
            if found := _blind_units(design, node, slide, blind.get(axis, frozenset())):
                here[read.axis] = found
                made.append(slide)
        seen.append(here)
    axes = set.intersection(*(set(here) for here in seen)) if seen else set()
    shared = {axis: frozenset.intersection(*(here[axis] for here in seen)) for axis in axes}
    result = {axis: units for axis, units in shared.items() if units}
    return result, [slide for slide in made if slide.out_axis in result and _has_taps(slide, result[slide.out_axis])]


def _has_taps(slide: SlidingAxis, units: frozenset[int]) -> bool:
    """Whether some of the units have a window at all; holes of a transposed convolution are another rule's."""
    return any(taps_of(slide.window, unit).total for unit in units)


def _blind_units(design: Design, node: Node, slide: SlidingAxis, blind: frozenset[int]) -> frozenset[int]:
    """The units whose taps are all beyond the border, or blind themselves; with another border than zeros none is."""
    (stride, windows), size = slide.window, slide.size

    def sees(taps: Taps) -> bool:
        places: Iterable[int]
        if slide.border in FOLDS:
            places = positions_of(Window(0, (taps,)), 0, size, slide.border)
        else:
            skipped = max(0, -(taps.first // taps.step))
            places = range(taps.first + skipped * taps.step, min(taps.last, size - 1) + 1, taps.step)
        return any(place not in blind for place in places)

    found: set[int] = set()
    for phase, taps in enumerate(windows):
        cycles = -((phase - slide.units) // len(windows))
        if not taps.total or not stride:  # all alike
            some = [range(cycles)] if not sees(taps) else []
        else:
            # What a unit reads first must be blind or beyond the border; taps that do not step over the input are
            # all before it where the last one is.
            first, edge = taps.first, taps.first if blind or taps.step > size else taps.last
            some = [range(min(cycles, -(edge // stride))), range(max(0, -((first - size) // stride)), cycles)]
            known = [divmod(place - first, stride) for place in blind]
            some += [range(q, q + 1) for q, rest in known if 0 <= q < cycles and not rest]
        work = sum(max(0, one.stop - one.start) for one in some)
        design.follow(node, slide, work * min(taps.total + 1, len(blind) + 1))
        units = (len(windows) * q + phase for one in some for q in one)
        found.update(unit for unit in units if not sees(taps_of(slide.window, unit)))
    return frozenset(found)
