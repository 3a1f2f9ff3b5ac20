"""Inlines the parts of an exported program that have their own graphs.

``torch.export`` puts what runs without gradients, or in another precision (``with torch.no_grad():``,
``with torch.autocast(…):``), in a graph of its own behind one higher-order operator. What is computed is the same.
"""

from __future__ import annotations

import operator
from typing import Any

from torch import fx

TRANSPARENT = {"wrap_with_set_grad_enabled", "wrap_with_autocast", "tag_activation_checkpoint"}
"""Higher-order operators that run their graph once, on the tensors that follow it."""


def inline(graph: fx.Graph) -> None:
    """Replaces every such operator by the nodes of its graph."""
    for node in list(graph.nodes):
        body = _body(graph, node)
        if body is None:
            continue
        number, inner = body
        inline(inner)
        given = node.args[number + 1 :]
        holders = [one for one in inner.nodes if one.op == "placeholder"]
        if len(holders) != len(given):
            continue
        copies: dict[fx.Node, Any] = dict(zip(holders, given, strict=True))
        with graph.inserting_before(node):
            results: Any = graph.graph_copy(inner, copies)
        several = isinstance(results, (list, tuple))
        for user in list(node.users):
            if several and user.target is operator.getitem:
                user.replace_all_uses_with(results[user.args[1]])
                graph.erase_node(user)
        if not several:
            node.replace_all_uses_with(results)
        if not node.users:
            graph.erase_node(node)


def _body(graph: fx.Graph, node: fx.Node) -> tuple[int, fx.Graph] | None:
    """The graph that a node runs, and which of its arguments that is."""
    if node.op != "call_function" or getattr(node.target, "__name__", "") not in TRANSPARENT:
        return None
    for number, argument in enumerate(node.args):
        if isinstance(argument, fx.Node) and argument.op == "get_attr":
            found = getattr(graph.owning_module, str(argument.target), None)
            if isinstance(found, fx.GraphModule):
                return number, found.graph
    return None
