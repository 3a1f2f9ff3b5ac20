"""``cnncalc analyze``: everything about a net, layer by layer."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnncalc.commands import _options as options
from cnncalc.commands._command import Nets, Rows, Sink, collected, command
from cnncalc.commands._options import MORE, Text, flag, one_data_type, option
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.analysis.report import Report
    from cnncalc.document.blocks import Document
    from cnncalc.graph import Graph
    from cnncalc.targets import Target


class Further(NamedTuple):
    """What the further analyses can be told."""

    label_smoothing: float | None = option(
        "Label smoothing, e.g. 0.1, for its minimum loss (initialisation).", group=MORE, min=0, max=1
    )
    convention: Text = option("Add what another tool counts, e.g. thop; see 'cnncalc conventions'.", "TOOL", MORE)
    images: Text = option("Images of a training run, e.g. 1.28M (training).", "N", MORE)
    epochs: Text = option("Epochs of a training run, e.g. 300 (training).", "N", MORE)
    machine: options.Machine = None
    dtype: Text = one_data_type(
        *("float64", "float32", "tf32", "float16", "bfloat16", "int8"),
        help="Type of all tensors, by default float32 (memory, speed); int8 in memory means the weights only.",
        group=MORE,
    )
    algorithms: options.Algorithms = None
    optimizer: Literal["sgd", "momentum", "adam", "adamw"] | None = option(
        "The optimizer whose state training holds (memory).", group=MORE
    )
    mixed_precision: bool | None = flag(
        "--mixed-precision", "Weights in both --dtype (float16) and float32 (memory).", MORE
    )
    checkpoint: int | None = option("Depth of gradient checkpointing (memory).", "DEPTH", MORE, min=1)
    fit: Text = option("The largest batch that fits, e.g. in 24GB or 24GiB (memory).", "SIZE", MORE)


@command
def analyze(
    sources: options.Sources,
    *,
    nets: Nets,
    batch: options.Batch = 1,
    rows: Rows,
    watch: bool = flag("--watch", "Run again whenever the file changes, until Ctrl-C."),
    show: Text = option(
        "Further analyses, separated by commas, e.g. memory,training, or all. Asking for their columns or options "
        "turns them on.",
        "NAMES",
        MORE,
    ),
    further: Further,
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
    settings = further._asdict() | {
        "images": options.count("--images", further.images),
        "epochs": options.count("--epochs", further.epochs),
        "machine": options.machine(further.machine),
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
