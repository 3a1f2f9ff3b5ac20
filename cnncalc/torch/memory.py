"""Memory measured in PyTorch: live storages of tensors, what autograd keeps, what an optimiser holds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnncalc.analysis.memory.inference import peak
from cnncalc.analysis.memory.passes import Pass, forward_pass
from cnncalc.analysis.memory.training import Setting, kept_by_node, training
from cnncalc.analysis.verdict import Row, compare
from cnncalc.graph import Graph
from cnncalc.torch.module import Net, example_inputs
from cnncalc.torch.running import REFUSALS, Plan, first_line, threads, tried

CHECKS = ("peak", "saved", "optimizer")
OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.0),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.0, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.0),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.0),
}
ONLY_IN_TRAINING = ("Expected more than 1", "eps must be positive during training")
"""How PyTorch refuses, in training alone, statistics over a single value and a batch norm without eps."""


class Live(TorchDispatchMode):
    """Follows the storages of all tensors that operations make, while they are alive.

    ``now`` and ``peak`` are bytes; storages in ``ignored`` (weights) do not count.
    """

    def __init__(self, ignored: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.now = 0
        self.peak = 0
        self._ignored = {tensor.untyped_storage()._cdata for tensor in ignored}
        self._alive: dict[int, weakref.ref[Any]] = {}

    def add(self, tensor: Tensor) -> None:
        """Counts a tensor's storage, once, until it is gone."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._ignored or key in self._alive:
            return

        def gone(_: object) -> None:
            del self._alive[key]
            self.now -= size

        self._alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return out


def own_tensors(net: nn.Module) -> list[Tensor]:
    """Tensors that exist before any input: parameters, buffers, and constants that modules hold."""
    constants = [value for module in net.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return [*net.parameters(), *net.buffers(), *constants]


def measured_peak(net: Net, inputs: list[Tensor]) -> int:
    """The most bytes of tensors alive at once in a pass in evaluation without autograd; takes the inputs over."""
    net.eval()
    with torch.no_grad(), Live():
        torch.zeros(1).relu()  # the very first operation under a mode leaves a cycle behind that holds its inputs
    live = Live(own_tensors(net))
    values = net.start(*inputs)
    while inputs:
        live.add(inputs.pop())
    with torch.no_grad(), live:
        net.run(values)
    return live.peak


def measured_kept(net: Net, inputs: list[Tensor]) -> int:
    """Bytes of the storages that autograd keeps after a forward pass in training, the weights apart.

    Those that ``torch.autograd.graph.saved_tensors_hooks`` sees and that are still there in the end
    (what only dead ends of the net need is not). Takes the inputs over.
    """
    net.train()
    weights = {tensor.untyped_storage()._cdata for tensor in own_tensors(net)}
    packs: list[weakref.ref[_Packed]] = []

    def pack(tensor: Tensor) -> _Packed:
        packed = _Packed(tensor.detach())  # an output itself would hold the graph that holds it
        packs.append(weakref.ref(packed))
        return packed

    values = net.start(*inputs)
    inputs.clear()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed.tensor):
        outputs = net.run(values)
    there = [packed.tensor.untyped_storage() for ref in packs if (packed := ref()) is not None]
    del outputs
    return sum({storage._cdata: storage.nbytes() for storage in there if storage._cdata not in weights}.values())


class _Packed:
    """Held by autograd in place of a tensor: deleted when autograd no longer keeps it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def measured_state(net: nn.Module, optimizer: str) -> int:
    """Bytes of the tensors that an optimiser holds after a step, for the gradients that there are."""
    parameters = [parameter for parameter in net.parameters() if parameter.grad is not None]
    if not parameters:
        return 0
    made = OPTIMIZERS[optimizer](parameters)
    made.step()
    return sum(value.nbytes for state in made.state.values() for value in state.values() if isinstance(value, Tensor))


def measured(graph: Graph, plan: Plan) -> Iterator[Row]:
    """Rows for the net: the peak of a pass in inference, what autograd keeps, what optimisers hold.

    On the CPU, whatever the device of the other checks: what a GPU's kernels keep differs (see the
    documentation). A net that PyTorch takes in inference alone has no numbers for training.
    """
    net = tried(graph).to(dtype=plan.dtype)
    with several_threads():
        for check, row in (("peak", _peak), ("saved", _saved), ("optimizer", _optimizers)):
            if check in plan.checks and plan.layers == "*":
                plan.progress(f"memory: {check}")
                try:
                    yield row(graph, net, plan)
                except REFUSALS as error:
                    yield _refused(check, error)


def several_threads() -> AbstractContextManager[None]:
    """For one thread alone PyTorch leaves some convolutions over three axes to another kernel."""
    return threads(max(torch.get_num_threads(), 2))


def _refused(check: str, error: BaseException) -> Row:
    """PyTorch does not run the net; what it refuses in training alone is no fault of the claim."""
    reason = f"PyTorch refuses it: {first_line(error)}"
    if any(refusal in reason for refusal in ONLY_IN_TRAINING):
        return Row("", check, "", "", note=f"not measured: {reason}")
    return Row("", check, "bytes", "none", reason)


def _peak(graph: Graph, net: Net, plan: Plan) -> Row:
    run = forward_pass(graph, plan.batch, training=False, element=plan.dtype.itemsize)
    return _row("peak", peak(graph, run).bytes, run, measured_peak(net, _inputs(graph, plan)))


def _saved(graph: Graph, net: Net, plan: Plan) -> Row:
    run = forward_pass(graph, plan.batch, training=True, element=plan.dtype.itemsize)
    return _row("saved", sum(kept_by_node(graph, run)), run, measured_kept(net, _inputs(graph, plan)))


def _row(check: str, claimed: int, run: Pass, found: int) -> Row:
    """Claimed and measured bytes; if some layer does not say what it takes, the claim is a lower bound."""
    if run.unknown:
        return Row("", check, f"≥ {claimed:,} bytes", f"{found:,} bytes", note=run.unknown[0])
    return compare("", check, f"{claimed:,} bytes", f"{found:,} bytes")


def _optimizers(graph: Graph, net: Net, plan: Plan) -> Row:
    """The gradients, and the state of every optimiser after a step."""
    out = net.train()(*_inputs(graph, plan))
    results = [x for x in (out.values() if isinstance(out, dict) else [out]) if x.requires_grad]
    if results:
        torch.autograd.backward(results, [torch.zeros_like(result) for result in results])
    name = str(plan.dtype).removeprefix("torch.")
    claims = {optimizer: training(graph, plan.batch, Setting(name, optimizer)) for optimizer in OPTIMIZERS}
    gradients = sum(parameter.grad.nbytes for parameter in net.parameters() if parameter.grad is not None)
    claimed = {"gradients": claims["sgd"].gradients} | {one: claim.optimizer for one, claim in claims.items()}
    found = {"gradients": gradients} | {one: measured_state(net, one) for one in OPTIMIZERS}
    return compare("", "optimizer", _listed(claimed), _listed(found))


def _inputs(graph: Graph, plan: Plan) -> list[Tensor]:
    return example_inputs(graph, plan.batch, dtype=plan.dtype)


def _listed(sizes: dict[str, int]) -> str:
    """The sum of bytes, and each size by name."""
    return f"{sum(sizes.values())}: " + ", ".join(f"{name} {size:,}" for name, size in sizes.items())
