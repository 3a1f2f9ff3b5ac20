"""Measured times beside their lower bounds: the answer of ``cnncalc bench``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from cnncalc.analysis.answer import Answer, Shape
from cnncalc.analysis.fold import BLOCK
from cnncalc.analysis.roofline import Algorithms, Machine
from cnncalc.analysis.timing import Bounds, Measured, Measurement, Timing, bounds
from cnncalc.graph import Graph


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


class BenchReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``bench``. ``layers_forward_ps`` is the sum of the layers' medians: what the net as a whole
    takes less is what it saves by running on, what it takes more is between the layers. ``above_measured`` names what
    was measured faster than its bound; the machine file is then not this machine's.
    """

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


def answer(
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
    """The answer from a measurement.

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


def block(path: str, members: Sequence[LayerBench]) -> LayerBench:
    """The layers below ``path`` as one row."""
    return LayerBench(
        path=path,
        type=BLOCK,
        output_shape=members[-1].output_shape,
        forward=_sum([member.forward for member in members]),
        backward=_sum_backward([member.backward for member in members]),
    )


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
