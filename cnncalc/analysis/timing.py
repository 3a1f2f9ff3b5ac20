"""Measured times and a machine's least times."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from cnncalc.analysis.cost import costs
from cnncalc.analysis.roofline import Algorithms, Machine, backward_bound, layer_time, net_time
from cnncalc.analysis.traffic import traffic, whole_net
from cnncalc.analysis.training import backward_macs
from cnncalc.graph import Graph


class Timing(Struct, frozen=True):
    """Times of several tries in whole picoseconds: the least, the quartiles and median, and how many."""

    best_ps: int
    low_ps: int
    median_ps: int
    high_ps: int
    tries: int


def timing(tries: Sequence[int]) -> Timing:
    """The order statistics of at least one time."""
    ordered = sorted(tries)
    last = len(ordered) - 1

    def quantile(fourths: int) -> int:
        """Linear interpolation between two times, rounded down."""
        place, part = divmod(fourths * last, 4)
        return ordered[place] + part * (ordered[min(place + 1, last)] - ordered[place]) // 4

    return Timing(ordered[0], quantile(1), quantile(2), quantile(3), len(ordered))


class Measured(Struct, frozen=True):
    """The time of a layer or the net forwards and, if asked for and there is something to do, backwards."""

    forward: Timing
    backward: Timing | None = None


class Measurement(Struct, frozen=True):
    """Every layer by its node's number, each run by itself, and the net as a whole."""

    layers: dict[int, Measured]
    net: Measured


class Bounds(Struct, frozen=True):
    """The least times of one layer or the net in whole picoseconds."""

    forward: int
    backward: int


def bounds(
    graph: Graph, batch: int, machine: Machine, dtype: str, algorithms: Algorithms
) -> tuple[dict[int, Bounds], Bounds]:
    """The least times of every layer, by its node's number, and of the net.

    Raises:
        CnncalcError: the machine has no peak for the dtype.
    """
    counted, moved, gradients = costs(graph, batch), traffic(graph, batch), backward_macs(graph, batch)
    times = [layer_time(cost.macs, part, machine, dtype, algorithms) for cost, part in zip(counted, moved, strict=True)]
    back = [
        backward_bound(gradient, cost.macs, part, machine, dtype, algorithms)
        for gradient, cost, part in zip(gradients, counted, moved, strict=True)
    ]
    layers = {
        number: Bounds(times[number].bound, back[number])
        for number, node in enumerate(graph.nodes)
        if node.layer is not None
    }
    whole = net_time(times, whole_net(graph, moved, batch), machine, dtype, algorithms)
    return layers, Bounds(whole.bound, sum(back))
