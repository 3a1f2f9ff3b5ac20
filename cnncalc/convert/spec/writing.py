"""A graph to a spec's text that loads back to an equal graph.

Several ways of writing are tried, the most compact first; each is loaded and compared before it is taken,
so that nothing unequal is ever written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cnncalc.convert.spec.blocks import (
    WILD,
    Block,
    Leaf,
    Literal,
    Param,
    TCall,
    Templates,
    TensorName,
    TFork,
    TIf,
    TItem,
    TOp,
    TRepeat,
    TSkip,
    keyed,
)
from cnncalc.convert.spec.classes import REQUIRED, Apart, Classes, Mismatch, default_of
from cnncalc.convert.spec.equal import difference
from cnncalc.convert.spec.names import BlockNames, Namer, braced
from cnncalc.convert.spec.repeats import compress
from cnncalc.convert.spec.structure import MARK, Tree, build
from cnncalc.convert.spec.text import WIDTH, Data, Text, lines, scalar
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Ref
from cnncalc.spec.assembly import Assembly
from cnncalc.spec.document import parse
from cnncalc.spec.reader import Source, read

CLASSES = "classes"
"""The argument of a net for how many classes it tells apart."""
LINE = 8
"""The cost of a line besides its characters when texts are compared."""
MOST_TRIES = 24
"""How often groups that do not fit one block are set apart before blocks are given up."""


def to_spec(graph: Graph) -> str:
    """The shortest of the spec texts tried that load back to an equal graph.

    Raises:
        CnncalcError: the language cannot say the net; the message names what.
    """
    check(graph)
    texts: list[str] = []
    nested = any(MARK.search(node.path) for node in graph.nodes)
    for marks in (True, False) if nested and build(graph, nested=True).branching else (False,):
        text = attempt(graph, nested=marks)
        texts += [] if text is None else [text]
    if not texts:
        text = written(build(graph, nested=False, plain=True))
        unequal = difference(graph, load(text))
        if unequal is not None:
            raise CnncalcError(f"error: the spec language cannot express this net: {unequal}")
        texts = [text]
    return min(texts, key=lambda text: len(text) + LINE * text.count("\n"))


def check(graph: Graph) -> None:
    """Refuses what no spec can say.

    Raises:
        CnncalcError: a layer that the language does not have.
    """
    from cnncalc.layers import REGISTRY

    unknown = [
        node for node in graph.nodes if node.layer is not None and type(node.layer) is not REGISTRY.get(node.kind)
    ]
    if unknown:
        names = ", ".join(f"{node.path} ({node.kind})" for node in unknown[:8])
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        raise CnncalcError(f"error: the spec language has no layer for {names}{more}")
    if all(node.layer is None for node in graph.nodes):
        raise CnncalcError("error: the net has no layers, and a spec needs one")


def load(text: str) -> Graph:
    """The graph of a text."""
    source = Source("<converted>", text)
    return Assembly(parse(source, read(source))).build(None, {}, {})


def attempt(graph: Graph, *, nested: bool) -> str | None:
    """A text with blocks that loads back to an equal graph; ``None`` where that fails."""
    apart = Apart()
    for _ in range(MOST_TRIES):
        try:
            text = written(build(graph, nested=nested, loose=apart.loose), apart)
        except Mismatch as error:
            if not apart.learn(error):
                return None
            continue
        try:
            unequal = difference(graph, load(text))
        except CnncalcError:  # most likely a name that means something else in its place
            unequal = ""
        if unequal is None:
            return text
        if not apart.doubt({node.path for node in graph.nodes}, unequal):
            return None
    return None


def written(tree: Tree, apart: Apart | None = None) -> str:
    """The text of a tree.

    Raises:
        Mismatch: groups that were taken to be of one class are not.
    """
    templates = Templates(Classes(tree, apart or Apart()), BlockNames(tree.graph))
    for block in [*templates.order, templates.top]:
        try:
            Namer(block, nested=tree.nested).run()
        except Mismatch as error:
            error.groups = error.groups or block.groups
            raise
    graph = tree.graph
    top: dict[str, Data] = {}
    if graph.name:
        top["name"] = graph.name
    if graph.citation:
        top["source"] = graph.citation
    inputs = graph.inputs
    shapes = {name: list(shape) for name, shape in inputs.items()}
    top["input"] = shapes["input"] if list(shapes) == ["input"] else shapes
    if (classes := name_classes(tree.graph, templates)) is not None:
        top["args"] = {CLASSES: classes}
    if tree.branching and not tree.nested:
        top["flat_branches"] = True
    if templates.top.numbered:
        top["numbered"] = True
    if templates.order:
        top["blocks"] = {block.name: Writer(block).block() for block in templates.order}
    top["layers"] = Writer(templates.top).items(templates.top.body)
    if (outputs := outputs_of(tree, templates)) is not None:
        top["outputs"] = outputs
    if graph.budget:
        top["budget"] = graph.budget
    return document(top)


def name_classes(graph: Graph, templates: Templates) -> int | None:
    """Makes the size of a classifier's result an argument of the net, where the last layer has it; gives its value."""
    if len(graph.outputs) != 1 or any(CLASSES in node.path for node in graph.nodes):
        return None
    node = graph.nodes[graph.outputs[0][1].node]
    if node.layer is None or not node.layer.is_product or len(node.output_shape) != 1:
        return None
    for block in [templates.top, *templates.order]:
        prefix = f"{block.groups[0].path}." if block.groups[0].path else ""
        for item in block.body if len(block.groups) == 1 else ():
            if isinstance(item, TOp) and item.fields and prefix + str(item.named.names[0]) == node.path:
                leaf = next(iter(item.fields.values()))
                if leaf.constant == node.output_shape[0]:
                    leaf.expression = CLASSES
                    return node.output_shape[0]
    return None


