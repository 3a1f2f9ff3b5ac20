"""The order of the layers that needs the least memory: what has to wait depends on which branch runs first.

If a layer depends on all before it, and all after it depend on it, every order passes through it: the net
splits into regions that are ordered separately. In a region the states are the sets of layers that
have run, and the best path through them is the one whose highest point is lowest (Dijkstra's algorithm
with the maximum instead of the sum). A layer that leaves no more memory in use than before, and
goes no higher than is unavoidable, is run at once: waiting would not free more.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from msgspec import Struct

from cnncalc.analysis.memory.inference import Peak, peak, steps
from cnncalc.analysis.memory.passes import Pass
from cnncalc.graph import Graph

MOST_STATES = 10_000
"""The most states to search in a region; beyond it the order found may not be the best."""


class Order(Struct, frozen=True):
    """An order of the nodes that run, its peak, and whether that is proved minimal."""

    nodes: tuple[int, ...]
    peak: Peak
    proven: bool


def best_order(graph: Graph, run: Pass, most_states: int = MOST_STATES) -> Order:
    """The order with the lowest peak; the written one if it is as good."""
    net = _Net(graph, run)
    written = peak(graph, run)
    order = list(net.order)
    proven = True
    tops = [max(written.highest[order[p]] for p in region) for region in net.regions]
    floor = max([net.start_bytes, *(top for top, region in zip(tops, net.regions, strict=True) if len(region) == 1)])
    for top, region in sorted(zip(tops, net.regions, strict=True), key=lambda pair: -pair[0]):
        if top <= floor:
            break
        if net.least(region) >= top:
            floor = top
            continue
        found, lowest, sure = _search(net, region, floor, top, most_states)
        proven = proven and sure
        floor = max(floor, lowest)
        order[region.start : region.stop] = [net.order[p] for p in found]
    best = tuple(order)
    return Order(best, peak(graph, run, best), proven)


class _Net:
    """The net by positions in the written order: who reads whom, and what each adds."""

    def __init__(self, graph: Graph, run: Pass) -> None:
        self.order = steps(graph)
        place = {number: p for p, number in enumerate(self.order)}
        nodes = [graph.nodes[number] for number in self.order]
        self.sizes = run.sizes
        self.outputs = [run.nodes[number].outputs for number in self.order]
        """Storages held by each layer's value; each input of the net has its own negative position."""
        self.reads: list[tuple[int, ...]] = []
        self.sources: dict[int, tuple[int, ...]] = {}
        inputs = [number for number, node in enumerate(graph.nodes) if node.layer is None]
        place |= {number: -1 - i for i, number in enumerate(inputs)}
        self.sources = {place[number]: run.nodes[number].outputs for number in inputs}
        self.start_bytes = sum(run.sizes[s] for outputs in self.sources.values() for s in outputs)
        self.reads = [tuple(dict.fromkeys(place[ref.node] for ref in node.inputs)) for node in nodes]
        self.readers: dict[int, list[int]] = {p: [] for p in (*self.sources, *range(len(nodes)))}
        for p, sources in enumerate(self.reads):
            for source in sources:
                self.readers[source].append(p)
        self.kept = {place[ref.node] for _, ref in graph.outputs} | {p for p in self.sources if not self.readers[p]}
        self.holders: dict[int, list[int]] = {}
        for p in (*self.sources, *range(len(nodes))):
            for storage in self.held(p):
                self.holders.setdefault(storage, []).append(p)
        events = [self._events(run, number) for number in self.order]
        self.rise: list[int] = [rise for rise, _ in events]
        self.stays: list[int] = [stays for _, stays in events]
        self.regions = list(self._regions())
        self.alive = self._alive_at_borders()

    def held(self, p: int) -> tuple[int, ...]:
        """The storages held by the value at a position."""
        return self.sources[p] if p < 0 else self.outputs[p]

    def _events(self, run: Pass, number: int) -> tuple[int, int]:
        """How far a node's peak is above its start, and how much its outputs add."""
        now = top = 0
        for made, storage in run.nodes[number].events:
            now += run.sizes[storage] if made else -run.sizes[storage]
            top = max(top, now)
        return top, now

    def _regions(self) -> Iterator[range]:
        """Parts of the written order between layers that every order has to pass."""
        count = len(self.order)
        open_at = [0] * (count + 1)  # difference counts: how many pairs around a position are unrelated

        def unrelated(first: int, last: int) -> None:
            if first <= last:
                open_at[first] += 1
                open_at[last + 1] -= 1

        for p in range(count):
            latest = max((source for source in self.reads[p] if source >= 0), default=-1)
            unrelated(latest + 1, p - 1)  # p does not depend on the layers between
            earliest = min(self.readers[p], default=count)
            unrelated(p + 1, min(earliest, count) - 1)
        start, depth = 0, 0
        for p in range(count):
            depth += open_at[p]
            if depth == 0:
                yield range(start, p + 1)
                start = p + 1
        if start < count:
            yield range(start, count)

    def done(self, p: int, ran: frozenset[int], start: int) -> bool:
        """Whether a value is no longer used once all before ``start`` and those of ``ran`` have run."""
        # the last reader first: most often it has not run yet
        return p not in self.kept and all(reader < start or reader in ran for reader in reversed(self.readers[p]))

    def freed(self, p: int, ran: frozenset[int], start: int) -> set[int]:
        """Storages freed when ``p`` has run, as the last of all before ``start`` and of ``ran``."""
        finished = {q for q in (*self.reads[p], p) if self.done(q, ran, start)}
        return {
            storage
            for storage in {storage for q in finished for storage in self.held(q)}
            if all(
                self.done(holder, ran, start)
                for holder in reversed(self.holders[storage])
                if holder < start or holder in ran
            )
        }

    def _alive_at_borders(self) -> dict[int, frozenset[int]]:
        """Storages alive before and after each region of several places."""
        borders = {end for region in self.regions if len(region) > 1 for end in (region.start, region.stop)}
        alive = {storage for outputs in self.sources.values() for storage in outputs}
        found = {0: frozenset(alive)}
        for p, outputs in enumerate(self.outputs):
            alive |= set(outputs)
            alive -= self.freed(p, frozenset(), p + 1)
            if p + 1 in borders:
                found[p + 1] = frozenset(alive)
        return found

    def least(self, region: range) -> int:
        """A lower bound for every order of a region: a layer with its inputs and the tensors kept for later layers."""
        across = self.alive[region.start] & self.alive[region.stop]
        return max(
            sum(self.sizes[s] for s in across | {s for q in self.reads[p] for s in self.held(q)}) + self.rise[p]
            for p in region
        )


