"""Arguments and blocks that a document defines and never uses anywhere in its text.

Read off the text and not off a run, so that what another variant or the other side of an ``if`` uses counts as used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cnncalc.graph import Leftover, Place
from cnncalc.spec.document import Body, Call, Choice, Document, Repeat, bodies
from cnncalc.spec.expression import FUNCTIONS
from cnncalc.spec.problem import nearest
from cnncalc.spec.reader import Mapping, Node, Scalar

_NAME = re.compile(r"[^\W\d]\w*")


def leftovers(document: Document) -> tuple[Leftover, ...]:
    """The arguments and blocks of a document that are never used, in the order of the text."""
    blocks = document.blocks.values()
    if not document.args and not blocks:
        return ()
    # A name in a block means first the block's own argument, then the file's.
    inside = {block.name: {*_in_body(block.body), *_in_nodes(block.args.values())} for block in blocks}
    settings = [value for variant in document.variants.values() for _, value in variant.values()]
    outside = {*_in_body(document.body), *_in_nodes([document.input, document.outputs, *document.args.values()])}
    outside.update(_in_nodes(settings))
    used = outside.union(*(inside[block.name].difference(block.args) for block in blocks))
    called = outside.union(*(names - {name} for name, names in inside.items()))

    found: list[Leftover] = []

    def add(kind: str, name: str, at: Node, known: Iterable[str]) -> None:
        place = Place(document.source.name, at.line, at.column)
        found.append(Leftover(kind, name, place, nearest(name, sorted({*known} - {name}))))  # type: ignore[arg-type]

    for name, key in document.arg_keys.items():
        if name not in used:
            add("argument", name, key, {*document.args, *used} - FUNCTIONS.keys())
    for block in blocks:
        if block.name not in called:
            add("block", block.name, block.node, called)
        for name, default in block.args.items():
            if name not in inside[block.name]:
                add(
                    "block argument", name, default or block.node, {*block.args, *inside[block.name]} - FUNCTIONS.keys()
                )
    return tuple(sorted(found, key=lambda one: one.place[1:]))


def _in_nodes(nodes: Iterable[Node | None]) -> Iterator[str]:
    """Every word of the values below some nodes; texts that are not expressions do no harm."""
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Scalar):
            yield from _NAME.findall(node.text)
        elif isinstance(node, Mapping):
            waiting += [value for _, value in node.entries]
        elif node is not None:
            waiting += node.items


def _in_body(body: Body) -> Iterator[str]:
    """Every word of the values and names of layers in a body."""
    for item in body:
        if isinstance(item, Call):
            yield item.name
            values = [value for _, value in item.fields.values()]
            yield from _in_nodes([item.scalar, item.label, item.source, item.share, *values])
        elif isinstance(item, Repeat):
            yield from _in_nodes([item.times])
        elif isinstance(item, Choice):
            yield from _in_nodes([item.condition])
        else:
            yield from _in_nodes([item.when, item.label, item.source])
        for inner in bodies(item):
            yield from _in_body(inner)
