"""The live preview: the X-ray of the current view, as often as it changes and the computer can follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import qt
import slicer
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.patient import Patient
from DRRSimulatorLib.progress import Report, ignore_progress
from slicer.i18n import tr as _

from .background import BackgroundTask
from .carm import CArm, createCArm
from .nodes import updateImage
from .simulation import DRR_ROLE, lineIntegrals, poseOf, windowOf

PREVIEW_PIXELS = 256  # along the longer side of the image
SLOWEST_FRAME_SECONDS = 0.08  # what the main thread may spend on a frame; slower ones are computed in a thread
GREY, INVERTED_GREY = "vtkMRMLColorTableNodeGrey", "vtkMRMLColorTableNodeInvertedGrey"


@dataclass(frozen=True)
class Frame:
    """What a frame of the preview shows.

    Attributes:
        camera: of the image in full size.
        view: how the C-arm looks.
        boneBright: whether bone is bright or dark.
    """

    camera: Camera
    view: CArmView
    boneBright: bool

    @property
    def previewCamera(self) -> Camera:
        """The same detector with fewer pixels."""
        scale = min(1.0, PREVIEW_PIXELS / max(self.camera.image_size))
        rows, columns = (max(1, round(scale * size)) for size in self.camera.image_size)
        return self.camera.resized((rows, columns))


class Preview:
    """Shows the newest frame that was asked for; frames that come faster than they can be computed are left out."""

    def __init__(self, onFrame: Callable[[], Any], onFailed: Callable[[Exception], Any]) -> None:
        """Prepare a preview.

        Args:
            onFrame: called after each frame.
            onFailed: called where a frame cannot be made, with the reason.
        """
        self.carm: CArm | None = None
        self._onFrame, self._onFailed = onFrame, onFailed
        self._patient: Patient | None = None
        self._asked: Frame | None = None  # for last
        self._wanted: Frame | None = None  # the same until it is begun
        self._secondsPerFrame = 0.0
        self._window: tuple[float, float] | None = None  # window and level that were set last
        self._task: BackgroundTask[Any] | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._next)

    @property
    def running(self) -> bool:
        """Whether frames are shown."""
        return self._patient is not None

    @property
    def idle(self) -> bool:
        """Whether the frame that was asked for last is shown."""
        return self._wanted is None and self._task is None

    def start(
        self, patient: Patient, ctNode: slicer.vtkMRMLScalarVolumeNode, carm: CArm | None, frame: Frame, secondsPerFrame: float
    ) -> CArm:
        """Show frames from now on.

        Args:
            patient: the CT that is simulated.
            ctNode: its node.
            carm: the camera to move; None: a new one.
            frame: the first one.
            secondsPerFrame: how long a frame takes, as measured before.

        Returns:
            The camera that is moved.
        """
        self.carm = carm or createCArm(ctNode.GetName(), ctNode, frame.camera)
        self.carm.setCT(ctNode)
        self._patient, self._secondsPerFrame, self._window, self._asked = patient, secondsPerFrame, None, None
        self.show(frame)
        return self.carm

    def show(self, frame: Frame) -> None:
        """Show a frame as soon as events that wait are done; nothing is done for the frame that was asked for last."""
        if frame == self._asked or not self.running:
            return
        self._asked = self._wanted = frame
        if self._task is None:
            self._timer.start()

    def stop(self) -> None:
        """Show no more frames; what is shown stays."""
        self._patient = self._wanted = None
        self._timer.stop()
        if self._task is not None:
            self._task.cancel()

    def _next(self) -> None:
        patient, frame, self._wanted = self._patient, self._wanted, None
        if patient is None or frame is None:
            return
        try:
            pose = poseOf(patient, frame.camera, frame.view)
        except InputError as error:
            self._onFailed(error)
            return
        if self._secondsPerFrame < SLOWEST_FRAME_SECONDS:
            self._show(frame, pose, *timed(patient, frame, pose))
            return
        self._task = BackgroundTask(
            lambda report: timed(patient, frame, pose),
            ignore_progress,
            lambda result: self._onComputed(frame, pose, *result),
            self._onTaskFailed,
            self._onTaskCancelled,
        )
        self._task.start()

    def _onComputed(self, frame: Frame, pose: FloatArray, pixels: npt.NDArray[np.float32], seconds: float) -> None:
        self._task = None
        if self.running:
            self._show(frame, pose, pixels, seconds)
        self._goOn()

    def _onTaskFailed(self, error: Exception) -> None:
        self._task = None
        self._onFailed(error)
        self._goOn()

    def _onTaskCancelled(self) -> None:
        self._task = None
        self._goOn()

    def _goOn(self) -> None:
        if self._wanted is not None:
            self._timer.start()

    def _show(self, frame: Frame, pose: FloatArray, pixels: npt.NDArray[np.float32], seconds: float) -> None:
        self._secondsPerFrame = seconds
        carm = self.carm
        if carm is None or carm.transformNode.GetScene() is None:
            self.stop()
            self._onFailed(InputError(_("The camera of the preview was removed; start the live preview again.")))
            return
        if carm.camera() != frame.camera:
            carm.setCamera(frame.camera)
        carm.setPose(pose)
        name = _("{name} preview").format(name=carm.transformNode.GetName().removesuffix(" camera"))
        node = updateImage(None, name, pixels, frame.previewCamera, carm.transformNode, DRR_ROLE)
        node.SetHideFromEditors(True)  # it is neither a CT nor an X-ray to choose
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(GREY if frame.boneBright else INVERTED_GREY)
        if self._window in (None, (display.GetWindow(), display.GetLevel())):  # else the user has chosen another one
            display.SetAutoWindowLevel(False)
            display.SetWindowLevelMinMax(*windowOf(pixels, "attenuation"))
            self._window = display.GetWindow(), display.GetLevel()
        self._onFrame()


def timed(patient: Patient, frame: Frame, rasToCamera: FloatArray) -> tuple[npt.NDArray[np.float32], float]:
    """Pixels of a frame, and the seconds that they took."""
    start = time.perf_counter()
    pixels = lineIntegrals(patient, frame.previewCamera, rasToCamera)
    return pixels, time.perf_counter() - start


def preparation(makePatient: Callable[[Report], Patient], frame: Frame) -> Callable[[Report], tuple[Patient, float]]:
    """A function for any thread that makes the patient ready and measures how long a frame takes."""

    def prepare(report: Report) -> tuple[Patient, float]:
        patient = makePatient(report)
        pose = poseOf(patient, frame.camera, frame.view)
        timed(patient, frame, pose)  # the first one warms up
        return patient, timed(patient, frame, pose)[1]

    return prepare
