"""The document of the benchmark: tables between two marks in ``benchmarks.md``, and the figures beside it."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .figures import draw_figures
from .rows import CHEST, SUBSAMPLED, Row, targets

BEGIN, END = "<!-- begin: written by make benchmark -->", "<!-- end: written by make benchmark -->"


@dataclass(frozen=True)
class Machine:
    """Where and when it was measured.

    Attributes:
        processor: name of the CPU.
        processors: how many of it this process may use.
        date: ISO 8601.
        versions: names and versions of the projectors.
    """

    processor: str
    processors: int
    date: str
    versions: Sequence[str]

    @classmethod
    def this(cls, versions: Sequence[str]) -> Machine:
        """The machine that runs this, today."""
        names = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
        processor = names[0] if names else platform.processor() or platform.machine()
        return cls(processor, len(os.sched_getaffinity(0)), datetime.date.today().isoformat(), versions)


def write_report(folder: Path, rows: Sequence[Row], machine: Machine) -> None:
    """Draw the figures, and write the tables between the marks of ``benchmarks.md``; text outside of them is kept."""
    path = folder / "benchmarks.md"
    text = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = "\n".join(document(rows, machine, draw_figures(folder, rows)))
    path.write_text(f"{before}{BEGIN}\n{written}\n{END}{after}", encoding="utf-8")


def document(rows: Sequence[Row], machine: Machine, figures: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Lines of Markdown; the figures are (file, what it shows)."""
    yield f"Measured on {machine.date} on {machine.processors} cores of a CPU that calls itself {machine.processor}, with"
    yield f"{'; '.join(machine.versions)}."
    yield ""
    yield from _target_table(rows)
    for file, shows in figures:
        yield f"![{shows}]({file})"
        yield ""
    for voxels in dict.fromkeys(row.voxels for row in rows if row.voxels not in SUBSAMPLED):
        yield from _time_table([row for row in rows if row.voxels == voxels])
    if any(row.voxels in SUBSAMPLED for row in rows):
        yield from _voxels_table([row for row in rows if row.voxels in (*SUBSAMPLED, CHEST)])


def _target_table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| what must hold: chest CT, 2 threads | measured | target | |"
    yield "|---|---|---|---|"
    for target in targets(rows):
        relation = ">=" if target.at_least else "<="
        yield f"| {target.text} | {target.measured:.3g} | {relation} {target.bound:g} | {'met' if target.met else '**missed**'} |"
    yield ""


def _time_table(rows: Sequence[Row]) -> Iterator[str]:
    """Milliseconds of one CT: a line for each work of each projector, a column for each image size and number of threads."""
    columns = sorted({(row.ray_count, row.rays, row.threads) for row in rows})
    cells = {(row.line, row.rays, row.threads): row for row in rows}
    yield f"{rows[0].voxels} voxels, median milliseconds; in brackets the number of measurements where it is under 7:"
    yield ""
    heads = [f"{rays}, {threads} thread{'s' if threads > 1 else ''}" for _, rays, threads in columns]
    yield f"| | {' | '.join(heads)} | largest relative RMS error |"
    yield "|---|" + "--:|" * (len(columns) + 1)
    for line in dict.fromkeys(row.line for row in rows):
        found = [cells.get((line, rays, threads)) for _, rays, threads in columns]
        error = max(row.relative_rms_error for row in found if row)
        yield f"| {line} | {' | '.join(map(_milliseconds, found))} | {100 * error:.2g} % |"
    yield ""


def _voxels_table(rows: Sequence[Row]) -> Iterator[str]:
    """Milliseconds of the chest CT and of what was subsampled of it, for the image and projectors that the latter were measured with."""
    sampled = next(row for row in rows if row.voxels in SUBSAMPLED)
    alike = [row for row in rows if (row.rays, row.threads) == (sampled.rays, sampled.threads)]
    columns = sorted({(row.voxel_count, row.voxels) for row in alike})
    yield f"The chest CT subsampled, {sampled.rays} rays, {sampled.threads} threads, median milliseconds:"
    yield ""
    yield f"| | {' | '.join(voxels for _, voxels in columns)} |"
    yield "|---|" + "--:|" * len(columns)
    for line in dict.fromkeys(row.line for row in alike if row.voxels in SUBSAMPLED):
        cells = {row.voxels: row for row in alike if row.line == line}
        yield f"| {line} | {' | '.join(_milliseconds(cells.get(voxels)) for _, voxels in columns)} |"
    yield ""


def _milliseconds(row: Row | None) -> str:
    if row is None:
        return ""
    value = 1000 * row.median_seconds
    text = f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return text if row.runs >= 7 else f"{text} ({row.runs})"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
