"""A SOURCE on the command line or in the API to a Graph, whatever its kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from msgspec.structs import replace

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.layers.base import MAX_SIZE, Shape
from cnncalc.spec.problem import SpecError, nearest

if TYPE_CHECKING:
    from cnncalc.spec.resize import Resizable

Settings = Mapping[str, Any] | Iterable[str]
"""Arguments by name, or ``KEY=VALUE`` texts."""
MOST_BYTES = 64 << 20
"""The most bytes of a spec."""
CODE = "write torch:package.module:factory, or torch:path/to/file.py:factory"
InputShapes = Shape | Mapping[str, Shape] | None
"""One shape (channels, then spatial sizes), or one per named input."""


def load(
    source: str | os.PathLike[str],
    *,
    variant: str | None = None,
    args: Settings = (),
    input: InputShapes = None,
    kwargs: Mapping[str, Any] | None = None,
    dtype: str | None = None,
) -> Graph:
    """The graph of a source: a YAML file, ``-`` for standard input, the name of a shipped spec or variant, or
    ``torch:package.module:factory``.

    Args:
        source: what to load.
        variant: a variant of the spec.
        args: arguments of the spec that replace its own.
        input: input shape or shapes, without the batch, that replace the spec's.
        kwargs: arguments of the factory, for a ``torch:`` source; ``args`` are among them.
        dtype: of the inputs of a ``torch:`` source.

    Raises:
        CnncalcError: the source cannot be read or is not a valid net; ``str()`` says what, where and why.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise CnncalcError(
            f"error: a {type(source).__name__} is not a source\n"
            "  hint: give a path, the name of a shipped net, 'torch:package.module:factory' or an nn.Module"
        )
    if is_torch(source):
        given = _factory_arguments(source, variant, args, kwargs)
        _check_code(os.fspath(source), input)
        graph: Graph = _capture("load_captured")(os.fspath(source), input=input, kwargs=given, dtype=dtype)[0].graph
        return graph
    if kwargs or dtype is not None:
        raise CnncalcError(
            f"{os.fspath(source)}: error: --kwargs and --input-dtype are for torch: sources\n"
            "  hint: --set KEY=VALUE is for specs"
        )
    text, shown, chosen = text_of(source, variant)
    return load_text(text, shown, variant=chosen, args=args, input=input)


def is_torch(source: Any) -> bool:
    """Whether a source names Python code that makes a module: ``torch:package.module:factory``."""
    return isinstance(source, (str, os.PathLike)) and str(os.fspath(source)).startswith("torch:")


def is_source(word: str) -> bool:
    """Whether a word can only be meant as a source: a shipped net, a file that is there, or what is written as one."""
    return (
        word == "-"
        or ":" in word
        or os.path.basename(word) != word
        or word.endswith((".yaml", ".yml", ".py", ".onnx"))
        or os.path.exists(word)
        or find_shipped(word) is not None
    )


def load_original(
    source: str,
    *,
    variant: str | None = None,
    args: Settings = (),
    input: InputShapes = None,
    kwargs: Mapping[str, Any] | None = None,
    dtype: str | None = None,
) -> Any:
    """The capture of a ``torch:`` source (with its ``graph``), and the module itself, with values.

    Args as for :func:`load`.
    """
    given = _factory_arguments(source, variant, args, kwargs)
    _check_code(source, input)
    return _capture("load_captured")(source, input=input, kwargs=given, dtype=dtype, values=True)


def _factory_arguments(
    source: Any, variant: str | None, args: Settings, kwargs: Mapping[str, Any] | None
) -> dict[str, Any]:
    if variant is not None:
        raise CnncalcError(f"{source}: error: has no variants\n  hint: give the factory its arguments with --kwargs")
    return {**_values(args), **(kwargs or {})}


