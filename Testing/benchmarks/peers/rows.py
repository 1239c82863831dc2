"""The results: one row for each projector, work, image size, CT and number of threads, and what the rows must show."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .engine_process import OURS, RTK, TRILINEAR

CHEST = "512x512x133"
SUBSAMPLED = {"128x128x133": (4, 4, 1), "256x256x133": (2, 2, 1), "512x512x66": (1, 1, 2)}  # of the chest CT, along i, j and k
FEWEST_RUNS = 7  # of a median that a target compares


@dataclass(frozen=True)
class Row:
    """One line of ``benchmarks.json``.

    Attributes:
        engine: the projector.
        rays: "256x256", rows and columns of the image.
        voxels: "512x512x133", along i, j and k.
        threads: processors that the process may use.
        scene_coordinates: whether entry and exit of the bone were computed as well.
        median_seconds: of `runs` renders, each a round with the other projectors between.
        relative_rms_error: RMS difference from the reference over RMS of the reference, on the same random rays.
        runs: measurements; fewer for what is slow.
        derivatives: whether the six derivatives by the pose were computed as well; in the file only where true.
    """

    engine: str
    rays: str
    voxels: str
    threads: int
    scene_coordinates: bool
    median_seconds: float
    relative_rms_error: float
    runs: int
    derivatives: bool = False

    @property
    def ray_count(self) -> int:
        """Pixels of the image."""
        return math.prod(map(int, self.rays.split("x")))

    @property
    def voxel_count(self) -> int:
        """Voxels of the volume."""
        return math.prod(map(int, self.voxels.split("x")))

    @property
    def line(self) -> str:
        """Which of an engine's works it is, for table and plot."""
        extra = ", with scene coordinates" if self.scene_coordinates else ", with derivatives" if self.derivatives else ""
        return self.engine + extra


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the list as JSON, a row a line."""
    values = [{name: value for name, value in asdict(row).items() if name != "derivatives" or value} for row in rows]
    path.write_text("[\n" + ",\n".join(map(json.dumps, values)) + "\n]\n", encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote."""
    return [Row(**values) for values in json.loads(path.read_text(encoding="utf-8"))]


def find(
    rows: Sequence[Row], engine: str, side: int, voxels: str = CHEST, threads: int = 2, scene: bool = False, derivatives: bool = False
) -> Row | None:
    """The row of a square image, if it was measured."""
    wanted = (engine, f"{side}x{side}", voxels, threads, scene, derivatives)
    for row in rows:
        if (row.engine, row.rays, row.voxels, row.threads, row.scene_coordinates, row.derivatives) == wanted:
            return row
    return None


@dataclass(frozen=True)
class Target:
    """A requirement and what was measured.

    Attributes:
        text: the requirement.
        measured: its number.
        bound: what the number is compared with.
        at_least: whether the number must reach the bound, else it must not exceed it.
    """

    text: str
    measured: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def targets(rows: Sequence[Row]) -> Iterator[Target]:
    """The requirements that the rows can tell about: the chest CT, 2 threads."""
    for side in (256, 512):
        rays = f"{side}x{side} rays"
        drr, scene = find(rows, OURS, side), find(rows, OURS, side, scene=True)
        one_thread, derivatives = find(rows, OURS, side, threads=1), find(rows, OURS, side, derivatives=True)
        rtk, trilinear = find(rows, RTK, side), find(rows, TRILINEAR, side)
        if drr and rtk:
            yield Target(f"{rays}: our speed over {RTK}'s", rtk.median_seconds / drr.median_seconds, 2.5, True)
        if drr and trilinear:
            yield Target(f"{rays}: our speed over {TRILINEAR}'s", trilinear.median_seconds / drr.median_seconds, 25, True)
        if scene and rtk:
            text = f"{rays}: our speed with scene coordinates over {RTK}'s without"
            yield Target(text, rtk.median_seconds / scene.median_seconds, 1, True)
        if drr:
            yield Target(f"{rays}: our relative RMS error, %", 100 * drr.relative_rms_error, 0.5, False)
        if drr and one_thread:
            yield Target(f"{rays}: our speed with 2 threads over 1", one_thread.median_seconds / drr.median_seconds, 1.8, True)
        if drr and derivatives:
            yield Target(f"{rays}: our time with six derivatives over without", derivatives.median_seconds / drr.median_seconds, 3, False)
    few, many = find(rows, OURS, 256), find(rows, OURS, 1024)
    if few and many:
        text = "our time grows with the number of rays to the power of"
        yield Target(text, _power(few, many, few.ray_count, many.ray_count), 1.05, False)
    small, large = find(rows, OURS, 256, "128x128x133"), find(rows, OURS, 256)
    if small and large:
        text = "our time grows with the voxels along a ray, at 4 times as many in 16 times the volume, to the power of"
        yield Target(text, _power(small, large, 1, 4), 1.05, False)


def _power(first: Row, second: Row, first_amount: float, second_amount: float) -> float:
    return math.log(second.median_seconds / first.median_seconds) / math.log(second_amount / first_amount)
