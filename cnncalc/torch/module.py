"""A whole graph as one PyTorch module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.convert.code import attributes_of
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node, Ref
from cnncalc.torch.registry import build_layer
from cnncalc.torch.source import text_of

Builder = Callable[..., nn.Module]
"""Makes a module of a layer and the shapes of its inputs."""
Outputs = tuple[Tensor, ...]
Values = dict[int, Outputs]
"""Outputs by node number."""


def same_module(node: Node, owner: Node) -> bool:
    """Whether one module computes both: the same layer for the same sizes, or one whose module does not depend on them
    (that of ``same`` padding does).
    """
    if node.layer != owner.layer or node.layer is None:
        return False
    if node.input_shapes == owner.input_shapes:
        return True
    try:
        return text_of(node.layer, node.input_shapes) == text_of(node.layer, owner.input_shapes)
    except CnncalcError:
        return False


class Step:
    """One node to run: its module, the tensors it reads, and the nodes that are no longer read after it."""

    __slots__ = ("done", "inputs", "module", "number")

    def __init__(self, number: int, module: nn.Module, inputs: tuple[Ref, ...]) -> None:
        self.number = number
        self.module = module
        self.inputs = inputs
        self.done: list[int] = []


class Net(nn.Module):
    """Runs a graph's nodes in order; parameters are named by the nodes' paths.

    ``forward`` takes the net's inputs in their order, batch first, and returns the output, or a
    dict of the outputs by name if there are several. Tensors are freed after their last use.
    """

    def __init__(self, graph: Graph, build: Builder = build_layer, in_place: frozenset[int] = frozenset()) -> None:
        """``in_place``: nodes whose modules are to write over their input (in evaluation, and without autograd)."""
        super().__init__()
        self.graph = graph
        self.steps: list[Step] = []
        # not registered as children: their tensors are those of the modules that they share them with
        self.borrowers: list[tuple[nn.Module, nn.Module]] = []
        made: dict[int, nn.Module] = {}
        for number, node in enumerate(graph.nodes):
            if node.layer is None:
                continue
            if node.shared is not None and same_module(node, graph.nodes[node.shared]):
                module = made[node.shared]
            else:
                module = build(node.layer, *node.input_shapes)
                if number in in_place:
                    module.inplace = True  # type: ignore[assignment]
                if node.shared is None:
                    self._register(node.path, module)
                else:
                    self.borrowers.append((module, made[node.shared]))
            made[number] = module
            self.steps.append(Step(number, module, node.inputs))
        self._lend()
        self._set_last_uses()

    def _lend(self) -> None:
        """Gives the layers that use another's weights under other settings, or for other sizes, the same tensors."""
        for module, owner in self.borrowers:
            for own, lent in zip(module.modules(), owner.modules(), strict=True):
                own._parameters.update(lent._parameters)
                own._buffers.update(lent._buffers)

    def _apply(self, fn: Any, recurse: bool = True) -> Net:
        """Moves the lent tensors too."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._lend()
        return self

    def train(self, mode: bool = True) -> Net:
        """Training or evaluation, for the layers with lent tensors too."""
        super().train(mode)
        for module, _ in self.borrowers:
            module.train(mode)
        return self

    def _register(self, path: str, module: nn.Module) -> None:
        """Puts a module under its path, one container per block."""
        *blocks, last = attributes_of(path)
        parent: nn.Module = self
        for block in blocks:
            child = parent._modules.get(block)
            if child is None:
                child = parent._modules[block] = nn.Module()
            parent = child
        # not add_module: it refuses names such as "type", which a layer of a spec may have
        parent._modules[last] = module

    def _set_last_uses(self) -> None:
        last: dict[int, Step] = {}
        for step in self.steps:
            for number in (step.number, *(ref.node for ref in step.inputs)):
                last[number] = step
        kept = {ref.node for _, ref in self.graph.outputs}
        for number, step in last.items():
            if number not in kept:
                step.done.append(number)

    def start(self, *inputs: Tensor) -> Values:
        """The first values to run the steps on: the net's inputs by node number.

        Raises:
            CnncalcError: another number of inputs.
        """
        numbers = [number for number, node in enumerate(self.graph.nodes) if node.layer is None]
        if len(inputs) != len(numbers):
            names = ", ".join(self.graph.inputs)
            raise CnncalcError(f"the net takes {len(numbers)} inputs ({names}), got {len(inputs)}")
        return {number: (tensor,) for number, tensor in zip(numbers, inputs, strict=True)}

    def walk(self, values: Values, keep: bool = False) -> Iterator[tuple[Step, list[Tensor]]]:
        """The steps in order, each with its inputs, while the caller adds every step's outputs to ``values``; there
        they are freed after their last use, unless all are to be kept.
        """
        for step in self.steps:
            yield step, [values[ref.node][ref.port] for ref in step.inputs]
            for number in () if keep else step.done:
                values.pop(number, None)

    def forward(self, *inputs: Tensor) -> Any:
        """The output, or all outputs by name."""
        return self.run(self.start(*inputs))

    def run(self, values: Values) -> Any:
        """The output, or all outputs by name, for values that begin with the inputs; they are taken over.

        Each is freed after its last use; a caller of the module itself keeps its inputs.
        """
        for step, inputs in self.walk(values):
            out = step.module(*inputs)
            values[step.number] = (out,) if isinstance(out, Tensor) else tuple(out)
            del out, inputs
        outputs = {name: values[ref.node][ref.port] for name, ref in self.graph.outputs}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def example_inputs(
    graph: Graph, batch: int = 1, *, device: str = "cpu", dtype: torch.dtype = torch.float32, seed: int = 0
) -> list[Tensor]:
    """Random inputs of the graph's shapes."""
    generator = torch.Generator().manual_seed(seed)
    shapes = graph.inputs.values()
    return [torch.randn((batch, *shape), generator=generator).to(device=device, dtype=dtype) for shape in shapes]
