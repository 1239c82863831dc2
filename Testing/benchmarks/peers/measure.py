"""Times projectors round by round: each renders once a round, so that all see the machine in the same moods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose

from .engine import DERIVATIVES, DRR, SCENE_COORDINATES, NotOfferedError
from .engine_process import OURS, RTK, TRILINEAR, EngineProcess, Rendered
from .patients import PreparedCT
from .reference import line_integrals
from .rows import CHEST, FEWEST_RUNS, Row

SOURCE_TO_DETECTOR_MM = 1020.0
DETECTOR_MM = 400.0
REFERENCE_RAYS = 2000
RUNS = 9
SECONDS_FOR_REPETITION = 20.0  # what is slower than this at once is not repeated, what is faster is as far as it goes
LONGEST_RENDER_SECONDS = 60.0
MOST_BYTES = 8 * 2**30
PAUSE_SECONDS = 0.05  # between renders: threads of the one before may still be spinning


def centred_camera(side: int) -> Camera:
    """The same detector in any number of pixels."""
    return Camera.centred(SOURCE_TO_DETECTOR_MM, DETECTOR_MM / side, (side, side))


@dataclass(frozen=True, eq=False)
class Reference:
    """Double-precision line integrals of a random part of an image's pixels."""

    pixels: npt.NDArray[np.int64]
    integrals: FloatArray

    @classmethod
    def of(cls, ct: PreparedCT, camera: Camera) -> Reference:
        """The same rays for every projector."""
        rows, columns = camera.image_size
        count = min(REFERENCE_RAYS, rows * columns)
        pixels = np.random.default_rng(0).choice(rows * columns, count, replace=False)
        camera_to_ras = invert_pose(ct.pose)
        row, column = np.divmod(pixels, columns)
        directions = camera.back_project(np.stack([column, row], axis=-1), 1.0) @ camera_to_ras[:3, :3].T
        return cls(pixels, line_integrals(np.load(ct.attenuation), ct.ijk_to_ras, camera_to_ras[:3, 3], directions))

    def relative_rms_error(self, image: FloatArray) -> float:
        """RMS difference of an image [row, column] over the RMS of the reference."""
        difference = image.ravel()[self.pixels] - self.integrals
        return float(np.sqrt((difference**2).mean() / (self.integrals**2).mean()))


@dataclass
class Task:
    """One projector's work on one image, and its measurements."""

    process: EngineProcess
    work: str
    error: float
    runs: int
    seconds: list[float]


@dataclass
class Measurer:
    """Measures settings one after the other; what earlier ones took tells which later ones would take too much.

    Attributes:
        folder: for images.
        say: prints a line.
    """

    folder: Path
    say: Callable[[str], None] = print
    _taken: dict[tuple[str, str, str, int, int], Rendered] = field(default_factory=dict)
    _left_out: set[tuple[str, str, str, int, int]] = field(default_factory=set)

    def measure(self, processes: Sequence[EngineProcess], ct: PreparedCT, side: int, threads: int) -> Iterator[Row]:
        """Rows of all projectors that can do it.

        Raises:
            RuntimeError: if a projector's image differs from the reference by more than its model of a voxel explains.
        """
        camera = centred_camera(side)
        reference = Reference.of(ct, camera)
        self.say(f"{side}x{side} rays, {ct.voxels} voxels, {threads} thread{'s' if threads > 1 else ''}")
        tasks = [task for process in processes if (task := self._check(process, DRR, ct, camera, threads, reference))]
        for process in processes:
            if process.contestant.name == OURS:
                works = [SCENE_COORDINATES, DERIVATIVES] if side == 256 else [SCENE_COORDINATES]
                tasks += [task for work in works if (task := self._check(process, work, ct, camera, threads, reference))]
        for number in range(max((task.runs for task in tasks), default=0)):
            for task in tasks:
                if number < task.runs:
                    time.sleep(PAUSE_SECONDS)
                    task.seconds.append(task.process.render(task.work).seconds)
        for task in tasks:
            row = Row(
                task.process.contestant.name,
                f"{side}x{side}",
                ct.voxels,
                threads,
                task.work == SCENE_COORDINATES,
                median(task.seconds),
                task.error,
                len(task.seconds),
                task.work == DERIVATIVES,
            )
            self.say(f"  {row.line:40} {1000 * row.median_seconds:9.1f} ms  (of {row.runs})")
            yield row

    def _check(self, process: EngineProcess, work: str, ct: PreparedCT, camera: Camera, threads: int, reference: Reference) -> Task | None:
        """Render once, compare, and decide how often to repeat; None for what is not offered or would take too much."""
        name, side = process.contestant.name, camera.image_size[0]
        if reason := self._too_much(name, work, ct.voxels, side, threads):
            self.say(f"  {name}, {work}: left out, {reason}")
            self._left_out.add((name, work, ct.voxels, side, threads))
            return None
        try:
            process.show(ct, camera, ct.pose)
            file = self.folder / f"{name} {work} {side} {ct.voxels} {threads}.npy".replace(" ", "_")
            first = process.render(work, file)
        except NotOfferedError as reason:
            self.say(f"  {name}, {work}: left out, {reason}")
            return None
        self._taken[name, work, ct.voxels, side, threads] = first
        error = reference.relative_rms_error(np.load(file).astype(np.float64))
        self.say(f"  {name}, {work}: relative RMS error {100 * error:.4f} %")
        if not error <= process.contestant.largest_error:
            raise RuntimeError(
                f"{name}'s image differs from the reference by {100 * error:.2f} % RMS, more than the "
                f"{100 * process.contestant.largest_error:g} % that its interpolation explains: the geometries differ. See {file}."
            )
        compared = ct.voxels == CHEST and side in (256, 512) and threads == 2 and name in (OURS, RTK, TRILINEAR)
        runs = min(RUNS, int(SECONDS_FOR_REPETITION / first.seconds))
        if compared:
            runs = max(runs, FEWEST_RUNS)
        return Task(process, work, error, runs, [] if runs else [first.seconds])

    def _too_much(self, name: str, work: str, voxels: str, side: int, threads: int) -> str | None:
        """Why a render is not tried, from what half as many pixels a side took, or two threads."""
        if {(name, work, voxels, side // 2, threads), (name, work, voxels, side, 2)} & self._left_out:
            return "as less work was left out"
        for (*same, other_side, other_threads), taken in self._taken.items():
            if same != [name, work, voxels] or (other_side, other_threads) not in ((side // 2, threads), (side, 2)):
                continue
            rays = (side / other_side) ** 2
            seconds = taken.seconds * rays * other_threads / threads
            if seconds > LONGEST_RENDER_SECONDS:
                return f"it would take about {seconds:.0f} s a render; the limit is {LONGEST_RENDER_SECONDS:.0f} s"
            needed = taken.peak_bytes + rays * taken.grown_bytes
            if needed > MOST_BYTES:
                return f"it would need about {needed / 2**30:.0f} GiB; the limit is {MOST_BYTES / 2**30:.0f} GiB"
        return None
