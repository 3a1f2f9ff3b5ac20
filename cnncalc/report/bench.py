"""Measured times beside their lower bounds: the report of ``cnncalc bench``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from cnncalc import __version__, units
from cnncalc.analysis.answer import Generator, Shape
from cnncalc.analysis.fold import BLOCK
from cnncalc.analysis.roofline import Algorithms, Machine
from cnncalc.analysis.timing import Bounds, Measured, Measurement, Timing, bounds
from cnncalc.document.column import Column, percent
from cnncalc.graph import Graph
from cnncalc.report.words import shape_text


class TimeReport(Struct, frozen=True, gc=False):
    """Times of a layer or the net in whole picoseconds: of the tries the least, the quartiles, the median; the least
    that the machine can take (``bound_ps``, with ``--machine``), and the median over it (``times_bound``, null
    where the bound is 0).
    """

    best_ps: int
    low_ps: int
    median_ps: int
    high_ps: int
    bound_ps: int | UnsetType = UNSET
    times_bound: float | UnsetType | None = UNSET


class LayerBench(Struct, frozen=True, gc=False):
    """One layer, run by itself; or the layers of a block, with the sums of their times. ``backward`` is null where
    there is nothing to do.
    """

    path: str
    type: str
    output_shape: Shape
    forward: TimeReport
    backward: TimeReport | UnsetType | None = UNSET


class BenchReport(Struct, frozen=True):
    """The whole answer to ``bench``. ``layers_forward_ps`` is the sum of the layers' medians: what the net as a whole
    takes less is what it saves by running on, what it takes more is between the layers. ``above_measured`` names what
    was measured faster than its bound; the machine file is then not this machine's.
    """

    schema_version: int
    generator: Generator
    name: str
    source: str
    device: str
    dtype: str
    batch: int
    tries: int
    remarks: tuple[str, ...]
    forward: TimeReport
    layers_forward_ps: int
    above_measured: tuple[str, ...]
    layers: tuple[LayerBench, ...]
    backward: TimeReport | UnsetType | None = UNSET
    layers_backward_ps: int | UnsetType = UNSET
    machine: str | UnsetType = UNSET
    algorithms: Literal["direct", "fast"] | UnsetType = UNSET


def report(
    graph: Graph,
    measured: Measurement,
    *,
    device: str,
    dtype: str,
    batch: int,
    machine: Machine | None = None,
    peak: str | None = None,
    algorithms: Algorithms = "direct",
    backward: bool = False,
    remarks: Sequence[str] = (),
) -> BenchReport:
    """The report of a measurement.

    Args:
        graph: the net.
        measured: its times.
        device: where it ran.
        dtype: of its tensors.
        batch: samples in a batch.
        machine: what to hold the times against.
        peak: the dtype whose peak the machine worked at, where that is another one.
        algorithms: see :func:`cnncalc.analysis.roofline.layer_time`.
        backward: whether the backward pass was measured.
        remarks: what else is to be known.

    Raises:
        CnncalcError: the machine has no peak for the dtype.
    """
    least, whole = bounds(graph, batch, machine, peak or dtype, algorithms) if machine is not None else ({}, None)
    layers = tuple(
        LayerBench(
            path=node.path,
            type=node.kind,
            output_shape=node.output_shape,
            forward=_time(measured.layers[number].forward, _of(least.get(number), "forward")),
            backward=_backward(measured.layers[number], least.get(number), backward),
        )
        for number, node in enumerate(graph.nodes)
        if node.layer is not None
    )
    forward, back = _time(measured.net.forward, _of(whole, "forward")), _backward(measured.net, whole, backward)
    passes = [(row.path, one) for row in layers for one in (row.forward, row.backward)]
    return BenchReport(
        schema_version=1,
        generator=Generator("cnncalc", __version__),
        name=graph.name,
        source=graph.source,
        device=device,
        dtype=dtype,
        batch=batch,
        tries=measured.net.forward.tries,
        remarks=tuple(remarks),
        forward=forward,
        layers_forward_ps=sum(row.forward.median_ps for row in layers),
        above_measured=tuple(
            dict.fromkeys(path for path, one in [*passes, ("the net", forward), ("the net", back)] if _is_above(one))
        ),
        layers=layers,
        backward=back,
        layers_backward_ps=sum(row.backward.median_ps for row in layers if isinstance(row.backward, TimeReport))
        if backward
        else UNSET,
        machine=UNSET if machine is None else machine.name,
        algorithms=UNSET if machine is None else algorithms,
    )


def _of(least: Bounds | None, which: str) -> int | None:
    return None if least is None else getattr(least, which)


def _time(one: Timing, bound: int | None) -> TimeReport:
    times = TimeReport(one.best_ps, one.low_ps, one.median_ps, one.high_ps)
    return times if bound is None else _bounded(times, bound)


def _bounded(times: TimeReport, bound: int) -> TimeReport:
    return replace(times, bound_ps=bound, times_bound=times.median_ps / bound if bound else None)


def _backward(measured: Measured, least: Bounds | None, wanted: bool) -> Any:
    if not wanted:
        return UNSET
    return None if measured.backward is None else _time(measured.backward, _of(least, "backward"))


def _is_above(one: Any) -> bool:
    """Whether a bound is above the best time."""
    return isinstance(one, TimeReport) and one.bound_ps is not UNSET and one.bound_ps > one.best_ps


def folded(layers: Iterable[LayerBench], depth: int) -> list[LayerBench]:
    """One row for each block at ``depth`` levels, and each layer above that, with the sums of their times."""
    groups: dict[str, list[LayerBench]] = {}
    for layer in layers:
        groups.setdefault(".".join(layer.path.split(".")[:depth]), []).append(layer)
    return [
        members[0]
        if len(members) == 1 and members[0].path == path
        else LayerBench(
            path=path,
            type=BLOCK,
            output_shape=members[-1].output_shape,
            forward=_sum([member.forward for member in members]),
            backward=_sum_backward([member.backward for member in members]),
        )
        for path, members in groups.items()
    ]


def _sum(parts: Sequence[TimeReport]) -> TimeReport:
    names = ("best_ps", "low_ps", "median_ps", "high_ps")
    times = TimeReport(*[sum(getattr(part, name) for part in parts) for name in names])
    found = [part.bound_ps for part in parts if part.bound_ps is not UNSET]
    return _bounded(times, sum(found)) if len(found) == len(parts) else times


def _sum_backward(parts: Sequence[Any]) -> Any:
    if UNSET in parts:
        return UNSET
    known = [part for part in parts if part is not None]
    return _sum(known) if known else None


# -- the table -------------------------------------------------------------------------------------


def columns(report: BenchReport) -> list[Column]:
    """What there is to show: times, their spread and share, and the bounds where there is a machine."""
    passes = [("forward", "")] + ([("backward", "back ")] if report.backward is not UNSET else [])
    chosen = [
        Column("layer", "layer", lambda row, _: row.path, path=True, elastic=True),
        Column("type", "type", lambda row, _: row.type, priority=9),
        Column("output", "output", lambda row, _: row.output_shape, show=shape_text, priority=6),
    ]
    for number, (which, mark) in enumerate(passes):
        at = 3 * number
        total: int = getattr(report, f"layers_{which}_ps")
        chosen += [
            _column(which, "median_ps", f"{mark}time", 1 + at, _constant(total)),
            _column(which, "spread", f"{mark}±", 5 + at),
            _column(which, "share", f"{mark}%", 4 + at),
        ]
        if report.machine is not UNSET:
            times = [getattr(row, which) for row in report.layers]
            bound = sum(one.bound_ps for one in times if isinstance(one, TimeReport) and one.bound_ps is not UNSET)
            chosen += [
                _column(which, "bound_ps", f"{mark}bound", 2 + at, _constant(bound)),
                _column(which, "times_bound", f"{mark}× bound", 3 + at),
            ]
    return chosen


def _constant(picoseconds: int) -> Callable[[Any], str]:
    return lambda _: units.show_time(picoseconds)


def _column(which: str, field: str, header: str, priority: int, total: Callable[[Any], str] | None = None) -> Column:
    def value(row: LayerBench, whole: BenchReport | None) -> Any:
        times = getattr(row, which)
        if not isinstance(times, TimeReport):
            return None
        if field == "spread":
            return 50 * (times.high_ps - times.low_ps) / times.median_ps if times.median_ps else None
        if field == "share":
            sum_of_layers = getattr(whole, f"layers_{which}_ps", 0)
            return 100 * times.median_ps / sum_of_layers if sum_of_layers else None
        return getattr(times, field)

    shows: dict[str, Callable[[Any], str]] = {
        "spread": lambda v: f"{v:.0f}%",
        "share": percent,
        "times_bound": lambda v: f"{v:.3g}" if v < 1000 else f"{v:,.0f}",
    }
    show = shows.get(field, lambda v: units.show_time(v) if v else "0")
    name = {"spread": f"{which}_spread", "share": f"{which}_share"}.get(field, f"{which}_{field}")
    return Column(name, header, value, "", lambda v: "–" if v is None else show(v), True, priority, total)


def summary(report: BenchReport) -> list[str]:
    """What stands below the table: the whole net, how it was measured, and what the bound means."""
    lines = []
    for which in ("forward", "backward"):
        times = getattr(report, which)
        if not isinstance(times, TimeReport):
            continue
        spread = f"{units.show_time(times.low_ps)} to {units.show_time(times.high_ps)}"
        best = units.show_time(times.best_ps)
        line = f"the net, {which}: {units.show_time(times.median_ps)} (half of the tries {spread}, best {best})"
        if times.bound_ps is not UNSET and times.times_bound:
            line += f", {times.times_bound:.3g} times its bound of {units.show_time(times.bound_ps)}"
        lines.append(line)
    per_second = report.batch * 10**12 / report.forward.median_ps if report.forward.median_ps else 0
    lines.append(f"samples per second, forward: {per_second:,.4g}")
    lines += [f"measured: {remark}" for remark in report.remarks]
    if report.machine is not UNSET:
        how = "every product computed" if report.algorithms == "direct" else "Winograd's and FFT convolution allowed"
        lines.append(f"bound: on {report.machine}; whatever the caches hold, {how}")
    if report.above_measured:
        names = ", ".join(report.above_measured[:6])
        lines.append(
            f"warning: measured faster than the bound: {names}; the machine file is not this machine's, or was "
            "measured with fewer threads (cnncalc bench --calibrate FILE.yaml writes one)"
        )
    return lines
