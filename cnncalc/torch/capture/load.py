"""``torch:package.module:factory`` and live modules as graphs."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from types import ModuleType
from typing import Any

import torch
from msgspec.structs import replace
from torch import nn

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Note
from cnncalc.sources import CODE, no_module
from cnncalc.spec.problem import nearest
from cnncalc.torch.capture import Captured, capture
from cnncalc.torch.capture.export import CodeEndedError, Inputs, users_code
from cnncalc.torch.running import first_line

PREFIX = "torch:"


def load_captured(
    source: str,
    *,
    input: Inputs,
    kwargs: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    values: bool = False,
) -> tuple[Captured, nn.Module]:
    """What was captured of the module that a factory or class makes, or of an existing module, and the module.

    Args:
        source: ``torch:package.module:factory`` or ``torch:path/to/file.py:factory``.
        input: shapes of the module's inputs, without the batch.
        kwargs: arguments of the factory.
        dtype: of the inputs, e.g. ``float32``, ``int64``.
        values: whether the module's tensors must have values, by seed 0.

    Raises:
        CnncalcError: there is no such factory, it fails, or PyTorch cannot export its module.
    """
    arguments = dict(kwargs or {})
    if values:
        torch.manual_seed(0)
    with redirect_stdout(sys.stderr):  # standard output is only for the report
        factory = find(source)
        module = make(source, factory, arguments, values)
    own: dict[str, Any] = {"dtype": data_type(dtype), "name": source.rpartition(":")[2], "source": source}
    try:
        found = capture(module, input, **own)
    except CnncalcError:
        if values or all(not tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
            raise
        # what forward makes itself may lie on another device than a module without values
        with redirect_stdout(sys.stderr):
            module = make(source, factory, arguments, values=True)
        found = capture(module, input, **own)
    found.graph.args.update({key: _shown(value) for key, value in arguments.items()})
    return found, module


def of_module(module: nn.Module, *, input: Inputs | None, dtype: str | None = None) -> Graph:
    """The graph of a live module.

    Raises:
        CnncalcError: no input shape is given, or PyTorch cannot export the module.
    """
    if input is None:
        raise CnncalcError(
            f"{type(module).__name__} does not say its input's shape\n"
            "  hint: give input=(3, 224, 224): channels, then the spatial sizes, without the batch"
        )
    graph = capture(module, input, dtype=data_type(dtype)).graph
    if module.training:
        said = "the module is in training mode; what is counted is what it does in evaluation mode"
        graph = replace(graph, notes=(*graph.notes, Note("evaluation", said, "info")))
    return graph


def data_type(name: str | torch.dtype | None) -> torch.dtype:
    """A dtype by its name.

    Raises:
        CnncalcError: there is no dtype of that name.
    """
    if name is None:
        return torch.get_default_dtype()
    if isinstance(name, torch.dtype):
        return name
    if not isinstance(name, str):
        raise CnncalcError(f"a dtype is a name, the same for all inputs, not a {type(name).__name__}\n  hint: 'int64'")
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        known = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"]
        raise CnncalcError(f"there is no dtype '{name}'\n  hint: {nearest(name, known) or ', '.join(known)}")
    return found


def find(source: str) -> Any:
    """What a source names: an attribute of a module, or of a Python file.

    Raises:
        CnncalcError: it is not there; with what is near.
    """
    place, _, attribute = source.removeprefix(PREFIX).rpartition(":")
    with _in_path(os.getcwd()):
        found: Any = (_file if place.endswith(".py") or os.sep in place else _package)(source, place)
    for name in attribute.split("."):
        if not hasattr(found, name):
            known = [one for one in dir(found) if not one.startswith("_") and callable(getattr(found, one, None))]
            hint = nearest(name, known) or f"it has {', '.join(known[:8])}" if known else CODE
            raise CnncalcError(f"{source}: error: {place} has no '{name}'\n  hint: {hint}")
        found = getattr(found, name)
    return found


def _package(source: str, name: str) -> ModuleType:
    with _told(source, f"importing {name}"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or "."
            if not f"{name}.".startswith(f"{missing}."):
                raise
    raise no_module(source, missing)


def _file(source: str, path: str) -> ModuleType:
    """A Python file as a module; it may import what lies beside it."""
    path, shown = os.path.abspath(path), path
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        with _told(source, f"running {shown}"), _in_path(os.path.dirname(path)):
            spec.loader.exec_module(module)
    finally:
        if before is not None:
            sys.modules[name] = before
    return module


@contextmanager
def _in_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


@contextmanager
def _told(source: str, what: str) -> Iterator[None]:
    """A context for running the user's code: what it raises is one error that says where."""
    try:
        with users_code():
            yield
    except Exception as error:
        frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        own = [f"\n  at: {file}:{line}" for file, line in frames if file != __file__ and not file.startswith("<")]
        kind = "" if isinstance(error, CodeEndedError) else f"{type(error).__name__}: "
        said = f"{source}: error: {what} failed: {kind}{first_line(error)}{own[-1] if own else ''}"
        raise CnncalcError(said) from None


def make(source: str, factory: Any, arguments: dict[str, Any], values: bool = False) -> nn.Module:
    """The module that a factory gives; without values (on the ``meta`` device) where it can be made so.

    Raises:
        CnncalcError: it takes no such arguments, it fails, or gives no module.
    """
    if isinstance(factory, nn.Module):
        if arguments:
            raise CnncalcError(
                f"{source}: error: is a module already, and takes no arguments\n  hint: leave --kwargs out"
            )
        return factory
    if not callable(factory):
        raise CnncalcError(f"{source}: error: is a {type(factory).__name__}, no factory of a module\n  hint: {CODE}")
    _check_arguments(source, factory, arguments)
    module = None
    if not values:
        with suppress(Exception), users_code(), torch.device("meta"):  # where its making needs values, it is made anew
            module = factory(**arguments)
    if module is None:
        with _told(source, "calling the factory"):
            module = factory(**arguments)
    if not isinstance(module, nn.Module):
        raise CnncalcError(f"{source}: error: gives a {type(module).__name__}, no nn.Module")
    return module


def _check_arguments(source: str, factory: Any, arguments: dict[str, Any]) -> None:
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        known = [*inspect.signature(factory).parameters]
        wrong = next((name for name in arguments if name not in known), None)
        hint = (nearest(wrong, known) if wrong else None) or f"it takes {', '.join(known)}"
        raise CnncalcError(
            f"{source}: error: {error}\n  hint: {hint}; give them with --kwargs '{{\"name\": value}}'"
        ) from None
    except ValueError:
        return  # a built-in without a signature


def _shown(value: Any) -> Any:
    """An argument as reports show it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _shown(one) for key, one in value.items()}
    return [_shown(one) for one in value] if isinstance(value, Iterable) else str(value)
