"""The JSON Schema of the spec language, from the layer classes; editors complete and check specs with it.

It accepts every valid spec and knows layers, fields, types and ranges; what depends on names and
shapes (a missing block, a kernel that is too large) is left to ``cnncalc`` itself.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import Any

import msgspec

from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.fields import required_fields
from cnncalc.spec.budget import METRICS
from cnncalc.spec.document import META, STRUCTURES, TOP_KEYS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = {
    "description": "A word or a number, or several with dots between; {expression} may be part of it.",
    "type": ["string", "integer"],
    "pattern": r"^[^.]+(\.[^.]+)*$|\{",
}


_NUMBERED = {
    "description": "Whether what stands here without a name is called 0, 1, 2, …, as in torch.nn.Sequential.",
    "type": "boolean",
    "default": False,
}


def ref(name: str) -> Schema:
    """A reference to one of the definitions."""
    return {"$ref": f"#/$defs/{name}"}


def record(properties: Schema, *, required: tuple[str, ...] = (), description: str = "") -> Schema:
    """A mapping with these keys and no others."""
    schema: Schema = {"description": description} if description else {}
    schema |= {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def names_to(schema: Schema, description: str) -> Schema:
    """A mapping from user-defined names to values that ``schema`` describes."""
    return {"description": description, "type": "object", "additionalProperties": schema}


def spec_schema() -> Schema:
    """The schema of a whole spec (2020-12)."""
    top: Schema = {
        "name": {"description": "What the net is called.", "type": ["string", "number"]},
        "source": {"description": "The paper or code that the net is from.", "type": ["string", "number"]},
        "input": {
            "description": "Channels, then the spatial axes (no batch), as [3, 224, 224]; or named inputs.",
            "anyOf": [ref("shape"), {"type": "object", "additionalProperties": ref("shape"), "minProperties": 1}],
        },
        "args": ref("args"),
        "variants": names_to(names_to(ref("value"), "Arguments by name."), "Named sets of arguments."),
        "flat_branches": {
            "description": "Whether branches and shortcuts add no level to the paths of what stands in them.",
            "type": "boolean",
            "default": False,
        },
        "numbered": _NUMBERED,
        "blocks": names_to(ref("block"), "Pieces of the net with arguments, called as layers are."),
        "layers": ref("body"),
        "outputs": {
            "description": "The tensors that are the net's results, where they are not just the last layer's.",
            "anyOf": [ref("tensor"), {"type": "array", "items": ref("tensor")}, names_to(ref("tensor"), "By name.")],
        },
        "budget": record(
            {metric: ref("limit") for metric in METRICS},
            description="Limits that 'cnncalc check' holds the net against.",
        ),
    }
    assert tuple(top) == TOP_KEYS
    return {
        "$schema": DIALECT,
        "title": "cnncalc spec",
        **record(top, required=("input", "layers"), description="A convolutional network, as cnncalc reads it."),
        "$defs": _forms() | {f"layer.{name}": layer_schema(layer) for name, layer in sorted(REGISTRY.items())},
    }


def _forms() -> Schema:
    """The parts of the language besides its layers."""
    count = {"anyOf": [{"type": "integer", "minimum": 0}, ref("expression")]}
    limit = {
        "description": "A count, with a unit or without: 26M, 4.2G, 100000; of memory a size too: 100MiB.",
        "type": ["number", "string"],
    }
    return {
        "expression": {
            "description": "An expression over arguments, in_channels, in_height, in_width, index, …: '2 * width'.",
            "type": "string",
        },
        "value": {
            "description": "A number, true or false, a name, an expression, or a list of them.",
            "anyOf": [
                {"type": ["number", "boolean", "string", "null"]},
                {"type": "array", "items": ref("value")},
            ],
        },
        "shape": {
            "anyOf": [
                {
                    "type": "array",
                    "items": {"anyOf": [{"type": "integer", "minimum": 1}, ref("expression")]},
                    "minItems": 1,
                    "maxItems": 4,
                },
                ref("expression"),
            ]
        },
        "args": names_to(ref("value"), "Arguments with their defaults; 'required' for one that has none."),
        "tensor": {
            "description": "A tensor by the name of its layer, its path or its input; -1 is the one before.",
            "type": ["string", "integer"],
        },
        "from": {"anyOf": [ref("tensor"), {"type": "array", "items": ref("tensor")}]},
        "limit": record({"max": limit, "min": limit}),
        "block": record({"args": ref("args"), "numbered": _NUMBERED, "layers": ref("body")}, required=("layers",)),
        "body": {"description": "Layers in order.", "type": "array", "items": ref("item")},
        "item": {
            "anyOf": [
                {"enum": sorted(name for name, layer in REGISTRY.items() if not required_fields(layer))},
                {"description": "A layer or block by its name.", "type": "string"},
                ref("choice"),
                ref("call"),
            ]
        },
        "choice": record(
            {"if": {**ref("value"), "description": "Which of two bodies."}, "then": ref("body"), "else": ref("body")},
            required=("if", "then"),
        ),
        "call": _call(),
        "block_call": {
            "description": "A call of a block, or of what an argument names.",
            "anyOf": [{"type": ["number", "boolean", "string", "null"]}, _block_fields()],
        },
        "repeat": record(
            {"times": count, "layers": ref("body")},
            required=("times", "layers"),
            description="The layers several times over; 'index' counts from 0.",
        ),
        "residual": {
            "description": "A body, and what is added to its result: its input, or the shortcut where shapes differ.",
            "anyOf": [
                ref("body"),
                record(
                    {
                        "body": ref("body"),
                        "shortcut": ref("body"),
                        "when": ref("value"),
                        "name": _NAME,
                        "from": ref("from"),
                    },
                    required=("body",),
                ),
            ],
        },
        "activation": {"description": "A layer by a name that an argument may hold.", "type": "string"},
    }


def _block_fields() -> Schema:
    return {
        "type": "object",
        "properties": {"name": _NAME, "from": ref("from"), "share": _NAME},
        "additionalProperties": ref("value"),
    }


def _call() -> Schema:
    """One name and its fields. An alias may be the name of a block as well, a layer's own name may not."""
    properties: Schema = {"if": False, **{name: ref(name) for name in STRUCTURES if name != "if"}}
    for name, layer in sorted(REGISTRY.items()):
        for alias in layer.aliases:
            properties.setdefault(alias, {"anyOf": [ref(f"layer.{name}"), ref("block_call")]})
    properties |= {name: ref(f"layer.{name}") for name in sorted(REGISTRY)}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": ref("block_call"),
        "minProperties": 1,
        "maxProperties": 1,
    }