def _check_code(source: str, input: InputShapes) -> None:
    """Say what is wrong with a ``torch:`` source, as far as it can be known before PyTorch is imported.

    Raises:
        CnncalcError: it does not name a factory, there is no such code, or the input's shape is not given.
    """
    from importlib.machinery import PathFinder
    from importlib.util import find_spec

    place, _, factory = source.removeprefix("torch:").rpartition(":")
    package = place.partition(".")[0]
    if not place or not factory:
        raise CnncalcError(f"{source}: error: does not name a factory\n  hint: {CODE}")
    if place.endswith(".py") or os.sep in place:
        _check_file(source, place)
    elif package not in sys.modules and find_spec(package) is None and PathFinder.find_spec(package, [""]) is None:
        raise no_module(source, package)
    if input is None:
        raise CnncalcError(
            f"{source}: error: a module does not say its input's shape\n"
            "  hint: give --input 3x224x224 (channels, then the spatial sizes, without the batch)"
        )


def _check_file(source: str, path: str) -> None:
    try:
        open(path, "rb").close()
    except FileNotFoundError:
        folder, name = os.path.split(path)
        beside = [one for one in _entries(folder) if one.endswith(".py")]
        raise CnncalcError(
            f"{source}: error: there is no file {path}\n  hint: {nearest(name, beside) or CODE}"
        ) from None
    except OSError as error:
        raise CnncalcError(f"{source}: error: {path} cannot be read: {error.strerror or error}") from None


def no_module(source: str, name: str) -> CnncalcError:
    """The error for a ``torch:`` source whose Python module ``name`` is not there."""
    return CnncalcError(
        f"{source}: error: there is no Python module '{name}'\n"
        f"  hint: it must be installed beside cnncalc, or lie in the current folder; {CODE}"
    )


def of_module(module: Any, *, input: Any = None, dtype: str | None = None) -> Graph:
    """The graph of a live ``nn.Module``."""
    graph: Graph = _capture("of_module")(module, input=input, dtype=dtype)
    return graph


def _capture(name: str) -> Any:
    """A function of the package that needs PyTorch.

    Raises:
        CnncalcError: PyTorch is not installed.
    """
    from importlib import import_module

    try:
        import_module("torch")
    except ImportError:
        raise CnncalcError(
            "a torch: source needs PyTorch, which is not installed\n  hint: pip install 'cnncalc[torch]'"
        ) from None
    return getattr(import_module("cnncalc.torch.capture.load"), name)


def _values(args: Settings) -> dict[str, Any]:
    """Arguments as Python values: texts are read as JSON if they are valid JSON, else kept."""
    if isinstance(args, Mapping):
        return dict(args)
    import json

    found: dict[str, Any] = {}
    for name, text in settings(args).items():
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def text_of(source: str | os.PathLike[str], variant: str | None = None) -> tuple[str, str, str | None]:
    """The text of a source, its name in messages, and the chosen variant.

    Raises:
        CnncalcError: there is no such source, or it cannot be read.
    """
    name = os.fspath(source)
    if is_torch(name):
        raise CnncalcError(
            f"{name}: error: a spec is needed here, and this source is Python code\n"
            f"  hint: 'cnncalc convert {name} net.yaml' writes one"
        )
    if name.endswith(".py") or (_is_code(name) and not os.path.exists(name)):
        code, what = f"torch:{name}", ""
        if not _is_code(name):
            code, what = f"{code}:NAME", ", NAME being the class or function that gives the module"
        raise CnncalcError(
            f"{name}: error: Python code is a source with torch: before it\n"
            f"  hint: write {code} --input 3x224x224{what}"
        )
    if name == "-":
        return _text(sys.stdin.buffer, "<stdin>"), "<stdin>", variant
    if os.path.isfile(name) or is_stream(name):
        return _read(name), name, variant
    if os.path.isdir(name):
        raise CnncalcError(f"{name}: error: is a folder, not a spec")
    shipped = find_shipped(name) if os.path.basename(name) == name and not name.endswith((".yaml", ".yml")) else None
    if shipped is None:
        raise _not_found(name)
    path, own_variant = shipped
    if own_variant is not None and variant is not None:
        raise CnncalcError(
            f"{name}: error: '{name}' is a variant itself\n  hint: give '{_stem(path)}' with --variant {variant}"
        )
    return _read(path), f"specs/{os.path.basename(path)}", variant or own_variant


