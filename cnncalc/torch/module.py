"""A whole graph as one PyTorch module."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.convert.blocks import attributes_of
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node, Ref
from cnncalc.layers.base import Shape
from cnncalc.torch import room
from cnncalc.torch.registry import build_layer

LayerBuilder = Callable[[Node], nn.Module]


def module_of(node: Node) -> nn.Module:
    """The module that computes a node."""
    assert node.layer is not None
    return build_layer(node.layer, *node.input_shapes)


def same_module(node: Node, owner: Node) -> bool:
    """Whether one module computes both: the same layer for the same sizes, or one whose module does not depend on them
    (that of ``same`` padding does).
    """
    if node.layer != owner.layer or node.layer is None:
        return False
    if node.input_shapes == owner.input_shapes:
        return True
    from cnncalc.torch.source import text_of

    try:
        return text_of(node.layer, node.input_shapes) == text_of(node.layer, owner.input_shapes)
    except CnncalcError:
        return False


class Refused(nn.Module):
    """Replaces a module that PyTorch refuses to make; it raises when it is run."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def forward(self, *inputs: Tensor) -> Tensor:
        """Never a tensor.

        Raises:
            RuntimeError: always, with the reason.
        """
        raise RuntimeError(self.reason)


def or_refused(build: LayerBuilder) -> LayerBuilder:
    """The builder; an error of PyTorch's is raised only when the module is run."""

    def attempt(node: Node) -> nn.Module:
        try:
            return build(node)
        except REFUSALS as error:
            if room.is_missing(error):
                raise
            return Refused(first_line(error))

    return attempt


REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)
"""Exceptions that PyTorch raises if it cannot make or run a module."""


def first_line(error: BaseException) -> str:
    """The gist of an error."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def run_module(module: nn.Module, inputs: list[Tensor]) -> tuple[Tensor, ...] | str:
    """The outputs, or why PyTorch refuses to compute them.

    Raises:
        CnncalcError: it is not available in this dtype on this device.
        RuntimeError: there is no memory for it.
    """
    try:
        out = module(*inputs)
    except REFUSALS as error:
        reason = first_line(error)
        if room.is_missing(error):
            raise
        if isinstance(error, NotImplementedError) or "not implemented for" in reason:
            raise CnncalcError(f"error: PyTorch cannot do this here: {reason}\n  hint: try --dtype float32") from None
        return reason
    return (out,) if isinstance(out, Tensor) else tuple(out)


def shapes_of(outputs: tuple[Tensor, ...]) -> tuple[Shape, ...]:
    """The outputs' shapes without the batch."""
    return tuple(tuple(out.shape[1:]) for out in outputs)


def as_claimed(outputs: tuple[Tensor, ...] | str, node: Node, like: Tensor) -> tuple[Tensor, ...]:
    """Outputs of exactly the claimed shapes, for the layers after this one.

    So a wrong claim about one layer only shows in that layer. Outputs of other shapes are cut and
    padded with zeros at the end; if there are none, or with another number of axes, all is 0.
    """
    given = () if isinstance(outputs, str) else outputs
    if shapes_of(given) == node.output_shapes:
        return given
    made = []
    for port, shape in enumerate(node.output_shapes):
        full = like.new_zeros((like.shape[0], *shape))
        if port < len(given) and given[port].dim() == full.dim():
            both = tuple(slice(0, min(have, want)) for have, want in zip(given[port].shape, full.shape, strict=True))
            full[both] = given[port][both].to(full.dtype)
        made.append(full)
    return tuple(made)


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

    def __init__(self, graph: Graph, build: LayerBuilder = module_of, in_place: frozenset[int] = frozenset()) -> None:
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
            if node.shared is not None:
                module = made[node.shared]
                if not same_module(node, graph.nodes[node.shared]):
                    self.borrowers.append((build(node), module))
                    module = self.borrowers[-1][0]
            else:
                module = build(node)
                if number in in_place:
                    module.inplace = True  # type: ignore[assignment]
                self._register(node.path, module)
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
            if block not in parent._modules:
                parent._modules[block] = nn.Module()
            child = parent._modules[block]
            assert child is not None
            parent = child
        # not add_module: it refuses names such as "type", which a layer of a spec may have
        parent._modules[last] = module

    def _set_last_uses(self) -> None:
        last: dict[int, Step] = {}
        for step in self.steps:
            last[step.number] = step
            for ref in step.inputs:
                last[ref.node] = step
        kept = {ref.node for _, ref in self.graph.outputs}
        for number, step in last.items():
            if number not in kept:
                step.done.append(number)

    def start(self, *inputs: Tensor) -> dict[int, tuple[Tensor, ...]]:
        """The first values to run the steps on: the net's inputs by node number.

        Raises:
            CnncalcError: another number of inputs.
        """
        numbers = [number for number, node in enumerate(self.graph.nodes) if node.layer is None]
        if len(inputs) != len(numbers):
            names = ", ".join(self.graph.inputs)
            raise CnncalcError(f"the net takes {len(numbers)} inputs ({names}), got {len(inputs)}")
        return {number: (tensor,) for number, tensor in zip(numbers, inputs, strict=True)}

    def forward(self, *inputs: Tensor) -> Any:
        """The output, or all outputs by name."""
        return self.run(self.start(*inputs))

    def run(self, values: dict[int, tuple[Tensor, ...]]) -> Any:
        """The output, or all outputs by name, for values that begin with the inputs; they are taken over.

        Each is freed after its last use; a caller of the module itself keeps its inputs.
        """
        for step in self.steps:
            out = step.module(*(values[ref.node][ref.port] for ref in step.inputs))
            values[step.number] = (out,) if isinstance(out, Tensor) else tuple(out)
            del out
            for number in step.done:
                del values[number]
        outputs = {name: values[ref.node][ref.port] for name, ref in self.graph.outputs}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def build(source: str | os.PathLike[str] | Graph, **options: Any) -> Net:
    """A net as a PyTorch module, with PyTorch's own initial weights.

    Args:
        source: a path, the name of a shipped net, or a graph.
        **options: for sources other than graphs, as for :func:`cnncalc.load`: ``variant``, ``input``
            and the spec's arguments.

    Raises:
        CnncalcError: the source is not a valid net, or has a layer that PyTorch cannot build.
    """
    if not isinstance(source, Graph):
        from cnncalc.api import load

        source = load(source, **options)
    return Net(source)


def relative_difference(first: Tensor, second: Tensor, least: float = 1e-30) -> float:
    """The largest difference of two tensors, relative to the largest finite value of the second, or to ``least``.

    Equal infinities and two NaNs at the same place do not differ; a NaN or infinity at one side alone is
    an infinite difference.
    """
    same = (first == second) | (first.isnan() & second.isnan())
    finite = second[second.isfinite()].abs()
    scale = max(float(finite.max()) if finite.numel() else 0.0, least, 1e-30)
    difference = torch.where(same, 0.0, (first - second).abs()).nan_to_num(nan=torch.inf, posinf=torch.inf)
    return float(difference.max()) / scale


def example_inputs(
    graph: Graph, batch: int = 1, *, device: str = "cpu", dtype: torch.dtype = torch.float32, seed: int = 0
) -> list[Tensor]:
    """Random inputs of the graph's shapes."""
    generator = torch.Generator().manual_seed(seed)
    shapes = graph.inputs.values()
    return [torch.randn((batch, *shape), generator=generator).to(device=device, dtype=dtype) for shape in shapes]
