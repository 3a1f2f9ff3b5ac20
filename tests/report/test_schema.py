"""The schemas: current, valid, and of one mind with the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cnncalc import sources
from cnncalc.layers import REGISTRY, Layer
from cnncalc.report.schema import REPORTS, report_schema
from cnncalc.spec.schema import layer_schema, spec_schema

VALIDATOR = jsonschema.Draft202012Validator
SPECS = Path(sources.specs_dir())
SCHEMA = spec_schema()
CHECK = VALIDATOR(SCHEMA)


def loads(document: Any) -> Any:
    return sources.load_text(yaml.safe_dump(document, sort_keys=False))


def net(*layers: Any, **more: Any) -> dict[str, Any]:
    return {"input": [8, 16, 16], "layers": list(layers), **more}


def test_the_committed_schema_is_current() -> None:
    written = (SPECS / "spec.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == SCHEMA, "run: cnncalc schema spec --output specs/spec.schema.json"


@pytest.mark.parametrize("schema", [SCHEMA, *map(report_schema, REPORTS)])
def test_schemas_are_json_schemas(schema: dict[str, Any]) -> None:
    VALIDATOR.check_schema(schema)


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_specs_are_valid_and_tell_editors_their_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=spec.schema.json\n")
    CHECK.validate(yaml.safe_load(text))


VALID = [
    net("relu"),
    net("bn", {"gap": None}, "flatten", {"fc": 10}),
    net({"conv": {"out": "2 * in_channels", "kernel": [3, 1], "padding": [[1, 1], [0, 0]], "bias": "in_channels > 4"}}),
    net({"conv": {"out_channels": 4, "kernel_size": 3, "padding": "same"}}),
    net({"concat": [[], ["relu", {"conv": {"out": 2, "kernel": 1}}]]}),
    net({"conv": {"out": 8, "kernel": 1, "name": "a"}}, {"relu": {"from": "a"}}, {"add": {"from": ["a", -1]}}),
    net({"residual": ["relu"]}, {"residual": {"body": ["relu"], "shortcut": [], "when": "in_channels == 8"}}),
    net({"repeat": {"times": 2, "layers": ["relu"]}}, {"if": "in_channels > 3", "then": ["relu"], "else": []}),
    net({"activation": "act"}, {"act": None}, args={"act": "silu"}),
    net(
        {"unit": {"out": 4, "name": "one"}},
        {"unit": 4},
        blocks={"unit": {"args": {"out": "required", "k": 1}, "layers": [{"conv": {"out": "out", "kernel": "k"}}]}},
        budget={"params": {"max": "26M"}, "macs": {"max": 1e9, "min": 0}},
        variants={"wide": {"width": 2}, "plain": {}},
        args={"width": 1},
        outputs={"features": "one"},
    ),
    {"input": {"left": [3, 8, 8], "right": [3, 8, 8]}, "layers": [{"add": {"from": ["left", "right"]}}]},
    {"input": ["c", 8, "2 * c"], "args": {"c": 3}, "layers": ["relu"]},
    net({"fc": {"width": 3}}, blocks={"fc": {"args": {"width": 1}, "layers": ["relu"]}}),
]


@pytest.mark.parametrize("document", VALID, ids=range(len(VALID)))
def test_what_the_loader_takes_the_schema_takes(document: dict[str, Any]) -> None:
    loads(document)
    CHECK.validate(document)


INVALID = [
    net({"conv": {"out": 4}}),
    net({"conv": {"kernel": 4}}),
    net({"conv": {"out": 4, "kernel": 3, "strid": 2}}),
    net({"conv": {"out": 0, "kernel": 3}}),
    net({"conv": {"out": 4, "kernel": {"a": 3}}}),
    net({"conv": {"out": 4, "kernel": 3, "bias": 3}}),
    net({"dropout": {"p": 1.5}}),
    net({"relu": None, "conv": {"out": 4, "kernel": 3}}),
    net({"repeat": {"times": 3}}),
    net({"residual": {"body": ["relu"], "short_cut": []}}),
    net({"if": "true", "els": []}),
    net({"conv": {"out": 4, "kernel": 3, "name": "a..b"}}),
    net({"relu": [["relu"]]}),
    net(budget={"parameters": {"max": 3}}),
    net(budget={"params": {"most": 3}}),
    net(layer=["relu"]),
    {"layers": ["relu"]},
    {"input": [3, 8, 8]},
    {"input": [0, 8], "layers": []},
    {"input": [1, 2, 3, 4, 5], "layers": []},
    net(3),
    [],
]


@pytest.mark.parametrize("document", INVALID, ids=range(len(INVALID)))
def test_what_the_schema_refuses_the_loader_refuses(document: Any) -> None:
    assert not CHECK.is_valid(document)
    with pytest.raises(ValueError, match="error: "):
        loads(document)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_layer_has_an_entry_with_its_fields(name: str) -> None:
    entry = SCHEMA["$defs"][f"layer.{name}"]
    layer = REGISTRY[name]
    properties = entry["anyOf"][0]["properties"]
    assert set(layer.__struct_fields__) | {"name", "from", "share"} <= set(properties)
    assert entry["description"]
    call = SCHEMA["$defs"]["call"]["properties"]
    assert call[name] == {"$ref": f"#/$defs/layer.{name}"}
    assert all(alias in call for alias in layer.aliases)


def test_a_new_layer_class_has_an_entry_at_once() -> None:
    class Blur(Layer, frozen=True):
        """Blurs."""

        radius: int = 1

    try:
        entry = layer_schema(Blur)
        assert entry["description"] == "Blurs."
        check = VALIDATOR({**entry, "$defs": SCHEMA["$defs"]})
        assert all(map(check.is_valid, ({"radius": 2}, {"radius": "in_channels"}, 3, None, {})))
        assert not any(map(check.is_valid, ({"radius": 1.5}, {"sigma": 1}, [1])))
        assert "layer.blur" in spec_schema()["$defs"]
    finally:
        del REGISTRY["blur"]
