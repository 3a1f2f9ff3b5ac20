"""The pages that are made: the start from the README, the layers from their classes, the zoo from its specs."""

from __future__ import annotations

import json
import re
from inspect import cleandoc
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LAYERS = "layers/index.md"


def start() -> str:
    """The README, as a page of the site: links to what is not part of it are words."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\[([^]]*)\]\((?!docs/|http|#)[^)]*\)", r"\1", text).replace("](docs/", "](")


def plain(docstring: str) -> str:
    """A docstring as Markdown."""
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", cleandoc(docstring)).replace("``", "`")


def typed(schema: dict[str, Any]) -> str:
    """What a field takes, in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(typed(part) for part in schema["anyOf"] if "$ref" not in part))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of: {typed(schema['items'])}" if "items" in schema else "list"
    limits = [f"{sign} {schema[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    kind = {"integer": "int", "boolean": "bool"}.get(schema["type"], schema["type"])
    return " ".join([kind, *limits])


def layer_section(layer: Any) -> str:
    """What a layer class says of itself."""
    from cnncalc.spec.fields import required_fields
    from cnncalc.spec.schema import layer_schema

    least, most = layer.arity
    inputs = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
    facts = [f"Inputs: {inputs}."]
    if layer.torch_name:
        facts.append(f"In PyTorch: `torch.nn.{layer.torch_name}`.")
    if layer.aliases:
        facts.append(f"Also written {', '.join(f'`{alias}`' for alias in layer.aliases)}.")
    lines = [f"## {layer.kind}", "", plain(layer.__doc__), "", " ".join(facts), ""]
    properties = layer_schema(layer)["anyOf"][0]["properties"]
    if layer.__struct_fields__:
        lines += ["| field | takes | default | also written |", "| --- | --- | --- | --- |"]
    for name in layer.__struct_fields__:
        schema = properties[name]
        default = "required" if name in required_fields(layer) else f"`{json.dumps(schema.get('default'))}`"
        others = ", ".join(f"`{alias}`" for alias, field in layer.field_aliases.items() if field == name)
        lines.append(f"| `{name}` | {typed(schema)} | {default} | {others} |")
    return "\n".join([*lines, ""])


def layer_pages() -> dict[str, str]:
    """A page for each family of layers, and one that lists them all."""
    import sys

    from cnncalc.layers import REGISTRY

    families: dict[str, list[Any]] = {}
    for layer in REGISTRY.values():
        families.setdefault(layer.__module__, []).append(layer)
    pages: dict[str, str] = {}
    rows = []
    for module, layers in families.items():
        name = module.rpartition(".")[2]
        title, _, more = plain(sys.modules[module].__doc__ or name).partition("\n")
        intro = f"# {name.capitalize()}\n\n{title}{more}\n"
        pages[f"layers/{name}.md"] = "\n".join([intro, *(layer_section(layer) for layer in layers)])
        links = ", ".join(f"[`{layer.kind}`]({name}.md#{layer.kind})" for layer in layers)
        rows.append(f"| [{name}]({name}.md) | {links} |")
    head = "# Layers\n\nEvery layer also takes `name`, `from` and `share`; any number may be an "
    head += "[expression](../concepts/spec.md#expressions).\n\n| family | layers |\n| --- | --- |\n"
    return {LAYERS: head + "\n".join(rows) + "\n", **pages}


def zoo_page() -> str:
    """Every shipped net with its numbers."""
    import cnncalc
    from cnncalc.sources import zoo_names

    head = ["net", "input", "params", "buffers", "MACs", "FLOPs", "elementwise ops", "activations", "layers", "field"]
    lines = [
        "# The zoo",
        "",
        "The nets that come with cnncalc: a name is a source of every command. Numbers are for a batch of one;",
        "[what they mean](concepts/numbers.md). The field is the largest that is not global.",
        "",
        f"| {' | '.join(head)} |",
        f"| --- | --- |{' ---: |' * (len(head) - 2)}",
    ]
    for name in zoo_names():
        report = cnncalc.analyze(name)
        totals = report.totals
        counts = [totals.params, totals.buffers, totals.macs, totals.flops, totals.elementwise_ops, totals.activations]
        shapes = ", ".join("×".join(map(str, shape)) for shape in report.model.inputs.values())
        fields = [size for layer in report.layers for size in layer.receptive_field.size or ()]
        numbers = [*counts, len(report.layers), max(fields)]
        lines.append(f"| `{name}` | {shapes} | {' | '.join(f'{number:,}' for number in numbers)} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """All pages that are not files, by their place in the site."""
    return {"index.md": start(), **layer_pages(), "zoo.md": zoo_page()}


def on_config(config: Any) -> None:
    """The families of layers stand in the navigation."""
    (section,) = (entry for entry in config.nav if "Layers" in entry)
    section["Layers"] = list(layer_pages())


def on_files(files: Any, config: Any) -> None:
    """The site has these pages too."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
