"""Random nets against PyTorch; a net with a mismatch is made as small as possible while it still has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from random import Random
from time import monotonic
from typing import Any

import torch
from msgspec import Struct

from cnncalc.analysis.verdict import Verdict
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.spec.random import Data, random_net, render
from cnncalc.torch.verify import CHECKS, verify

BATCH = 2
SHRINK_SECONDS = 60.0
"""The most seconds for making one failing net smaller."""


class Failure(Struct, frozen=True):
    """A net that shows a mismatch or cannot be verified at all: the smallest spec found that still does.

    ``seed`` draws the net it came from, ``what`` says which check fails where and how.
    """

    seed: int
    what: str
    spec: str


class Hunt(Struct, frozen=True):
    """What a run over random nets found: ``layers`` counts the nets that each kind of layer occurred in."""

    nets: int
    seed: int
    rows: int
    layers: dict[str, int]
    failures: tuple[Failure, ...]

    def lines(self) -> list[str]:
        """For people, and as YAML ready to save: everything but the spec is a comment."""
        end = "no mismatch" if not self.failures else f"{len(self.failures)} with a mismatch"
        nets = f"{self.nets} random net{'s' if self.nets > 1 else ''} from seed {self.seed}"
        text = [f"# {nets}, {len(self.layers)} kinds of layers, {self.rows:,} claims: {end}"]
        for number, failure in enumerate(self.failures, 1):
            text += ["", *(["---"] if number > 1 else []), f"# seed {failure.seed}"]
            text += [f"# {line}" for line in failure.what.splitlines()]
            text += failure.spec.splitlines()
        return text


def hunt(
    count: int,
    seed: int = 0,
    *,
    checks: Iterable[str] = CHECKS,
    device: str = "cpu",
    progress: Callable[[str], None] = lambda what: None,
    draw: Callable[[Random], Data] = random_net,
) -> Hunt:
    """Verifies ``count`` random nets, those of the seeds ``seed``, ``seed + 1``, …

    Raises:
        CnncalcError: no such device.
    """
    wanted = tuple(checks)
    failures: list[Failure] = []
    layers: dict[str, int] = {}
    rows = 0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the nets are too small to share out
    try:
        for number in range(seed, seed + count):
            progress(f"seed {number}")
            net = draw(Random(number))
            for kind in kinds(net):
                layers[kind] = layers.get(kind, 0) + 1
            fault, checked = faults(net, wanted, device)
            rows += checked
            if fault:
                small = shrink(net, fault, wanted, device)
                found, _ = faults(small, wanted, device)
                what = "\n".join(found.values())
                failures.append(Failure(number, what, render({"name": f"random{number}", **small})))
    finally:
        torch.set_num_threads(threads)
    return Hunt(count, seed, rows, dict(sorted(layers.items())), tuple(failures))


Faults = dict[str, str]
"""What fails, each with its message: a check's name, or the type of an exception."""


def faults(net: Data, checks: Iterable[str], device: str = "cpu") -> tuple[Faults, int]:
    """What is wrong with a net's claims, and how many were checked."""
    try:
        graph = load_text(render(net), "random")
        verdict = verify(graph, batch=BATCH, checks=checks, device=device) if _has_layers(graph) else Verdict(())
    except Exception as error:  # any failure of a valid net is what we look for
        return {type(error).__name__: f"{type(error).__name__}: {error}"}, 0
    found: Faults = {}
    for row in verdict.mismatches:
        found.setdefault(row.check.partition(",")[0], f"{row.layer or 'net'}: {row.check}: {row.reason}")
    return found, len(verdict.rows)


def _has_layers(graph: Any) -> bool:
    return any(node.layer is not None for node in graph.nodes)


def kinds(net: Data) -> set[str]:
    """The names of the layers and structures that a net is written with."""
    return {item if isinstance(item, str) else next(iter(item)) for body in _bodies(net) for item in _at(net, body)}


