"""A user's own module beside the net that is built of its captured graph: the same weights, input and outputs.

What the graph claims about a ``torch:`` source is proved of the net that the graph describes; that this net
is the user's is proved here.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from cnncalc.analysis.cost import costs
from cnncalc.analysis.verdict import Row
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Layer, Shape
from cnncalc.layers.tensor import Constant, Opaque
from cnncalc.torch.capture import Captured, copy_weights
from cnncalc.torch.capture.export import arguments, evaluation, users_code
from cnncalc.torch.capture.values import Batch
from cnncalc.torch.module import Net
from cnncalc.torch.registry import build_layer
from cnncalc.torch.running import first_line, relative_difference, run_module, tried

CHECKS = ("source",)
SAMPLES = 2
TOLERANCE = 1e-5
"""Largest difference of an output, relative to its largest value. In float32 each operation rounds by 6e-8, and both
sides do the same operations but for the order of some sums, so what rounding leaves after a hundred layers is below
this, while a layer with another stride, order or slope is above it by orders of magnitude."""
EXACT = 1e-8
"""Where a deep net magnifies rounding beyond ``TOLERANCE``, both are run in float64: rounding is gone then, but a fault
is as large as before."""
LITTLE = 1e-3
"""An output whose samples differ by less than this share of its largest value would hide what the layers do."""
LEAST_VARIANCE = 0.01
"""The least variance that a batch norm is given, as a share of the mean square of all channels."""
LEAST_GAIN = 0.5
"""Below it a weight is scaled up: by how much it multiplies the standard deviation of independent inputs."""
NOTHING_COMPARED = "not compared"


class Original(NamedTuple):
    """A module and what was captured of it."""

    captured: Captured
    module: nn.Module


def measure_source(original: Original, *, progress: Callable[[str], None]) -> Iterator[Row]:
    """A row for the count of parameters and one for every output of the net.

    Both run in evaluation mode, in the dtype of the module, on the CPU. Weights are the module's own, but for
    those that are one number throughout, as norms and layer scales begin: they are drawn at random,
    and batch norms get the statistics of a batch, so that no layer is hidden by a zero or a one. A copy of the
    module is run; one that cannot be copied gets its values back. An output that comes of values which a graph
    does not hold, or that differs from run to run, is not compared, and its row says so in a note.
    """
    progress("source")
    captured, module = original
    claimed, measured = sum(cost.params for cost in costs(captured.graph)), sum(p.numel() for p in module.parameters())
    reason = "" if claimed == measured else f"the graph has {claimed:,}, the module {measured:,}"
    yield Row("", "source, params", f"{claimed:,} params", f"{measured:,} params", reason)
    outside = _outside(captured.graph)
    names = [name for name, _ in captured.graph.outputs]
    why, faulty = "", False
    nothing = all(outside.values())
    if not nothing and any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        why = "the module's weights have no values (it is on the meta device)"
    elif not nothing:
        try:
            ours, first, second, exact = _outputs(captured, module)
        except UnfaithfulError as error:
            why, faulty = str(error), True
        except Exception as error:
            why = f"PyTorch refuses to run the module: {type(error).__name__}: {first_line(error)}"
    if why or nothing:
        yield from (_failed(name, why) if faulty else _skipped(name, why or outside[name]) for name in names)
        return
    for number, (name, batch, theirs, again) in enumerate(zip(names, captured.batches, first, second, strict=True)):
        mine = ours[name]
        if outside[name]:
            yield _skipped(name, outside[name])
        elif theirs.shape != again.shape or relative_difference(again.double(), theirs.double()) > TOLERANCE:
            yield _skipped(name, "the module's output differs from run to run")
        elif isinstance(mine, str):
            yield _failed(name, f"PyTorch refuses {mine}")
        else:
            yield _compared(name, mine, samples_first(theirs, batch), exact[number] if exact else None)


class UnfaithfulError(Exception):
    """The net has other weights or outputs than the module."""


Outputs = dict[str, Tensor | str]


def _outputs(captured: Captured, module: nn.Module) -> tuple[Outputs, list[Tensor], list[Tensor], list[float] | None]:
    """The net's outputs, the module's in two runs, and where they are apart how far they are in float64.

    Raises:
        UnfaithfulError: there is nothing to compare.
    """
    with _to_run(module) as module, torch.random.fork_rng(devices=[]), torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        example = dict(zip(captured.inputs, _inputs(captured, generator), strict=True))
        spread_weights(module, generator)
        with _norm_statistics(module):
            _run(module, example, seed=0)
        net = tried(captured.graph, _built_or_nothing).to(_float_type(module)).eval()
        try:
            copy_weights(captured, module, net)
        except (RuntimeError, KeyError) as error:
            raise UnfaithfulError(f"a weight cannot be copied: {first_line(error)}") from None
        first, second = (_run(module, example, seed=seed) for seed in (1, 2))
        if len(first) != len(captured.batches):
            raise UnfaithfulError(f"the graph has {len(captured.batches)} outputs, the module {len(first)}")
        ours = _net_outputs(net, example.values())
        apart = any(TOLERANCE < one < float("inf") for one in _differences(captured, ours, first))
        return ours, first, second, _in_float64(captured, module, net, example) if apart else None


def _skipped(name: str, why: str) -> Row:
    return Row("", f"source, {name}", "", NOTHING_COMPARED, note=f"{NOTHING_COMPARED}: {why}")


def _failed(name: str, why: str) -> Row:
    return Row("", f"source, {name}", f"within {TOLERANCE:.0e}", "none", why)


def _difference(mine: Tensor | str, theirs: Tensor) -> float:
    """Of two outputs, samples first, relative to the largest value; infinite where they have different shapes."""
    if isinstance(mine, str) or mine.shape[1:] != theirs.shape[1:]:
        return float("inf")
    return relative_difference(mine.double().expand_as(theirs), theirs.double())


def _differences(captured: Captured, ours: Outputs, theirs: list[Tensor]) -> list[float]:
    both = zip(ours.values(), theirs, captured.batches, strict=True)
    return [_difference(mine, samples_first(other, batch)) for mine, other, batch in both]


def _in_float64(captured: Captured, module: nn.Module, net: Net, example: dict[str, Tensor]) -> list[float] | None:
    """The differences of all outputs in float64; nothing where the module cannot be copied or run so."""
    try:
        with users_code():
            precise = copy.deepcopy(module).double().train()  # training forgets what was kept of the weights
        given = {name: x.double() if x.is_floating_point() else x for name, x in example.items()}
        theirs = _run(precise, given, seed=1)
    except Exception:
        return None
    return _differences(captured, _net_outputs(net.double(), given.values()), theirs)


def _compared(name: str, mine: Tensor, theirs: Tensor, exact: float | None) -> Row:
    """The row of two outputs, samples first; ``exact`` is their difference in float64 where it is known."""
    if mine.shape[1:] != theirs.shape[1:]:
        return _failed(name, f"the graph's net gives {list(mine.shape[1:])}, the module {list(theirs.shape[1:])}")
    theirs = theirs.double()
    worst = _difference(mine, theirs)
    reason = note = ""
    if worst > TOLERANCE and exact is not None and exact <= EXACT:
        note = f"the net magnifies rounding: {worst:.1e} in float32, {exact:.1e} in float64"
    elif worst > TOLERANCE:
        reason = f"the module and the graph's net differ by {worst:.1e} of the largest value"
    largest = theirs[theirs.isfinite()].abs()
    if not largest.numel() or not float(largest.max()):
        note = "all of its values are 0, or none is finite: that shows little"
    elif len(theirs) > 1 and relative_difference(theirs[0], theirs[1]) < LITTLE:
        note = "it hardly depends on the input: that shows little"
    return Row("", f"source, {name}", f"within {TOLERANCE:.0e}", f"{worst:.1e}", reason, note)


def samples_first(output: Tensor, batch: Batch | None) -> Tensor:
    """A module's output with the samples as its first axis, as the graph has it; a batch of one where it has none."""
    if batch is None:
        return output[None]
    count = output.shape[batch.dim] // (batch.before * batch.after)
    front, behind = output.shape[: batch.dim], output.shape[batch.dim + 1 :]
    apart = output.reshape(*front, batch.before, count, batch.after, *behind).movedim(batch.dim + 1, 0)
    return apart.reshape(count, *front, *batch.factors, *behind)


