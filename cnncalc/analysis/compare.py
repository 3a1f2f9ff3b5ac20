"""Several nets side by side: one row for each, with its totals."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from cnncalc.analysis.answer import Answer, Model
from cnncalc.analysis.broken import Broken
from cnncalc.analysis.metrics import last_local
from cnncalc.analysis.report import Diagnostic, ReceptiveField, Report, Totals


class NetReport(Struct, frozen=True):
    """One net of several.

    ``name`` has the arguments that tell nets of one name apart. ``receptive_field`` is that of the last map whose units
    see a part of the input, null where there is none, or a map behind it sees all; ``macs_ratio`` its MACs over those
    of the first net, null where either is a lower bound or the first has none.
    """

    name: str
    model: Model
    totals: Totals
    receptive_field: ReceptiveField | None
    macs_ratio: float | None
    diagnostics: tuple[Diagnostic, ...]


class CompareReport(Answer, frozen=True, kw_only=True):
    """The answer to ``analyze`` of several nets; ``broken`` are those that could not be read."""

    nets: tuple[NetReport, ...]
    broken: tuple[Broken, ...]


def compare(reports: Sequence[Report], broken: Sequence[Broken] = ()) -> CompareReport:
    """Several reports, one row each."""
    first = reports[0].totals if reports else None
    models = [report.model for report in reports]
    nets = [
        NetReport(
            name=_name(report.model, models),
            model=report.model,
            totals=report.totals,
            receptive_field=last.receptive_field if last is not None else None,
            macs_ratio=_ratio(report.totals, first),
            diagnostics=report.diagnostics,
        )
        for report in reports
        for last, _ in [last_local(report)]
    ]
    return CompareReport(nets=tuple(nets), broken=tuple(broken))


def _name(model: Model, models: Sequence[Model]) -> str:
    """What a net is called: of equal names the arguments that differ are said, or else the source."""
    name = model.name or model.source
    like = [one for one in models if (one.name or one.source) == name]
    own = {key: value for key, value in model.args.items() if any(one.args.get(key) != value for one in like)}
    more = [f"{key}={value}".replace(" ", "") for key, value in own.items()]
    if not more and any(one.source != model.source for one in like):
        more = [model.source]
    return " ".join([name, *more])


def _ratio(totals: Totals, first: Totals | None) -> float | None:
    known = first is not None and first.macs and first.status == totals.status == "complete"
    return totals.macs / first.macs if known and first is not None else None