def layer_schema(layer: type[Layer]) -> Schema:
    """What may follow a layer's name: its fields, the value of its first field, or its branches."""
    described = msgspec.json.schema(layer)["$defs"][layer.__name__]
    fields = {name: expressed(schema) for name, schema in described["properties"].items()}
    long_names: dict[str, list[str]] = {}
    for alias, name in layer.field_aliases.items():
        if name in fields:
            long_names.setdefault(name, []).append(alias)
    properties = dict(fields)
    for name, aliases in long_names.items():
        properties |= {key: {"$ref": f"#/$defs/layer.{layer.kind}/anyOf/0/properties/{name}"} for key in aliases}
    properties |= {"name": _NAME, "from": ref("from"), "share": _NAME}
    assert set(META) <= set(properties)
    several = layer.arity[1] != 1
    branches = {"description": "Branches, joined; [] is the tensor itself.", "type": "array", "items": ref("body")}
    if several:
        properties["branches"] = branches
    required = required_fields(layer)
    mapping = record(properties)
    needs = [{"anyOf": [{"required": [n]} for n in (name, *long_names.get(name, []))]} for name in required]
    if needs:
        mapping["allOf"] = needs
    forms: list[Schema] = [mapping]
    if fields and set(required) <= {next(iter(fields))}:
        first = next(iter(fields.values()))
        forms.append({"allOf": [first, {"not": {"type": "array"}}]} if several else first)
    if several:
        forms.append(branches)
    if not required:
        forms.append({"type": "null"})
    return {"title": layer.kind, "description": plain(described.get("description", "")), "anyOf": forms}


def expressed(schema: Schema) -> Schema:
    """A field's schema where any value, and any entry of a list, may be an expression or a name."""
    default = {"default": schema["default"]} if "default" in schema else {}
    alternatives = [_entries(part) for part in schema.get("anyOf", [schema])]
    alternatives = [{key: value for key, value in part.items() if key != "default"} for part in alternatives]
    return {"anyOf": [*alternatives, ref("expression")], **default}


def _entries(schema: Schema) -> Schema:
    return {**schema, "items": expressed(schema["items"])} if isinstance(schema.get("items"), dict) else schema


def tidy(schema: Any) -> Any:
    """A schema whose descriptions are plain text."""
    if isinstance(schema, dict):
        return {
            key: plain(value) if key == "description" and isinstance(value, str) else tidy(value)
            for key, value in schema.items()
        }
    return [tidy(part) for part in schema] if isinstance(schema, list) else schema


def plain(docstring: str) -> str:
    """A docstring without its indentation and markup."""
    return re.sub(r":\w+:`([^`]*)`", r"\1", cleandoc(docstring).replace("``", "'"))
