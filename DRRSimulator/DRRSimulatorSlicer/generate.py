"""Sets of simulated X-rays on disk: the command drr-simulate on a CT of the scene, in a process of its own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import SimpleITK as sitk
import slicer
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, save_view
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.image_file import write_image
from DRRSimulatorLib.progress import ProgressLine, ignore_progress, parse_progress
from DRRSimulatorLib.view_list import DEFAULTS
from DRRSimulatorLib.volume_file import place_in_ras
from slicer.i18n import tr as _

from .background import BackgroundProcess, BackgroundTask, errorText


class Generation:
    """Writes the input of drr-simulate in a thread, then runs it; `stop` ends either."""

    def __init__(
        self, writeInput: Callable[[Path], list[str]], onProgress: Callable[[ProgressLine], Any], onFinished: Callable[[int, str], Any]
    ) -> None:
        """Prepare a generation.

        Args:
            writeInput: writes input files to the folder it is given and returns the arguments of drr-simulate; called in a thread.
            onProgress: called while images are written.
            onFinished: called with the command's exit code (0 done, 1 cancelled or failed, 2 bad input) and what it said at the end.
        """
        self._folder = Path(tempfile.mkdtemp(dir=slicer.app.temporaryPath))
        self._onProgress, self._onFinished = onProgress, onFinished
        self._lastLine = ""
        self._task = BackgroundTask(
            lambda report: writeInput(self._folder), ignore_progress, self._simulate, self._onInputFailed, self._onCancelled
        )
        self._process: BackgroundProcess | None = None

    def start(self) -> None:
        """Start writing the input."""
        self._task.start()

    @property
    def running(self) -> bool:
        """Whether it was started and has not finished yet."""
        return self._task.running or (self._process is not None and self._process.running)

    def stop(self) -> None:
        """End soon; images that are written stay."""
        self._task.cancel()
        if self._process is not None:
            self._process.stop()

    def _simulate(self, arguments: list[str]) -> None:
        self._process = BackgroundProcess("DRRSimulatorLib.cli", arguments, self._onLine, self._finish)
        self._process.start()

    def _onInputFailed(self, error: Exception) -> None:
        self._lastLine = errorText(error)
        self._finish(2)

    def _onCancelled(self) -> None:
        self._lastLine = _("Stopped before the first X-ray.")
        self._finish(1)

    def _onLine(self, line: str) -> None:
        progress = parse_progress(line)
        if progress is not None:
            self._onProgress(progress)
        elif line.strip():
            self._lastLine = line.strip().removeprefix("Error: ")

    def _finish(self, exitCode: int) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._onFinished(exitCode, self._lastLine or _("The simulation ended without a word."))


@dataclass(frozen=True)
class ViewSet:
    """What to generate.

    Attributes:
        folder: where the images and their cameras go.
        camera: geometry of all images.
        views: the views, or how many random ones.
        polarity: "intensity" or "attenuation".
        noise: whether the images have noise.
        seed: of the random numbers.
        kilovolts: of the tube; None for ideal X-rays.
    """

    folder: Path
    camera: Camera
    views: Sequence[CArmView] | int
    polarity: str
    noise: bool
    seed: int
    kilovolts: int | None = None

    def writeInput(self, folder: Path, ct: CTVolume, bones: BoneLabels | None) -> list[str]:
        """Write the input files of drr-simulate, and return its arguments."""
        writeVolume(folder / "ct.nrrd", ct.hu, ct.ijk_to_ras)
        save_view(folder / "camera.json", self.camera)
        arguments = [str(folder / "ct.nrrd"), f"--output={self.folder}", f"--camera={folder / 'camera.json'}"]
        arguments += [f"--image={self.polarity}", "--noise" if self.noise else "--no-noise", f"--seed={self.seed}"]
        if self.kilovolts is not None:
            arguments.append(f"--kv={self.kilovolts}")
        if bones is not None:
            writeVolume(folder / "bones.nrrd", bones.labels, bones.ijk_to_ras)
            (folder / "bones.json").write_text(json.dumps(bones.names), encoding="utf-8")
            arguments.append(f"--labels={folder / 'bones.nrrd'}")
        if isinstance(self.views, int):
            return [*arguments, f"--random={self.views}"]
        (folder / "views.json").write_text(json.dumps([viewRow(view) for view in self.views]), encoding="utf-8")
        return [*arguments, f"--views={folder / 'views.json'}"]


def viewRow(view: CArmView) -> dict[str, float]:
    """A view as lists of views hold it."""
    offsetX, offsetY = view.offset_mm
    values = (view.primary_deg, view.secondary_deg, view.roll_deg, offsetX, offsetY, view.source_to_point_mm)
    return dict(zip(DEFAULTS, values, strict=True))


def writeVolume(path: Path, voxels: npt.NDArray[Any], ijkToRAS: FloatArray) -> None:
    """Write a volume [k, j, i], uncompressed, as it is read once and soon."""
    image = sitk.GetImageFromArray(voxels)
    place_in_ras(image, ijkToRAS)
    write_image(path, image, compressed=False)
