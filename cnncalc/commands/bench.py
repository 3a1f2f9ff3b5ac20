"""``cnncalc bench``: real times beside their lower bounds."""

# No "from __future__ import annotations": typer would evaluate every annotation from its text.
from typing import TYPE_CHECKING, Any

from cnncalc.commands import _options as options
from cnncalc.commands._command import Reading, Rows, Sink, command, with_torch
from cnncalc.commands._options import Text, argument, flag, one_data_type, option
from cnncalc.document import output
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from cnncalc.analysis.roofline import Machine


@command
def bench(
    source: Text = argument(
        "SOURCE",
        "A YAML file, '-' for standard input, the name of a shipped net, or torch:package.module:factory; "
        "none with --calibrate alone.",
    ),
    *,
    reading: Reading,
    batch: options.Batch = 1,
    device: options.Device = "cpu",
    dtype: str = one_data_type(
        "float32", "float64", "float16", "bfloat16", help="Type of weights and activations.", default="float32"
    ),
    repeat: int = option("Timed tries of each layer and of the net.", min=1, max=1_000_000, default=20),
    backward: bool = flag("--backward", "Time the backward pass too."),
    threads: int | None = option("Threads of PyTorch on a CPU; by default its own choice.", min=1, max=1024),
    machine: options.Machine = None,
    algorithms: options.Algorithms = None,
    list_machines: bool = flag("--machines", "List the shipped machines, with their sources, and stop."),
    calibrate: Text = option(
        "Measure this machine first and write it there, e.g. to mine.yaml; a net is then held against it.", "FILE"
    ),
    rows: Rows,
    sink: Sink,
) -> None:
    """Measure the real time of every layer and of the net with PyTorch, beside the least that a machine can take.

    Each layer is run by itself, after untimed tries; shown are the median, half the range of the middle half
    (±), and with --machine the lower bound. The best bound is that of this machine: --calibrate measures it,
    in about a minute.

    Example: cnncalc bench resnet18 --calibrate mine.yaml --depth 1
    """
    from cnncalc.commands._progress import Progress
    from cnncalc.report.bench import document, every_column

    kind = sink.kind()
    if list_machines:
        from cnncalc import machines
        from cnncalc.analysis.machines import listing
        from cnncalc.report.machines import document as listed

        sink.show(listed(listing((name, machines.load(name)) for name in machines.names())), kind)
        return
    rows.check(kind)
    columns = every_column(backward=backward, bounded=machine is not None or calibrate is not None)
    chosen = rows.pick(columns)
    rows.cut((), columns)
    output.keep_existing(calibrate, sink.force)
    if source is None and calibrate is None:
        raise CnncalcError("bench: give a SOURCE, or --calibrate FILE\n  hint: e.g. cnncalc bench resnet18")
    if machine is not None and calibrate is not None:
        raise CnncalcError(
            "bench: --calibrate measures the machine that --machine would name\n  hint: give one of them"
        )
    limits, warning = options.machine(machine), ""
    with Progress("loading PyTorch" if source is None else f"reading {source}") as progress:
        graph = None if source is None else reading.load(source)
        progress.show("loading PyTorch")
        torch = with_torch("bench", "torch")
        if threads is not None:
            torch.set_num_threads(threads)
        if calibrate is not None:
            from cnncalc import machines
            from cnncalc.torch.calibrate import calibrate as measure_machine

            limits, warning = measure_machine(device, progress=progress.show)
            output.write(machines.written(limits), calibrate)
        if warning:
            output.complain(warning, mark="warning: ")
        if graph is None:
            return
        from cnncalc.torch.bench import measure

        measured = measure(
            graph,
            batch=batch,
            device=device,
            dtype=dtype,
            repeat=repeat,
            backward=backward,
            progress=progress.show,
        )
    from cnncalc.analysis.bench import answer, block
    from cnncalc.document.tree import folded

    found = answer(
        graph,
        measured,
        device=device,
        dtype=dtype,
        batch=batch,
        machine=limits,
        peak=_peak(torch, device, dtype, limits),
        algorithms=algorithms or ("direct" if device.startswith("cpu") else "fast"),
        backward=backward,
        remarks=_remarks(torch, device, dtype, repeat, limits),
    )
    layers = found.layers if rows.depth is None else folded(found.layers, rows.depth, block)
    shown = rows.cut(layers, columns, found)
    sink.show(document(found, shown, chosen, flat=rows.flat), kind, fold=not rows.chosen)


def _peak(torch: Any, device: str, dtype: str, machine: "Machine | None") -> str:
    """On a GPU of CUDA float32 products may run as TF32, and convolutions do unless told otherwise."""
    backends = torch.backends
    allowed = backends.cuda.matmul.allow_tf32 or backends.cudnn.allow_tf32
    if device.startswith("cuda") and dtype == "float32" and allowed and machine is not None and "tf32" in machine.peak:
        return "tf32"
    return dtype


def _remarks(torch: Any, device: str, dtype: str, repeat: int, machine: "Machine | None") -> list[str]:
    threads = torch.get_num_threads()
    on = f"{device}, {threads} {'threads' if threads > 1 else 'thread'}" if device.startswith("cpu") else device
    tries = f"{repeat} {'tries' if repeat > 1 else 'try'}"
    remarks = [f"PyTorch {torch.__version__} on {on}, {dtype}, median of {tries}, evaluation mode"]
    if device.startswith("cpu") and machine is not None and machine.threads is not None and threads > machine.threads:
        remarks.append(
            f"the machine's numbers are for {machine.threads} threads: the bound need not hold for {threads}"
        )
    return remarks