# -- what the graph does not hold ------------------------------------------------------------------


def _outside(graph: Graph) -> dict[str, str]:
    """For each output why the graph alone does not give its values; empty where it does."""
    reasons: list[str] = []
    for node in graph.nodes:
        reasons.append(_unheld(node) or next((reasons[ref.node] for ref in node.inputs if reasons[ref.node]), ""))
    return {name: reasons[ref.node] for name, ref in graph.outputs}


def _unheld(node: Node) -> str:
    """Why the graph does not give a node's values, whatever it reads; empty where it does."""
    if isinstance(node.layer, Opaque):
        return f"{node.path} ({node.layer.operator}) has no layer here"
    if isinstance(node.layer, Constant) and not node.layer.buffer:
        return f"the graph does not hold the values of the constant {node.path}"
    return ""


def _built_or_nothing(layer: Layer, *shapes: Shape) -> nn.Module:
    """What has no module is not run."""
    return nn.Identity() if isinstance(layer, Opaque) else build_layer(layer, *shapes)


def _net_outputs(net: Net, inputs: Iterable[Tensor]) -> Outputs:
    """The outputs that the graph gives; for others the first layer that PyTorch refuses, if there is one."""
    values = net.start(*(x.clone() for x in inputs))
    refused = ""
    for step in net.steps:
        node = net.graph.nodes[step.number]
        if not _unheld(node) and all(ref.node in values for ref in step.inputs):
            made = run_module(step.module, [values[ref.node][ref.port] for ref in step.inputs])
            if isinstance(made, str):
                refused = refused or f"{node.path}: {made}"
            else:
                values[step.number] = made
        for number in step.done:
            values.pop(number, None)
    return {name: values[ref.node][ref.port] if ref.node in values else refused for name, ref in net.graph.outputs}


