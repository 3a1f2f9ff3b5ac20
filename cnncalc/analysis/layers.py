"""What each layer of the spec language is: fields, formulas, an example that was built; all of it from its class."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from itertools import product
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from cnncalc.analysis.answer import Answer, Shape
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.fields import REQUIRED, defaults_of, required_fields
from cnncalc.spec.assembly import Assembly
from cnncalc.spec.document import parse
from cnncalc.spec.fields import written
from cnncalc.spec.reader import Source
from cnncalc.spec.schema import plain

MOST_TRIES = 4000
"""Examples that are tried for one layer."""


class LayerField(Struct, frozen=True):
    """A field, what it takes, and its default as it is written in a spec; null where it is required. ``aliases`` are
    the longer names that are taken too.
    """

    name: str
    takes: str
    default: str | None
    aliases: tuple[str, ...]


class LayerFormula(Struct, frozen=True):
    """One number of the layer, and the formula that gives it."""

    name: str
    formula: str


class LayerExample(Struct, frozen=True):
    """A call that was built, on inputs of these shapes (channels, then the spatial axes), and what it gave."""

    text: str
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]


class LayerInfo(Struct, frozen=True):
    """One layer. ``inputs`` are the fewest and the most inputs that it takes, null for any number. ``torch`` is the
    class of ``torch.nn`` (``Nd`` for the rank), empty where there is none.
    """

    name: str
    family: str
    summary: str
    aliases: tuple[str, ...]
    torch: str
    inputs: tuple[int, int | None]
    fields: tuple[LayerField, ...]
    formulas: tuple[LayerFormula, ...]
    example: LayerExample | None


class LayersReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``layers``."""

    layers: tuple[LayerInfo, ...]


def answer(layers: Iterable[type[Layer]]) -> LayersReport:
    """What these layers are."""
    return LayersReport(layers=tuple(map(layer_info, layers)))


def family(layer: type[Layer]) -> str:
    """The family of a layer: the file that its class stands in."""
    return layer.__module__.rpartition(".")[2]


def layer_info(layer: type[Layer]) -> LayerInfo:
    """One layer."""
    graph, example = _example(layer) or (None, None)
    return LayerInfo(
        name=layer.kind,
        family=family(layer),
        summary=" ".join(plain(layer.__doc__ or "").split()),
        aliases=layer.aliases,
        torch=layer.torch_name,
        inputs=layer.arity,
        fields=_fields(layer),
        formulas=() if graph is None else _formulas(graph),
        example=example,
    )


# -- fields ----------------------------------------------------------------------------------------


def _fields(layer: type[Layer]) -> tuple[LayerField, ...]:
    defaults = defaults_of(layer)
    long_names: dict[str, tuple[str, ...]] = {}
    for alias, name in layer.field_aliases.items():
        long_names[name] = (*long_names.get(name, ()), alias)
    return tuple(
        LayerField(
            name,
            _takes(schema),
            None if defaults[name] is REQUIRED else written(defaults[name]),
            long_names.get(name, ()),
        )
        for name, schema in _schema(layer)["properties"].items()
    )


@cache
def _schema(layer: type[Layer]) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.json.schema(layer)["$defs"][layer.__name__]
    return described


_KINDS = {"integer": "int", "number": "float", "boolean": "true or false", "string": "word", "null": "null"}


