"""The pages that are made: the start from the README, the layers from their classes, the zoo from its specs."""

from __future__ import annotations

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


def layer_section(layer: Any) -> str:
    """What ``cnncalc layers NAME`` says of a layer, below a heading of its own."""
    from cnncalc.analysis.layers import answer
    from cnncalc.document.markdown import render
    from cnncalc.report.layers import document

    return re.sub(r"^#+ .*$", f"## {layer.kind}", render(document(answer([layer]))), count=1, flags=re.M)


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
