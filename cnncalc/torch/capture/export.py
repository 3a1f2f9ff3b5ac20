"""A module as an exported program, by ``torch.export``: its operators, without values and without running anything."""

from __future__ import annotations

import inspect
import io
import logging
import traceback
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Shape
from cnncalc.torch.capture.program import prepared
from cnncalc.torch.running import first_line

Inputs = Shape | Sequence[Shape] | Mapping[str, Shape]
"""One shape (channels, then spatial sizes), several in the order of ``forward``, or by the names of its arguments."""


def named_inputs(module: nn.Module, inputs: Inputs) -> dict[str, Shape]:
    """Shapes by the names of ``forward``'s arguments.

    Raises:
        CnncalcError: ``forward`` has no such argument, or fewer arguments.
    """
    names = _argument_names(module)
    if isinstance(inputs, Mapping):
        given = {str(name): _shape(shape) for name, shape in inputs.items()}
        if len(given) == 1 and names and next(iter(given)) in ("input", ""):
            given = {names[0]: next(iter(given.values()))}
        unknown = [name for name in given if names and name not in names]
        if unknown:
            raise CnncalcError(
                f"forward of {type(module).__name__} has no argument '{unknown[0]}'\n  hint: it has {', '.join(names)}"
            )
        return {name: given[name] for name in names or given if name in given}
    several = isinstance(inputs, Sequence) and inputs and all(isinstance(one, (list, tuple)) for one in inputs)
    shapes = [_shape(one) for one in inputs] if several else [_shape(inputs)]
    if not names:
        names = [f"input{number}" for number in range(1, len(shapes) + 1)]
    if len(shapes) > len(names):
        raise CnncalcError(
            f"{len(shapes)} inputs for forward of {type(module).__name__}, which takes {', '.join(names)}"
        )
    return dict(zip(names, shapes, strict=False))


def _shape(given: Any) -> Shape:
    """One shape.

    Raises:
        CnncalcError: it is not a shape.
    """
    sizes = tuple(given) if isinstance(given, (list, tuple)) else ()
    if not sizes or any(type(size) is not int or size < 1 for size in sizes):
        raise CnncalcError(
            f"{given!r} is not an input shape\n"
            "  hint: give whole numbers of at least 1, e.g. (3, 224, 224), without the batch; for several inputs "
            "a list of shapes, or shapes by name"
        )
    return sizes


def _argument_names(module: nn.Module) -> list[str]:
    """The names of ``forward``'s arguments, in order; empty if they are unknown."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return []
    return [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]


class CodeEndedError(CnncalcError):
    """The user's code tried to end the process."""


@contextmanager
def users_code() -> Iterator[None]:
    """A context for running the user's code: an attempt to end the process becomes an ordinary error, except for
    Ctrl-C."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        said = f"it ends the process ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})"
        raise CodeEndedError(said).with_traceback(error.__traceback__) from None


def exported(
    module: nn.Module, inputs: Mapping[str, Shape], dtype: torch.dtype, samples: int
) -> torch.export.ExportedProgram:
    """The program of a module in evaluation mode for ``samples`` inputs of these shapes (without the batch).

    Raises:
        CnncalcError: PyTorch cannot export it; what, and where in the module.
    """
    tensor = next((t for t in [*module.parameters(), *module.buffers()] if t.is_floating_point()), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        example = {name: torch.empty((samples, *shape), dtype=dtype, device=device) for name, shape in inputs.items()}
    leading, named = arguments(module, example)
    with _quiet():
        try:
            with users_code(), evaluation(module):
                return prepared(torch.export.export(module, leading, named, strict=False))
        except Exception as error:
            raise _cannot_export(module, error) from None


def arguments(module: nn.Module, example: Mapping[str, Tensor]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Tensors by the names of ``forward``'s arguments as those in its order, from the first on, and the others."""
    named = dict(example)
    leading: list[Tensor] = []
    for name in _argument_names(module) or list(example):
        if name not in named:
            break
        leading.append(named.pop(name))
    return tuple(leading), named


@contextmanager
def evaluation(module: nn.Module) -> Iterator[None]:
    """Puts every module in evaluation mode, and afterwards restores it with all its attributes: ``forward`` may store
    tensors without values, which would be useless later. Values of tensors are not restored."""
    before = _held(module)
    try:
        module.eval()
        yield
    finally:
        for one, parts in before:
            if [*map(id, _parts(one))] == [*map(id, parts)]:
                continue
            one.clear()
            if isinstance(one, dict):
                one.update(zip(parts[::2], parts[1::2], strict=True))
            else:
                (one.update if isinstance(one, set) else one.extend)(parts)


def _held(module: nn.Module) -> list[tuple[Any, list[Any]]]:
    """The attributes of all modules, and every container and object in them, each with its parts."""
    found: dict[int, tuple[Any, list[Any]]] = {}
    open_: list[Any] = [module]
    while open_:
        one = open_.pop()
        if not isinstance(one, (dict, list, set, deque, tuple)):
            if isinstance(one, (Tensor, type, FunctionType, ModuleType)) or not hasattr(one, "__dict__"):
                continue
            one = vars(one)
        if id(one) not in found:
            found[id(one)] = one, _parts(one)
            open_ += found[id(one)][1]
    return [(one, parts) for one, parts in found.values() if not isinstance(one, tuple)]


def _parts(one: Any) -> list[Any]:
    return [part for pair in one.items() for part in pair] if isinstance(one, dict) else [*one]


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses PyTorch's own warnings, logs and prints, which are about its own code."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    unseen = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(unseen), redirect_stderr(unseen):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


DATA_DEPENDENT = ("GuardOnDataDependentSymNode", "DataDependentOutputException", "UserError", "DataDependent")


def _cannot_export(module: nn.Module, error: Exception) -> CnncalcError:
    """PyTorch's error, with the line and the module that it is about."""
    names = {id(one): name for name, one in module.named_modules()}
    where = path = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        inner = frame.f_locals.get("self")
        if id(inner) in names and isinstance(inner, nn.Module):
            path = names[id(inner)] or type(module).__name__
        package = frame.f_globals.get("__name__", "")
        if package.split(".")[0] not in ("torch", "cnncalc") and not file.startswith("<"):
            where = f"{file}:{line} in {frame.f_code.co_name}"
    kind = type(error).__name__
    text = first_line(error)
    lines = [f"PyTorch cannot export {type(module).__name__}: {text}"]
    if path:
        lines.append(f"  in the module: {path}")
    if where:
        lines.append(f"  at: {where}")
    if any(word in kind for word in DATA_DEPENDENT) or "data-dependent" in str(error).lower():
        lines.append(
            "  hint: what the net does here depends on the values in a tensor, so its cost is not fixed; "
            "torch.cond, or a size that does not depend on data, can be exported"
        )
    elif "shape" in text or "size" in text or "channels" in text:
        lines.append("  hint: does --input fit the net? Channels, then the spatial sizes, without the batch")
    return CnncalcError("\n".join(lines))
