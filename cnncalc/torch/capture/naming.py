"""Paths of nodes: modules' own, and automatic names for functions called in a module."""

from __future__ import annotations

import re
from typing import Any

from torch import fx, nn

CALLED_AGAIN = re.compile(r"@\d+$")
TORCHS = re.compile(r"^torch\.nn\.modules\.\w+\.")
"""The package of ``torch.nn``'s modules; it is cut off their names."""


class Scope:
    """One call of a module: its path in the module, and the path of this call in the graph."""

    __slots__ = ("children", "module", "path")

    def __init__(self, module: str, path: str) -> None:
        self.module = module
        self.path = path
        self.children: dict[str, Scope] = {}

    def child(self, key: str, module: str, taken: dict[str, int]) -> Scope:
        """The call of a module within this one; a further call of the same module is ``path_2``."""
        if key not in self.children:
            inside = module.removeprefix(f"{self.module}.") if self.module else module
            if self.module and not module.startswith(f"{self.module}."):
                inside = module.rpartition(".")[2]  # a module that stands elsewhere
            path = joined(self.path, inside)
            number = taken[path] = taken.get(path, 0) + 1
            self.children[key] = Scope(module, path if number == 1 else f"{path}_{number}")
        return self.children[key]


class Scopes:
    """All calls of modules, from an exported program's operators."""

    def __init__(self) -> None:
        self.root = Scope("", "")
        self.taken: dict[str, int] = {}
        self.known: dict[tuple[str, ...], Scope] = {(): self.root}

    def of(self, node: fx.Node) -> Scope:
        """The innermost call that contains an operator."""
        stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
        keys = tuple(stack)
        found = self.known.get(keys)
        if found is None:
            found = self.root
            for key, entry in stack.items():
                module = str(entry[0]).removeprefix("L['self']").strip(".")
                module = CALLED_AGAIN.sub("", module)
                if module:
                    found = found.child(key, module, self.taken)
            self.known[keys] = found
        return found


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
    scopes = [node.scope.path for node in pending]
    owners = [_owner_path(node) for node in pending]
    crowd: dict[str, int] = {}
    for scope, owner in zip(scopes, owners, strict=True):
        path = owner or scope
        while path:
            crowd[path] = crowd.get(path, 0) + 1
            path = path.rpartition(".")[0]
    taken = {*modules}
    counters: dict[str, int] = {}
    paths: list[str] = []
    used: set[str] = set()
    inside: set[str] = set()
    names = iter(inputs)
    for node, scope, owner in zip(pending, scopes, owners, strict=True):
        wish = owner or scope
        if node.layer is None:
            path = next(names)
        elif wish and crowd[wish] == 1:
            path = wish
        else:
            path = _numbered(scope, node.layer.kind, counters, taken | used)
        while path in used or path in inside or any(part in used for part in _beginnings(path)):
            head, _, tail = path.rpartition(".")
            path = _numbered(head, f"{tail}_", counters, used | inside)
            if any(part in used for part in _beginnings(path)):
                path = path.replace(".", "_")
        used.add(path)
        inside |= set(_beginnings(path))
        paths.append(path)
    return paths


def _owner_path(node: Any) -> str | None:
    """The place of the owner of a node's weights in the surrounding call."""
    if node.owner is None or node.shared is not None:
        return None
    owner: str = node.owner
    scope = node.scope
    if owner == scope.module:
        return str(scope.path)
    if scope.module and not owner.startswith(f"{scope.module}."):
        return None
    return joined(scope.path, owner.removeprefix(f"{scope.module}.") if scope.module else owner)


def _numbered(scope: str, kind: str, counters: dict[str, int], taken: set[str]) -> str:
    gap = "_" if kind[-1].isdigit() else ""
    base = f"{scope}.{kind}{gap}" if scope else f"{kind}{gap}"
    while True:
        counters[base] = counters.get(base, 0) + 1
        path = f"{base}{counters[base]}"
        if path not in taken:
            return path


def _beginnings(path: str) -> list[str]:
    segments = path.split(".")
    return [".".join(segments[:length]) for length in range(1, len(segments))]
