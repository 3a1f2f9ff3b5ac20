"""Nets written in PyTorch as graphs: ``torch.export`` gives operators, and a small function turns each into layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten_with_path, tree_unflatten

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node, Note, Ref
from cnncalc.torch.capture import operators
from cnncalc.torch.capture.batch import DifferentError, mark
from cnncalc.torch.capture.export import Inputs, exported, named_inputs
from cnncalc.torch.capture.naming import calls, name_nodes
from cnncalc.torch.capture.simplify import simplified
from cnncalc.torch.capture.tracer import Tracer
from cnncalc.torch.capture.values import BATCH, Batch, Value
from cnncalc.torch.running import first_line


class Captured(NamedTuple):
    """A module's graph, and which of its tensors are which of the graph's."""

    graph: Graph
    weights: dict[str, str]
    """The module's name of each parameter and buffer, by its name in the graph's own module."""
    inputs: dict[str, torch.dtype]
    """The dtypes of the inputs, by the names of ``forward``'s arguments."""
    batches: tuple[Batch | None, ...]
    """The place of the batch in each of the module's outputs."""
    samples: int | None = None
    """The only number of samples for which the graph is valid; ``None`` if it is for all."""


def capture(
    module: nn.Module, inputs: Inputs, *, dtype: torch.dtype = torch.float32, name: str = "", source: str = ""
) -> Captured:
    """The graph of a module in evaluation mode.

    Args:
        module: any module that ``torch.export`` supports; it is not changed, and nothing is computed.
        inputs: the shapes of its inputs, without the batch.
        dtype: of the inputs.
        name: the net's name; the module's class by default.
        source: where it comes from.

    Raises:
        CnncalcError: PyTorch cannot export it.
    """
    shapes = named_inputs(module, inputs)
    program, samples, note = programmed(module, shapes, dtype)
    notes = [note] if note else []
    if held := sum(tensor.numel() for tensor in module.parameters() if tensor.is_complex()):
        notes.append(Note("complex", f"{held:,} parameters are complex numbers: in bytes they are twice what is said"))
    return captured(program, shapes, name or type(module).__name__, source, module, samples, tuple(notes))


def programmed(
    module: nn.Module, shapes: dict[str, Any], dtype: torch.dtype
) -> tuple[torch.export.ExportedProgram, int, Note | None]:
    """A module's program, the number of samples in its sizes, and a note about that.

    The programs for one and two samples are compared; if they are different nets, only the first is used. A net that
    does not run with one sample (some norms do not) is exported with four and five.
    """
    try:
        one = exported(module, shapes, dtype, 1)
    except CnncalcError as error:
        try:
            few, many = exported(module, shapes, dtype, 4), exported(module, shapes, dtype, 5)
            mark(few.graph, many.graph, (4, 5))
        except (CnncalcError, DifferentError):
            raise error from None
        return many, BATCH, Note("batch", f"the net does not take one sample: {first_line(error)}")
    try:
        many = exported(module, shapes, dtype, 2)
        mark(one.graph, many.graph, (1, 2))
    except CnncalcError as error:
        why = f"the net does not take two samples: {first_line(error)}"
    except DifferentError as difference:
        why = f"the net does not do the same for two samples as for one (from {difference} on)"
    else:
        return many, BATCH, None
    return one, 1, Note("batch", f"{why}: its numbers are right for a batch of 1")


def captured(
    program: torch.export.ExportedProgram,
    inputs: dict[str, Any],
    name: str,
    source: str,
    module: nn.Module,
    samples: int,
    notes: tuple[Note, ...] = (),
) -> Captured:
    """The graph of an exported program whose sizes are for ``samples`` samples."""
    signature = program.graph_signature
    first = _first_names(module)
    parameters = {one: first.get(name, name) for one, name in signature.inputs_to_parameters.items()}
    buffers = {one: first.get(name, name) for one, name in signature.inputs_to_buffers.items()}
    given = [one for one in signature.user_inputs if isinstance(one, str)]
    tracer = Tracer(program.graph, parameters, buffers, given, samples)
    results = tracer.run()
    assert operators.__all__
    count = len(signature.user_outputs)
    values = [
        (label, value)
        for label, node in zip(_labels(program, count), results[len(results) - count :], strict=True)
        if isinstance(node, fx.Node) and isinstance(value := tracer.values[node], Value)
    ]
    ends = [(label, tracer.ref(value)) for label, value in values]
    if not ends:
        raise CnncalcError(f"{name} gives no tensor")
    pending, ends = simplified(tracer.pending, ends)
    names = list(inputs) if len(given) != 1 else ["input"]
    paths = name_nodes(pending, {one for one, _ in module.named_modules() if one}, names)
    nodes = tuple(
        Node(path, one.layer, one.inputs, one.input_shapes, one.output_shapes, None, one.shared, called)
        for path, one, called in zip(paths, pending, calls(pending, dict(module.named_modules())), strict=True)
    )
    weights = {
        f"{path}.{own}": theirs
        for path, one in zip(paths, pending, strict=True)
        if one.shared is None
        for own, theirs in one.weights.items()
    }
    graph = Graph(name, nodes, tuple(_outputs(nodes, ends)), source, notes=notes)
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    types = {name: placeholders[one].meta["val"].dtype for name, one in zip(inputs, given, strict=True)}
    return Captured(graph, weights, types, tuple(value.batch for _, value in values), 1 if samples == 1 else None)


def _first_names(module: nn.Module) -> dict[str, str]:
    """For each name of a tensor its first name."""
    names: dict[int, str] = {}
    return {name: names.setdefault(id(tensor), name) for name, tensor in _tensors(module).items()}


def _outputs(nodes: tuple[Node, ...], ends: list[tuple[str, Ref]]) -> list[tuple[str, Ref]]:
    """The results by name: the path if nothing better is known."""
    found: dict[str, Ref] = {}
    for label, ref in ends:
        node = nodes[ref.node]
        name = label or (node.path if len(node.output_shapes) == 1 else f"{node.path}.{ref.port}")
        unique, number = name, 2
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found[unique] = ref
    return list(found.items())


def _labels(program: torch.export.ExportedProgram, count: int) -> list[str]:
    """The keys of each result that stands in a dict; empty for others."""
    spec: Any = program.call_spec.out_spec
    try:
        found = tree_flatten_with_path(tree_unflatten(range(count), spec))[0]
    except ValueError:  # a container of the user's own, whose keys PyTorch does not know
        return [""] * count
    return [
        ".".join(str(getattr(key, "key", getattr(key, "idx", ""))) for key in path)
        if any(hasattr(key, "key") for key in path)
        else ""
        for path, _ in found
    ]


def copy_weights(captured: Captured, module: nn.Module, net: nn.Module) -> None:
    """Gives the graph's own module the tensors of the captured one."""
    theirs = _tensors(module)
    with torch.no_grad():
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
            tensor.copy_(theirs[captured.weights[name]].reshape(tensor.shape))


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by all of their names."""
    parameters = module.named_parameters(remove_duplicate=False)
    return {**dict(parameters), **dict(module.named_buffers(remove_duplicate=False))}


__all__ = ["Captured", "capture", "captured", "copy_weights", "programmed"]
