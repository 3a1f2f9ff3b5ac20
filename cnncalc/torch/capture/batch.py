"""Which sizes of an exported net hold the batch: those that differ between one and two samples.

Both programs must do the same, operator by operator. A copy that only one of them has, or a view by another name,
makes no difference: PyTorch decides it by strides, which a size of 1 changes.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from torch import fx

from cnncalc.torch.capture.program import SAME, named_arguments, operator_name, output_shapes
from cnncalc.torch.capture.values import BATCH

IGNORED = {
    "_assert_tensor_metadata",
    "_assert_async",
    "_assert_scalar",
    "sym_constrain_range",
    "sym_constrain_range_for_size",
}
"""Operators that return no tensor."""
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
    for (first, form), (second, other) in zip_longest(_forms(few), _forms(many), fillvalue=(None, None)):
        if first is None or second is None or form != other:
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
        elif operator_name(node) in SAME:
            node.meta["shapes"] = node.args[0].meta["shapes"]


def _forms(graph: fx.Graph) -> list[tuple[fx.Node, Any]]:
    """What each node does, but for sizes: its operator and arguments, tensors by the numbers of the nodes that made
    them, past copies.
    """
    forms: list[tuple[fx.Node, Any]] = []
    makers: dict[fx.Node, int] = {}

    def form(argument: Any, exactly: bool) -> Any:
        if isinstance(argument, fx.Node):
            return "made by", makers.get(argument)
        if isinstance(argument, (list, tuple)):
            return [form(one, exactly) for one in argument]
        return type(argument), argument if exactly or type(argument) is not int else None

    for node in graph.nodes:
        name = operator_name(node)
        if name in SAME:
            makers[node] = makers[node.args[0]]
        elif node.op != "output" and name not in IGNORED:
            makers[node] = len(forms)
            named = named_arguments(node)[1] if name else {}
            own = {key: form(argument, key in NUMBERS) for key, argument in named.items()}
            forms.append((node, (node.op, "view" if name in VIEWS else name, own)))
    return forms


def _place(node: Any) -> str:
    stack = [str(path) for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    name = operator_name(node) or node.name
    return f"{name} in {stack[-1]}" if stack and stack[-1] else name