def document(top: dict[str, Data]) -> str:
    """The text of a whole spec, with empty lines between its parts."""
    rows: list[str] = []
    for key, value in top.items():
        if key in ("blocks", "layers", "outputs", "budget") and rows:
            rows.append("")
        if key == "source" and len(f"source: {scalar(value, flow=False)}") > WIDTH and foldable(value):
            rows += ["source: >-", *folded(value)]
        else:
            rows += lines({key: value})
    return "\n".join(rows) + "\n"


def foldable(text: str) -> bool:
    """Whether a text can stand over several lines and be read back as it is."""
    return text.isprintable() and text == " ".join(text.split()) and all(len(word) < WIDTH - 2 for word in text.split())


def folded(text: str) -> list[str]:
    """A text over several lines, each indented one step further."""
    rows = [" "]
    for word in text.split():
        if len(rows[-1]) + 1 + len(word) > WIDTH:
            rows.append(" ")
        rows[-1] += f" {word}"
    return rows


def outputs_of(tree: Tree, templates: Templates) -> Data:
    """The value of ``outputs``: empty if the results are the last layer's."""
    graph, body = tree.graph, tree.body
    last = body[-1]
    result = templates.result(last)
    if tuple((graph.path(ref), ref) for ref in result) == graph.outputs:
        return None
    paths = [graph.path(ref) for _, ref in graph.outputs]
    if [name for name, _ in graph.outputs] == paths:
        return paths
    return {name: path for (name, _), path in zip(graph.outputs, paths, strict=True)}


