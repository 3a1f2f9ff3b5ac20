"""A graph to a spec's text that loads back to an equal graph.

Several ways of writing are tried, the most compact first; each is loaded and compared before it is taken,
so that nothing unequal is ever written.
"""

from __future__ import annotations

import re

from cnncalc.convert.arguments import CLASSES
from cnncalc.convert.families import Families
from cnncalc.convert.scopes import build
from cnncalc.convert.spec.data import BlockData
from cnncalc.convert.spec.equal import difference
from cnncalc.convert.spec.language import SpecLanguage
from cnncalc.convert.spec.text import WIDTH, Data, lines, scalar
from cnncalc.convert.template import Mismatch
from cnncalc.convert.tree import MARK, Tree, result_of
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.spec.assembly import Assembly
from cnncalc.spec.document import parse
from cnncalc.spec.reader import Source

LINE = 8
"""The cost of a line besides its characters when texts are compared."""
MOST_TRIES = 8
"""How often levels around a layer that comes back unequal are taken apart before all are."""


def to_spec(graph: Graph) -> str:
    """The shortest of the spec texts tried that load back to an equal graph.

    Raises:
        CnncalcError: the language cannot say the net; the message names what.
    """
    check(graph)
    marked = any(MARK.search(node.path) for node in graph.nodes) and build(graph, nested=True).branching
    tried = [attempt(graph, nested=nested) for nested in ((True, False) if marked else (False,))]
    texts = [text for text in tried if text is not None]
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
    return Assembly(parse(Source("<converted>", text))).build(None, {}, {})


def attempt(graph: Graph, *, nested: bool) -> str | None:
    """A text with blocks that loads back to an equal graph; ``None`` where that fails.

    Path levels around a layer that comes back unequal are taken apart.
    """
    levels = {node.path[: dot.start()] for node in graph.nodes for dot in re.finditer(r"\.", node.path)}
    loose: set[str] = set()
    for tries in range(MOST_TRIES):
        try:
            text = written(build(graph, nested=nested, loose=loose))
            unequal = difference(graph, load(text))
        except Mismatch:
            unequal = ""
        except CnncalcError:  # most likely a name that means something else in its place
            unequal = ""
        if unequal is None:
            return text
        named = re.match("'(.*?)' ", unequal) if tries < MOST_TRIES - 2 else None
        more = {level for level in levels if named is None or named[1].startswith(f"{level}.")} - loose
        if not more:
            more = levels - loose
        if not more:
            return None
        loose |= more
    return None


def written(tree: Tree) -> str:
    """The text of a tree.

    Raises:
        Mismatch: it has a block that cannot be written.
    """
    graph = tree.graph
    found = Families(tree, SpecLanguage(graph, nested=tree.nested))
    top: dict[str, Data] = {}
    if graph.name:
        top["name"] = graph.name
    if graph.citation:
        top["source"] = graph.citation
    shapes = {name: list(shape) for name, shape in graph.inputs.items()}
    top["input"] = shapes["input"] if list(shapes) == ["input"] else shapes
    if found.templates.size is not None:
        top["args"] = {CLASSES: found.templates.size}
    if tree.branching and not tree.nested:
        top["flat_branches"] = True
    if found.net.numbered:
        top["numbered"] = True
    if found.order:
        top["blocks"] = {block.name: BlockData(block, found).block() for block in found.order}
    top["layers"] = BlockData(found.net, found).items(found.net.body)
    if (outputs := outputs_of(tree)) is not None:
        top["outputs"] = outputs
    if graph.budget:
        top["budget"] = graph.budget
    return document(top)


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


def outputs_of(tree: Tree) -> Data:
    """The value of ``outputs``: empty if the results are the last layer's."""
    graph = tree.graph
    if tuple((graph.path(ref), ref) for ref in result_of(graph, tree.body[-1])) == graph.outputs:
        return None
    paths = [graph.path(ref) for _, ref in graph.outputs]
    if [name for name, _ in graph.outputs] == paths:
        return paths
    return {name: path for (name, _), path in zip(graph.outputs, paths, strict=True)}
