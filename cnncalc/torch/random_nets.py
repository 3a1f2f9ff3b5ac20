"""Random nets against PyTorch; a net with a mismatch is made as small as possible while it still has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from time import monotonic
from typing import Any

from msgspec import Struct

from cnncalc.analysis.verdict import Verdict
from cnncalc.errors import CnncalcError
from cnncalc.sources import load_text
from cnncalc.spec.random import Data, Items, random_net, render
from cnncalc.torch.running import threads
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
    with threads(1):  # the nets are too small to share out
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
    items = [item for body in _bodies(net["layers"]) for item in body]
    return {item if isinstance(item, str) else next(iter(item)) for item in items}


# -- shrinking -------------------------------------------------------------------------------------


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
    if "outputs" in net:
        yield {key: value for key, value in net.items() if key != "outputs"}
    for key in ("layers", "outputs"):
        for less in _smaller(net.get(key)):
            yield {**net, key: less}
    shapes = net["input"] if isinstance(net["input"], dict) else {"": net["input"]}
    for name, shape in shapes.items():
        if name:
            yield {**net, "input": {other: one for other, one in shapes.items() if other != name}}
        for axis, size in enumerate(shape):
            for less in _smaller(size):
                made = [*shape[:axis], less, *shape[axis + 1 :]]
                yield {**net, "input": {**shapes, name: made} if name else made}


def _smaller(value: Any) -> Iterator[Any]:
    """Parts of a net that are one step smaller: without some of its entries, with what an entry consists of in its
    place, one number for all axes, or with one entry smaller.
    """
    if isinstance(value, dict):
        for key, part in value.items():
            yield {other: one for other, one in value.items() if other != key}
            for less in _smaller(part):
                yield {**value, key: less}
    elif isinstance(value, list):
        count = len(value)
        for size in sorted({count, count // 2, 2, 1} - {0}, reverse=True):
            for begin in range(0, count - size + 1, size):
                yield value[:begin] + value[begin + size :]
        if count and isinstance(value[0], (int, float)):
            yield value[0]
        for index, item in enumerate(value):
            before, after = value[:index], value[index + 1 :]
            for body in _bodies(item):
                yield before + body + after
            if isinstance(item, dict):  # a layer with fields is a mapping of its name alone
                ((name, fields),) = item.items()
                yield from ([*before, {name: less}, *after] for less in _smaller(fields))
            else:
                yield from ([*before, less, *after] for less in _smaller(item))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        for number in dict.fromkeys((0, 1, 2, value // 2, value - 1)):
            if abs(number) < abs(value):
                yield type(value)(number)


def _bodies(value: Any) -> Iterator[Items]:
    """The lists of layers in a part of a net."""
    if isinstance(value, list):
        if any(isinstance(item, (str, dict)) for item in value):
            yield value
        for item in value:
            yield from _bodies(item)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _bodies(part) if key != "from" else ()
