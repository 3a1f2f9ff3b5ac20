"""The operators of an exported program, in a form that can be followed from tensor to tensor: in one graph, with
arguments by name, and without writes that other tensors see.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from cnncalc.layers.base import Shapes

SAME = {
    "alias",
    "clone",
    "contiguous",
    "detach",
    "lift_fresh",
    "lift_fresh_copy",
    "to",
    "_to_copy",
    "type_as",
    "positive",
}
"""Operators that return the tensor itself, or a copy of it."""
FRESH = {
    *(f"new_{what}" for what in ("empty", "empty_strided", "full", "ones", "zeros")),
    *(f"{what}_like" for what in ("empty", "full", "ones", "rand", "randn", "zeros")),
    "fill",
    "zero",
}
"""Operators that use a tensor's shape or device, not its values."""
TRANSPARENT = {"wrap_with_set_grad_enabled", "wrap_with_autocast", "tag_activation_checkpoint"}
"""Higher-order operators that run their graph once, on the tensors that follow it: ``torch.export`` makes them of what
runs without gradients, or in another precision (``with torch.no_grad():``, ``with torch.autocast(…):``)."""


def named_arguments(node: fx.Node) -> tuple[str, dict[str, Any]]:
    """An operator's name without namespace and overload, and its arguments by name, defaults included."""
    target = node.target
    schema = getattr(target, "_schema", None)
    if schema is None:
        names = [f"argument{number}" for number in range(len(node.args))]
        return getattr(target, "__name__", str(target)), {**dict(zip(names, node.args, strict=True)), **node.kwargs}
    named: dict[str, Any] = {}
    for position, argument in enumerate(schema.arguments):
        if position < len(node.args):
            named[argument.name] = node.args[position]
        else:
            named[argument.name] = node.kwargs.get(argument.name, argument.default_value)
    return str(schema.name).partition("::")[2], named


def output_shapes(node: fx.Node) -> Shapes:
    """PyTorch's shapes of an operator's results, for the recorded number of samples."""
    if "shapes" in node.meta:
        written: Shapes = node.meta["shapes"]
        return written
    found = node.meta.get("val")
    parts = found if isinstance(found, (list, tuple)) else [found]
    return tuple(
        tuple(size if type(size) is int else 1 for size in part.shape)
        for part in parts
        if isinstance(part, torch.Tensor)
    )


def operator_name(node: fx.Node) -> str:
    """The name without namespace and overload; empty for what is no operator."""
    return named_arguments(node)[0] if node.op == "call_function" else ""


def writes(node: fx.Node) -> bool:
    """Whether an operator writes its result to its first argument."""
    name = operator_name(node)
    return name.endswith("_") and not name.startswith("__")


def prepared(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program in one graph, in which no write changes what another tensor of it holds.

    Where one does, PyTorch writes the program anew, with ``slice_scatter`` and the like. Other programs stay as they
    are, since that takes longer than the export.
    """
    graphs = [one.graph for one in program.graph_module.modules() if isinstance(one, fx.GraphModule)]
    if any(map(_seen_elsewhere, graphs)):
        program = program.run_decompositions({})
    _inline(program.graph)
    return program


def _seen_elsewhere(graph: fx.Graph) -> bool:
    """Whether it writes to memory that it reads later by another tensor; but for constants, whose values nobody
    follows.
    """
    varying: set[fx.Node] = set()
    sharing: dict[fx.Node, list[fx.Node]] = {}
    done: set[fx.Node] = set()
    for node in graph.nodes:
        done.add(node)
        base: Any = node.args[0] if node.args else None
        sharing[node] = sharing[base] if isinstance(base, fx.Node) and _shares(node) else []
        if node.op == "placeholder" or not (varying.isdisjoint(node.all_input_nodes) or operator_name(node) in FRESH):
            varying.add(node)
        if node in varying and writes(node):
            others = (one for one in sharing[node] if one is not base)
            if any(user not in done for one in others for user in one.users):
                return True
        sharing[node].append(node)
    return False


def _shares(node: fx.Node) -> bool:
    """Whether its result may lie in the memory of its first argument."""
    schema = getattr(node.target, "_schema", None)
    return node.target is operator.getitem or any(
        one.alias_info is not None for one in (schema and schema.returns) or ()
    )


def _inline(graph: fx.Graph) -> None:
    """Replaces every transparent operator by the nodes of its graph."""
    for node in list(graph.nodes):
        if node.op != "call_function" or getattr(node.target, "__name__", "") not in TRANSPARENT:
            continue
        place = next(number for number, one in enumerate(node.args) if getattr(one, "op", "") == "get_attr")
        inner: fx.Graph = getattr(graph.owning_module, str(node.args[place].target)).graph
        _inline(inner)
        holders = [one for one in inner.nodes if one.op == "placeholder"]
        copies: dict[fx.Node, Any] = dict(zip(holders, node.args[place + 1 :], strict=True))
        with graph.inserting_before(node):
            results: Any = graph.graph_copy(inner, copies)
        if isinstance(results, fx.Node):
            node.replace_all_uses_with(results)
        for user in list(node.users):
            user.replace_all_uses_with(results[user.args[1]])
            graph.erase_node(user)
        graph.erase_node(node)
