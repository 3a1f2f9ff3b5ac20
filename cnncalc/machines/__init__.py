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

from cnncalc import units
from cnncalc.analysis.roofline import Cache, Machine
from cnncalc.analysis.traffic import BYTES
from cnncalc.errors import CnncalcError
from cnncalc.spec.problem import listed, nearest
from cnncalc.spec.reader import Mapping, Node, Scalar, Sequence, Source, read
from cnncalc.text import visible

FOLDER = os.path.dirname(os.path.abspath(__file__))


def names() -> list[str]:
    """The shipped machines."""
    return sorted(name.removesuffix(".yaml") for name in os.listdir(FOLDER) if name.endswith(".yaml"))


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
        path = os.path.join(FOLDER, f"{name}.yaml")
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
    needed = ("name", "source", "peak", "memory")
    root = _Fields(source, read(source), "a machine", needed, (*needed, "caches", "threads"))
    memory = _Fields(source, root.nodes["memory"], "memory", ("bandwidth",), ("bandwidth",))
    peak = _Fields(source, root.nodes["peak"], "peak", (), tuple(BYTES))
    if not peak.nodes:
        hint = f"e.g. float32: 8.1T; choose from {listed(BYTES)}"
        raise source.error("peak needs at least one dtype", root.nodes["peak"], hint=hint)
    caches = root.nodes.get("caches")
    if caches is not None and not isinstance(caches, Sequence):
        raise source.error("caches is a list", caches, hint="e.g. [{size: 40MiB}], the nearest first")
    each = [
        _Fields(source, node, "a cache", ("size",), ("size", "bandwidth")) for node in (caches.items if caches else ())
    ]
    return Machine(
        name=root.text("name"),
        source=root.text("source"),
        peak={dtype: peak.amount(dtype, units.parse_flops) for dtype in peak.nodes},
        bandwidth=memory.amount("bandwidth", units.parse_rate),
        caches=tuple(
            Cache(
                one.amount("size", units.parse_bytes),
                one.amount("bandwidth", units.parse_rate) if "bandwidth" in one.nodes else None,
            )
            for one in each
        ),
        threads=root.amount("threads", units.parse) if "threads" in root.nodes else None,
    )


class _Fields:
    """The fields of a mapping that is ``what`` in messages."""

    def __init__(self, source: Source, node: Node, what: str, needed: Iterable[str], known: tuple[str, ...]) -> None:
        if not isinstance(node, Mapping):
            raise source.error(f"{what} is a mapping of {listed(known)}", node)
        for key, _ in node.entries:
            if key.text not in known:
                hint = nearest(key.text, known) or f"{what} has {listed(known)}"
                raise source.error(f"{what} has no '{key.text}'", key, hint=hint)
        self.source = source
        self.nodes = {key.text: value for key, value in node.entries}
        for field in needed:
            if field not in self.nodes:
                raise source.error(f"{what} needs '{field}'", node)

    def text(self, field: str) -> str:
        """A text that says something."""
        node = self.nodes[field]
        if not isinstance(node, Scalar) or not node.text.strip():
            raise self.source.error("must be a text", node)
        return node.text

    def amount(self, field: str, parser: Callable[[str], int]) -> int:
        """A number of at least 1, with its unit."""
        node = self.nodes[field]
        if not isinstance(node, Scalar):
            raise self.source.error("must be a number with a unit", node)
        try:
            value = parser(node.text)
        except CnncalcError as error:
            raise self.source.error(str(error), node) from None
        if value < 1:
            raise self.source.error(f"must be above 0, got {node.text}", node)
        return value


def written(machine: Machine) -> str:
    """The YAML text of a machine."""
    from json import dumps

    peak = ", ".join(f"{dtype}: {_short(rate)}" for dtype, rate in machine.peak.items())
    caches = [
        f"{{size: {cache.size}B" + (f", bandwidth: {_short(cache.bandwidth)}B/s}}" if cache.bandwidth else "}")
        for cache in machine.caches
    ]
    lines = [
        f"name: {dumps(visible(machine.name), ensure_ascii=False)}",
        f"source: {dumps(visible(machine.source), ensure_ascii=False)}",
        f"peak: {{{peak}}}",
        f"memory: {{bandwidth: {_short(machine.bandwidth)}B/s}}",
        *([f"caches: [{', '.join(caches)}]"] if caches else []),
        *([f"threads: {machine.threads}"] if machine.threads else []),
    ]
    return "\n".join(lines) + "\n"


def _short(value: int) -> str:
    """A whole number with the largest prefix that keeps it exact with decimals: ``244.3G``."""
    for power, prefix in reversed([*enumerate(units.PREFIXES, 1)]):
        scale = 1000**power
        if value >= scale:
            fraction = f"{value % scale:0{3 * power}d}".rstrip("0")
            return f"{value // scale}{'.' if fraction else ''}{fraction}{prefix}"
    return str(value)
