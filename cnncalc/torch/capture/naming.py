"""Paths of nodes: modules' own, and automatic names for functions called in a module."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, NamedTuple

from torch import fx, nn

CALLED_AGAIN = re.compile(r"@\d+$")
TORCHS = re.compile(r"^torch\.nn\.modules\.\w+\.")
"""The package of ``torch.nn``'s modules; it is cut off their names."""


class Scope(NamedTuple):
    """One call of a module: its path in the module, and the path of this call in the graph."""

    module: str
    path: str


class Scopes:
    """All calls of modules, from an exported program's operators."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}
        self.known: dict[tuple[str, ...], Scope] = {(): Scope("", "")}

    def of(self, node: fx.Node) -> Scope:
        """The innermost call that contains an operator; a further call of the same module is ``path_2``."""
        stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
        keys: tuple[str, ...] = ()
        found = self.known[keys]
        for key, entry in stack.items():
            keys, outer = (*keys, key), found
            module = CALLED_AGAIN.sub("", str(entry[0]).removeprefix("L['self']").strip("."))
            if keys not in self.known:
                self.known[keys] = self._within(outer, module) if module else outer
            found = self.known[keys]
        return found

    def _within(self, outer: Scope, module: str) -> Scope:
        inside = _inside(module, outer.module)
        path = joined(outer.path, module.rpartition(".")[2] if inside is None else inside)
        number = self.taken[path] = self.taken.get(path, 0) + 1
        return Scope(module, path if number == 1 else f"{path}_{number}")


def _inside(path: str, module: str) -> str | None:
    """A path from a module on; ``None`` for one that stands elsewhere."""
    if not module:
        return path
    return path.removeprefix(f"{module}.") if path.startswith(f"{module}.") else None


def joined(path: str, inside: str) -> str:
    """A path and what follows, with legal segments."""
    segments = [re.sub(r"\W", "_", segment) or "_" for segment in inside.split(".")]
    return ".".join([path, *segments] if path else segments)


def calls(pending: list[Any], modules: dict[str, nn.Module]) -> list[tuple[str, ...]]:
    """For every node the class of the called module and its bases; empty for functions.

    A call of a module without children is one node: the one that has its weights, or is what its class is, else the
    first. What else stands in modules are functions.
    """
    classes = {name: _classes(one) for name, one in modules.items() if not any(one.children())}
    chosen: dict[Scope, tuple[int, int]] = {}
    for number, node in enumerate(pending):
        own = classes.get(node.scope.module)
        if node.layer is not None and own:
            rank = 2 * bool(node.weights) + (node.layer.torch_module(*node.input_shapes) in own)
            if node.scope not in chosen or rank > chosen[node.scope][0]:
                chosen[node.scope] = rank, number
    called = {number: classes[scope.module] for scope, (_, number) in chosen.items()}
    return [called.get(number, ()) for number in range(len(pending))]


def _classes(module: nn.Module) -> tuple[str, ...]:
    names = (f"{one.__module__}.{one.__qualname__}" for one in type(module).__mro__ if issubclass(one, nn.Module))
    return tuple(TORCHS.sub("", name) for name in names)


def name_nodes(pending: list[Any], modules: set[str], inputs: list[str]) -> list[str]:
    """A path for every node: unique, and none a prefix of another.

    A call of a module that is one node has the module's path. Of several, and outside of modules, each has
    its kind and a number after the path of the module that it stands in, as ``layer1.0.add1``. A node whose
    weights are all one submodule's, which is never called itself, is named after that.
    """
    wishes = [_owner_path(node) or node.scope.path for node in pending]
    crowd = Counter(path for wish in wishes for path in (wish, *_beginnings(wish)))
    counters: Counter[str] = Counter()
    used: set[str] = set()
    inside: set[str] = set()
    paths: list[str] = []
    names = iter(inputs)
    for node, wish in zip(pending, wishes, strict=True):
        if node.layer is None:
            path = next(names)
        elif wish and crowd[wish] == 1:
            path = wish
        else:
            kind = node.layer.kind
            base = joined(node.scope.path, f"{kind}_" if kind[-1].isdigit() else kind)
            path = _numbered(base, counters, modules, used)
        while path in used or path in inside or not used.isdisjoint(_beginnings(path)):
            path = _numbered(f"{path}_", counters, used, inside)
            if not used.isdisjoint(_beginnings(path)):
                path = path.replace(".", "_")
        used.add(path)
        inside.update(_beginnings(path))
        paths.append(path)
    return paths


def _owner_path(node: Any) -> str | None:
    """The place of the owner of a node's weights in the surrounding call."""
    if node.owner is None or node.shared is not None:
        return None
    if node.owner == node.scope.module:
        return str(node.scope.path)
    inside = _inside(node.owner, node.scope.module)
    return None if inside is None else joined(node.scope.path, inside)


def _numbered(base: str, counters: Counter[str], *taken: set[str]) -> str:
    while True:
        counters[base] += 1
        path = f"{base}{counters[base]}"
        if not any(path in paths for paths in taken):
            return path


def _beginnings(path: str) -> list[str]:
    """The paths of what a path stands in, for ``a.b.c`` ``a`` and ``a.b``."""
    return [path[: dot.start()] for dot in re.finditer(r"\.", path)]
