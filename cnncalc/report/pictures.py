"""Pictures of receptive fields for papers and slides, by matplotlib (the extra ``cnncalc[plot]``)."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.fields import FieldReport, MapField, Unit, unit_report
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.report.rf import which_unit
from cnncalc.report.words import shape_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = (".png", ".svg", ".pdf")
MAP = "viridis"
BOX, WIDTH, LINE = "#D55E00", "#CC79A7", "#0072B2"
"""Of the palette of Okabe & Ito (2008), which the colour-blind can tell apart: vermilion, purple and blue."""
PADDING = "#e6e6e6"
DPI = 130
BEYOND = 4
"""An input so many times as large as the largest field is not drawn to scale."""
LEGEND_COLUMNS = 4
MOST_PANELS = 6
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "cnncalc",
    "pdf.fonttype": 42,
}
"""Text stays text in SVG and PDF."""


def kind_of(path: str) -> str:
    """The ending of a picture's file.

    Raises:
        CnncalcError: it cannot be written.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending not in KINDS:
        raise CnncalcError(f"--plot {path}: a picture ends in {', '.join(KINDS)}\n  hint: e.g. field.png")
    return ending[1:]


def _needed(module: str, option: str, name: str) -> Any:
    """A module of the extra packages.

    Raises:
        CnncalcError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise CnncalcError(f"{option} needs {name}\n  hint: pip install 'cnncalc[plot]'") from None


def _figure(width: float, height: float) -> Figure:
    """A figure without any window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bytes(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # no date, so that the same net gives the same file
    dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=dates)
    return buffer.getvalue()


# -- one unit --------------------------------------------------------------------------------------


def unit_picture(unit: Unit, kind: str, image: str | None = None) -> bytes:
    """A unit's box and the heat map of its path counts, over the input or an image stretched over it.

    Raises:
        CnncalcError: there are no path counts, the image cannot be read, or a package is not installed.
    """
    matplotlib = _needed("matplotlib", "--plot", "matplotlib")
    if unit.field is None:
        raise CnncalcError(f"there is no heat map to draw: {unit.report.reason}")
    picture = None if image is None else read_image(image)
    flat = len(unit.report.axes) == 1
    with matplotlib.rc_context(STYLE):
        figure = _figure(6.4, 3.2 if flat else 5.2)
        axes = figure.add_subplot()
        if flat:
            _line(axes, unit, labels=True)
        else:
            _heat(axes, unit, picture)
            _legend(figure, axes)
        axes.set_title(f"{unit.report.model.name or unit.report.model.source}: {which_unit(unit.report)}", loc="left")
        return _bytes(figure, kind)


def read_image(path: str) -> Any:
    """An image's pixels, in RGB.

    Raises:
        CnncalcError: there is none that can be read.
    """
    pillow = _needed("PIL.Image", "--image", "Pillow")
    try:
        with pillow.open(path) as image:
            image.thumbnail((2048, 2048))
            return image.convert("RGB")
    except pillow.UnidentifiedImageError:
        raise CnncalcError(f"--image {path}: Pillow cannot read this kind of image") from None
    except (OSError, ValueError, pillow.DecompressionBombError) as error:
        raise CnncalcError(f"--image {path}: {getattr(error, 'strerror', None) or error}") from None


class Plane(NamedTuple):
    """The last two axes of a unit's counts: as shares of the greatest, and what of the report belongs to them."""

    shares: Any
    reached: Any
    sizes: tuple[int, int]
    boxes: tuple[tuple[int, int], tuple[int, int]]
    widths: tuple[int | None, int | None]


def plane(unit: Unit) -> Plane:
    """What to draw of a unit in two dimensions or three; of three, the sum over the first."""
    assert unit.field is not None
    first = tuple(range(unit.field.counts.ndim - 2))
    counts = unit.field.counts.sum(axis=first)
    reached = counts > 0 if first else unit.field.reached
    rows, columns = unit.report.axes[-2:]
    boxes = tuple(axis.box or (0, axis.pixels - 1) for axis in (rows, columns))
    most = float(counts.max()) or 1.0
    return Plane(
        counts / most, reached, (rows.pixels, columns.pixels), (boxes[0], boxes[1]), (rows.width, columns.width)
    )


