"""Arguments of blocks: a value that differs between instances is one, or a multiple or part of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from typing import Any

from cnncalc.convert.template import (
    ABSENT,
    CHANNELS,
    DEPTH,
    TENSOR,
    WINDOW,
    Block,
    Classes,
    Language,
    Leaf,
    Mismatch,
    Param,
    Word,
    keyed,
    leaves,
)
from cnncalc.convert.tree import Group
from cnncalc.graph import Graph, Ref

CLASSES = "classes"
"""The argument of a net for how many classes it tells apart."""
DEFAULTS = (1, 3, False, None, 0)
"""Values that an argument need not be given, where a quarter of the instances have them."""


def _times(k: int) -> Callable[[int], int]:
    return lambda x: x * k


def _over(k: int) -> Callable[[int], int]:
    return lambda x: x // k


FORMS: list[tuple[str, Callable[[int], int]]] = [
    ("{0}", lambda x: x),
    *((f"{{0}} * {k}", _times(k)) for k in (2, 4, 3, 6, 8)),
    *((f"{{0}} // {k}", _over(k)) for k in (2, 4, 8, 16)),
]


def resolve(block: Block, graph: Graph, language: Language, words: Set[str]) -> None:
    """Decides how each value of a block's template is written, and so which arguments the block has.

    ``words`` are the names that blocks and the language have taken.

    Raises:
        Mismatch: a tensor is one of the block's own in some instances only.
    """
    for leaf in leaves(block.body):
        if any(isinstance(value, Ref) for value in leaf.values):
            _tensor(leaf, block, graph, language)
        elif any(isinstance(value, Classes) for value in leaf.values):
            _classes(leaf, block, language)
        elif leaf.is_same():
            leaf.constant = next(iter(leaf.known()), ABSENT)
        else:
            _value(leaf, block)
    _name_all(block, graph, language, words)


def _value(leaf: Leaf, block: Block) -> None:
    param = _same(leaf, block)
    if param is None and (derived := _derived(leaf, block)) is not None:
        leaf.expression, leaf.param = derived
        return
    if param is None:
        param = Param(leaf.hint, list(leaf.values), leaf.kind, leaf.last, leaf.place)
        block.params.append(param)
    leaf.expression, leaf.param = "{0}", param


def _same(leaf: Leaf, block: Block) -> Param | None:
    """The argument of a kind that has these values already."""
    for param in block.params:
        if param.kind != leaf.kind or param is block.entry:
            continue
        pairs = list(zip(param.values, leaf.values, strict=True))
        both = [(a, b) for a, b in pairs if a is not ABSENT and b is not ABSENT]
        if both and all(keyed(a) == keyed(b) for a, b in both):
            param.values = [b if a is ABSENT else a for a, b in pairs]
            return param
    return None


def _derived(leaf: Leaf, block: Block) -> tuple[str, Param | None] | None:
    """A multiple or part of an argument or of the channels coming in, that gives all values."""
    if leaf.kind not in (CHANNELS, WINDOW) or any(type(value) is not int for value in leaf.known()):
        return None
    bases: list[tuple[str, Sequence[Any], Param | None]] = [
        ("{0}", param.values, param) for param in block.params if param.kind == leaf.kind and param is not block.entry
    ]
    if leaf.channels and leaf.kind == CHANNELS:
        bases += [("in_channels", leaf.channels, None), ("", block.channels, block.entry)]
    for form, function in FORMS:
        for text, base, param in bases:
            pairs = zip(leaf.values, base, strict=True)
            if all(value is ABSENT or (type(b) is int and function(b) == value) for value, b in pairs):
                if not text:  # the channels at the block's entrance are kept in an argument
                    if param is None:
                        param = block.entry = Param("channels", list(base), CHANNELS, default="in_channels")
                        block.params.append(param)
                    text = "{0}"
                return form.replace("{0}", text), param
    return None


def _classes(leaf: Leaf, block: Block, language: Language) -> None:
    """In a spec the name is known in every block; code hands it down."""
    leaf.expression = CLASSES
    if language.explicit:
        default = int(leaf.values[0]) if block.is_net else ...
        leaf.expression, leaf.param = "{0}", Param(CLASSES, list(leaf.values), CLASSES, default=default)
        block.params.append(leaf.param)


def _tensor(leaf: Leaf, block: Block, graph: Graph, language: Language) -> None:
    """A tensor of the block's own is read by name; another one by its whole path, or as an argument."""
    inside = {_is_inside(value, group) for value, group in zip(leaf.values, block.groups, strict=True)}
    texts = {
        graph.path(value).removeprefix(f"{group.path}." if inside == {True} else "")
        for value, group in zip(leaf.values, block.groups, strict=True)
    }
    leaf.kind = TENSOR
    if len(inside) > 1 or (inside == {True} and len(texts) > 1):
        raise Mismatch
    if inside == {True} or (len(texts) == 1 and not language.explicit):
        leaf.constant = leaf.values[0]
        return
    leaf.hint = "skip"
    _value(leaf, block)


def _is_inside(ref: Any, group: Group) -> bool:
    if not isinstance(ref, Ref):
        raise Mismatch
    return not group.path or ref.node in group.nodes


# -- names -----------------------------------------------------------------------------------------


def _name_all(block: Block, graph: Graph, language: Language, words: Set[str]) -> None:
    """Names for the arguments: the field's, with the branch before it or a number where several have the same."""
    wanted = {id(param): _wanted(param, block, graph, language) for param in block.params}
    count = Counter(wanted.values())
    places = Counter(param.place for param in block.params if count[wanted[id(param)]] > 2)
    reserved = language.reserved(block, words)
    taken: set[str] = set()
    for param in block.params:
        name = hint = wanted[id(param)]
        number = 2
        if param.place and count[hint] > 2:
            number, hint = 1, f"{param.place}_"
            name = param.place if places[param.place] == 1 else f"{hint}1"
        if not name.isidentifier() or name in reserved:
            name = hint = f"{hint}_" if hint.isidentifier() else "value"
        while name in taken or name in reserved:
            name, number = f"{hint}{number}", number + 1
        taken.add(name)
        param.name = name
        if param.default is ...:
            param.default = _default(param)


def _wanted(param: Param, block: Block, graph: Graph, language: Language) -> str:
    """The name where it is used, or for channels their role in the whole block."""
    if param.hint not in language.channel_fields or param is block.entry:
        return param.hint

    def agree(tensors: list[tuple[Ref, ...]]) -> bool:
        shapes = [graph.shape(refs[0]) if len(refs) == 1 else () for refs in tensors]
        pairs = zip(param.values, shapes, strict=True)
        return all(value is ABSENT or (shape and value == shape[0]) for value, shape in pairs)

    enters, ends = (agree([getattr(group, end) for group in block.groups]) for end in ("reads", "result"))
    if enters and language.explicit:
        return "channels" if ends else language.channel_names[0]
    return language.channel_names[1 if ends else 2]


def _default(param: Param) -> Any:
    """The value that need not be given: the most common natural default."""
    values = [value for value in param.values if value is not ABSENT]
    if param.kind in (CHANNELS, DEPTH, TENSOR, CLASSES) or not values:
        return ...
    counts = Counter(map(keyed, values))
    for natural in DEFAULTS:
        if counts.get(keyed(natural), 0) * 4 >= len(values):
            return natural
    commonest, count = counts.most_common(1)[0]
    value = next(value for value in values if keyed(value) == commonest)
    return value if isinstance(value, (bool, float, Word)) and count * 2 >= len(values) else ...
