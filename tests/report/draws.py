"""Random reports, with everything that the formats have to cope with."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from cnncalc.analysis.answer import Model
from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.report import Diagnostic, LayerReport, ReceptiveField, Report, SeparablePair, Totals

NASTY = "\x1b[31m\x07\x9b2J\u202e\r\n\t|`<b>&\"',;[red]*_é漢字\u0301"
few = settings(max_examples=50)
"""A draw of a report takes longer than what is asked of it."""
texts = st.text(st.sampled_from("abcxyz019 " + NASTY), max_size=8)
counts = st.integers(0, 10**12) | st.integers(0, 3) | st.just(10**30)
shapes = st.lists(st.integers(1, 4096), min_size=1, max_size=3).map(tuple)
names = st.sampled_from(["stage1", "stage2", "block1", "block2", "conv1", "norm1", "a", "漢字1", "x\x1b[0m1"])
paths = st.lists(names, min_size=1, max_size=5).map(".".join)


@st.composite
def fields(draw: st.DrawFn) -> ReceptiveField | None:
    kind = draw(st.sampled_from(["none", "global", "local", "fraction", "flat"]))
    if kind in ("none", "global"):
        return None if kind == "none" else ReceptiveField("global")
    size = draw(st.lists(st.integers(1, 2000) | st.none(), min_size=1, max_size=3).map(tuple))
    if kind == "flat":
        return ReceptiveField("local", size, None, None)
    jump = tuple(None if s is None else 0.5 if kind == "fraction" else 2 for s in size)
    exact = tuple(None if s is None else "1/2" for s in size) if kind == "fraction" else UNSET
    return ReceptiveField("local", size, jump, tuple(None if s is None else -3 for s in size), exact)


@st.composite
def layers(draw: st.DrawFn, path: str, partial: bool) -> LayerReport:
    count = counts | st.none() if partial else counts
    macs = draw(count)
    return LayerReport(
        path=path,
        type=draw(st.sampled_from(["alpha", "beta", "gamma_delta"])),
        inputs=("a.b", "x\x1b[0m"),
        input_shapes=tuple(draw(st.lists(shapes, min_size=1, max_size=2))),
        output_shape=draw(shapes),
        params=draw(count),
        buffers=draw(count),
        macs=macs,
        flops=None if macs is None else 2 * macs,
        elementwise_ops=draw(count),
        activations=draw(count),
        receptive_field=draw(fields()),
        settings=draw(st.dictionaries(texts, st.integers() | texts | st.booleans() | shapes, max_size=3)),
        shared_with=draw(st.just(UNSET) | paths),
        receptive_fields=draw(st.just(UNSET) | st.dictionaries(texts, fields().filter(bool), max_size=2)),
    )


@st.composite
def reports(draw: st.DrawFn, *, partial: bool | None = None) -> Report:
    """A report of up to a dozen layers whose totals are the sums of what is known."""
    is_partial = draw(st.booleans()) if partial is None else partial
    rows = tuple(draw(layers(path, is_partial)) for path in draw(st.lists(paths, max_size=6, unique=True)))
    unknown = any(getattr(row, name) is None for row in rows for name in COUNTS)
    return Report(
        model=Model(
            name=draw(texts),
            source=draw(texts),
            args=draw(st.dictionaries(texts, st.integers() | shapes | texts, max_size=3)),
            inputs=draw(st.dictionaries(texts, shapes, min_size=1, max_size=2)),
            batch=draw(st.integers(1, 64)),
            outputs=draw(st.dictionaries(texts, shapes, min_size=1, max_size=2)),
            citation=draw(texts | st.just("Author et al. 2020, a title of some length, " * 4)),
        ),
        totals=Totals(
            "partial" if unknown else "complete",
            *(known_sum(rows, name) for name in COUNTS),
            4 * known_sum(rows, "params"),
            12,
        ),
        layers=rows,
        diagnostics=tuple(
            Diagnostic(
                "code", draw(st.sampled_from(["info", "warning", "error"])), text, tuple(row.path for row in rows)
            )
            for text in draw(st.lists(texts, max_size=2))
        ),
        separable=tuple(
            SeparablePair(text, text, 114, 1000, 0.114, "57/500", 0.114, "57/500")
            for text in draw(st.lists(texts, max_size=3))
        ),
    )


def known_sum(rows: tuple[LayerReport, ...], name: str) -> int:
    return sum(getattr(row, name) or 0 for row in rows)


def layer(path: str, **changes: object) -> LayerReport:
    """One plain layer for examples."""
    plain = LayerReport(path, "alpha", ("x",), ((3, 8, 8),), (4, 8, 8), 0, 0, 0, 0, 0, 0, ReceptiveField("global"), {})
    return structs.replace(plain, **changes)


def report(*rows: LayerReport) -> Report:
    """A report of these layers."""
    unknown = any(getattr(row, name) is None for row in rows for name in COUNTS)
    return Report(
        model=Model("net", "net.yaml", {}, {"input": (3, 8, 8)}, 1, {"out": (4, 8, 8)}),
        totals=Totals(
            "partial" if unknown else "complete",
            *(known_sum(rows, name) for name in COUNTS),
            4 * known_sum(rows, "params"),
            12,
        ),
        layers=rows,
        diagnostics=(),
    )
