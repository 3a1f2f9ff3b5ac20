"""Arguments and blocks that a document defines and never uses anywhere in its text.

Read off the text and not off a run, so that what another variant or the other side of an ``if`` uses counts as used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cnncalc.graph import Leftover, Place
from cnncalc.spec.document import Body, Call, Document, items
from cnncalc.spec.expression import FUNCTIONS
from cnncalc.spec.problem import nearest
from cnncalc.spec.reader import Mapping, Node, Scalar, Sequence

_NAME = re.compile(r"[^\W\d]\w*")


def leftovers(document: Document) -> tuple[Leftover, ...]:
    """The arguments and blocks of a document that are never used, in the order of the text."""
    blocks = document.blocks.values()
    if not document.args and not blocks:
        return ()
    # A name in a block means first the block's own argument, then the file's.
    inside = {block.name: {*_in_body(block.body), *_in_nodes(block.args.values())} for block in blocks}
    settings = [value for variant in document.variants.values() for value in variant.values()]
    others = [document.input, document.outputs, *document.args.values(), *settings]
    outside = {*_in_body(document.body), *_in_nodes(others)}
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
        known = {*block.args, *inside[block.name]} - FUNCTIONS.keys()
        for name, default in block.args.items():
            if name not in inside[block.name]:
                add("block argument", name, default or block.node, known)
    return tuple(sorted(found, key=lambda one: one.place[1:]))


def _in_nodes(nodes: Iterable[object]) -> Iterator[str]:
    """Every word of the values below some nodes; texts that are not expressions do no harm."""
    for node in nodes:
        if isinstance(node, Scalar):
            yield from _NAME.findall(node.text)
        elif isinstance(node, Sequence):
            yield from _in_nodes(node.items)
        elif isinstance(node, Mapping):
            yield from _in_nodes(value for _, value in node.entries)


def _in_body(body: Body) -> Iterator[str]:
    """Every word of the values and names of layers in a body."""
    for item in items(body):
        if isinstance(item, Call):
            yield item.name
            yield from _in_nodes(value for _, value in item.fields.values())
        yield from _in_nodes(getattr(item, part) for part in item.__struct_fields__ if part != "node")