# -- the module ------------------------------------------------------------------------------------


def _inputs(captured: Captured, generator: torch.Generator) -> list[Tensor]:
    """Normal values; of whole numbers zeros and ones, which are indices of any table."""
    made = []
    samples = captured.samples or SAMPLES
    for dtype, shape in zip(captured.inputs.values(), captured.graph.inputs.values(), strict=True):
        size = (samples, *shape)
        if dtype.is_floating_point:
            made.append(torch.randn(size, generator=generator).to(dtype))
        else:
            made.append(torch.randint(0, 2, size, generator=generator).to(dtype))
    return made


def _run(module: nn.Module, example: dict[str, Tensor], *, seed: int) -> list[Tensor]:
    """The tensors that the module gives, in order."""
    torch.manual_seed(seed)
    positional, named = arguments(module, {name: x.clone() for name, x in example.items()})
    with users_code(), evaluation(module), redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = module(*positional, **named)
    # of a result that is a tensor of the module's own too: it may be written to later
    return [leaf.clone() for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]


def _float_type(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.get_default_dtype())


@contextmanager
def _to_run(module: nn.Module) -> Iterator[nn.Module]:
    """A copy of the module, since it may keep what it computes of its weights; one without a copy gets its values
    back."""
    before: list[tuple[Tensor, Tensor]] = []
    try:
        with users_code():
            own = copy.deepcopy(module).train()  # training forgets what was kept of the weights
    except Exception:
        own = module
        before = [(tensor, tensor.detach().clone()) for tensor in [*module.parameters(), *module.buffers()]]
    try:
        yield own
    finally:
        with torch.no_grad():
            for tensor, values in before:
                if not torch.equal(tensor, values):
                    tensor.copy_(values)


def spread_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Draws anew what is one number throughout: a factor of 1 or 1e-6 and a bias of 0 would hide what they do. Matrices
    and kernels that let little through (as of a normal distribution of 0.02) are scaled up: an activation is a
    straight line near 0."""
    statistics = [(name, b) for name, b in module.named_buffers() if name.endswith(("running_mean", "running_var"))]
    with torch.no_grad():
        for _, tensor in [*module.named_parameters(), *statistics]:
            if not tensor.is_floating_point() or not tensor.numel():
                continue
            if not _constant(tensor):
                gain = float(tensor.square().mean() * prod(tensor.shape[1:])) ** 0.5
                if tensor.dim() > 1 and tensor.is_contiguous() and 0 < gain < LEAST_GAIN:
                    tensor.mul_(1 / gain)
                continue
            value = float(tensor.flatten()[0])
            if value:
                drawn = (torch.rand(tensor.shape, generator=generator) + 0.5) * (value if abs(value) > 0.1 else 1)
            elif tensor.dim() > 1:
                drawn = torch.randn(tensor.shape, generator=generator) / max(prod(tensor.shape[1:]), 1) ** 0.5
            else:
                drawn = torch.rand(tensor.shape, generator=generator) - 0.5
            tensor.copy_(drawn)


def _constant(tensor: Tensor) -> bool:
    shared = any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
    return not shared and bool((tensor == tensor.flatten()[0]).all())


@contextmanager
def _norm_statistics(module: nn.Module) -> Iterator[None]:
    """Within, each batch norm that was never trained takes the statistics of what it is given, so that a deep net
    neither dies nor explodes."""
    norms = [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    fresh = [one for one in norms if one.running_mean is not None and not one.num_batches_tracked]
    hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in fresh]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _take_statistics(norm: Any, given: tuple[Any, ...]) -> None:
    x = given[0]
    axes = [axis for axis in range(x.dim()) if axis != 1]
    # a channel in which so few samples chance to be alike would magnify rounding a thousandfold
    least = x.square().mean() * LEAST_VARIANCE
    variance = x.var(axes, correction=0).clamp(min=float(least) or 1.0)
    norm.running_mean.copy_(x.mean(axes))
    norm.running_var.copy_(variance)