def _takes(schema: dict[str, Any]) -> str:
    """A JSON Schema in a few words: ``int ≥ 1, or one per axis``."""
    if "anyOf" in schema:
        parts = schema["anyOf"]
        plain_parts = [part for part in parts if part.get("type") != "array"]
        lists = [part for part in parts if part.get("type") == "array"]
        each = any(_entry(part) == _takes(one) for part in lists for one in plain_parts)
        texts = list(dict.fromkeys(map(_takes, plain_parts if each else parts)))
        return ", ".join(texts) + (", or one per axis" if each else "")
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_entry(schema)}"
    bounds = [
        f" {sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return _KINDS.get(schema.get("type", ""), "value") + ",".join(bounds)


def _entry(schema: dict[str, Any]) -> str:
    items: Any = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
    return _takes(items) if isinstance(items, dict) else "value"


# -- an example ------------------------------------------------------------------------------------

_INPUTS: tuple[tuple[Shape, ...], ...] = (
    ((16, 32, 32),),
    ((64,),),
    ((16, 1, 32),),
    ((64, 10),),
    ((144, 900),),
)
_KERNELS: tuple[Shape, ...] = ((16, 32, 32), (8, 16, 3, 3))
_NUMBERS = (8, 2, 3, 1, 4)
_LISTS = ((32, 32), (2, 8), (1, 2), (0,), (8, 4), (16, 1024), (16, 32, 32))


def _example(layer: type[Layer]) -> tuple[Graph, LayerExample] | None:
    """The plainest call that builds: its required fields, else with one more, on inputs of a few shapes."""
    least, most = layer.arity
    count = 0 if most == 0 else max(least, 2 if most is None else 1)
    shapes = {0: ((),), 1: _INPUTS}.get(count, (*((one * count) for one in _INPUTS[:1]), _KERNELS[:count]))
    required = required_fields(layer)
    others = [name for name in defaults_of(layer) if name not in required]
    tries = 0
    for names in (required, *([*required, name] for name in others)):
        for values in product(*(_values(layer, name) for name in names)):
            for inputs in shapes:
                tries += 1
                text = _call(layer, dict(zip(names, values, strict=True)), count)
                graph = _built(text, inputs)
                if graph is not None:
                    outputs = tuple(graph.shape(ref) for _, ref in graph.outputs)
                    return graph, LayerExample(text, inputs, outputs)
                if tries == MOST_TRIES:
                    return None
    return None


@cache
def _values(layer: type[Layer], name: str) -> list[Any]:
    """Values that a field takes, those that are wanted first first: small windows, several channels."""
    hint, schema = get_type_hints(layer, include_extras=True)[name], _schema(layer)["properties"][name]
    per_axis = any(part.get("type") == "array" for part in schema.get("anyOf", ()))
    found = []
    for value in (*((3,) if per_axis else ()), *_NUMBERS, 0.5, *schema.get("enum", ()), *_LISTS):
        with suppress(msgspec.ValidationError):
            found.append(msgspec.convert(value, hint))
    return found


def _call(layer: type[Layer], fields: dict[str, Any], count: int) -> str:
    """The call as a line of a spec; several inputs are a, b, c."""
    parts = [f"{name}: {written(value)}" for name, value in fields.items()]
    parts += [f"from: [{', '.join('abc'[:count])}]"] if count > 1 else []
    return f"- {layer.kind}: {{{', '.join(parts)}}}" if parts else f"- {layer.kind}"


def _built(text: str, inputs: tuple[Shape, ...]) -> Graph | None:
    """The net of one call."""
    named = [f"{name}: {list(shape)}" for name, shape in zip("abc", inputs, strict=False)]
    source = Source("example", f"input: {{{', '.join(named) or 'a: [1]'}}}\nlayers:\n  {text}\n")
    try:
        return Assembly(parse(source)).build(None, {}, {})
    except CnncalcError:
        return None


# -- formulas --------------------------------------------------------------------------------------

_SHOWN = ("params", "macs")


def _formulas(graph: Graph) -> tuple[LayerFormula, ...]:
    """The general formulas of the output's shape and of what the layer costs, as they were traced; none of a short
    form of several layers, which have theirs.
    """
    from cnncalc.analysis.explain.costs import account
    from cnncalc.analysis.explain.notation import Unicode

    nodes = [node for node in graph.nodes if node.layer is not None]
    if len(nodes) != 1 or nodes[0].layer is None:
        return ()
    notation = Unicode()
    found: dict[str, str] = {}
    for one in account(nodes[0].layer, nodes[0].input_shapes, general=True).quantities:
        is_size = one.name.startswith("output_") and one.name != "output_bytes"
        if one.expr is None or not (one.value and (is_size or one.name in _SHOWN)):
            continue
        # all spatial axes have the same formula
        title = "output size" if is_size and one.axis != "channels" else one.title
        formula = f"{notation.symbol(one.symbol)} = {notation.write(one.expr)}"
        if formula.partition(" = ")[0] != formula.partition(" = ")[2]:
            found.setdefault(title, formula)
    return tuple(LayerFormula(title, text) for title, text in found.items())


def families() -> dict[str, list[type[Layer]]]:
    """The layers of each family, in the order in which they are defined."""
    found: dict[str, list[type[Layer]]] = {}
    for layer in REGISTRY.values():
        found.setdefault(family(layer), []).append(layer)
    return found
