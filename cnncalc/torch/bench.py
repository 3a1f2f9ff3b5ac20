"""Measured times of every layer by itself and of the net."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.analysis.timing import Measured, Measurement, Timing, timing
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.torch import room
from cnncalc.torch.module import Net, example_inputs
from cnncalc.torch.running import Progress, run_module, usable

WARM_UPS = 3
WARM_NS = 20_000_000
"""Untimed calls before the timed ones: at least this many, for at least this long, until all is warm."""
MOST_WARM_UPS = 100


class Clock:
    """Times calls on a device, waiting for its work to be done."""

    def __init__(self, device: str) -> None:
        self.kind = device.partition(":")[0]
        self.device = device

    def once(self, run: Callable[[], Any]) -> int:
        """Picoseconds of one call. On a GPU of CUDA between two events on its stream, so that the launch counts only
        where the device waits for it.
        """
        if self.kind == "cuda":
            with torch.cuda.device(self.device):
                begin, end = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
                begin.record()
                run()
                end.record()
                end.synchronize()
                return int(begin.elapsed_time(end) * 10**9)
        self.wait()
        begun = time.perf_counter_ns()
        run()
        self.wait()
        return (time.perf_counter_ns() - begun) * 1000

    def wait(self) -> None:
        """Waits until the device has finished its work."""
        if self.kind == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.kind == "mps":
            torch.mps.synchronize()

    def several(self, run: Callable[[], Any], repeat: int) -> Timing:
        """Times of ``repeat`` calls, after untimed ones."""
        begun = time.perf_counter_ns()
        for count in range(1, MOST_WARM_UPS + 1):
            run()
            self.wait()
            if count >= WARM_UPS and time.perf_counter_ns() - begun > WARM_NS:
                break
        return timing([self.once(run) for _ in range(repeat)])


@room.said_so()
def measure(
    graph: Graph,
    *,
    batch: int = 1,
    device: str = "cpu",
    dtype: str = "float32",
    repeat: int = 20,
    backward: bool = False,
    progress: Progress = lambda what: None,
) -> Measurement:
    """The times of every layer, run by itself on the outputs of the layers before it, and of the net as a whole.

    All is as in evaluation. The backward pass of a layer is that to its weights and to those of its inputs that depend
    on a weight; that of the net to all its weights.

    Raises:
        CnncalcError: no such device or dtype, or a layer that PyTorch cannot build or run.
    """
    element = usable(device, dtype)
    room.check_net(graph, batch, element.itemsize, device)
    clock = Clock(device)
    net = Net(graph).to(device=device, dtype=element).eval()
    inputs = example_inputs(graph, batch, device=device, dtype=element)
    layers: dict[int, Measured] = {}
    values = net.start(*inputs)
    learns: dict[int, bool] = dict.fromkeys(values, False)
    for step, given in net.walk(values):
        node, module = graph.nodes[step.number], step.module
        progress(node.path)
        with torch.no_grad():
            out = run_module(module, given)
            if isinstance(out, str):
                raise CnncalcError(f"error: {node.path}: PyTorch refuses it: {out}")
            forward = clock.several(lambda module=module, given=given: module(*given), repeat)  # type: ignore[misc]
        wanted = [learns[ref.node] for ref in step.inputs]
        layers[step.number] = Measured(forward, _backward(clock, module, given, wanted, repeat) if backward else None)
        learns[step.number] = any(wanted) or any(parameter.requires_grad for parameter in module.parameters())
        values[step.number] = out
    progress("the whole net")
    with torch.no_grad():
        whole = clock.several(lambda: net(*inputs), repeat)
    back = _backward(clock, net, inputs, [False] * len(inputs), repeat) if backward else None
    return Measurement(layers, Measured(whole, back))


def _backward(clock: Clock, module: nn.Module, inputs: list[Tensor], wanted: list[bool], repeat: int) -> Timing | None:
    """Only the backward pass, repeated over one forward pass; ``None`` if there is nothing to do."""
    own = [tensor.detach().requires_grad_(want) for tensor, want in zip(inputs, wanted, strict=True)]
    sources = [tensor for tensor in own if tensor.requires_grad] + list(module.parameters())
    with torch.enable_grad():
        out = module(*own)
        parts = list(out.values()) if isinstance(out, dict) else [out] if isinstance(out, Tensor) else list(out)
        results = [part for part in parts if part.requires_grad]
        if not sources or not results:
            return None
        gradients = [torch.ones_like(part) for part in results]

        def run() -> None:
            torch.autograd.grad(results, sources, gradients, retain_graph=True, allow_unused=True)

        return clock.several(run, repeat)
