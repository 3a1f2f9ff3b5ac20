"""Whether two graphs are the same net: the same paths, layers, inputs, shapes, shared weights and results."""

from __future__ import annotations

from cnncalc.graph import Graph, Node, Ref


def difference(one: Graph, other: Graph) -> str | None:
    """The first difference between two graphs, in words; ``None`` where they are equal.

    The order of the nodes may differ as far as their inputs allow (paths tell which is which), and so may that
    of a sum's terms: no number depends on them.
    """
    if one.name != other.name:
        return f"the name is '{other.name}' instead of '{one.name}'"
    if one.citation != other.citation:
        return "the source differs"
    if one.budget != other.budget:
        return "the budget differs"
    theirs = {node.path: node for node in other.nodes}
    paths = {node.path for node in one.nodes}
    if len(theirs) != len(other.nodes) or len(paths) != len(one.nodes):
        return "a path occurs twice"
    for node in one.nodes:
        match = theirs.get(node.path)
        if match is None:
            return f"'{node.path}' is missing"
        unequal = _difference(one, node, other, match)
        if unequal is not None:
            return f"'{node.path}' {unequal}"
    more = theirs.keys() - paths
    if more:
        return f"'{min(more)}' is too much"
    if [(name, _ref(one, ref)) for name, ref in one.outputs] != [
        (name, _ref(other, ref)) for name, ref in other.outputs
    ]:
        return "the outputs differ"
    if list(one.inputs) != list(other.inputs):
        return "the inputs stand in another order"
    return None


def _difference(one: Graph, node: Node, other: Graph, match: Node) -> str | None:
    if node.layer != match.layer or type(node.layer) is not type(match.layer):
        return f"is {match.layer!r} instead of {node.layer!r}"
    if node.layer is not None and repr(node.layer) != repr(match.layer):  # 1 and 1.0 and true are equal to Python
        return f"is {match.layer!r} instead of {node.layer!r}"
    ours, theirs = ([_ref(graph, ref) for ref in n.inputs] for graph, n in ((one, node), (other, match)))
    if node.layer is not None and node.layer.commutative:
        ours, theirs = sorted(ours), sorted(theirs)
    elif node.input_shapes != match.input_shapes:
        return "has another input shape"
    if ours != theirs:
        return f"reads {theirs} instead of {ours}"
    if node.output_shapes != match.output_shapes:
        return "has another shape"
    owners = [None if n.shared is None else graph.nodes[n.shared].path for graph, n in ((one, node), (other, match))]
    if owners[0] != owners[1]:
        return f"shares the weights of {owners[1]} instead of {owners[0]}"
    return None


def _ref(graph: Graph, ref: Ref) -> tuple[str, int]:
    return graph.nodes[ref.node].path, ref.port
