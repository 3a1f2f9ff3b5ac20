"""The file: its imports, what it needs beyond PyTorch, a class for each block, and a function that makes the net."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Collection
from textwrap import wrap

from cnncalc.convert.code import FIXED, WIDTH, Text
from cnncalc.convert.families import Families
from cnncalc.convert.python.classes import ClassWriter
from cnncalc.convert.python.language import CodeLanguage
from cnncalc.convert.python.names import camel, identifier, unique
from cnncalc.convert.scopes import build
from cnncalc.convert.template import Mismatch
from cnncalc.convert.tree import groups_of
from cnncalc.graph import Graph, Node
from cnncalc.layers.axes import describe
from cnncalc.text import visible


def render(graph: Graph, text: Callable[[Node], Text], reserved: Collection[str] = ()) -> str:
    """The module's source.

    Args:
        graph: the net.
        text: how a node's layer is written.
        reserved: attributes that every module has, so that none of its parts can be one.
    """
    language = CodeLanguage(graph, text, frozenset(reserved))
    levels = {node.path[: dot.start()] for node in graph.nodes for dot in re.finditer(r"\.", node.path)}
    loose: set[str] = set()
    while True:
        try:
            families = Families(build(graph, nested=False, loose=loose), language)
            apart = unlike_twins(families)
        except Mismatch:
            apart = levels - loose
        if not apart:
            return ModuleWriter(families, language).module()
        loose |= apart


def unlike_twins(families: Families) -> set[str]:
    """Groups that share all weights with another one without being made and called alike, so that no module is both."""
    groups = {group.path: group for _, group in groups_of(families.tree.body)}
    apart: set[str] = set()
    for group in groups.values():
        owner = groups.get(group.path.removesuffix(group.name) + (group.share or ""))
        if group.share is None or owner is None or owner is group:
            continue
        one, other = families.block_of[id(group)], families.block_of[id(owner)]
        here, there = (block.position[id(part)] for block, part in ((one, group), (other, owner)))
        numbers = (param for param in one.params if param.kind != "tensor")
        if one is not other or any(param.values[here] != param.values[there] for param in numbers):
            apart |= {group.path, owner.path}
    return apart


class ModuleWriter:
    """Writes one net."""

    def __init__(self, families: Families, language: CodeLanguage) -> None:
        self.graph = families.graph
        self.attributes = language.attributes
        self.helpers: dict[str, str] = {}
        texts = (language.node_text(node) for node in self.graph.nodes if node.layer is not None)
        self.names = frozenset(FIXED).union(name for one in texts for name, _ in one.helpers)
        self.blocks = [*families.order, families.net]
        self.net = families.net
        taken = {*self.names, *dir(builtins)}
        families.net.name = identifier(self.graph.name) or "net"
        for block in self.blocks:
            block.name = unique(camel(block.name), taken)
            taken.add(block.name)
        self.names = self.names.union(block.name for block in self.blocks)

    def module(self) -> str:
        """All of it."""
        writers = [ClassWriter(self, block) for block in self.blocks]
        classes = [writer.lines() for writer in writers]
        parts = [*self.helper_lines(), *classes, self.factory(writers[-1])]
        body = "\n\n\n".join("\n".join(lines) for lines in parts)
        return f"{self.docstring()}\n{self.imports(body)}\n\n\n{body}\n"

    def helper_lines(self) -> list[list[str]]:
        """The source of what PyTorch lacks."""
        sources = (re.sub(r"  # type: ignore\[.*\]", "", source) for _, source in sorted(self.helpers.items()))
        return [source.rstrip("\n").split("\n") for source in sources]

    def docstring(self) -> str:
        """What the net is, and where it comes from."""

        def shown(shape: tuple[int, ...]) -> str:
            return describe(shape).replace("×", "x")

        shapes = ", ".join(map(shown, self.graph.inputs.values()))
        results = ", ".join(shown(self.graph.shape(ref)) for _, ref in self.graph.outputs)
        given = ", ".join(f"{name}={value!r}".replace(" ", "") for name, value in self.graph.args.items())
        lines = [f"{self.graph.name or 'A net'}: {shapes} -> {results}."]
        for paragraph in (self.graph.citation, f"Written by cnncalc{f' for {given}' if given else ''}."):
            if paragraph:
                lines += ["", *wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)]
        if counted := ", ".join(node.path for node in self.graph.without_values()):
            text = f"The values of {counted} are not given: they count up from 0 until others are set."
            lines += ["", *wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)]
        text = "\n".join(visible(line) for line in lines)
        return '"""' + text.replace("\\", "\\\\").replace('"""', "'''") + '\n"""\n'

    def imports(self, body: str) -> str:
        """What the code needs of Python and PyTorch."""
        lines = []
        if "OrderedDict(" in body:
            lines += ["from collections import OrderedDict", ""]
        if re.search(r"\btorch\.", body):
            lines.append("import torch")
        if re.search(r"\bF\.", body):
            lines.append("import torch.nn.functional as F")
        names = [name for name in ("Tensor", "nn") if re.search(rf"\b{name}\b", body)]
        return "\n".join([*lines, f"from torch import {', '.join(names)}"])

    def factory(self, net: ClassWriter) -> list[str]:
        """A function named after the net."""
        name = identifier(self.graph.name) or "net"
        if name == self.net.name:
            name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
            name = f"make_{name}" if name == self.net.name else name
        name = unique(name, self.names.union(dir(builtins)))
        call = f"{self.net.name}({', '.join(param.name for param in net.params)})"
        return [*net.signature(f"def {name}", self.net.name, 0), f"    return {call}"]
