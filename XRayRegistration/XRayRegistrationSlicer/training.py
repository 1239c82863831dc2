"""Training a model for a CT of the scene: scr-train in a process of its own, which can be stopped and goes on later."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import slicer
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorLib.image_file import write_image
from DRRSimulatorLib.progress import ProgressLine, Report, ignore_progress, parse_progress
from DRRSimulatorLib.volume_file import place_in_ras
from DRRSimulatorSlicer import nodes
from DRRSimulatorSlicer.background import BackgroundProcess, BackgroundTask, errorText
from slicer.i18n import tr as _

from .training_curve import TrainingCurve

STOPPED = 1  # exit code of scr-train when it was asked to stop

_running: set[Path] = set()


class TrainingJob:
    """A training in the background.

    The folder `<model>-training` beside the model file holds what is needed to go on: the CT, the bones and the last checkpoint.

    Attributes:
        modelPath: the file that will hold the model.
        curve: the charts of the losses.
        running: whether it was started and has neither ended nor failed.
    """

    def __init__(
        self,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        modelPath: Path,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        arguments: tuple[str, ...] = (),
        onProgress: Callable[[ProgressLine], Any] = lambda line: None,
        onFinished: Callable[[Path], Any] = lambda path: None,
        onFailed: Callable[[str], Any] = lambda message: None,
        onStopped: Callable[[], Any] = lambda: None,
    ) -> None:
        """Collect the input of a training, quickly; see `startTraining` for the arguments.

        Args:
            ctNode: the CT.
            modelPath: the file that will hold the model.
            segmentationNode: the bones; None to find them in the CT.
            arguments: more options of scr-train.
            onProgress: see `startTraining`.
            onFinished: see `startTraining`.
            onFailed: see `startTraining`.
            onStopped: see `startTraining`.

        Raises:
            InputError: if the CT or the bones cannot be used, or the model cannot be written there.
        """
        self.modelPath = modelPath.absolute()
        if not self.modelPath.parent.is_dir() or self.modelPath.is_dir():
            raise InputError(_("The model cannot be written to {path}; choose a file in an existing folder.").format(path=modelPath))
        self.running = False
        self._folder = self.modelPath.with_name(f"{modelPath.stem}-training")
        self._readCT = nodes.readCT(ctNode)
        self._readBones = None if segmentationNode is None else nodes.readBones(segmentationNode, ctNode)
        self._arguments = [str(self._folder / "ct.nrrd"), f"--output={self.modelPath}", *arguments]
        self._onProgress, self._onFinished, self._onFailed, self._onStopped = onProgress, onFinished, onFailed, onStopped
        self._task: BackgroundTask[list[str]] | None = None
        self._process: BackgroundProcess | None = None
        self._lastLine = ""

    def start(self) -> None:
        """Start the training, or go on where `stop` left it.

        Raises:
            InputError: if another job trains this model already.
        """
        if self.modelPath in _running:
            raise InputError(_("{name} is being trained already.").format(name=self.modelPath.name))
        _running.add(self.modelPath)
        self.running = True
        self.curve = TrainingCurve(self.modelPath.stem)
        self.curve.show()
        self._process = None
        self._task = BackgroundTask(self._writeInput, ignore_progress, self._train, self._onInputFailed, self._onCancelled)
        self._task.start()

    resume = start

    def stop(self) -> None:
        """End soon, with a checkpoint from which `resume`, or another job for the same file, goes on."""
        if self._task is not None:
            self._task.cancel()
        if self._process is not None:
            self._process.stop()

    def _writeInput(self, report: Report) -> list[str]:
        """Write CT and bones, and return the arguments of scr-train; called in a thread."""
        self._folder.mkdir(exist_ok=True)
        report(0.0, "Reading the CT")
        ct = self._readCT()
        report(0.3, "Writing the CT")
        _writeVolume(self._folder / "ct.nrrd", _smallest(ct.hu), ct.ijk_to_ras)
        if self._readBones is None:
            return self._arguments
        report(0.7, "Writing the bones")
        bones = self._readBones(ct)
        _writeVolume(self._folder / "labels.nrrd", bones.labels, bones.ijk_to_ras)
        with atomic_path(self._folder / "labels.json") as temporary:
            temporary.write_text(json.dumps(bones.names), encoding="utf-8")
        return [*self._arguments, f"--labels={self._folder / 'labels.nrrd'}"]

    def _train(self, arguments: list[str]) -> None:
        self._process = BackgroundProcess("xray_training.cli_train", arguments, self._onLine, self._onProcessFinished)
        self._process.start()

    def _onLine(self, line: str) -> None:
        progress = parse_progress(line)
        if progress is not None:
            self.curve.update(self._losses)
            self._onProgress(progress)
        elif line.strip():
            logging.info(line)
            self._lastLine = line.strip()

    @property
    def _losses(self) -> Path:
        return self._folder / "losses.csv"

    def _onProcessFinished(self, exitCode: int) -> None:
        self._end()
        self.curve.update(self._losses)
        if exitCode == 0:
            self._onFinished(self.modelPath)
        elif exitCode == STOPPED and self._lastLine.startswith("Stopped"):
            self._onStopped()
        elif self._lastLine.startswith("Error: "):
            self._onFailed(self._lastLine.removeprefix("Error: "))
        else:
            self._onFailed(
                _("The training ended unexpectedly ({line}). Its output is in the error log; start it again to go on.").format(
                    line=self._lastLine.rstrip(".")
                )
            )

    def _onInputFailed(self, error: Exception) -> None:
        self._end()
        self._onFailed(errorText(error))

    def _onCancelled(self) -> None:
        self._end()
        self._onStopped()

    def _end(self) -> None:
        self.running = False
        _running.discard(self.modelPath)


def startTraining(
    ctNode: slicer.vtkMRMLScalarVolumeNode,
    modelPath: Path | str,
    segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
    steps: int | None = None,
    forceCPU: bool = False,
    onProgress: Callable[[ProgressLine], Any] = lambda line: None,
    onFinished: Callable[[Path], Any] = lambda path: None,
    onFailed: Callable[[str], Any] = lambda message: None,
    onStopped: Callable[[], Any] = lambda: None,
) -> TrainingJob:
    """Train a model for a CT in the background, or go on with a training of the same file that was stopped.

    Args:
        ctNode: the CT; the model will work for it alone.
        modelPath: file to write, *.safetensors.
        segmentationNode: the bones, each segment one of its own; None to find the bone in the CT.
        steps: length of the training; None for what the device is good for. A training that goes on needs the same.
        forceCPU: do not use a GPU.
        onProgress: called with steps done and in all, loss and error of a point, and the time left.
        onFinished: called with the model's file.
        onFailed: called with a sentence that says why, and what to do.
        onStopped: called when the training ended after `TrainingJob.stop`, or because the scene was closed.

    Raises:
        InputError: if the CT or the bones cannot be used, the model cannot be written there, or it is being trained already.
    """
    options = [f"--steps={steps}"] if steps is not None else []
    options += ["--device=cpu"] if forceCPU else []
    job = TrainingJob(ctNode, Path(modelPath), segmentationNode, tuple(options), onProgress, onFinished, onFailed, onStopped)
    job.start()
    return job


def _smallest(hu: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """HU as 16-bit integers where that changes nothing, as in nearly every CT."""
    rounded = hu.clip(-32768, 32767).astype(np.int16)
    return rounded if np.array_equal(rounded, hu) else hu


def _writeVolume(path: Path, voxels: npt.NDArray[Any], ijkToRAS: FloatArray) -> None:
    image = sitk.GetImageFromArray(voxels)
    place_in_ras(image, ijkToRAS)
    write_image(path, image, compressed=False)