def _search(net: _Net, region: range, floor: int, written: int, most_states: int) -> tuple[list[int], int, bool]:
    """The best order of a region, its peak, and whether it is proved best; going below ``floor`` does not help.

    Args:
        net: the net.
        region: its places.
        floor: a lower bound of the net's peak.
        written: the peak of the region as written.
        most_states: when to give up.
    """
    begin = sum(net.sizes[storage] for storage in net.alive[region.start])
    nothing: frozenset[int] = frozenset()
    came: dict[frozenset[int], tuple[frozenset[int], int]] = {}
    # highest point so far, layers still to run, a tie-breaker, what has run, live bytes, previous state and step
    heap = [(max(floor, begin), len(region), 0, nothing, begin, nothing, -1)]
    pushed = 0
    while heap:
        top, left, _, ran, live, before, by = heappop(heap)
        if ran in came:
            continue
        came[ran] = (before, by)
        if not left:
            return _path(came, ran), top, True
        if len(came) > most_states:
            break
        moves = []
        for p, high, rest in _moves(net, region, ran, live):
            if high < written:
                moves.append((high, rest, p))
                if high <= top and rest <= live:
                    moves = moves[-1:]
                    break
        for high, rest, p in moves:
            pushed += 1
            heappush(heap, (max(top, high), left - 1, pushed, ran | {p}, rest, ran, p))
    if not heap:
        return list(region), written, True
    ran, live, path, top = nothing, begin, [], max(floor, begin)
    for _ in region:
        high, rest, p = min((max(top, high), rest, p) for p, high, rest in _moves(net, region, ran, live))
        ran, live, top = ran | {p}, rest, high
        path.append(p)
    return (path, top, False) if top < written else (list(region), written, False)


def _moves(net: _Net, region: range, ran: frozenset[int], live: int) -> Iterator[tuple[int, int, int]]:
    """The layers that can run next: place, highest point, and live bytes afterwards."""
    for p in region:
        if p not in ran and all(source < region.start or source in ran for source in net.reads[p]):
            gone = sum(net.sizes[storage] for storage in net.freed(p, ran | {p}, region.start))
            yield p, live + net.rise[p], live + net.stays[p] - gone


def _path(came: dict[frozenset[int], tuple[frozenset[int], int]], ran: frozenset[int]) -> list[int]:
    path = []
    while ran:
        ran, p = came[ran]
        path.append(p)
    return path[::-1]