def _heat(axes: Axes, unit: Unit, picture: Any = None, *, labels: bool = True) -> None:
    """The heat map over the input or a picture, with the input's edge, the box and the 95% box; with ``labels`` the
    view holds all of the box that is near the input.
    """
    import numpy as np
    from matplotlib.patches import Rectangle

    drawn = plane(unit)
    (height, width), ((top, bottom), (left, right)) = drawn.sizes, drawn.boxes
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    alpha: Any = None
    if labels:
        axes.set_facecolor(PADDING)
        axes.imshow([[(1.0, 1.0, 1.0)]] if picture is None else picture, extent=extent, aspect="equal")
        alpha = 1.0 if picture is None else 0.15 + 0.6 * drawn.shares**0.5
    shares = np.ma.masked_array(drawn.shares, mask=~drawn.reached)
    axes.imshow(shares, extent=extent, cmap=MAP, norm=_norm(), alpha=alpha)
    far = all(_is_far(box, size) for box, size in zip(drawn.boxes, drawn.sizes, strict=True))
    tall, wide = bottom - top + 1, right - left + 1
    name = f"field's box, {tall}×{wide}{' (beyond the picture)' if far else ''}"
    edges = [
        ("input", "black", "-", (-0.5, -0.5), width, height),
        (name, BOX, "--", (left - 0.5, top - 0.5), wide, tall),
    ]
    most_y, most_x = drawn.widths
    if most_y is not None and most_x is not None:
        corner = ((left + right - most_x) / 2, (top + bottom - most_y) / 2)
        edges.append((f"95% width, {most_y}×{most_x}", WIDTH, "-", corner, most_x, most_y))
    thick = 1.6 if labels else 1.6 * 0.6
    for label, colour, style, corner, w, h in edges:
        look: Any = {"edgecolor": colour, "linestyle": style, "linewidth": thick, "label": label}
        axes.add_patch(Rectangle(corner, w, h, fill=False, **look))
    axes.set_xlim(*_view(drawn.boxes[1], width) if labels else extent[:2])
    axes.set_ylim(*reversed(_view(drawn.boxes[0], height)) if labels else extent[2:])
    axes.set_aspect("equal")


def _norm() -> Any:
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=1)


