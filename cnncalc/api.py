"""The Python API: :func:`load`, :func:`analyze`, :func:`explain` and :func:`diff`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cnncalc.analysis.assemble import assemble
from cnncalc.analysis.report import Report
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.sources import InputShapes, is_torch, of_module
from cnncalc.sources import load as load_source

if TYPE_CHECKING:
    from cnncalc.analysis.difference import DiffReport
    from cnncalc.analysis.explain.answer import Explanation
    from cnncalc.torch import Net


@contextmanager
def _no_collection() -> Iterator[None]:
    """A net of 100,000 layers makes millions of small objects and no garbage; collecting would double the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load(
    source: Any,
    *,
    variant: str | None = None,
    input: InputShapes | Sequence[tuple[int, ...]] = None,
    dtype: str | None = None,
    **args: Any,
) -> Graph:
    """The graph of a YAML file, of a shipped net, or of a PyTorch module.

    Args:
        source: a path, a name such as ``"resnet50"``, ``"torch:package.module:factory"``, or an ``nn.Module``.
        variant: a variant of the spec.
        input: input shape ``(channels, *spatial)``, or one per named input, in place of the spec's. A module
            needs it; for several inputs by the names of its ``forward``'s arguments, or in their order.
        dtype: of a module's inputs, e.g. ``"int64"``.
        **args: arguments of the spec in place of its own, such as ``classes=10``; those of a factory.

    Raises:
        CnncalcError: the source is not a valid net; ``str()`` says what, where and why.
    """
    if _is_module(source):
        if variant is not None or args:
            raise CnncalcError("error: a module is already built: it only takes input and dtype")
        with _no_collection():
            return of_module(source, input=input, dtype=dtype)
    if is_torch(source):
        return load_source(source, variant=variant, kwargs=args, input=input, dtype=dtype)  # type: ignore[arg-type]
    with _no_collection():
        return load_source(source, variant=variant, args=args, input=input, dtype=dtype)  # type: ignore[arg-type]


def _is_module(source: object) -> bool:
    """Whether it is a PyTorch module; torch is already imported then."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.nn.Module)


def analyze(
    source: Any,
    *,
    batch: int = 1,
    variant: str | None = None,
    input: InputShapes | Sequence[tuple[int, ...]] = None,
    dtype: str | None = None,
    **args: Any,
) -> Report:
    """Every layer's shape, parameters, cost and receptive field; arguments as for :func:`load`.

    Args:
        source: what :func:`load` accepts, or a graph.
        batch: samples per batch; MACs, FLOPs, elementwise operations and activations grow with it.
        variant: as for :func:`load`.
        input: as for :func:`load`.
        dtype: as for :func:`load`.
        **args: as for :func:`load`.

    Raises:
        CnncalcError: the source is not a valid net, or ``batch`` is below 1.
    """
    graph = _graph(source, batch, variant=variant, input=input, dtype=dtype, **args)
    with _no_collection():
        return assemble(graph, batch)


def explain(
    source: Any,
    path: str | None = None,
    *,
    total: str | Iterable[str] = (),
    batch: int = 1,
    dtype: str = "float32",
    compare: bool | None = None,
    variant: str | None = None,
    input: InputShapes = None,
    **args: Any,
) -> Explanation:
    """The formula of every number, with the numbers in it and its source; ``print`` it, or take ``to_latex()`` of it.

    Args:
        source: what :func:`load` takes, or a graph.
        path: a layer or block, or ``"total"``; the whole net where not given.
        total: names of totals, e.g. ``"params"``, to explain instead of layers.
        batch: samples per batch.
        dtype: the type of weights and outputs, for memory.
        compare: whether to show what could replace a layer; by default only for a single layer.
        variant: as for :func:`load`.
        input: as for :func:`load`.
        **args: as for :func:`load`.

    Raises:
        CnncalcError: the source is not a valid net, or has no such layer or total.
    """
    from cnncalc.analysis.explain.answer import explain as explained

    graph = _graph(source, batch, variant=variant, input=input, **args)
    totals = [total] if isinstance(total, str) else list(total)
    with _no_collection():
        return explained(graph, path, totals=totals, batch=batch, dtype=dtype, compare=compare)


def diff(
    before: Any,
    after: Any,
    *,
    batch: int = 1,
    fail_on: Iterable[str] = (),
) -> DiffReport:
    """What differs between two nets: ``print`` it, or ask its ``layers``, ``totals``, ``to_markdown()`` ….

    Args:
        before: a source for :func:`load`, or a graph (for variants and arguments call :func:`load`).
        after: the same.
        batch: samples per batch, as for :func:`analyze`.
        fail_on: conditions such as ``"params>+1%"``; where one holds, the report's ``status`` is ``"fail"``.

    Raises:
        CnncalcError: a source is not a valid net, a condition is not valid, or ``batch`` is below 1.
    """
    from cnncalc.analysis.conditions import parse
    from cnncalc.analysis.difference import diff as compare

    _check_batch(batch)
    conditions = [parse(text) for text in fail_on]
    graphs = [one if isinstance(one, Graph) else load(one) for one in (before, after)]
    with _no_collection():
        return compare(*graphs, batch=batch, conditions=conditions)


def build(source: Any, **options: Any) -> Net:
    """A net as a PyTorch module, with PyTorch's own initial weights; also ``cnncalc.torch.build``.

    Args:
        source: what :func:`load` takes, or a graph.
        **options: as for :func:`load`.

    Raises:
        CnncalcError: the source is not a valid net, or has a layer that PyTorch cannot build.
    """
    from cnncalc.torch.module import Net

    return Net(_graph(source, 1, **options))


def _graph(source: Any, batch: int, **options: Any) -> Graph:
    """The graph of a source; also checks the batch."""
    _check_batch(batch)
    if not isinstance(source, Graph):
        return load(source, **options)
    if any(value is not None for value in options.values()):
        raise CnncalcError("error: a graph is already built: give variant, input and arguments to load()")
    return source


def _check_batch(batch: int) -> None:
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise CnncalcError(f"error: the batch must be a whole number of at least 1, got {batch}")
