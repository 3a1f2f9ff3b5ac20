"""Every claim about a graph against what PyTorch does: all checks together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch

import torch
from torch import nn

from cnncalc.analysis.measuring import Resize
from cnncalc.analysis.traffic import BYTES
from cnncalc.analysis.verdict import Row, Verdict, verdict
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.layers.tensor import Opaque
from cnncalc.torch import field, initial, measure, memory, original, room, values
from cnncalc.torch.capture import Captured

SOURCE_CHECKS = original.CHECKS
"""Of nets that were captured from a module, with that module."""
CHECKS = (*measure.CHECKS, *initial.CHECKS, *memory.CHECKS, *field.CHECKS, *values.CHECKS)
DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}


@room.said_so()
def verify(
    graph: Graph,
    *,
    batch: int = 1,
    device: str = "cpu",
    dtype: str = "float32",
    layers: str = "*",
    checks: Iterable[str] = CHECKS,
    resize: Resize | None = None,
    progress: field.Progress = lambda what: None,
    module: tuple[Captured, nn.Module] | None = None,
) -> Verdict:
    """Claims beside measurements for every layer whose path matches ``layers`` (a shell pattern).

    Args:
        graph: the net.
        batch: samples per batch for shapes and FLOPs.
        device: where PyTorch runs, e.g. ``cpu``, ``cuda``, ``mps``.
        dtype: of the pass that measures shapes and FLOPs; fields are always measured in float64.
        layers: which layers get rows; all are run.
        checks: which of ``CHECKS`` to make, and of ``SOURCE_CHECKS`` where there is a ``module``.
        resize: the net for other input shapes, where the graph alone does not tell.
        progress: called with what is being measured.
        module: what was captured of a module, whose graph this is, and the module itself with its values: as
            ``(capture(module, (3, 224, 224)), module)``. It is left as it was.

    Raises:
        CnncalcError: no such device or dtype, a layer that PyTorch cannot build.
    """
    wanted_checks = frozenset(checks)
    where = usable_device(device)
    if dtype not in DTYPES:
        raise CnncalcError(f"error: there is no dtype '{dtype}'\n  hint: choose from {', '.join(DTYPES)}")

    def wanted(path: str) -> bool:
        return fnmatch(path, layers)

    if not any(wanted(node.path) for node in graph.nodes if node.layer is not None):
        raise CnncalcError(f"error: no layer matches '{layers}'\n  hint: 'cnncalc analyze' lists the layers' paths")
    remarks = [f"PyTorch {torch.__version__} on {where}, {dtype}, batch {batch}"]
    of_source: list[Row] = []
    if module is not None and wanted_checks & {*SOURCE_CHECKS} and layers == "*":
        of_source += original.measure_source(original.Original(*module), progress=progress)
        remarks.append(
            f"source: the module and the net of its graph in evaluation mode on the CPU, {original.SAMPLES} samples; "
            "some weights drawn at random or scaled, so that none hides a layer"
        )
        if wanted_checks <= {*SOURCE_CHECKS}:
            return verdict(of_source, [f"PyTorch {torch.__version__}", *remarks[1:]])
    unknown = [node for node in graph.nodes if isinstance(node.layer, Opaque)]
    if unknown:
        raise CnncalcError(
            f"the net cannot be run: {unknown[0].path} is an operator without a layer here"
            f" ({len(unknown)} in total)\n  hint: 'cnncalc analyze' says which"
        )
    check_room(graph, wanted_checks, batch, dtype, where)
    rows: list[Row] = []
    if wanted_checks & {*measure.CHECKS}:
        rows += measure.measure_costs(
            graph,
            checks=wanted_checks,
            wanted=wanted,
            progress=progress,
            batch=batch,
            device=where,
            dtype=DTYPES[dtype],
        )
    if wanted_checks & {*initial.CHECKS}:
        rows += initial.measure_initialisation(graph, wanted=wanted, progress=progress)
    if wanted_checks & {*memory.CHECKS} and layers == "*":
        with memory.several_threads():
            rows += memory.measure_memory(
                graph, checks=wanted_checks, progress=progress, batch=batch, dtype=DTYPES[dtype]
            )
    # Apple's GPUs do not have float64; support does not depend on the device
    precise = "cpu" if where == "mps" else where
    with single_thread():
        if wanted_checks & {*field.CHECKS}:
            rows += field.measure_fields(
                graph, checks=wanted_checks, wanted=wanted, progress=progress, device=precise, resize=resize
            )
        if wanted_checks & {*values.CHECKS}:
            rows += values.measure_values(graph, wanted=wanted, progress=progress, device=precise)
    if wanted_checks & {*field.CHECKS, *values.CHECKS}:
        channels = max((*node.output_shape, 1)[0] for node in graph.narrowed().nodes)
        remarks.append(f"what units see and the values: on the net with at most {channels} channels, in float64")
    return verdict([*rows, *of_source], remarks)


def check_room(graph: Graph, checks: frozenset[str], batch: int, dtype: str, device: str) -> None:
    """Checks that the measurement fits into memory.

    Raises:
        CnncalcError: it does not.
    """
    if checks & {*measure.CHECKS, *initial.CHECKS, *memory.CHECKS}:
        room.check_net(graph, batch, BYTES[dtype], device)
    if checks & {*field.CHECKS, *values.CHECKS}:
        room.check_net(graph.narrowed(), 1, BYTES["float64"], device)
    longest = max((size for shape in graph.inputs.values() for size in shape[1:]), default=0)
    if checks & {*field.CHECKS}:  # one bit for each pixel up to the unit's own
        room.check(longest**2 // 16, f"what each of {longest:,} units sees", "cpu")


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread for narrow nets: their layers are too small to share out, and waiting threads would cost most."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def usable_device(name: str) -> str:
    """The device, if PyTorch can use it here.

    Raises:
        CnncalcError: it cannot, and why.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0]
        hints = {
            "cuda": "it needs an NVIDIA GPU with its driver, and a PyTorch built for CUDA",
            "mps": "it needs an Apple GPU and a PyTorch built for macOS",
        }
        hint = hints.get(name.partition(":")[0], "use cpu, cuda or mps")
        raise CnncalcError(f"error: PyTorch cannot use the device '{name}': {reason}\n  hint: {hint}") from None
    return name
