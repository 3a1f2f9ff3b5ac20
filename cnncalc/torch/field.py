"""What units see, measured: the support of gradients and the response to impulses and to shifts.

All of it runs on the narrowed net (as few channels as it can do with; the windows stay), in
float64, one axis at a time with the others as small as the net allows. Nothing here uses the
layers' ``reads`` or the recurrence; those make the claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import gcd, prod

import torch
from torch import Tensor, nn

from cnncalc.analysis.exact_field import Along, Anywhere, Pixels, Sight, exact_fields
from cnncalc.analysis.measuring import (
    AT_MOST,
    Resize,
    Source,
    clear_of_borders,
    enlarged,
    flattened,
    narrowed,
    pixel_row,
    source_name,
    sources,
    tracks,
)
from cnncalc.analysis.receptive_field import Local, Spread, Track, Whole
from cnncalc.analysis.verdict import Row, compare
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import EVERYTHING
from cnncalc.torch.module import (
    LayerBuilder,
    Net,
    Step,
    as_claimed,
    module_of,
    or_refused,
    relative_difference,
    run_module,
)
from cnncalc.torch.monotone import stand_in

Wanted = Callable[[str], bool]
Progress = Callable[[str], None]

CHECKS = ("pixels", "field", "jump")
IMPULSE_ELEMENTS = 1 << 22
"""Elements of one batch of impulses: bounds the memory of the largest feature map."""


def measure_fields(
    graph: Graph,
    *,
    checks: frozenset[str],
    wanted: Wanted,
    progress: Progress,
    device: str = "cpu",
    resize: Resize | None = None,
) -> Iterator[Row]:
    """Rows on what units see, for every layer in ``wanted`` and every spatial axis of every input.

    ``pixels``: at real size, for every unit of the feature map, exactly the pixels that reach it
    (borders and holes included), by impulses. ``field``: on an input large enough that nothing
    touches a border, size, jump and start from the support of the gradient at the input. ``jump``:
    the real layers with random weights, fed an input shifted by the jump, give a map shifted by a unit.

    ``resize`` gives the net for other input shapes where the graph alone does not tell (a spec may
    compute with its input's size).
    """
    at = resize or graph.rebuilt
    narrow = narrowed(graph)
    for source in sources(graph):
        name = source_name(graph, source)
        small = flattened(narrow, source, at) if checks & {"pixels", "field"} else narrow
        if "pixels" in checks:
            progress(f"pixels along {name}")
            yield from _pixel_rows(small, source, name, wanted, device)
        if "field" in checks and [node.layer for node in small.nodes] == [node.layer for node in narrow.nodes]:
            yield from _size_rows(graph, small, source, name, wanted)
        if checks & {"field", "jump"}:
            large = enlarged(narrow, source, at)
            if large is not None:
                yield from _interior_rows(large, source, name, checks, wanted, progress, device)
            elif any(isinstance(track, Local) for track in tracks(narrow, source)):
                yield Row(
                    "", f"field, {name}", "", "", note="the net takes no larger input: measured at real size alone"
                )
            if large is None and "field" in checks:
                seen = tracks(small, source)
                kept = _kept(small, seen, (Whole, Spread), wanted)
                if kept:
                    yield from _gradient_rows(small, source, name, kept, seen, device)


def _size_rows(graph: Graph, small: Graph, source: Source, name: str, wanted: Wanted) -> Iterator[Row]:
    """Where the whole net's field has another size than that of the net to be measured.

    Fewer channels and smaller other axes must change nothing along this one.
    """
    for node, claim, other in zip(graph.nodes, tracks(graph, source), tracks(small, source), strict=True):
        sizes = (_size_of(claim), _size_of(other))
        if None not in sizes and sizes[0] != sizes[1] and wanted(node.path):
            yield compare(node.path, f"field, {name}", f"size {sizes[0]}", f"size {sizes[1]} with fewer channels")


def _size_of(track: Track) -> int | None:
    return rf.size(track.field) if isinstance(track, Local) else track.size if isinstance(track, Spread) else None


# -- every unit, at real size ----------------------------------------------------------------------


def _stand_in_of(node: Node) -> nn.Module:
    assert node.layer is not None
    return stand_in(node.layer, *node.input_shapes)


def _pixel_rows(graph: Graph, source: Source, name: str, wanted: Wanted, device: str) -> Iterator[Row]:
    claims = exact_fields(graph, source.node, source.axis)
    measured = impulse_response(graph, source, [_axis_of(claim) for claim in claims], device)
    for node, claim, found in zip(graph.nodes, claims, measured, strict=True):
        if node.layer is None or not wanted(node.path):
            continue
        if found is None:
            yield Row(node.path, f"pixels, {name}", "some", "none", "PyTorch refuses the layer")
        else:
            yield pixel_row(node.path, name, claim, [_bits(found[:, unit]) for unit in range(found.shape[1])])


def _axis_of(sight: Sight) -> int | None:
    return sight.axis if isinstance(sight, Along) else None


def impulse_response(graph: Graph, source: Source, axes: list[int | None], device: str = "cpu") -> list[Tensor | None]:
    """For every node a boolean tensor ``[pixels, units]``: whether the impulse at a pixel reaches a unit; ``None``
    for the inputs, and where PyTorch refuses the node.

    ``axes`` says along which tensor axis of each node the units lie; where it is ``None`` the whole
    tensor is one unit for each of its elements. An impulse fills one plane across the axis. After each
    layer what it reached is set to 1, so that neither depth nor width makes anything vanish.
    """
    net = _in_float64(graph, _stand_in_of, device)
    shapes = [node.output_shape for node in graph.nodes if node.layer is None]
    size = shapes[source.position][source.axis + 1]
    largest = max(prod(node.output_shape) for node in graph.nodes)
    step = max(1, min(size, IMPULSE_ELEMENTS // largest))
    parts: list[list[Tensor]] = [[] for _ in graph.nodes]
    with torch.no_grad():
        for begin in range(0, size, step):
            count = min(step, size - begin)
            inputs = [torch.zeros((count, *shape), dtype=torch.float64, device=device) for shape in shapes]
            for row in range(count):
                inputs[source.position][row].select(source.axis + 1, begin + row).fill_(1)
            values = net.start(*inputs)
            for now in net.steps:
                outs, made = _run_step(now, graph, values)
                values[now.number] = tuple((out != 0).to(torch.float64) for out in made)
                if outs:
                    parts[now.number].append(_project(outs, axes[now.number]))
                for number in now.done:
                    values.pop(number, None)
    return [torch.cat(rows) if rows else None for rows in parts]


def _in_float64(graph: Graph, build: LayerBuilder, device: str) -> Net:
    net = Net(graph, or_refused(build)).to(device=device, dtype=torch.float64)
    return net.eval()


Outputs = tuple[Tensor, ...]


def _run_step(step: Step, graph: Graph, values: dict[int, Outputs]) -> tuple[Outputs, Outputs]:
    """What came out of one node (nothing, if PyTorch refuses it), and the same in the claimed shapes."""
    inputs = [values[ref.node][ref.port] for ref in step.inputs]
    outputs = run_module(step.module, inputs)
    if not inputs:  # the same for every sample: the other tensors tell how many there are
        batch = next((tensors[0].shape[0] for tensors in values.values()), 1)
        outputs = outputs if isinstance(outputs, str) else tuple(out.expand(batch, *out.shape[1:]) for out in outputs)
        return () if isinstance(outputs, str) else outputs, () if isinstance(outputs, str) else outputs
    made = as_claimed(outputs, graph.nodes[step.number], inputs[0])
    return () if isinstance(outputs, str) else outputs, made


def _project(outputs: tuple[Tensor, ...], axis: int | None) -> Tensor:
    """``[pixels, units]`` from outputs ``[pixels, *shape]``: reached anywhere across the units' axis."""
    if axis is None or any(axis + 1 >= out.dim() for out in outputs):
        return _elements(outputs) != 0
    across = [d for d in range(1, outputs[0].dim()) if d != axis + 1]
    reached = [(out != 0).any(dim=across) if across else out != 0 for out in outputs]
    return torch.stack(reached).any(dim=0)


def _elements(outputs: tuple[Tensor, ...]) -> Tensor:
    """``[batch, elements]``: all elements of all outputs."""
    return torch.cat([out.reshape(len(out), -1) for out in outputs], dim=1)


def _bits(column: Tensor) -> Pixels:
    """The set of pixels where a boolean column is true."""
    text = "".join("1" if reached else "0" for reached in reversed(column.tolist()))
    return int(text, 2) if text else 0


# -- the interior, on a large input ----------------------------------------------------------------


def _interior_rows(
    large: Graph,
    source: Source,
    name: str,
    checks: frozenset[str],
    wanted: Wanted,
    progress: Progress,
    device: str,
) -> Iterator[Row]:
    seen = tracks(large, source)
    if "field" in checks:
        progress(f"field along {name}")
        kept = _kept(large, seen, (Local, Whole, Spread), wanted)
        yield from _gradient_rows(large, source, name, kept, seen, device)
    if "jump" in checks:
        progress(f"jump along {name}")
        yield from _shift_rows(large, source, name, _kept(large, seen, (Local,), wanted), seen, device)


def _kept(graph: Graph, seen: list[Track], kinds: tuple[type, ...], wanted: Wanted) -> list[int]:
    """The wanted layers with a claim of one of these kinds."""
    numbers = [number for number, node in enumerate(graph.nodes) if node.layer is not None and wanted(node.path)]
    return [number for number in numbers if isinstance(seen[number], kinds)]


def _middle(field: rf.Field, clear: list[bool], pixels: int) -> list[int]:
    """Units from the centre of a map on whose claimed field meets no border: one per phase, and one more."""
    units = len(clear)
    inside = [
        unit
        for unit, is_clear in enumerate(clear)
        if is_clear and ((b := rf.bounds_of(field, unit)) is None or (b[0] >= 0 and b[1] < pixels))
    ]
    middle = [unit for unit in inside if units // 2 <= unit <= units // 2 + len(field.bounds)]
    return (middle or inside)[: min(MOST_UNITS, len(field.bounds) + 1)]


MOST_UNITS = 9
CANCELLED = 1e-5
"""Of a map so small, where the net's input is about 1, only the rounding of terms that cancel may be left."""
MOST_SAMPLES = 64
GRADIENT_ELEMENTS = 1 << 24
"""Elements of all feature maps of the samples together: bounds the memory of what is kept for gradients."""


def _gradient_rows(
    graph: Graph, source: Source, name: str, kept: list[int], seen: list[Track], device: str
) -> Iterator[Row]:
    """Size, jump and start from the support of the gradient at the input, for units in the middle.

    Of a *global* field some element must see all that any sees, or all elements have pixels in common, on
    an input that is large beside every local field. Of a field at a place that no index tells the size is that of
    the largest among elements all over the map.
    """
    net = _in_float64(graph, _stand_in_of, device)
    shapes = [node.output_shape for node in graph.nodes if node.layer is None]
    pixels = shapes[source.position][source.axis + 1]
    phases = max((len(track.field.bounds) + 1 for track in seen if isinstance(track, Local)), default=2)
    few = min(MOST_UNITS, max(phases, 3))
    samples = max(few, min(MOST_SAMPLES, GRADIENT_ELEMENTS // sum(prod(node.output_shape) for node in graph.nodes)))
    clear = clear_of_borders(graph, source)
    sights = exact_fields(graph, source.node, source.axis)
    less = _seeing_less(graph, seen, sights)
    sure = _reaching_full_size(graph, seen, clear)
    parts = _global_in_part(graph, seen)
    inputs = [torch.ones((samples, *shape), dtype=torch.float64, device=device) for shape in shapes]
    inputs[source.position].requires_grad_(True)
    values = net.start(*inputs)
    for step in net.steps:
        _, values[step.number] = _run_step(step, graph, values)
    support = partial(_supports, x=inputs[source.position], axis=source.axis)
    units = {
        number: _middle(track.field, clear[number] or [], pixels)
        for number in kept
        if isinstance(track := seen[number], Local)
    }
    found = _supports_of_units(units, seen, values, samples, support)
    for number in kept:
        track, node = seen[number], graph.nodes[number]
        sampled = partial(_sampled, support=support, at_once=few)
        if isinstance(track, Local):
            if units[number]:
                yield _field_row(node, name, track.field, units[number], found[number], number in less)
            else:
                yield Row(node.path, f"field, {name}", "local", "", note="no unit of the map sees no border")
        elif isinstance(track, Whole):
            in_part = number in parts or isinstance(sights[number], Anywhere) or number in less
            yield _global_row(node, name, sampled(_elements(values[number]), enough=_see_alike), in_part)
        elif isinstance(track, Spread):
            in_part = number not in sure or number in less
            yield _spread_row(node, name, track.size, pixels, sampled(_elements(values[number])), in_part)


def _supports_of_units(
    units: dict[int, list[int]], seen: list[Track], values: dict[int, Outputs], samples: int, support: Support
) -> dict[int, list[Ends]]:
    """What units of many nodes see, as many at once as there are samples: every unit has one of its own."""
    found: dict[int, list[Ends]] = {number: [] for number in units}
    todo = [(number, unit) for number, some in units.items() for unit in some]
    for begin in range(0, len(todo), samples):
        part = todo[begin : begin + samples]
        sums = []
        for sample, (number, unit) in enumerate(part):
            track = seen[number]
            assert isinstance(track, Local)
            sums.append(_unit(values[number], sample, track.axis, unit))
        for (number, _), row in zip(part, support(sums), strict=True):
            found[number].append(_ends(row))
    return found


def _reaching_full_size(graph: Graph, seen: list[Track], clear: list[list[bool] | None]) -> set[int]:
    """The nodes where some elements see all that is claimed of a unit: some units of every phase meet no border,
    and no unit's field is that of several elements together (as where branches are joined).
    """
    sure: set[int] = set()
    together: set[int] = set()
    for number, node in enumerate(graph.nodes):
        track = seen[number]
        if node.layer is not None:
            reads = node.layer.reads(*node.input_shapes)
            across = any(read.across for of_input in reads for read in of_input)
            mixes = all(of_input[:1] == (EVERYTHING,) for of_input in reads)
            differ = len({seen[ref.node] for ref in node.inputs}) > 1
            if differ or across or (_any_in(node, together) and not mixes):
                together.add(number)
        if number in together:
            continue
        if isinstance(track, Local):
            if sum(clear[number] or ()) > len(track.field.bounds):
                sure.add(number)
        elif all(ref.node in sure for ref in node.inputs):
            sure.add(number)
    return sure


def _global_in_part(graph: Graph, seen: list[Track]) -> set[int]:
    """The nodes of several inputs, and what is made of them: some of their units may be global, and others not."""
    parts: set[int] = set()
    for number, node in enumerate(graph.nodes):
        before = [seen[ref.node] for ref in node.inputs]
        met = len(before) > 1 and not all(isinstance(track, Whole) for track in before)
        if met or any(ref.node in parts for ref in node.inputs):
            parts.add(number)
    return parts


def _any_in(node: Node, numbers: set[int]) -> bool:
    return any(ref.node in numbers for ref in node.inputs)


def _unit(outputs: Outputs, sample: int, axis: int, unit: int) -> Tensor:
    """The sum of all that is one unit: everything across its axis, in all outputs."""
    return torch.stack([out[sample].select(axis, unit).sum() for out in outputs]).sum()


Ends = tuple[int, int] | None
"""The first and the last pixel that a unit sees; ``None`` where it sees none."""
Support = Callable[[list[Tensor]], Tensor]


def _supports(units: list[Tensor], x: Tensor, axis: int) -> Tensor:
    """Whether each unit has a gradient at each pixel, ``[units, pixels]``; unit ``i`` is one of sample ``i``."""
    nothing = torch.zeros((len(units), x.shape[axis + 2]), dtype=torch.bool, device=x.device)
    loss = torch.stack(units).sum()
    if not loss.requires_grad:
        return nothing
    (gradient,) = torch.autograd.grad(loss, x, retain_graph=True, allow_unused=True)
    if gradient is None:
        return nothing
    across = [d for d in range(1, gradient.dim()) if d != axis + 2]
    return (gradient.abs().sum(dim=across) > 0)[: len(units)]


def _ends(reached: Tensor) -> Ends:
    """The first and the last pixel of a support."""
    found = reached.nonzero().flatten()
    return (int(found[0]), int(found[-1])) if len(found) else None


MOST_ELEMENTS = 36


def _sampled(
    elements: Tensor, support: Support, at_once: int, enough: Callable[[list[Tensor]], bool] = lambda found: False
) -> list[Tensor]:
    """The supports of the first and the last element and of some between, until they are ``enough``."""
    count = elements.shape[1]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(4))[:MOST_ELEMENTS].tolist()
    chosen = list(dict.fromkeys((0, count - 1, *order)))[:MOST_ELEMENTS]
    found: list[Tensor] = []
    for begin in range(0, len(chosen), at_once):
        # one sample each: the gradient at a sample is that of its own element
        some = chosen[begin : begin + at_once]
        found += support([elements[sample, one] for sample, one in enumerate(some)])
        if enough(found):
            break
    return found


def _see_alike(supports: list[Tensor]) -> bool:
    """Whether each of several elements sees the same pixels."""
    return len(supports) > 1 and bool(supports[0].any()) and all(torch.equal(supports[0], one) for one in supports[1:])


def _seeing_less(graph: Graph, seen: list[Track], sights: list[Sight]) -> set[int]:
    """The nodes whose claims are an upper bound: parts of maps whose parts see differently, and what is made of
    maps that lie all in padding (which the recurrence, ignoring borders, does not know).
    """
    less: set[int] = set()
    hidden: set[int] = set()
    for number, (node, track, sight) in enumerate(zip(graph.nodes, seen, sights, strict=True)):
        if (track is not None and sight == 0) or any(ref.node in hidden for ref in node.inputs):
            hidden.add(number)
        elif not isinstance(sight, int) and not sight.exact:
            less.add(number)
    return less | hidden


def _global_row(node: Node, name: str, supports: list[Tensor], in_part: bool) -> Row:
    everything = torch.stack(supports).any(dim=0)
    if any(bool((row == everything).all()) for row in supports):
        return Row(node.path, f"field, {name}", "global", f"some see all of {_range(_ends(everything))}")
    common = _ends(torch.stack([row for row in supports if bool(row.any())]).all(dim=0))
    if common is not None:
        return Row(node.path, f"field, {name}", "global", f"all see {_range(common)}")
    if in_part:
        return Row(node.path, f"field, {name}", "global", "parts of it", note=AT_MOST)
    parts = f"{_range(_ends(supports[0]))} and {_range(_ends(supports[-1]))}"
    reason = f"claimed global, but elements see parts, as {parts}"
    return Row(node.path, f"field, {name}", "global", parts, reason)


def _spread_row(node: Node, name: str, size: int, pixels: int, supports: list[Tensor], in_part: bool) -> Row:
    """The largest field among some elements; one at the border may be cut off, and then proves nothing."""
    ends = [found for row in supports if (found := _ends(row)) is not None]
    sizes = [last - first + 1 for first, last in ends if first > 0 and last < pixels - 1]
    largest = max(sizes, default=0)
    wrong = largest > size or (0 < largest < size and not in_part)
    reason = f"claimed size {size}, measured {largest}" if wrong else ""
    return Row(node.path, f"field, {name}", f"size {size}", f"size {largest} at {len(supports)} elements", reason)


def _field_row(node: Node, name: str, field: rf.Field, units: list[int], found: list[Ends], at_most: bool) -> Row:
    """Unit for unit, and the numbers that are shown of the field, from what the units were measured to see."""
    start = rf.bounds_of(field, 0)
    shown = _numbers(rf.size(field), rf.jump(field), None if start is None else start[0])
    check = f"field, {name}"
    for unit, sees in zip(units, found, strict=True):
        says = rf.bounds_of(field, unit)
        if says != sees and not (at_most and _within(sees, says)):
            reason = f"unit {unit}: claimed {_range(says)}, measured {_range(sees)}"
            return Row(node.path, check, shown, _range(sees), reason)
    period = len(field.bounds)
    largest = max((last - first + 1 for first, last in filter(None, found)), default=0)
    if at_most:
        return Row(node.path, check, shown, f"size {largest} at {len(units)} units", note=AT_MOST)
    one = next((k for k, unit in enumerate(units) if unit % period == 0), None)
    steps = [after[0] - before[0] for before, after in zip(found, found[period:], strict=False) if before and after]
    if one is None or not steps:  # not all phases lie inside
        return Row(node.path, check, shown, f"size {largest} at {len(units)} units")
    first = found[one]
    common = gcd(steps[0], period)
    jump = (steps[0] // common, period // common)
    return compare(
        node.path,
        check,
        shown,
        _numbers(largest, jump, None if first is None else first[0] - steps[0] * (units[one] // period)),
    )


def _within(inner: Ends, outer: Ends) -> bool:
    return inner is None or (outer is not None and outer[0] <= inner[0] and inner[1] <= outer[1])


def _numbers(size: int, jump: tuple[int, int], start: int | None) -> str:
    top, bottom = jump
    step = str(top) if bottom == 1 else f"{top}/{bottom}"
    return f"size {size}, jump {step}, start {'none' if start is None else start}"


def _range(bounds: Ends) -> str:
    return "nothing" if bounds is None else f"{bounds[0]} to {bounds[1]}"


def _shift_rows(
    graph: Graph, source: Source, name: str, kept: list[int], seen: list[Track], device: str
) -> Iterator[Row]:
    """Translation equivariance of the real layers: the input moved by the jump moves the map by one unit.

    It is no claim where another input, which stays in its place, has a part in the map, or weights that
    differ from unit to unit.
    """
    tied = _tied(graph, source, seen)
    clear = clear_of_borders(graph, source)
    net = _in_float64(graph, module_of, device)
    _randomise(net)
    generator = torch.Generator().manual_seed(3)
    shapes = [node.output_shape for node in graph.nodes if node.layer is None]
    moves: dict[tuple[int, int], list[int]] = {}
    for number in kept:
        track = seen[number]
        assert isinstance(track, Local)
        if track.field.shift and number not in tied:
            moves.setdefault((track.field.shift, len(track.field.bounds)), []).append(number)
    longest = max((move[0] for move in moves), default=0)
    wide = [list(shape) for shape in shapes]
    wide[source.position][source.axis + 1] += longest
    drawn = [torch.randn((1, *shape), generator=generator, dtype=torch.float64) for shape in wide]
    still = _run(net, _window(drawn, source, 0, longest, device))
    for (pixels, units), numbers in moves.items():
        moved = _run(net, _window(drawn, source, pixels, longest, device), set(numbers))
        for number in numbers:
            inside = clear[number] or []
            maps = (still[number], moved[number])
            yield _shift_row(graph, source, name, number, seen[number], inside, *maps, (pixels, units))


def _tied(graph: Graph, source: Source, seen: list[Track]) -> set[int]:
    """The nodes whose units are no copies of each other along the axis."""
    tied = {number for number, node in enumerate(graph.nodes) if node.layer is None and number != source.node}
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            continue
        before = [seen[ref.node] for ref in node.inputs]
        along_channels = any(isinstance(t, Spread) or (isinstance(t, Local) and t.axis == 0) for t in before)
        has_weights = bool(node.layer.weights(*node.input_shapes))
        if any(ref.node in tied for ref in node.inputs) or (along_channels and has_weights):
            tied.add(number)
    return tied


def _randomise(net: nn.Module) -> None:
    """Random weights, positive scales and variances: a net whose every unit is alive."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.25)
    for module in net.modules():
        if (
            getattr(module, "weight", None) is not None
            and isinstance(module.weight, Tensor)
            and module.weight.dim() > 1
        ):
            with torch.no_grad():
                module.weight.mul_(1.3 / prod(module.weight.shape[1:])).sub_(0.1 / prod(module.weight.shape[1:]))


def _window(drawn: list[Tensor], source: Source, begin: int, spare: int, device: str) -> list[Tensor]:
    """The inputs, the source's one cut out of the longer one that was drawn, from ``begin`` on."""
    cut = []
    for position, tensor in enumerate(drawn):
        if position == source.position:
            size = tensor.shape[source.axis + 2] - spare
            tensor = tensor.narrow(source.axis + 2, begin, size)
        cut.append(tensor.to(device))
    return cut


def _run(net: Net, inputs: list[Tensor], wanted: set[int] | None = None) -> dict[int, Tensor]:
    kept: dict[int, Tensor] = {}
    with torch.no_grad():
        values = net.start(*inputs)
        for step in net.steps:
            _, values[step.number] = _run_step(step, net.graph, values)
            if wanted is None or step.number in wanted:
                kept[step.number] = values[step.number][0]
            for number in step.done:
                values.pop(number, None)
    return kept


def _shift_row(
    graph: Graph,
    source: Source,
    name: str,
    number: int,
    track: Track,
    clear: list[bool],
    still: Tensor,
    moved: Tensor,
    move: tuple[int, int],
) -> Row:
    """Compares the units whose field lies inside both inputs: moved[i] must be still[i + units]."""
    assert isinstance(track, Local)
    node = graph.nodes[number]
    pixels, units = move
    size = graph.nodes[source.node].output_shape[source.axis + 1]
    count = len(clear)
    inside = [
        unit
        for unit in range(count - units)
        if clear[unit] and clear[unit + units]
        for here, there in ((rf.bounds_of(track.field, unit), rf.bounds_of(track.field, unit + units)),)
        if here is not None and there is not None and here[0] >= 0 and there[1] < size
    ]
    shown = f"{units} unit{'s' if units > 1 else ''} per {pixels} pixel{'s' if pixels > 1 else ''}"
    check = f"jump, {name}"
    if not inside:
        return Row(node.path, check, shown, "no unit lies inside", note="no unit of the map sees no border")
    index = torch.tensor(inside, device=still.device)
    first = moved.index_select(track.axis + 1, index)
    second = still.index_select(track.axis + 1, index + units)
    difference = relative_difference(first, second, CANCELLED)
    if difference < 1e-9:
        return Row(node.path, check, shown, f"{len(inside)} units moved so")
    return Row(
        node.path,
        check,
        shown,
        f"differs by {difference:.1e}",
        f"the map does not move {shown} (it differs by {difference:.1e})",
    )
