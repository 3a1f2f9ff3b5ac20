"""Which sizes of an exported net hold the batch: those that differ between one and two samples.

Both programs must do the same, operator by operator. A copy that only one of them has, or a view by another name,
makes no difference: PyTorch decides it by strides, which a size of 1 changes.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from torch import fx

from cnncalc.torch.capture.tracer import IGNORED, SAME, named_arguments, output_shapes
from cnncalc.torch.capture.values import BATCH

VIEWS = {"view", "reshape", "_unsafe_view", "_reshape_alias"}
NUMBERS = {"other", "value", "exponent", "alpha", "beta"}
"""Arguments that are operands, not sizes."""


class DifferentError(Exception):
    """The programs do different things; says where and what."""


def mark(few: fx.Graph, many: fx.Graph, counts: tuple[int, int]) -> None:
    """Gives the nodes of ``many`` the shapes and sizes for ``BATCH`` samples, extrapolated from ``counts`` samples.

    Raises:
        DifferentError: the programs differ in more than sizes.
    """
    twins: dict[fx.Node, fx.Node] = {}
    for first, second in zip_longest(_steps(few), _steps(many)):
        if first is None or second is None or not _alike(first, second, twins):
            raise DifferentError(_place(first or second))
        twins[second] = first

    def size(one: Any, other: Any, samples: int = BATCH) -> Any:
        if isinstance(other, (list, tuple)):
            return type(other)(size(*pair, samples) for pair in zip(one, other, strict=True))
        if type(other) is int and one != other:
            return other + (other - one) * (samples - counts[1]) // (counts[1] - counts[0])
        return other

    for node in many.nodes:
        first = twins.get(node)
        if first is not None:
            shapes = output_shapes(first), output_shapes(node)
            node.meta["single"], node.meta["shapes"] = size(*shapes, 1), size(*shapes)
            if node.op == "call_function":  # a default in one may be given explicitly in the other
                one, other = named_arguments(first)[1], named_arguments(node)[1]
                node.args, node.kwargs = tuple(size(one[key], value) for key, value in other.items()), {}
        elif _name(node) in SAME:
            node.meta["shapes"] = node.args[0].meta["shapes"]


def _name(node: fx.Node) -> str:
    return named_arguments(node)[0] if node.op == "call_function" else ""


def _steps(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op != "output" and _name(node) not in SAME | IGNORED]


def _source(node: fx.Node) -> fx.Node:
    """The node that made a tensor, past copies."""
    while _name(node) in SAME:
        node = node.args[0]  # type: ignore[assignment]
    return node


def _alike(first: fx.Node, second: fx.Node, twins: dict[fx.Node, fx.Node]) -> bool:
    if first.op != second.op:
        return False
    if first.op != "call_function":
        return len(first.args) == len(second.args)
    (name, one), (other_name, other) = named_arguments(first), named_arguments(second)
    if name != other_name and not {name, other_name} <= VIEWS:
        return False
    return [*one] == [*other] and all(_same(one[key], other[key], twins, key in NUMBERS) for key in one)


def _same(one: Any, other: Any, twins: dict[fx.Node, fx.Node], exactly: bool) -> bool:
    if isinstance(other, fx.Node):
        return isinstance(one, fx.Node) and twins.get(_source(other)) is _source(one)
    if isinstance(other, (list, tuple)):
        return (
            isinstance(one, (list, tuple))
            and len(one) == len(other)
            and all(_same(*pair, twins, exactly) for pair in zip(one, other, strict=True))
        )
    if type(other) is int and type(one) is int and not exactly:
        return True
    return type(one) is type(other) and bool(one == other or one is other)


def _place(node: fx.Node) -> str:
    stack = [str(path) for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    name = _name(node) or node.name
    return f"{name} in {stack[-1]}" if stack and stack[-1] else name
