"""Machines: small YAML files of what a processor does at most, shipped in this folder or a user's own.

```yaml
name: NVIDIA T4
source: "where the numbers stand"
peak: {float32: 8.1T, float16: 65T}     # FLOP/s by dtype, dense
memory: {bandwidth: 320GB/s}
caches: [{size: 4MiB}]                  # optional; the nearest first, each with a bandwidth if known
```
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

from cnncalc import units
from cnncalc.analysis.roofline import Cache, Machine
from cnncalc.analysis.traffic import BYTES
from cnncalc.errors import CnncalcError
from cnncalc.spec.problem import listed, nearest
from cnncalc.spec.reader import Mapping, Node, Scalar, Sequence, Source, read
from cnncalc.text import visible

T = TypeVar("T")


def names() -> list[str]:
    """The shipped machines."""
    folder = os.path.dirname(os.path.abspath(__file__))
    return sorted(name.removesuffix(".yaml") for name in os.listdir(folder) if name.endswith(".yaml"))


def load(name: str) -> Machine:
    """A shipped machine by its name, or that of a file.

    Raises:
        CnncalcError: there is no such machine, or the file is wrong; ``str()`` says what, where and why.
    """
    path = name
    if not os.path.isfile(path):
        known = names()
        if name not in known:
            hint = nearest(name, known) or f"choose from {listed(known, most=20)}; or give a YAML file"
            raise CnncalcError(f"{name}: error: there is no such file or shipped machine\n  hint: {hint}")
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.yaml")
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise CnncalcError(f"{path}: error: is not UTF-8\n  hint: a machine is a YAML file") from None
    except OSError as error:
        raise CnncalcError(f"{path}: error: cannot be read: {error.strerror or error}") from None
    return parse(text, name)


def parse(text: str, name: str = "<text>") -> Machine:
    """The machine of a YAML text; ``name`` is its name in messages.

    Raises:
        SpecError: it is not valid; points at the error.
    """
    source = Source(name, text)
    fields = _fields(source, read(source), ("name", "source", "peak", "memory", "caches", "threads"), "a machine")
    root = read(source)
    needed = {key: _needed(source, root, fields, key, "a machine") for key in ("name", "source", "peak", "memory")}
    memory = _fields(source, needed["memory"], ("bandwidth",), "memory")
    threads = fields.get("threads")
    return Machine(
        name=_text(source, needed["name"]),
        source=_text(source, needed["source"]),
        peak=_peak(source, needed["peak"]),
        bandwidth=_amount(source, _needed(source, needed["memory"], memory, "bandwidth", "memory"), units.parse_rate),
        caches=tuple(_cache(source, node) for node in _items(source, fields.get("caches"))),
        threads=None if threads is None else _amount(source, threads, units.parse),
    )


def _fields(source: Source, node: Node, known: Iterable[str], what: str) -> dict[str, Node]:
    """The fields of a mapping; unknown ones are refused."""
    if not isinstance(node, Mapping):
        raise source.error(f"{what} is a mapping of {listed(known)}", node)
    for key, _ in node.entries:
        if key.text not in known:
            hint = nearest(key.text, known) or f"{what} has {listed(known)}"
            raise source.error(f"{what} has no '{key.text}'", key, hint=hint)
    return {key.text: value for key, value in node.entries}


def _needed(source: Source, at: Node, fields: dict[str, Node], key: str, what: str) -> Node:
    if key not in fields:
        raise source.error(f"{what} needs '{key}'", at)
    return fields[key]


def _text(source: Source, node: Node) -> str:
    if not isinstance(node, Scalar) or not node.text.strip():
        raise source.error("must be a text", node)
    return node.text


def _items(source: Source, node: Node | None) -> list[Node]:
    if node is None:
        return []
    if not isinstance(node, Sequence):
        raise source.error("caches is a list", node, hint="e.g. [{size: 40MiB}], the nearest first")
    return node.items


def _cache(source: Source, node: Node) -> Cache:
    fields = _fields(source, node, ("size", "bandwidth"), "a cache")
    bandwidth = fields.get("bandwidth")
    return Cache(
        _amount(source, _needed(source, node, fields, "size", "a cache"), units.parse_bytes),
        None if bandwidth is None else _amount(source, bandwidth, units.parse_rate),
    )


def _peak(source: Source, node: Node) -> dict[str, int]:
    fields = _fields(source, node, tuple(BYTES), "peak")
    if not fields:
        hint = f"e.g. float32: 8.1T; choose from {listed(BYTES)}"
        raise source.error("peak needs at least one dtype", node, hint=hint)
    return {dtype: _amount(source, value, units.parse_flops) for dtype, value in fields.items()}


def _amount(source: Source, node: Node, parser: Callable[[str], T]) -> T:
    """A number of at least 1, with its unit."""
    if not isinstance(node, Scalar):
        raise source.error("must be a number with a unit", node)
    try:
        value = parser(node.text)
    except CnncalcError as error:
        raise source.error(str(error), node) from None
    if isinstance(value, int) and value < 1:
        raise source.error(f"must be above 0, got {node.text}", node)
    return value


def written(machine: Machine) -> str:
    """The YAML text of a machine."""
    from json import dumps

    peak = ", ".join(f"{dtype}: {_short(rate)}" for dtype, rate in machine.peak.items())
    lines = [
        f"name: {dumps(visible(machine.name), ensure_ascii=False)}",
        f"source: {dumps(visible(machine.source), ensure_ascii=False)}",
        f"peak: {{{peak}}}",
        f"memory: {{bandwidth: {_short(machine.bandwidth)}B/s}}",
    ]
    if machine.caches:
        caches = [
            f"{{size: {cache.size}B" + (f", bandwidth: {_short(cache.bandwidth)}B/s}}" if cache.bandwidth else "}")
            for cache in machine.caches
        ]
        lines.append(f"caches: [{', '.join(caches)}]")
    if machine.threads:
        lines.append(f"threads: {machine.threads}")
    return "\n".join(lines) + "\n"


def _short(value: int) -> str:
    """A whole number with the largest prefix that keeps it exact with decimals: ``244.3G``."""
    for power, prefix in reversed([*enumerate(units.PREFIXES, 1)]):
        scale = 1000**power
        if value >= scale:
            fraction = f"{value % scale:0{3 * power}d}".rstrip("0")
            return f"{value // scale}{'.' if fraction else ''}{fraction}{prefix}"
    return str(value)
