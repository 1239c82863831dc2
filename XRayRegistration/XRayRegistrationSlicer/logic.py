"""XRayRegistration for the Python console and for scripts; the panel and the batch script use nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

if TYPE_CHECKING:
    import numpy as np
    from DRRSimulatorLib.camera import Camera
    from DRRSimulatorLib.progress import Report

    from .adjustment import Adjustment
    from .comparison import Comparison
    from .registration import Outcome
    from .results import RegistrationResult


class XRayRegistrationLogic(ScriptedLoadableModuleLogic):
    """Registers a CT to X-rays of the scene.

    Nothing here needs a main window. The user's volumes and transforms are never changed, apart from an attribute of the X-ray that
    holds its geometry.

    Example:
        >>> logic = XRayRegistrationLogic()
        >>> logic.setGeometry(xrayNode, Camera.centred(1020, 1.5, (192, 192)))  # distance to the detector and pixel spacing, mm
        >>> result = logic.registerXRay(xrayNode, ctNode)
        >>> result.verdict.level
        'reliable'
        >>> result.boneModels[0].GetName()
        'bone'
        >>> logic.removeResult(xrayNode)
    """

    def setGeometry(self, xrayNode: slicer.vtkMRMLVolumeNode, camera: Camera, rigToCamera: np.ndarray | None = None) -> None:
        """Tell the geometry that an X-ray was taken with; it is saved with the scene.

        Args:
            xrayNode: the X-ray.
            camera: for images of the X-ray's size.
            rigToCamera: 4x4 to this camera from the frame common to several X-rays (a calibration's world), mm.

        Raises:
            InputError: if the camera is for images of another size.
        """

    def geometry(self, xrayNode: slicer.vtkMRMLVolumeNode) -> tuple[Camera, np.ndarray | None] | None:
        """Camera and 4x4 rigToCamera that were set, else the camera of the X-ray's DICOM header; None where neither tells it."""

    def registerXRay(
        self,
        xrayNodes: slicer.vtkMRMLVolumeNode | Sequence[slicer.vtkMRMLVolumeNode],
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        modelPath: Path | str | None = None,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        polarity: str | None = None,
        refine: bool = True,
        forceCPU: bool = False,
        report: Report | None = None,
    ) -> RegistrationResult:
        """Find the pose of a CT relative to an X-ray, or to several of known geometry, and put the result into the scene.

        It blocks until the result is there. To keep the application responsive, use `prepare` and `show` and run what is between
        them in another thread. A result that the X-rays had is replaced: its nodes are used again.

        Args:
            xrayNodes: X-rays of one patient whose geometry is known; several need a rigToCamera each.
            ctNode: the patient's CT.
            modelPath: model trained on this CT; None for the one of the sample CT.
            segmentationNode: the bones that the model was trained with; None to find the bone in the CT as the training does.
            polarity: "intensity" (bone dark) or "attenuation" (bone bright); None to guess it.
            refine: sharpen the pose by comparing the X-rays with simulated ones.
            forceCPU: do not use a GPU.
            report: called with the fraction done and a text.

        Raises:
            InputError: if an input cannot be used or no pose is found; the message says why.
        """

    def prepare(
        self,
        xrayNodes: slicer.vtkMRMLVolumeNode | Sequence[slicer.vtkMRMLVolumeNode],
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        modelPath: Path | str | None = None,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        polarity: str | None = None,
        refine: bool = True,
        forceCPU: bool = False,
    ) -> Callable[[Report], Outcome]:
        """Collect the input of a registration, quickly and in the main thread; arguments and errors as for `registerXRay`.

        Returns:
            A function that computes: it may run in another thread, since it does not touch the scene.
        """

    def show(self, outcome: Outcome, inViews: bool = False) -> RegistrationResult:
        """Put what was computed into the scene, in the main thread.

        Args:
            outcome: of the function that `prepare` returned, or that of `Adjustment.prepareRefinement`.
            inViews: also switch to the layout for X-rays and show the result there.

        Raises:
            InputError: if the CT or an X-ray is no longer in the scene.
        """

    def result(self, xrayNode: slicer.vtkMRMLVolumeNode) -> RegistrationResult | None:
        """The result of an X-ray as it is in the scene, also in one that was saved and opened again; None where there is none."""

    def removeResult(self, xrayNode: slicer.vtkMRMLVolumeNode) -> None:
        """Remove the nodes of an X-ray's result, and nothing else; bone models stay while another result of the CT uses them."""

    def adjustment(self, result: RegistrationResult, view: int = 0) -> Adjustment:
        """Move a result's pose by hand, as seen in one of its X-rays (numbered from 0)."""

    def moveBone(self, result: RegistrationResult, motion: Sequence[float], view: int = 0) -> None:
        """Move the bone as seen in an X-ray, from the pose that was registered: transforms, outlines and DRRs follow.

        Args:
            result: of a registration.
            motion: right, down and towards the detector, mm; then rotations about these axes through the bone's centre, degrees.
            view: the X-ray, numbered from 0.
        """

    def updateOutline(self, result: RegistrationResult) -> None:
        """Draw outlines and DRRs at the poses that the camera transforms have now."""

    def updateFromTransform(self, result: RegistrationResult, view: int = 0) -> None:
        """Take over the pose of a camera transform that the user dragged: the other cameras, outlines and DRRs follow."""

    def comparison(self, result: RegistrationResult, view: int = 0) -> Comparison:
        """Compare an X-ray with the DRR at the pose found."""

    def compare(self, result: RegistrationResult, mode: str = "blend", opacity: float = 0.5) -> None:
        """Compare the X-rays with the DRRs in the X-ray views; without views only the nodes are made.

        Args:
            result: of a registration.
            mode: "blend" or "checkerboard".
            opacity: of the DRR over the X-ray, 0 to 1, for "blend".
        """

    def exportResult(self, result: RegistrationResult, folder: Path | str) -> list[Path]:
        """Write a result as files: transforms, cameras, table, pictures, numbers, point cloud and the scene.

        Args:
            result: of a registration; one of a scene that was opened again lacks the point cloud's numbers.
            folder: made where it is missing.

        Returns:
            The files written.
        """

    def train(self, ctNode: slicer.vtkMRMLScalarVolumeNode, modelPath: Path | str, *args: Any, **kwargs: Any) -> Any:
        """Train a model of a CT in the background; see `training.startTraining`."""