def _legend(figure: Figure, axes: Axes) -> None:
    """The bar of colours, the axes' names and the legend of a heat map."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.patches import Patch

    bar = figure.colorbar(ScalarMappable(_norm(), MAP), ax=axes, shrink=0.8, pad=0.02)
    bar.set_label("paths from a pixel (1: the most)")
    bar.set_ticks([0, 0.01, 0.1, 0.25, 0.5, 1])
    bar.set_ticklabels(["0", "0.01", "0.1", "0.25", "0.5", "1"])
    axes.set_xlabel("x [pixels]")
    axes.set_ylabel("y [pixels]")
    shown = [*axes.get_legend_handles_labels()[0], Patch(color=PADDING, label="beyond the input")]
    figure.legend(handles=shown, loc="outside lower center", ncols=4, handlelength=1.4, columnspacing=1.2)


def _is_far(box: tuple[int, int], size: int) -> bool:
    """Whether a box reaches so far beyond the input that to show all of it would leave little of the input."""
    return max(-box[0], box[1] - size + 1) > size / 2


def _view(box: tuple[int, int], size: int) -> tuple[float, float]:
    """The stretch of an axis to show: the input, the box where it is near, and a rim."""
    first, last = (0, size - 1) if _is_far(box, size) else (min(0, box[0]), max(size - 1, box[1]))
    rim = 0.5 + 0.03 * size
    return first - rim, last + rim


def _line(axes: Axes, unit: Unit, *, labels: bool) -> None:
    """The shares of the paths along the one axis."""
    (axis,) = unit.report.axes
    assert axis.mass is not None
    box = axis.box or (0, axis.pixels - 1)
    axes.fill_between(range(axis.pixels), axis.mass, step="mid", color=LINE, alpha=0.3, linewidth=0)
    axes.step(range(axis.pixels), axis.mass, where="mid", color=LINE, linewidth=1, label="share of the paths")
    axes.axvspan(box[0] - 0.5, box[1] + 0.5, color=BOX, alpha=0.12, linewidth=0, label=f"field, {box[1] - box[0] + 1}")
    if axis.width is not None:
        middle = (box[0] + box[1]) / 2
        ends = (middle - axis.width / 2, middle + axis.width / 2)
        axes.vlines(ends, 0, max(axis.mass), color=WIDTH, linewidth=1.2, label=f"95% width, {axis.width}")
    if labels:
        room = 0.25 * (box[1] - box[0] + 1)
        ends = max(min(-0.5, box[0] - 0.5), box[0] - room), min(max(axis.pixels, box[1] + 1) - 0.5, box[1] + room)
        axes.set_xlim(*ends)
        axes.set_xlabel("position [samples]")
        axes.set_ylabel("share of the paths per sample")
        axes.legend()
    else:
        axes.set_xlim(-0.5, axis.pixels - 0.5)
        axes.locator_params(axis="x", nbins=3)
        axes.set_yticks([])
    axes.set_ylim(bottom=0)


# -- a whole net -----------------------------------------------------------------------------------


def stages(maps: Sequence[MapField]) -> list[MapField]:
    """The last local map of a top-level block before each change of resolution: at most six, spread over the depth."""
    blocks = list({one.path.partition(".")[0]: one for one in maps}.values())
    local = [one for one in blocks if one.kind == "local" and one.jump and one.start and None not in one.jump]
    last = [
        one for one, after in zip(local, [*local[1:], None], strict=True) if after is None or after.jump != one.jump
    ]
    if len(last) <= MOST_PANELS:
        return last
    return [last[round(i * (len(last) - 1) / (MOST_PANELS - 1))] for i in range(MOST_PANELS)]


def net_picture(graph: Graph, report: FieldReport, kind: str, on: str | None = None) -> bytes:
    """The growth of the field along the depth, and the heat map of the centre unit at a handful of stages."""
    matplotlib = _needed("matplotlib", "--plot", "matplotlib")
    name = report.covers[0].on
    maps = [one for one in report.maps if one.on == name]
    chosen = stages(maps)
    units = [unit for one in chosen if (unit := unit_report(graph, one.path, on=on)).field is not None]
    with matplotlib.rc_context(STYLE):
        figure = _figure(7.4, 5.4 if units else 3.4)
        parts: Any = figure.subfigures(2, 1, height_ratios=[2.1, 1]) if units else [figure]
        _growth(parts[0].add_subplot(), report, maps, chosen)
        if units:
            _panels(parts[1], units)
        return _bytes(figure, kind)


def _growth(axes: Axes, report: FieldReport, maps: Sequence[MapField], chosen: Sequence[MapField]) -> None:
    """Size against layer, one line for each axis that differs, with the input's size."""
    from matplotlib.ticker import MaxNLocator

    from cnncalc.layers.axes import axis_name

    sizes = report.covers[0].shape[1:]
    rank = len(sizes)
    series = [
        [(n, size) for n, one in enumerate(maps, 1) if one.size and (size := one.size[k]) is not None]
        for k in range(rank)
    ]
    alike = all(line == series[0] for line in series)
    colours, styles = (LINE, "#E69F00", "#009E73"), ("-", "--", ":")
    for k, line in enumerate(series[:1] if alike else series):
        if not line:
            continue
        label = "largest so far" if alike else f"largest so far, {axis_name(k, rank)}"
        x, y = zip(*line, strict=True)
        axes.plot(x, y, ".", color=colours[k], markersize=3.5, label="" if k else "field of a layer")
        most = list(accumulate(y, max))
        axes.step(x, most, where="post", color=colours[k], linestyle=styles[k], linewidth=1, label=label)
    unit = "samples" if rank == 1 else "pixels"
    axes_place = axes.get_yaxis_transform()
    most_of_all = max((size for line in series for _, size in line), default=1)
    for size in dict.fromkeys(sizes):
        names = "input" if len(set(sizes)) == 1 else f"input, {axis_name(sizes.index(size), rank)}"
        text = f"{names}: {size} {unit}"
        if size > BEYOND * most_of_all:
            axes.plot([], [], color="black", linestyle="-.", linewidth=0.9, label=f"{text} (far above)")
            continue
        axes.axhline(size, color="black", linestyle="-.", linewidth=0.9)
        axes.annotate(
            text, (0.005, size), xycoords=axes_place, xytext=(0, 2), textcoords="offset points", va="bottom", size=8
        )
    everywhere = [n for n, one in enumerate(maps, 1) if one.kind == "global"]
    if everywhere:
        axes.axvspan(everywhere[0] - 0.5, len(maps) + 0.5, color="#bbbbbb", alpha=0.35, linewidth=0)
        axes.plot([], [], color="#bbbbbb", alpha=0.6, linewidth=6, label="every unit sees all")
    number = {one.path: n for n, one in enumerate(maps, 1)}
    for letter, one in zip("abcdef", chosen, strict=False):
        high = one.size[0] if one.size else None
        if high is not None:
            axes.plot([number[one.path]], [high], "o", color=BOX, markersize=4, zorder=3)
            axes.annotate(
                letter, (number[one.path], high), xytext=(-2, 5), textcoords="offset points", ha="right", weight="bold"
            )
    axes.plot([], [], "o", color=BOX, markersize=4, label="centre unit shown below")
    axes.set_xlim(0.5, len(maps) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("layer, in order of computation")
    axes.set_ylabel(f"receptive field [{unit}]")
    entries = axes.get_legend_handles_labels()[1]
    title = f"{report.model.name or report.model.source}: growth of the receptive field"
    axes.set_title(title, loc="left", pad=8 + 13 * -(-len(entries) // LEGEND_COLUMNS))
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=LEGEND_COLUMNS,
        handlelength=1.4,
        columnspacing=1.2,
        borderaxespad=0.3,
    )


def _panels(figure: Any, units: Sequence[Unit]) -> None:
    """A small heat map of the centre unit for each of some maps."""
    grid = figure.subplots(1, len(units), squeeze=False)[0]
    for letter, axes, unit in zip("abcdef", grid, units, strict=False):
        report = unit.report
        if len(report.axes) == 1:
            _line(axes, unit, labels=False)
        else:
            _heat(axes, unit, labels=False)
            axes.set_xticks([])
            axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
        stage = report.path.split(".")[0]
        axes.set_title(f"{letter}  {stage}\n{shape_text(report.output_shape)}", fontsize=7.5, loc="left")
    flat = len(units[0].report.axes) == 1
    figure.supxlabel(
        "paths from each sample of the input to the centre unit, field (shaded) and 95% width"
        if flat
        else "paths from each pixel of the input to the centre unit (yellow: the most; square-root scale), "
        "field (dashed) and 95% width",
        fontsize=7.5,
    )
