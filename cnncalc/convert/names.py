"""Names of blocks: after their instances, or after their layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cnncalc.convert.template import Block, Leaf, TCall, TFork, TGroup, TItem, TOp, TRepeat, TSkip
from cnncalc.convert.tree import stem
from cnncalc.graph import Graph
from cnncalc.layers import REGISTRY
from cnncalc.layers.merge import Multiply
from cnncalc.spec.fields import aliases
from cnncalc.spec.language import META, STRUCTURES

RESERVED = ("layers", "index", "in_channels", "in_size")
MARKS = ("branch", "shortcut", "module", "block", "blocks", "layers")
"""Names without meaning."""
SQUEEZE_EXCITE = "squeeze_excite"
LEAST_GATHERED = 3
"""Layers from which on a branch can squeeze and excite."""
MOST_LOOKED_AT = 12
MOST_LETTERS = 24
SHORT = 4
LONG = 12
"""The longest alias that replaces a layer's name in a block's name."""


class BlockNames:
    """Names each block after its instances or after its layers."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.taken = {*REGISTRY, *aliases(), *STRUCTURES, *META, *RESERVED}

    def name(self, block: Block) -> str:
        """A name that no other block has."""
        name, content = common_name(block), content_name(block, self.graph)
        lasts = {group.name.rpartition(".")[2] for group in block.groups}
        counted = any(stem(last)[0].rstrip("_") == name != last for last in lasts)
        tells = counted or lasts == {name} or content.endswith("block")
        if not name or name in aliases() or not tells or content == SQUEEZE_EXCITE:
            name = content
        unique, number = name, 2
        while unique in self.taken:
            unique = f"{name}_block" if name in aliases() and number == 2 else f"{name}_{number}"
            number += 1
        self.taken.add(unique)
        return unique


def common_name(block: Block) -> str:
    """The name of most instances without the number at the end, or the common prefix of all their names."""
    names = [group.name.rpartition(".")[2] for group in block.groups]
    (most, count), *_ = Counter(stem(name)[0] for name in names).most_common(1)
    word = re.sub(r"[_\d]+$", "", most) if 2 * count >= len(names) else common_prefix(names).rstrip("_")
    return word if word.isidentifier() and len(word) > 1 and word not in MARKS else ""


def common_prefix(names: Sequence[str]) -> str:
    """The common prefix of all names."""
    low, high = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]


def content_name(block: Block, graph: Graph) -> str:
    """A name from a block's layers."""
    structures = [item for item in block.body if isinstance(item, (TSkip, TFork))]
    if structures:
        first = structures[0]
        if isinstance(first, TSkip):
            return residual_name(first, block, graph)
        if type(first.op.sample.layer) is Multiply and [] in first.branches:
            return SQUEEZE_EXCITE if gathers(first, graph) else "gate"
        return f"{first.op.sample.layer.kind}_block"
    if any(isinstance(item, TRepeat) for item in block.body):
        return "stage"
    words = [word_of(part) for item in block.body for part in (item.body if isinstance(item, TGroup) else [item])]
    name = "_".join(words)
    return name if all(words) and len(name) <= MOST_LETTERS else "block"


def word_of(item: TItem) -> str:
    """One layer or call in a block's name."""
    if isinstance(item, TOp):
        if isinstance(item.kind, Leaf):
            return "act"
        layer = REGISTRY[item.kind]
        short = SHORT if len(item.kind) < LONG else SHORT + 2
        return min((alias for alias in layer.aliases if len(alias) <= short), key=len, default=item.kind)
    return item.block.name if isinstance(item, TCall) else ""


def residual_name(skip: TSkip, block: Block, graph: Graph) -> str:
    """``bottleneck`` where the body is narrower within than at its end (He et al. 2015), ``inverted_residual``
    where it is wider (Sandler et al. 2018).
    """
    kinds: Counter[str] = Counter()
    for group in block.groups[:MOST_LOOKED_AT]:
        nodes = [graph.nodes[number] for number in sorted(group.nodes)]
        outs = [node.output_shape[0] for node in nodes if node.layer is not None and node.layer.is_product]
        out = max(graph.shape(group.result[0])[:1], default=0)
        if len(outs) > 2:
            kinds["bottleneck" if max(outs[:2]) < out else "inverted_residual" if max(outs) > out else ""] += 1
    return (kinds.most_common(1)[0][0] if kinds else "") or "residual_block"


def gathers(fork: TFork, graph: Graph) -> bool:
    """Whether a branch beside an empty one ends in one value per channel, as squeeze-and-excitation does."""
    if max(map(len, fork.branches)) < LEAST_GATHERED:
        return False
    return any(set(shape[1:]) == {1} for shape in graph.nodes[fork.op.sample.node].input_shapes)
