"""``cnncalc verify``: every number against what PyTorch does."""

# No "from __future__ import annotations": typer would evaluate every annotation from its text.
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cnncalc.commands import _options as options
from cnncalc.commands._progress import Progress

if TYPE_CHECKING:
    from cnncalc.analysis.verdict import Verdict
    from cnncalc.graph import Graph


def verify(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A YAML file, '-' for standard input, the name of a shipped net, or torch:package.module:factory; "
            "none with --random.",
            show_default=False,
        ),
    ] = None,
    set: options.Set = None,
    variant: options.Variant = None,
    input: options.Input = None,
    kwargs: options.Kwargs = None,
    input_dtype: options.InputDtype = None,
    batch: options.Batch = 1,
    device: Annotated[str, typer.Option(help="Where PyTorch runs: cpu, cuda (or cuda:1), mps.")] = "cpu",
    dtype: Annotated[
        str,
        options.one_data_type(
            *("float32", "float64", "float16", "bfloat16"),
            help="Type of the pass that measures shapes and FLOPs; fields and values are measured in float64.",
        ),
    ] = "float32",
    layers: Annotated[
        str, typer.Option(metavar="PATTERN", help="Only layers whose path matches, as 'stage4.*'.")
    ] = "*",
    checks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Only these: shape, params, buffers, flops, backward, init, peak, saved, optimizer, pixels, field, …; "
            "source of a torch: source.",
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        Literal["torch", "numpy"],
        typer.Option(help="numpy: shapes and receptive fields by the equations alone, where PyTorch is absent."),
    ] = "torch",
    random: Annotated[
        int | None,
        typer.Option(
            "--random", metavar="N", min=1, help="Verify N random nets instead of a source.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random nets.")] = 0,
    format: options.Format = None,
    output: options.Output = None,
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
    from cnncalc.commands import _output
    from cnncalc.errors import CnncalcError

    if (source is None) == (random is None):
        raise CnncalcError("verify: give either a SOURCE or --random N\n  hint: as cnncalc verify resnet18")
    kind = _output.chosen_format(format, output, SPEC_ENDINGS if random else _output.ENDINGS)
    chosen = None if checks is None else tuple(name.strip() for name in checks.split(",") if name.strip())
    if random is not None and kind not in SPEC_ENDINGS.values():
        raise CnncalcError(f"verify: random nets are not told as {kind}\n  hint: leave --format out, or use json")
    if random is not None:
        _random_nets(random, seed, chosen, device=device, kind=kind, output=output)
        return
    assert source is not None
    module = None
    if _needs_module(source, chosen, backend):
        module = _with_module(source, set=set, variant=variant, input=input, kwargs=kwargs, input_dtype=input_dtype)
        graph = module[0].graph
    else:
        graph = options.load(source, set=set, variant=variant, input=input, kwargs=kwargs, input_dtype=input_dtype)

    from cnncalc import sources

    once = sources.is_stream(source)

    def resize(shapes: Any) -> "Graph":
        given = None if kwargs is None else options.parse_kwargs(kwargs)
        return sources.load(source, variant=variant, args=set or [], input=shapes, kwargs=given, dtype=input_dtype)

    with Progress() as progress:
        if backend == "numpy":
            from cnncalc.reference import verify as numpy_verify

            found = numpy_verify.verify(
                graph,
                layers=layers,
                checks=known_checks(chosen, numpy_verify.CHECKS),
                resize=None if once else resize,
                progress=progress.show,
            )
        else:
            torch_verify = _torch()
            found = torch_verify.verify(
                graph,
                batch=batch,
                device=device,
                dtype=dtype,
                layers=layers,
                checks=known_checks(chosen, (*((SOURCE,) if module else ()), *torch_verify.CHECKS)),
                resize=None if once else resize,
                progress=progress.show,
                module=module,
            )
    _show(graph, found, kind, output)
    if not found.holds:
        raise typer.Exit(1)


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
    from cnncalc.errors import CnncalcError

    asked = chosen is not None and SOURCE in chosen
    if asked and not sources.is_torch(source):
        raise CnncalcError(
            f"verify: the check '{SOURCE}' compares a module of PyTorch with the graph that was captured of it, and "
            f"{source} is a spec\n  hint: it is for torch:package.module:factory; 'values' compares a spec's layers"
        )
    if asked and backend != "torch":
        raise CnncalcError(f"verify: the check '{SOURCE}' runs PyTorch\n  hint: leave --backend {backend} out")
    return sources.is_torch(source) and backend == "torch" and (chosen is None or asked)


def _with_module(
    source: str,
    *,
    set: list[str] | None,
    variant: str | None,
    input: list[str] | None,
    kwargs: str | None,
    input_dtype: str | None,
) -> Any:
    """What was captured of a ``torch:`` source, and the module itself with its values."""
    from cnncalc import sources

    shapes = options.input_shapes(input or [])
    given = None if kwargs is None else options.parse_kwargs(kwargs)
    return sources.load_original(source, variant=variant, args=set or [], input=shapes, kwargs=given, dtype=input_dtype)


def known_checks(chosen: tuple[str, ...] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The checks asked for; all of them by default.

    Raises:
        CnncalcError: there is no such check (with the nearest).
    """
    from cnncalc.errors import unknown_name

    for name in chosen or ():
        if name not in known:
            raise unknown_name("check", name, known, known)
    return chosen or known


def _torch() -> Any:
    """The room that needs PyTorch.

    Raises:
        CnncalcError: it is not installed.
    """
    from importlib import import_module

    from cnncalc.errors import CnncalcError

    try:
        import_module("torch")
    except ImportError:
        raise CnncalcError(
            "verify: PyTorch is not installed\n"
            "  hint: pip install 'cnncalc[torch]' brings it; --backend numpy verifies shapes and fields without it"
        ) from None
    return import_module("cnncalc.torch.verify")


def _show(graph: "Graph", found: "Verdict", kind: str, output: str | None) -> None:
    from cnncalc.commands import _output
    from cnncalc.report import verify as reports

    if kind == "json":
        from cnncalc.document.json import render

        _output.write(render(reports.report(graph, found)) + "\n", output)
        return
    rows, said = reports.by_layer(found), reports.summary(found)
    _output.write_grid(reports.columns(found), rows, format=kind, output=output, notes=said)


def _random_nets(
    count: int, seed: int, chosen: tuple[str, ...] | None, *, device: str, kind: str, output: str | None
) -> None:
    """Verify random nets; the smallest spec that shows a mismatch goes to the output, ready to save."""
    from cnncalc.commands import _output

    torch_verify = _torch()
    from cnncalc.torch.random_nets import hunt

    with Progress(total=count) as progress:
        result = hunt(
            count, seed, checks=known_checks(chosen, torch_verify.CHECKS), device=device, progress=progress.show
        )
    if kind == "json":
        from cnncalc.document.json import render

        _output.write(render(result) + "\n", output)
    else:
        _output.write("\n".join(result.lines()) + "\n", output)
    if result.failures:
        raise typer.Exit(1)