# -- shrinking -------------------------------------------------------------------------------------

Place = tuple[Any, ...]
"""Keys and indices that lead to a part of a net."""


def shrink(net: Data, fault: Faults, checks: Iterable[str], device: str = "cpu") -> Data:
    """The smallest net found that still fails one of the same checks."""
    first = next(iter(fault))
    wanted = (first,) if first in CHECKS else tuple(checks)
    begun = monotonic()
    smaller = True
    while smaller and monotonic() - begun < SHRINK_SECONDS:
        smaller = False
        for candidate in candidates(net):
            if first in _fails(candidate, wanted, device):
                net, smaller = candidate, True
                break
            if monotonic() - begun > SHRINK_SECONDS:
                break
    return net


def _fails(net: Data, checks: tuple[str, ...], device: str) -> Faults:
    """As :func:`faults`; empty if the net is not valid."""
    try:
        load_text(render(net), "random")
    except CnncalcError:
        return {}
    return faults(net, checks, device)[0]


def candidates(net: Data) -> Iterator[Data]:
    """Nets that are one step smaller, the boldest steps first."""
    bodies = list(_bodies(net))
    for place in bodies:
        items = _at(net, place)
        for size in sorted({len(items), len(items) // 2, 2, 1} - {0}, reverse=True):
            for begin in range(0, len(items) - size + 1, size):
                yield _with(net, place, items[:begin] + items[begin + size :])
    for place in bodies:
        items = _at(net, place)
        for index, item in enumerate(items):
            for inner in _inner_bodies(item):
                yield _with(net, place, [*items[:index], *_at(item, inner), *items[index + 1 :]])
    if isinstance(net["input"], dict):
        for name in net["input"]:
            yield {**net, "input": {key: shape for key, shape in net["input"].items() if key != name}}
    are_bodies = set(bodies)
    hold_bodies = {place[:-1] for place in bodies}
    for place, value in list(_parts(net)):
        if place[:1] == ("input",) or place in are_bodies:
            continue
        if isinstance(value, dict) and place and place[:-1] not in are_bodies:
            for key in value:
                yield _with(net, place, {k: v for k, v in value.items() if k != key})
        elif isinstance(value, list):
            for index in range(len(value)):
                yield _with(net, place, value[:index] + value[index + 1 :])
            if value and place not in hold_bodies:
                yield _with(net, place, value[0])
    if "outputs" in net:
        yield {key: value for key, value in net.items() if key != "outputs"}
    for place, value in list(_parts(net)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        for less in dict.fromkeys((0, 1, 2, value // 2, value - 1)):
            if abs(less) < abs(value):
                yield _with(net, place, int(less) if isinstance(value, int) else float(less))


def _parts(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every part of a net with its place."""
    yield place, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in entries:
        yield from _parts(part, (*place, key))


def _bodies(net: Data) -> Iterator[Place]:
    """The places of all lists of layers, the outermost first."""
    todo: list[Place] = [("layers",)]
    while todo:
        place = todo.pop(0)
        yield place
        for index, item in enumerate(_at(net, place)):
            todo += [(*place, index, *inner) for inner in _inner_bodies(item)]


def _inner_bodies(item: Any) -> list[Place]:
    """The places, within an item, of the lists of layers in it."""
    if not isinstance(item, dict):
        return []
    ((name, fields),) = item.items()
    if name == "residual" and isinstance(fields, list):
        return [(name,)]
    if isinstance(fields, list):
        return [(name, index) for index in range(len(fields))]
    if not isinstance(fields, dict):
        return []
    places: list[Place] = [(name, key) for key in ("body", "shortcut", "layers") if key in fields]
    return places + [(name, "branches", index) for index in range(len(fields.get("branches", ())))]


def _at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def _with(net: Data, place: Place, new: Any) -> Data:
    """A copy of the net with one part replaced."""
    copy = deepcopy(net)
    _at(copy, place[:-1])[place[-1]] = deepcopy(new)
    return copy