def _is_code(name: str) -> bool:
    """Whether a source is written as ``module:factory`` or ``file.py:factory``."""
    place, _, factory = name.rpartition(":")
    return all(part.isidentifier() for part in factory.split(".")) and (
        place.endswith(".py") or all(part.isidentifier() for part in place.split("."))
    )


def resizable(source: str | os.PathLike[str], *, variant: str | None = None, args: Settings = ()) -> Resizable:
    """The net of a source, to be built at many input sizes. Otherwise as :func:`load`."""
    text, shown, chosen = text_of(source, variant)
    return resizable_text(text, shown, variant=chosen, args=args)


def resizable_text(text: str, name: str = "<text>", *, variant: str | None = None, args: Settings = ()) -> Resizable:
    """The net of a spec's text, to be built at many input sizes. Otherwise as :func:`load_text`."""
    from cnncalc.spec.document import parse
    from cnncalc.spec.reader import Source
    from cnncalc.spec.resize import Resizable

    return Resizable(parse(Source(name, text)), variant, settings(args))


def load_text(
    text: str, name: str = "<text>", *, variant: str | None = None, args: Settings = (), input: InputShapes = None
) -> Graph:
    """The graph of a spec's text; ``name`` is its name in messages. Otherwise as :func:`load`."""
    from cnncalc.spec.assembly import Assembly
    from cnncalc.spec.document import parse
    from cnncalc.spec.reader import Source

    document = parse(Source(name, text))
    inputs = inputs_by_name(input, document.input)
    return Assembly(document).build(variant, settings(args), inputs)


def layer_graph(name: str, fields: Mapping[str, str], inputs: Mapping[str, Shape]) -> Graph:
    """A net of one layer: its fields as texts in the expression language, its input shapes by name.

    Raises:
        CnncalcError: the layer has no such field, or does not accept it or the shapes.
    """
    from json import dumps

    def quoted(text: str) -> str:
        return dumps(text, ensure_ascii=False)

    shapes = ", ".join(f"{quoted(one)}: [{', '.join(map(str, shape))}]" for one, shape in inputs.items())
    given = [f"{quoted(field.strip())}: {quoted(value)}" for field, value in fields.items()]
    if len(inputs) > 1:
        given.append(f"from: [{', '.join(map(quoted, inputs))}]")
    text = f"input: {{{shapes}}}\nlayers:\n  - {name}" + (f": {{{', '.join(given)}}}" if given else "") + "\n"
    graph = load_text(text, "<command line>")
    return replace(graph, name=name)


def settings(args: Settings) -> dict[str, str]:
    """Arguments as name → expression text.

    Raises:
        CnncalcError: a text that is not ``KEY=VALUE``.
    """
    if isinstance(args, Mapping):
        return {name: _as_text(value) for name, value in args.items()}
    pairs = {}
    for text in args:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise CnncalcError(f"error: '{text}' is not KEY=VALUE\n  hint: write --set classes=10")
        pairs[name.strip()] = value
    return pairs


