"""``cnncalc verify``: every number against what PyTorch does."""

# No "from __future__ import annotations": typer would evaluate every annotation from its text.
from typing import TYPE_CHECKING, Any, Literal

from cnncalc.commands import _options as options
from cnncalc.commands._command import Net, Reading, Sink, command, with_torch
from cnncalc.commands._options import Text, argument, flag, one_data_type, option
from cnncalc.commands._progress import Progress
from cnncalc.errors import CnncalcError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc.graph import Graph


@command
def verify(
    source: Text = argument(
        "SOURCE",
        "A YAML file, '-' for standard input, the name of a shipped net, or torch:package.module:factory; "
        "none with --random.",
    ),
    *,
    reading: Reading,
    batch: options.Batch = 1,
    device: options.Device = "cpu",
    dtype: str = one_data_type(
        *("float32", "float64", "float16", "bfloat16"),
        help="Type of the pass that measures shapes and FLOPs; fields and values are measured in float64.",
        default="float32",
    ),
    layer: str = option("Only layers whose path matches, e.g. 'stage4.*'.", "PATH", default="*"),
    layers: Text = option("", hidden=True),
    checks: Text = option(
        "Only these: shape, params, buffers, flops, backward, init, peak, saved, optimizer, pixels, field, …; "
        "source of a torch: source.",
        "A,B,…",
    ),
    backend: Literal["torch", "numpy"] = option(
        "numpy: shapes and receptive fields by the equations alone, where PyTorch is absent.", default="torch"
    ),
    random: int | None = option("Verify N random nets instead of a source.", "N", min=1),
    seed: int = option("Of the random nets.", default=0),
    table: bool = flag("--table", "Show each layer with its claims."),
    sink: Sink,
) -> None:
    """Prove every number: build the net in PyTorch, run it, and show claim beside measurement.

    Measured are, for every layer, the output shape, the parameters and buffers, the FLOPs of the
    forward and the backward pass (torch.utils.flop_counter), the fans of its weights, the exact pixels
    that every unit sees, size, jump and start of the receptive field (the support of the gradient), the
    peak of live tensors in inference, what autograd keeps and optimisers hold, that
    shifting the input by the jump shifts the map by a unit, and the values against the equations in
    NumPy. Of a torch: source also (source) that the module itself and the net of its graph give the
    same outputs for the same weights and input. Exit status 1 where a claim fails.

    Example: cnncalc verify resnet50 --batch 2 --checks shape,flops,backward
    """
    if (source is None) == (random is None):
        raise CnncalcError("verify: give either a SOURCE or --random N\n  hint: e.g. cnncalc verify resnet18")
    chosen = None if checks is None else tuple(name.strip() for name in checks.split(",") if name.strip())
    if random is not None:
        _random_nets(random, seed, chosen, device=device, sink=sink)
        return
    assert source is not None
    kind = sink.kind()
    pattern = layer if layers is None else layers
    with_module = _needs_module(source, chosen, backend)
    net = Net(source, reading)
    with Progress(f"capturing {source}" if with_module else f"reading {source}") as progress:
        module = _with_module(net) if with_module else None
        graph = net.load() if module is None else module[0].graph
        if backend == "numpy":
            from cnncalc.reference import verify as numpy_verify

            found = numpy_verify.verify(
                graph,
                layers=pattern,
                checks=known_checks(chosen, numpy_verify.CHECKS),
                resize=_resize(net),
                progress=progress.show,
            )
        else:
            progress.show("loading PyTorch")
            torch_verify = _torch()
            found = torch_verify.verify(
                graph,
                batch=batch,
                device=device,
                dtype=dtype,
                layers=pattern,
                checks=known_checks(chosen, (*((SOURCE,) if module else ()), *torch_verify.CHECKS)),
                resize=_resize(net),
                progress=progress.show,
                module=module,
            )
    from cnncalc.analysis.verdict import answer
    from cnncalc.report.verify import document

    sink.show(document(answer(graph, found), table=table), kind)


SPEC_ENDINGS = {".json": "json", ".yaml": "table", ".yml": "table", ".txt": "table"}
"""What is told of random nets is a spec, with the rest in comments."""
SOURCE = "source"
"""The check that compares a ``torch:`` source's own module with the net of its graph."""


def _needs_module(source: str, chosen: tuple[str, ...] | None, backend: str) -> bool:
    """Whether the check of the source's own module is made.

    Raises:
        CnncalcError: it is asked for, and there is no such module, or no PyTorch to run it.
    """
    from cnncalc import sources

    asked = chosen is not None and SOURCE in chosen
    if asked and not sources.is_torch(source):
        raise CnncalcError(
            f"verify: the check '{SOURCE}' compares a module of PyTorch with the graph that was captured of it, and "
            f"{source} is a spec\n  hint: it is for torch:package.module:factory; 'values' compares a spec's layers"
        )
    if asked and backend != "torch":
        raise CnncalcError(f"verify: the check '{SOURCE}' runs PyTorch\n  hint: leave --backend {backend} out")
    return sources.is_torch(source) and backend == "torch" and (chosen is None or asked)


def _with_module(net: Net) -> Any:
    """What was captured of a ``torch:`` source, and the module itself with its values."""
    from cnncalc import sources

    return sources.load_original(net.source, **net.reading.given)


def _resize(net: Net) -> "Callable[[Any], Graph] | None":
    """The net for other inputs; nothing for a stream, which is read once."""
    from cnncalc import sources

    given = net.reading.given
    return (
        None if sources.is_stream(net.source) else lambda shapes: sources.load(net.source, **given | {"input": shapes})
    )


def known_checks(chosen: tuple[str, ...] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The checks asked for; all of them by default.

    Raises:
        CnncalcError: there is no such check (with the nearest).
    """
    for name in chosen or ():
        if name not in known:
            raise unknown_name("check", name, known, known)
    return chosen or known


def _torch() -> Any:
    """The room that needs PyTorch."""
    hint = "; --backend numpy verifies shapes and fields without it"
    return with_torch("verify", "cnncalc.torch.verify", hint)


def _random_nets(count: int, seed: int, chosen: tuple[str, ...] | None, *, device: str, sink: Sink) -> None:
    """Verify random nets; the smallest spec that shows a mismatch goes to the output, ready to save."""
    from cnncalc.document import json, output

    kind = output.chosen_format(sink.format, sink.output, SPEC_ENDINGS)
    if kind not in SPEC_ENDINGS.values():
        raise CnncalcError(f"verify: random nets cannot be written as {kind}\n  hint: leave --format out, or use json")
    output.keep_existing(sink.output, sink.force)
    with Progress(total=count) as progress:
        torch_verify = _torch()
        from cnncalc.torch.random_nets import hunt

        result = hunt(
            count, seed, checks=known_checks(chosen, torch_verify.CHECKS), device=device, progress=progress.show
        )
    text = json.render(result) if kind == "json" else "\n".join(result.lines())
    output.write(text + "\n", sink.output)
    if result.failures:
        raise SystemExit(1)
