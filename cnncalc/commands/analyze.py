"""``cnncalc analyze``: everything about a net, layer by layer."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cnncalc.commands import _options as options
from cnncalc.commands._command import Nets, Rows, Sink, collected, command
from cnncalc.commands._options import flag
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.analysis.report import Report
    from cnncalc.document.blocks import Document
    from cnncalc.graph import Graph
    from cnncalc.targets import Target


@command
def analyze(
    sources: options.Sources,
    *,
    nets: Nets,
    batch: options.Batch = 1,
    rows: Rows,
    watch: bool = flag("--watch", "Run again whenever the file changes, until Ctrl-C."),
    show: options.Show = None,
    label_smoothing: options.LabelSmoothing = None,
    convention: options.Convention = None,
    images: options.Images = None,
    epochs: options.Epochs = None,
    machine: options.Machine = None,
    dtype: options.Dtype = None,
    algorithms: options.Algorithms = None,
    optimizer: options.Optimizer = None,
    mixed_precision: options.MixedPrecision = None,
    checkpoint: options.Checkpoint = None,
    fit: options.Fit = None,
    sink: Sink,
) -> None:
    """Shapes, parameters, FLOPs and receptive fields, layer by layer; --show adds memory, training, speed and more.

    Several nets, a folder of specs, or several values of an argument that is a number (--set width=16,32) are
    compared: one row for each net.

    Example: cnncalc analyze resnet50 --depth 1 --sort flops

    Example: cnncalc analyze resnet18 resnet50 mobilenet_v2
    """
    kind = sink.kind()
    rows.check(kind)
    settings = {
        "label_smoothing": label_smoothing,
        "convention": convention,
        "images": options.count("--images", images),
        "epochs": options.count("--epochs", epochs),
        "machine": options.machine(machine),
        "dtype": dtype,
        "algorithms": algorithms,
        "optimizer": optimizer,
        "mixed_precision": mixed_precision,
        "checkpoint": checkpoint,
        "fit": fit,
    }
    one = {"--depth": rows.depth, "--show": show} | {f"--{name.replace('_', '-')}": settings[name] for name in settings}

    def run() -> None:
        page: Document | Report

        every = [(net, chosen) for net in nets.targets(sources) for chosen in combinations(net, nets)]
        if nets.several(sources) or len(every) > 1:
            given = next((name for name, value in one.items() if value is not None), None)
            if given is not None:
                raise CnncalcError(f"{given}: it takes one net, and there are {len(every)}")
            page = compared(every, batch, rows, peak=kind != "json")
        else:
            ((net, chosen),) = every
            page = alone(chosen.load(net, quiet=True), batch, rows, show, settings, kind)
        sink.show(page, kind, fold=not rows.all)

    if watch:
        from cnncalc.commands._watch import again

        again(sources, run)
    run()


def alone(
    graph: "Graph", batch: int, rows: Rows, show: str | None, settings: dict[str, Any], kind: str
) -> "Document | Report":
    """The page of one net; JSON needs none, and does not wait for one."""
    from cnncalc.analysis.assemble import assemble

    columns, depth, sort, top, _ = rows
    chosen = None
    if columns is not None:
        from cnncalc.report.columns import choose

        chosen = choose(columns)
    report = assemble(graph, batch, peak=kind not in ("json", "csv"))
    if show is not None or columns is not None or sort is not None or any(v is not None for v in settings.values()):
        from cnncalc.analysis import sections

        report = sections.add_wanted(report, graph, show=show, columns=[columns, sort], settings=settings)
    shown = None
    if (depth, sort, top) != (None, None, None):
        from cnncalc.report.columns import select

        shown = select(report, depth=depth, sort=sort, top=top)
    if kind == "json":
        from msgspec.structs import replace

        return report if shown is None else replace(report, layers=shown)
    from cnncalc.report.analyze import document

    flat = sort is not None or top is not None
    return document(report, columns=chosen, rows=shown, depth=None if flat else depth)


def compared(every: "list[tuple[Target, Nets]]", batch: int, rows: Rows, *, peak: bool) -> "Document":
    """The page of several nets, each with its arguments; those that cannot be read are named."""
    from cnncalc.analysis.assemble import assemble
    from cnncalc.analysis.compare import compare
    from cnncalc.report.compare import COLUMNS, document

    chosen = rows.pick(COLUMNS)

    def look(one: "tuple[Target, Nets]") -> "Report":
        return assemble(one[1].load(one[0], quiet=True), batch, peak=peak)

    answer = compare(*collected(((one[0].label, one) for one in every), look))
    return document(answer, columns=chosen, rows=rows.cut(answer.nets, COLUMNS, answer))


def combinations(net: "Target", nets: Nets) -> list[Nets]:
    """How a net is read: once for each combination of values where arguments of ``--set`` that are single numbers have
    several, which commas outside of brackets separate; an argument that is a list takes them all.
    """
    texts = nets.reading.set or []
    if not any("," in text for text in texts):
        return [nets]
    import re
    from itertools import product

    def with_set(chosen: Sequence[str]) -> Nets:
        return nets._replace(reading=nets.reading._replace(set=list(chosen)))

    choices = []
    known: dict[str, Any] = {}
    plain = [text for text in texts if "," not in text]
    with suppress(CnncalcError):  # whoever loads it has the message
        known = with_set(plain).load(net, quiet=True).args
    for text in texts:
        name, _, value = text.partition("=")
        single = isinstance(known.get(name.strip()), (int, float)) and not isinstance(known[name.strip()], bool)
        values = re.split(r",(?![^\[(]*[\])])", value) if single else [value]
        choices.append([f"{name}={one}" for one in values])
    return [with_set(chosen) for chosen in product(*choices)]