def _as_text(value: Any) -> str:
    """A Python value in the expression language."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_as_text, value))}]"
    return str(value)


def inputs_by_name(given: InputShapes, node: Any) -> Mapping[str, Shape]:
    """Input shapes by name; a single one needs no name. ``node`` is the spec's entry for its inputs.

    Raises:
        CnncalcError: a shape is not valid.
    """
    from cnncalc.spec.reader import Mapping as MappingNode

    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {name: _shape(shape) for name, shape in given.items()}
    name = node.entries[0][0].text if isinstance(node, MappingNode) and len(node.entries) == 1 else "input"
    return {name: _shape(given)}


def _shape(sizes: Iterable[int]) -> Shape:
    shape = tuple(sizes)
    if not 1 <= len(shape) <= 4 or any(
        isinstance(s, bool) or not isinstance(s, int) or not 0 < s < MAX_SIZE for s in shape
    ):
        raise CnncalcError(
            f"error: {shape} is not an input shape\n"
            "  hint: 1 to 4 whole numbers of at least 1 and below 2^63: channels, then the spatial sizes"
        )
    return shape


# -- files -----------------------------------------------------------------------------------------


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return _text(file, path)
    except OSError as error:
        raise CnncalcError(f"{path}: error: cannot be read: {error.strerror or error}") from None


def _text(file: BinaryIO, name: str) -> str:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise CnncalcError(f"{name}: error: is larger than {MOST_BYTES >> 20} MiB, which no spec is")
    return decode(name, data)


def is_stream(source: str) -> bool:
    """Whether a source can be read only once: standard input, a pipe, a device."""
    return source == "-" or (os.path.exists(source) and not os.path.isfile(source) and not os.path.isdir(source))


def decode(name: str, data: bytes) -> str:
    """Text from UTF-8, with or without a byte order mark.

    Raises:
        SpecError: other bytes, at their line and column.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        hint = "is this a binary file?" if b"\0" in data[:1024] or error.start < 8 else "save the file as UTF-8"
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            hint = "save the file as UTF-8; it looks like UTF-16"
        raise SpecError(
            f"byte 0x{data[error.start]:02x} is not UTF-8", file=name, line=line, column=column, hint=hint
        ) from None


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _not_found(name: str) -> CnncalcError:
    """The error for a missing source, with the nearest name: a file in the same folder, or a shipped net."""
    if name.endswith(".onnx"):
        return CnncalcError(f"{name}: error: this version only reads YAML specs and torch: sources")
    folder, base = os.path.split(name)
    beside = [entry for entry in _entries(folder) if entry.endswith((".yaml", ".yml"))]
    if folder or base.endswith((".yaml", ".yml")):
        hint = nearest(base, beside)
        return CnncalcError(f"{name}: error: there is no such file" + (f"\n  hint: {hint}" if hint else ""))
    hint = nearest(base, [*zoo_names(), *beside]) or "'cnncalc zoo' lists the shipped nets"
    return CnncalcError(f"{name}: error: there is no such file or shipped net\n  hint: {hint}")


# -- the zoo ---------------------------------------------------------------------------------------


def specs_dir() -> str:
    """The folder of the shipped specs: in the installed package, or next to it in a checkout."""
    package = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(package, "specs")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(package), "specs")


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _spec_files() -> list[str]:
    try:
        return sorted(os.path.join(specs_dir(), f) for f in os.listdir(specs_dir()) if f.endswith(".yaml"))
    except OSError:
        return []


def find_shipped(name: str) -> tuple[str, str | None] | None:
    """The file of a shipped net, and the variant in it that the name means.

    A variant of exactly that name takes precedence over the file's default.
    """
    by_stem = None
    for path in _spec_files():
        if _stem(path) == name:
            by_stem = path
        if f"{name}:" in (text := _read(path)) and name in variants_of(path, text):
            return path, name
    return None if by_stem is None else (by_stem, None)


def variants_of(path: str, text: str) -> list[str]:
    """The names of the variants that a spec's text has."""
    from cnncalc.spec import reader

    root = reader.read(reader.Source(path, text))
    variants = root.get("variants") if isinstance(root, reader.Mapping) else None
    return [key.text for key, _ in variants.entries] if isinstance(variants, reader.Mapping) else []


def zoo_names() -> dict[str, tuple[str, str | None]]:
    """Every shipped net: its variants' names, or the file's where it has none; each with file and variant."""
    names: dict[str, tuple[str, str | None]] = {}
    for path in _spec_files():
        variants: list[str | None] = [*variants_of(path, _read(path))]
        names.update({variant or _stem(path): (path, variant) for variant in variants or [None]})
    return names
