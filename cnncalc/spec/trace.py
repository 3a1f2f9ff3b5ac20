"""How sizes came about, for messages: from where the inputs branch off, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc.graph import Node, Ref
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Shape
from cnncalc.spec import reader
from cnncalc.spec.document import Call, Document, Residual, items

MOST_LINES = 14
MOST_INPUTS = 4
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def sizes(
    nodes: Sequence[Node], refs: Sequence[Ref], *, several: bool, titles: Sequence[str] | None = None
) -> list[str]:
    """Lines that show, for each input, the layers that changed its size and the resulting sizes."""
    # One input of each shape is enough, and a few shapes show what is wrong.
    numbers = list({nodes[ref.node].output_shapes[ref.port]: i for i, ref in reversed([*enumerate(refs)])}.values())
    numbers = sorted(numbers)[:MOST_INPUTS] if len(refs) > 2 else list(range(len(refs)))
    histories = [_history(nodes, refs[number]) for number in numbers]
    common = 0
    if several and len(histories) > 1:
        shortest = min(map(len, histories))
        while common < shortest and len({history[common] for history in histories}) == 1:
            common += 1
    lines = []
    for number, history in zip(numbers, histories, strict=True):
        if titles is not None:
            title = titles[number]
        elif several:
            title = f"{ORDINALS[number] if number < len(ORDINALS) else f'{number + 1}th'} input"
        else:
            title = "sizes so far"
        lines.append(f"  {title}:")
        lines += _lines(nodes, history[max(common - 1, 0) :])
    return lines


def _history(nodes: Sequence[Node], ref: Ref) -> list[Ref]:
    """The tensors from a net's input to ``ref``, along first inputs."""
    history = [ref]
    while nodes[history[-1].node].inputs:
        history.append(nodes[history[-1].node].inputs[0])
    return history[::-1]


def _lines(nodes: Sequence[Node], history: Sequence[Ref]) -> list[str]:
    """One line per layer that changed the shape; the others between them are counted."""
    rows: list[tuple[str, str]] = []
    unchanged = 0
    shape: Shape = ()
    for position, ref in enumerate(history):
        node = nodes[ref.node]
        now = node.output_shapes[ref.port]
        if now == shape and position < len(history) - 1:
            unchanged += 1
            continue
        if unchanged == 1:
            rows.append(_row(nodes[history[position - 1].node], describe(shape)))
        elif unchanged:
            rows.append((f"… {unchanged} layers of the same shape", ""))
        unchanged = 0
        rows.append(_row(node, describe(now)))
        shape = now
    if len(rows) > MOST_LINES:
        rows = [*rows[:3], (f"… {len(rows) - MOST_LINES + 1} more", ""), *rows[-(MOST_LINES - 4) :]]
    width = max(len(name) for name, _ in rows)
    return [f"    {name:<{width}}  {size}".rstrip() for name, size in rows]


def _row(node: Node, size: str) -> tuple[str, str]:
    return node.path if node.layer is None else f"{node.path} ({node.kind})", size


def find_label(document: Document, name: str) -> reader.Node | None:
    """The first place in the document where a ``name:`` is given."""
    bodies = [document.body, *(block.body for block in document.blocks.values())]
    labels = (item.label for body in bodies for item in items(body) if isinstance(item, (Call, Residual)))
    return next((label for label in labels if label is not None and label.text == name), None)
