"""The JSON Schema of the spec language, from its keywords and the layer classes; editors complete and check with it.

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
from cnncalc.spec.language import BLOCK, BRANCHES, CHOICE, META, REPEAT, RESIDUAL, SPEC, STRUCTURES, Key, Keys

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def ref(name: str) -> Schema:
    """A reference to one of the definitions."""
    return {"$ref": f"#/$defs/{name}"}


def array(items: Schema, **more: Any) -> Schema:
    """A list of what ``items`` describes."""
    return {"type": "array", "items": items, **more}


def any_of(*schemas: Schema) -> Schema:
    """One of several forms."""
    return {"anyOf": [*schemas]}


def record(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    """A mapping with these keys and no others."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def names_to(schema: Schema, description: str = "") -> Schema:
    """A mapping from user-defined names to values that ``schema`` describes."""
    named: Schema = {"description": description} if description else {}
    return named | {"type": "object", "additionalProperties": schema}


_ANY = {"type": ["number", "boolean", "string", "null"]}
_LIMIT = {
    "description": "A count, with a unit or without: 26M, 4.2G, 100000; of memory a size too: 100MiB.",
    "type": ["number", "string"],
}


def taken(key: Key) -> Schema:
    """What may stand under a key of the language."""
    forms: dict[str, Schema] = {
        "blocks": names_to(ref("block")),
        "branches": array(ref("body")),
        "budget": record({metric: ref("limit") for metric in METRICS}),
        "count": any_of({"type": "integer", "minimum": 0}, ref("expression")),
        "flag": {"type": "boolean", "default": False},
        "inputs": any_of(ref("shape"), names_to(ref("shape")) | {"minProperties": 1}),
        "name": {"type": ["string", "integer"], "pattern": r"^[^.]+(\.[^.]+)*$|\{"},
        "outputs": any_of(ref("tensor"), array(ref("tensor")), names_to(ref("tensor"), "By name.")),
        "text": {"type": ["string", "number"]},
        "variants": names_to(names_to(ref("value"), "Arguments by name.")),
    }
    return {"description": key.help, **(forms.get(key.takes) or ref(key.takes))}


def form(keys: Keys) -> Schema:
    """A mapping with keys of the language."""
    required = tuple(name for name, key in keys.items() if key.required)
    return record({name: taken(key) for name, key in keys.items()}, required)


def spec_schema() -> Schema:
    """The schema of a whole spec (2020-12)."""
    return {
        "$schema": DIALECT,
        "title": "cnncalc spec",
        "description": "A convolutional network, as cnncalc reads it.",
        **form(SPEC),
        "$defs": _forms() | {f"layer.{name}": layer_schema(layer) for name, layer in sorted(REGISTRY.items())},
    }


def _forms() -> Schema:
    """The parts of the language besides its layers."""
    size = any_of({"type": "integer", "minimum": 1}, ref("expression"))
    structures = {
        "repeat": form(REPEAT),
        "residual": any_of(ref("body"), form(RESIDUAL)),
        "activation": {"type": "string"},
    }
    return {
        "expression": {
            "description": "An expression over arguments, in_channels, in_height, in_width, index, …: '2 * width'.",
            "type": "string",
        },
        "value": {
            "description": "A number, true or false, a name, an expression, or a list of them.",
            **any_of(_ANY, array(ref("value"))),
        },
        "shape": any_of(array(size, minItems=1, maxItems=4), ref("expression")),
        "args": names_to(ref("value")),
        "tensor": {
            "description": "A tensor by the name of its layer, its path or its input; -1 is the one before.",
            "type": ["string", "integer"],
        },
        "from": any_of(ref("tensor"), array(ref("tensor"))),
        "limit": record({"max": _LIMIT, "min": _LIMIT}),
        "block": form(BLOCK),
        "body": {"description": "Layers in order.", **array(ref("item"))},
        "item": any_of(
            {"enum": sorted(name for name, layer in REGISTRY.items() if not required_fields(layer))},
            {"description": "A layer or block by its name.", "type": "string"},
            ref("choice"),
            ref("call"),
        ),
        "choice": form(CHOICE),
        "call": _call(),
        "block_call": {
            "description": "A call of a block, or of what an argument names.",
            **any_of(_ANY, form(META) | {"additionalProperties": ref("value")}),
        },
        **{name: {"description": STRUCTURES[name], **schema} for name, schema in structures.items()},
    }


def _call() -> Schema:
    """One name and its fields. An alias may be the name of a block as well, a layer's own name may not."""
    aliases = {alias: layer.kind for _, layer in sorted(REGISTRY.items(), reverse=True) for alias in layer.aliases}
    properties: Schema = {
        **{alias: any_of(ref(f"layer.{kind}"), ref("block_call")) for alias, kind in aliases.items()},
        **{name: ref(f"layer.{name}") for name in REGISTRY},
        **{name: ref(name) for name in STRUCTURES},
        "if": False,
    }
    return {
        "type": "object",
        "properties": dict(sorted(properties.items())),
        "additionalProperties": ref("block_call"),
        "minProperties": 1,
        "maxProperties": 1,
    }


def layer_schema(layer: type[Layer]) -> Schema:
    """What may follow a layer's name: its fields, the value of its first field, or its branches."""
    described = msgspec.json.schema(layer)["$defs"][layer.__name__]
    fields = {name: expressed(schema) for name, schema in described["properties"].items()}
    here = f"#/$defs/layer.{layer.kind}/anyOf/0/properties"
    long_names = {alias: name for alias, name in layer.field_aliases.items() if name in fields}
    several = {"branches": taken(BRANCHES)} if layer.arity[1] != 1 else {}
    required = required_fields(layer)
    mapping = record(
        {
            **fields,
            **{alias: {"$ref": f"{here}/{name}"} for alias, name in long_names.items()},
            **{name: taken(key) for name, key in META.items()},
            **several,
        }
    )
    if required:
        spellings = [[name, *(alias for alias, one in long_names.items() if one == name)] for name in required]
        mapping["allOf"] = [any_of(*({"required": [name]} for name in names)) for names in spellings]
    forms: list[Schema] = [mapping]
    if fields and set(required) <= {next(iter(fields))}:
        first = next(iter(fields.values()))
        forms.append({"allOf": [first, {"not": {"type": "array"}}]} if several else first)
    forms += several.values()
    if not required:
        forms.append({"type": "null"})
    return {"title": layer.kind, "description": plain(described.get("description", "")), "anyOf": forms}


def expressed(schema: Schema) -> Schema:
    """A field's schema where any value, and any entry of a list, may be an expression or a name."""
    default = {"default": schema["default"]} if "default" in schema else {}
    alternatives = [
        {key: value for key, value in part.items() if key != "default"} for part in schema.get("anyOf", [schema])
    ]
    for part in alternatives:
        if isinstance(part.get("items"), dict):
            part["items"] = expressed(part["items"])
    return {"anyOf": [*alternatives, ref("expression")], **default}


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