class Writer:
    """A block's template as data for the text."""

    def __init__(self, block: Block) -> None:
        self.block_ = block

    def block(self) -> Data:
        data: dict[str, Data] = {}
        if self.block_.params:
            data["args"] = {param.name: self.default(param) for param in ordered(self.block_.params)}
        if self.block_.numbered:
            data["numbered"] = True
        data["layers"] = self.items(self.block_.body)
        return data

    def default(self, param: Param) -> Data:
        if param.default is REQUIRED:
            return Text("required")
        if param is self.block_.entry:
            return Text(param.default)
        return self.constant(param.default)

    def items(self, body: Sequence[TItem]) -> list[Data]:
        return compress([self.item(item) for item in body])

    def item(self, item: TItem) -> Data:
        if isinstance(item, TOp):
            return self.layer(item, item.source, None)
        if isinstance(item, TFork):
            return self.layer(item.op, item.source, [self.items(branch) for branch in item.branches])
        if isinstance(item, TCall):
            return self.call(item, item.named.label())
        if isinstance(item, TRepeat):
            call = self.call(item.call, None, item.pattern)
            return {"repeat": {"times": self.times(item), "layers": [call]}}
        if isinstance(item, TIf):
            return {"if": self.value(item.condition), "then": self.items(item.then)}
        return self.residual(item)

    def residual(self, item: TSkip) -> Data:
        data = self.meta(item.named.label(), item.source, None)
        if item.when is not None:
            data["when"] = self.value(item.when)
        data["body"] = self.items(item.body)
        if item.shortcut is not None:
            data["shortcut"] = self.items(item.shortcut)
        return {"residual": data["body"] if list(data) == ["body"] else data}

    def meta(self, label: str | None, source: list[Leaf] | None, share: str | None) -> dict[str, Data]:
        data: dict[str, Data] = {}
        if label is not None:
            number = re.fullmatch(r"[0-9]+(\.[0-9]+)*", label)
            data["name"] = Text(label) if number else braced(label)
        if source is not None:
            names = [self.value(leaf) for leaf in source]
            data["from"] = names[0] if len(names) == 1 else names
        if share is not None:
            data["share"] = braced(share)
        return data

    def layer(self, item: TOp, source: list[Leaf] | None, branches: list[Data] | None) -> Data:
        data = self.meta(item.named.label(), source, item.share)
        if isinstance(item.kind, Leaf):
            kind = self.value(item.kind)
            if not data:
                return {"activation": kind} if item.kind.expression else kind
            return {kind: data}
        for name, leaf in item.fields.items():
            if leaf.expression or not at(default_of(item.layer, name), leaf.constant):
                data[name] = self.value(leaf)
        if branches is None:
            return {item.kind: data} if data else item.kind
        if not data:
            return {item.kind: branches}
        return {item.kind: {**data, "branches": branches}}

    def call(self, item: TCall, label: str | None, pattern: str | None = None) -> Data:
        data = self.meta(label, item.source, item.share)
        if pattern is not None:
            data = {"name": pattern, **data}
        for param in ordered(item.block.params):
            leaf = item.args.get(param.name)
            if leaf is None:
                continue
            if leaf.expression:
                data[param.name] = self.value(leaf)
                continue
            value = leaf.constant
            if value is WILD:
                value = (
                    param.default if param.default is not REQUIRED else next(v for v in param.values if v is not WILD)
                )
            if not at(param.default, value):
                data[param.name] = self.constant(value)
        return {item.block.name: data} if data else item.block.name

    def times(self, item: TRepeat) -> Data:
        if item.times.expression:
            text = str(self.value(item.times))
            return Text(f"{text} - {item.less}") if item.less else Text(text)
        return item.times.constant - item.less

    def value(self, leaf: Leaf) -> Data:
        if leaf.expression:
            return Text(leaf.expression.format(*[param.name for param in leaf.params]))
        return self.constant(leaf.constant)

    def constant(self, value: Any) -> Data:
        if isinstance(value, TensorName):
            return str(value)
        if isinstance(value, Literal):
            return Text(repr(str(value)))
        if isinstance(value, tuple) and not isinstance(value, Ref):
            return [self.constant(part) for part in value]
        return Text(value) if isinstance(value, str) else value


def at(default: Any, value: Any) -> bool:
    """Whether a value is the default, and need not be written."""
    return default is not REQUIRED and bool(keyed(default) == keyed(value))


def ordered(params: Sequence[Param]) -> list[Param]:
    """Arguments that must be given first."""
    return sorted(params, key=lambda param: param.default is not REQUIRED)
