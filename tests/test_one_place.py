"""A layer is one class in one place: a new one works everywhere, and no other code knows any layer's name."""

from __future__ import annotations

import ast
from importlib import import_module
from math import prod
from pathlib import Path

import jsonschema
import pytest

import cnncalc
from cnncalc.analysis.check import check, checked
from cnncalc.analysis.cost import costs
from cnncalc.analysis.metrics import of_report
from cnncalc.document.terminal import render
from cnncalc.errors import CnncalcError
from cnncalc.formulas.receptive_field import sliding_window
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import EVERYTHING, Layer, Positive, Weight, along
from cnncalc.report.analyze import document
from cnncalc.sources import load_text
from cnncalc.spec import fields
from cnncalc.spec.schema import spec_schema


def forget_names():
    """What is remembered about the layers that there are."""
    fields.aliases.cache_clear()
    fields.choice_words.cache_clear()


@pytest.fixture
def registry():
    """The registry, with what a test defines taken out again."""
    before = dict(REGISTRY)
    forget_names()
    yield REGISTRY
    for kind in set(REGISTRY) - set(before):
        del REGISTRY[kind]
    forget_names()


@pytest.fixture
def gather(registry):
    """A made-up layer: reads ``reach`` pixels along each axis, every ``hop``-th, into ``out`` channels."""

    class GatherPixels(Layer, frozen=True):
        """Sum of ``reach`` neighbours after a learned scale. Elementwise operations: one per output element."""

        aliases = ("gather",)
        field_aliases = {"out_channels": "out"}  # noqa: RUF012
        is_product = True

        out: Positive
        reach: Positive = 2
        hop: Positive = 1

        def output_shape(self, *inputs):
            _, *sizes = inputs[0]
            return (self.out, *((size - self.reach) // self.hop + 1 for size in sizes))

        def weights(self, *inputs):
            return (Weight("scale", (self.out, inputs[0][0])), Weight("seen", (self.out,), learnable=False))

        def macs(self, *inputs):
            return prod(self.output_shape(*inputs)) * inputs[0][0]

        def elementwise_ops(self, *inputs):
            return prod(self.output_shape(*inputs))

        def reads(self, *inputs):
            window = sliding_window(self.reach, self.hop, 0, 1)
            return ((EVERYTHING, *(along(axis, window) for axis in range(1, len(inputs[0])))),)

    return GatherPixels


SPEC = """
input: [3, 10, 10]
args: {kind: gather_pixels}
layers:
  - gather_pixels: {out: 4, reach: 3, hop: 2}
  - relu
  - gather: {out_channels: 5}
  - kind: 2
"""


def test_a_new_layer_is_known_to_the_language(gather):
    graph = load_text(SPEC)
    assert [node.layer for node in graph.nodes[1:]] == [
        gather(out=4, reach=3, hop=2),
        REGISTRY["relu"](),
        gather(out=5),
        gather(out=2),
    ]
    assert [node.path for node in graph.nodes[1:]] == ["gather_pixels1", "relu1", "gather_pixels2", "gather_pixels3"]


def test_a_new_layer_has_messages(gather):
    with pytest.raises(CnncalcError, match=r"gather_pixels has no field 'reech'(.|\n)*did you mean 'reach'\?"):
        load_text("input: [3, 8, 8]\nlayers: [{gather_pixels: {out: 3, reech: 2}}]\n")
    with pytest.raises(CnncalcError, match="'hop' of gather_pixels must be a whole number of at least 1, got 0"):
        load_text("input: [3, 8, 8]\nlayers: [{gather_pixels: {out: 3, hop: 0}}]\n")
    with pytest.raises(CnncalcError, match=r"no layer or block 'gather_pixel'(.|\n)*did you mean 'gather_pixels'\?"):
        load_text("input: [3, 8, 8]\nlayers: [{gather_pixel: 3}]\n")


def test_a_new_layer_has_all_numbers(gather):
    report = cnncalc.analyze(load_text(SPEC), batch=2)
    first, relu, second, third = report.layers
    assert [layer.output_shape for layer in report.layers] == [(4, 4, 4), (4, 4, 4), (5, 3, 3), (2, 2, 2)]
    assert (first.params, first.buffers) == (12, 4)
    assert (first.macs, first.flops) == (2 * 64 * 3, 4 * 64 * 3)
    assert (first.elementwise_ops, first.activations) == (2 * 64, 2 * 64)
    assert first.settings == {"out": 4, "reach": 3, "hop": 2}
    # 3 pixels every 2; then 2 units, 2 pixels apart: 3 + 2; then 2 more
    assert [layer.receptive_field.size for layer in report.layers] == [(3, 3), (3, 3), (5, 5), (7, 7)]
    assert [layer.receptive_field.jump for layer in report.layers] == [(2, 2)] * 4
    assert report.totals.status == "complete"
    assert report.totals.params == 12 + 20 + 10
    assert report.totals.macs == first.macs + second.macs + third.macs
    assert relu.macs == 0


def test_a_new_layer_is_in_every_report(gather):
    report = cnncalc.analyze(load_text(SPEC))
    assert '"type": "gather_pixels"' in report.to_json()
    assert "gather_pixels2" in render(document(report), width=80)
    assert "gather_pixels2" in report._repr_html_()


def test_a_new_layer_is_in_the_schema(gather):
    schema = spec_schema()
    validator = jsonschema.Draft202012Validator(schema)

    def accepted(layer):
        return validator.is_valid({"input": [3, 8, 8], "layers": [layer]})

    assert accepted({"gather_pixels": {"out": 4, "reach": 3, "name": "a"}})
    assert accepted({"gather_pixels": {"out": "width * 2"}})
    assert not accepted({"gather_pixels": {"out": 4, "reech": 3}})
    assert not accepted({"gather_pixels": {"out": 0}})
    assert not accepted({"gather_pixels": {"reach": 3}})
    assert "neighbours after a learned scale" in str(schema)


def test_a_new_layer_is_in_the_list_of_layers(gather):
    from cnncalc.analysis.layers import layer_info

    info = layer_info(gather)
    assert info.summary.startswith("Sum of 'reach' neighbours")
    assert [(one.name, one.takes, one.default) for one in info.fields] == [
        ("out", "int ≥ 1", None),
        ("reach", "int ≥ 1", "2"),
        ("hop", "int ≥ 1", "1"),
    ]
    # 32 − 2 + 1 = 31
    assert (info.example.text, info.example.output_shapes) == ("- gather_pixels: {out: 8}", ((8, 31, 31),))


def test_the_registry_is_as_before():
    """The layers of these tests are gone when they end."""
    assert "gather_pixels" not in REGISTRY
    assert "gather_pixels" not in str(spec_schema())


def test_a_layer_that_does_not_say_its_cost_makes_the_totals_partial(registry):
    """Silence is never zero."""

    class Mystery(Layer, frozen=True):
        """A layer whose author forgot the cost."""

        def output_shape(self, *inputs):
            return inputs[0]

    graph = load_text("input: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3}}, mystery, {mystery: {name: other}}]\n")
    report = cnncalc.analyze(graph)
    conv, mystery, _ = report.layers
    assert (mystery.macs, mystery.flops, mystery.elementwise_ops) == (None, None, None)
    assert (mystery.params, mystery.activations) == (0, 0)
    assert report.totals.status == "partial"
    assert report.totals.macs == conv.macs
    assert [(d.severity, d.message, d.layers) for d in report.diagnostics] == [
        (
            "warning",
            f"mystery does not say how many {what} it takes: the totals are a lower bound without it",
            ("mystery1", "other"),
        )
        for what in ("MACs", "elementwise operations")
    ]
    assert [cost.macs for cost in costs(graph)] == [0, conv.macs, None, None]
    text = render(document(report))
    assert "mystery does not say how many MACs it takes" in text
    assert "lower bounds" in text


def test_a_layer_without_a_cost_in_any_budget_is_no_pass(registry):
    class Mystery(Layer, frozen=True):
        """A layer whose author forgot the cost."""

        def output_shape(self, *inputs):
            return inputs[0]

    report = cnncalc.analyze(load_text("input: [3, 8, 8]\nlayers: [mystery]\n"))
    assert check(report.model, of_report(report), {"macs": {"max": 10**12}}).status == "fail"
    assert check(report.model, of_report(report), {"params": {"max": 10**12}}).status == "pass"
    limits = {"peak": {"max": 10**12, "min": 1}, "memory": {"max": 10**12}}
    found = checked(load_text("input: [3, 8, 8]\nlayers: [mystery]\n"), "net", 1, limits).report.checks
    assert [(one.metric, one.limit, one.status) for one in found] == [
        ("peak", "max", "fail"),
        ("peak", "min", "fail"),
        ("memory", "max", "fail"),
    ]
    reason = "unknown: mystery does not say which tensors its forward pass makes and keeps"
    assert {one.reason for one in found} == {reason}


# The names of layers.

PACKAGE = Path(cnncalc.__file__).parent
AT_HOME = ("layers", "torch", "reference")
"""Rooms that hold one class or function per layer: what a layer is, and what builds and computes it."""
OTHER_MEANINGS = {
    "max": "a limit's side, and a function of expressions",
    "min": "a limit's side, and a function of expressions",
    "sum": "a function of expressions",
    "maximum": "a keyword of JSON Schema",
    "minimum": "a keyword of JSON Schema",
    "activation": "the form that calls what an argument names",
}
"""Words that are a layer's name by chance."""


def names_in(source):
    """String constants that are a layer's name or alias, by line; docstrings and text within others are none."""
    known = set(REGISTRY) | {alias for cls in REGISTRY.values() for alias in cls.aliases}
    return [
        f"{node.lineno}: {node.value}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value in known - set(OTHER_MEANINGS)
    ]


MAKERS = {"spec/builder.py": "a residual's sum", "spec/random.py": "nets at random have sums, and an empty branch"}
"""Files that make a layer by itself, because of what they make a net of."""
NOT_YET = ("convert/regions.py", "convert/names.py", "analysis/input_sizes.py")
"""Files that still ask for a class where a question to the layer would do."""


def classes_in(source):
    """Imports of a layer's class, or of a file of such, by line."""
    families = {cls.__module__ for cls in REGISTRY.values()}
    found = []
    for node in ast.walk(ast.parse(source)):
        within = node.module if isinstance(node, ast.ImportFrom) else None
        for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            named = getattr(import_module(within), alias.name, None) if within in families else None
            path = f"{within}.{alias.name}" if within else alias.name
            if path in families or (isinstance(named, type) and issubclass(named, Layer)):
                found.append(f"{node.lineno}: {alias.name}")
    return found


OUTSIDE = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in AT_HOME]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_layers_name_stands_outside_its_room(path):
    source, place = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()
    assert names_in(source) == []
    assert place in (*MAKERS, *NOT_YET) or classes_in(source) == []


@pytest.mark.parametrize("source", ["if kind == 'conv': pass", "x = {'batch_norm': 3}", "f('bn')", "['relu']"])
def test_the_scan_can_fail(source):
    assert names_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "from cnncalc.layers.conv import Conv",
        "if x:\n    from cnncalc.layers.merge import Add as Sum",
        "from cnncalc.layers import norm",
        "import cnncalc.layers.shape",
        "from cnncalc.layers.regularization import PassThrough",
    ],
)
def test_the_scan_of_imports_can_fail(source):
    assert classes_in(source)


@pytest.mark.parametrize("source", ["from cnncalc.layers.base import Movement", "from cnncalc.layers import REGISTRY"])
def test_the_scan_passes_what_all_layers_share(source):
    assert classes_in(source) == []


@pytest.mark.parametrize("source", ["'''A conv.'''", "'a conv layer'", "conv = 3", "metric['max']"])
def test_the_scan_passes_other_text(source):
    assert names_in(source) == []
