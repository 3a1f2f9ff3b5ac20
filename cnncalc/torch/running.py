"""How a net is run to be measured: what is to be measured of it, and what is made of a module that PyTorch refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnncalc.analysis.measuring import Resize
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Layer, Shape
from cnncalc.torch import room
from cnncalc.torch.module import Builder, Net, Outputs
from cnncalc.torch.registry import build_layer

Progress = Callable[[str], None]
DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)
"""Exceptions that PyTorch raises if it cannot make or run a module."""


class Plan(NamedTuple):
    """What is to be measured: ``checks`` of the layers whose path matches ``layers`` (all are run), and how.

    ``resize`` gives the net for other input shapes where the graph alone does not tell (a spec may
    compute with its input's size); ``progress`` is called with what is being measured.
    """

    checks: frozenset[str]
    layers: str = "*"
    batch: int = 1
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    resize: Resize | None = None
    progress: Progress = lambda what: None

    def wants(self, node: Node) -> bool:
        """Whether a node is a layer that gets rows."""
        return node.layer is not None and fnmatch(node.path, self.layers)

    @property
    def precise_device(self) -> str:
        """Where float64 is computed: Apple's GPUs do not have it, and what is measured so depends on no device."""
        return "cpu" if self.device == "mps" else self.device


def usable(device: str, dtype: str = "float32") -> torch.dtype:
    """The type of that name, if PyTorch can use the device here.

    Raises:
        CnncalcError: there is no such type, or PyTorch cannot, and why.
    """
    if dtype not in DTYPES:
        raise CnncalcError(f"error: there is no dtype '{dtype}'\n  hint: choose from {', '.join(DTYPES)}")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        hints = {
            "cuda": "it needs an NVIDIA GPU with its driver, and a PyTorch built for CUDA",
            "mps": "it needs an Apple GPU and a PyTorch built for macOS",
        }
        hint = hints.get(device.partition(":")[0], "use cpu, cuda or mps")
        raise CnncalcError(
            f"error: PyTorch cannot use the device '{device}': {first_line(error)}\n  hint: {hint}"
        ) from None
    return DTYPES[dtype]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """That many threads of PyTorch's on a CPU.

    One for narrow nets: their layers are too small to share out, and waiting threads would cost most.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def first_line(error: BaseException) -> str:
    """The gist of an error."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


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


def tried(graph: Graph, build: Builder = build_layer) -> Net:
    """The net of a graph; an error of PyTorch's in making a module is raised only when the module is run."""

    def attempt(layer: Layer, *shapes: Shape) -> nn.Module:
        try:
            return build(layer, *shapes)
        except REFUSALS as error:
            if room.is_missing(error):
                raise
            return Refused(first_line(error))

    return Net(graph, attempt)


def precise(graph: Graph, device: str, build: Builder = build_layer) -> Net:
    """The net in float64, to be evaluated."""
    return tried(graph, build).to(device=device, dtype=torch.float64).eval()


def run_module(module: nn.Module, inputs: list[Tensor]) -> Outputs | str:
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


def as_claimed(outputs: Outputs | str, node: Node, like: Tensor) -> Outputs:
    """Outputs of exactly the claimed shapes, for the layers after this one.

    So a wrong claim about one layer only shows in that layer. Outputs of other shapes are cut and
    padded with zeros at the end; if there are none, or with another number of axes, all is 0.
    """
    given = () if isinstance(outputs, str) else outputs
    if tuple(tuple(out.shape[1:]) for out in given) == node.output_shapes:
        return given
    made = []
    for port, shape in enumerate(node.output_shapes):
        full = like.new_zeros((like.shape[0], *shape))
        if port < len(given) and given[port].dim() == full.dim():
            both = tuple(slice(0, min(have, want)) for have, want in zip(given[port].shape, full.shape, strict=True))
            full[both] = given[port][both].to(full.dtype)
        made.append(full)
    return tuple(made)


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
