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
    from DRRSimulatorLib.patient import Patient
    from DRRSimulatorLib.progress import Report
    from XRayRegistrationLib.dicom_study import DicomSources

    from .adjustment import Adjustment
    from .comparison import Comparison
    from .registration import Outcome
    from .result import RegistrationResult
    from .training import TrainingJob


class XRayRegistrationLogic(ScriptedLoadableModuleLogic):
    """Registers a CT to X-rays of the scene.

    Nothing here needs a main window. The user's volumes and transforms are never changed, apart from an attribute of the X-ray that
    holds its geometry.

    Example:
        >>> logic = XRayRegistrationLogic()
        >>> logic.setGeometry(xrayNode, Camera.centred(1020, 1.8, (160, 160)))  # distance to the detector and pixel spacing, mm
        >>> result = logic.registerXRay(xrayNode, ctNode)
        >>> result.verdict.level
        'reliable'
        >>> result.boneModels[0].GetName()
        'bone'
        >>> logic.removeResult(xrayNode)
    """

    def __init__(self) -> None:
        """Make a logic; it remembers the model and the CT that were used last, and the last result."""
        from DRRSimulatorSlicer.patients import PatientCache

        from .registration import ModelCache

        super().__init__()
        self._patients = PatientCache()
        self._models = ModelCache()
        self._last: RegistrationResult | None = None

    def setGeometry(self, xrayNode: slicer.vtkMRMLVolumeNode, camera: Camera, rigToCamera: np.ndarray | None = None) -> None:
        """Tell the geometry that an X-ray was taken with; it is saved with the scene.

        Args:
            xrayNode: the X-ray.
            camera: for images of the X-ray's size.
            rigToCamera: 4x4 to this camera from the frame common to several X-rays (a calibration's world), mm.

        Raises:
            InputError: if the camera is for images of another size.
        """
        from DRRSimulatorSlicer import nodes

        nodes.setGeometry(xrayNode, camera, rigToCamera)

    def geometry(self, xrayNode: slicer.vtkMRMLVolumeNode) -> tuple[Camera, np.ndarray | None] | None:
        """Camera and 4x4 rigToCamera that were set, else the camera of the X-ray's DICOM header; None where neither tells it."""
        from .registration import geometry

        return geometry(xrayNode)

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
        start: str = "model",
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
            start: "model"; or without one "search", or "position": where the camera of the first X-ray stands now.

        Raises:
            InputError: if an input cannot be used or no pose is found; the message says why.
        """
        from DRRSimulatorLib.progress import ignore_progress
        from DRRSimulatorSlicer.dependencies import Dependencies

        Dependencies().ensure("registration")
        compute = self.prepare(xrayNodes, ctNode, modelPath, segmentationNode, polarity, refine, forceCPU, start)
        return self.show(compute(report or ignore_progress))

    def prepare(
        self,
        xrayNodes: slicer.vtkMRMLVolumeNode | Sequence[slicer.vtkMRMLVolumeNode],
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        modelPath: Path | str | None = None,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        polarity: str | None = None,
        refine: bool = True,
        forceCPU: bool = False,
        start: str = "model",
    ) -> Callable[[Report], Outcome]:
        """Collect the input of a registration, quickly and in the main thread; arguments and errors as for `registerXRay`.

        Returns:
            A function that computes: it may run in another thread, since it does not touch the scene.
        """
        from XRayRegistrationLib.model import DEFAULT_MODEL

        from .position import positionOf
        from .registration import Sources, prepareRegistration

        several = xrayNodes if isinstance(xrayNodes, Sequence) else [xrayNodes]
        sources = Sources(tuple(several), ctNode, segmentationNode, forceCPU)
        source: Path | np.ndarray | None = Path(modelPath or DEFAULT_MODEL)
        if start != "model":
            source = positionOf(several[0], ctNode) if start == "position" else None
        return prepareRegistration(sources, source, polarity, refine, self._patients, self._models)

    def hasPosition(self, xrayNode: slicer.vtkMRMLVolumeNode) -> bool:
        """Whether an X-ray has a camera in the scene, where a registration can start from."""
        from .position import cameraOf

        return cameraOf(xrayNode) is not None

    def show(self, outcome: Outcome, inViews: bool = False) -> RegistrationResult:
        """Put what was computed into the scene, in the main thread.

        Args:
            outcome: of the function that `prepare` returned, or that of `Adjustment.prepareRefinement`.
            inViews: also switch to the layout for X-rays and show the result there.

        Raises:
            InputError: if the CT or an X-ray is no longer in the scene.
        """
        from .results import findResult, showInViews, showResult

        isFirst = all(findResult(node) is None for node in outcome.sources.xrayNodes)
        self._last = showResult(outcome)
        if inViews:
            showInViews(self._last, isFirst)
        return self._last

    def result(self, xrayNode: slicer.vtkMRMLVolumeNode) -> RegistrationResult | None:
        """The result of an X-ray as it is in the scene, also in one that was saved and opened again; None where there is none."""
        from .results import findResult

        found = findResult(xrayNode)
        isLast = found is not None and self._last is not None and found.table is self._last.table
        return self._last if isLast else found

    def problemOfResult(self, xrayNode: slicer.vtkMRMLVolumeNode) -> str:
        """Why the result that the scene holds of an X-ray cannot be read, in a sentence; empty where it can, or there is none."""
        from .results import problemOfResult

        return problemOfResult(xrayNode)

    def removeResult(self, xrayNode: slicer.vtkMRMLVolumeNode) -> None:
        """Remove the nodes of an X-ray's result, and nothing else; bone models stay while another result of the CT uses them."""
        from .results import removeResults

        removeResults(xrayNode)

    def preparePatient(self, result: RegistrationResult) -> Callable[[Report], Patient]:
        """A function that makes the CT and the bones of a result ready for drawing, for any thread; at once where they are already.

        `adjustment` does it where it was not done before, and blocks meanwhile.

        Raises:
            InputError: if the CT or an X-ray was removed from the scene.
        """
        sources = result.sources()
        return self._patients.prepare(sources.ctNode, sources.segmentationNode, sources.device)

    def adjustment(self, result: RegistrationResult, view: int = 0) -> Adjustment:
        """Move a result's pose by hand, as seen in one of its X-rays (numbered from 0)."""
        from DRRSimulatorLib.progress import ignore_progress

        from .adjustment import Adjustment

        return Adjustment(result, self.preparePatient(result)(ignore_progress), view)

    def moveBone(self, result: RegistrationResult, motion: Sequence[float], view: int = 0) -> None:
        """Move the bone as seen in an X-ray, from the pose that was registered: transforms, outlines and DRRs follow.

        Args:
            result: of a registration.
            motion: right, down and towards the detector, mm; then rotations about these axes through the bone's centre, degrees.
            view: the X-ray, numbered from 0.
        """
        adjustment = self.adjustment(result, view)
        adjustment.move(motion)
        adjustment.finish()

    def updateFromTransform(self, result: RegistrationResult, view: int = 0) -> None:
        """Take over the pose of a camera transform that the user dragged: the other cameras, outlines and DRRs follow."""
        adjustment = self.adjustment(result, view)
        adjustment.moveFromTransform()
        adjustment.finish()

    def comparison(self, result: RegistrationResult, view: int = 0) -> Comparison:
        """Compare an X-ray with the DRR at the pose found."""
        from .comparison import Comparison

        return Comparison(result, view)

    def compare(self, result: RegistrationResult, mode: str = "blend", opacity: float = 0.5) -> None:
        """Compare the X-rays with the DRRs in the X-ray views; without views only the nodes are made.

        Args:
            result: of a registration.
            mode: "blend" or "checkerboard".
            opacity: of the DRR over the X-ray, 0 to 1, for "blend".
        """
        for view in range(len(result.carms)):
            comparison = self.comparison(result, view)
            if mode == "checkerboard":
                comparison.checkerboard()
            else:
                comparison.blend(opacity)

    def exportResult(self, result: RegistrationResult, folder: Path | str) -> list[Path]:
        """Write a result as it is now, as files, each whole or not at all.

        For X-ray n from 1: camera_n.json (geometry and pose), camera_n.h5 (the transform from the camera to the CT's RAS) and
        overlay_n.png (outline and DRR); point_cloud.vtp, numbers.csv (the table), result.json (all numbers) and scene.mrb (the
        whole scene).

        Args:
            result: of a registration, also one of a scene that was opened again.
            folder: made where it is missing.

        Returns:
            The files written.

        Raises:
            InputError: if the folder is a file.
            OSError: if a file cannot be written.
        """
        from .export import exportResult

        return exportResult(result, Path(folder))

    def exportDICOM(self, result: RegistrationResult, folder: Path | str, sources: DicomSources | None = None) -> list[Path]:
        """Write a result as it is now as DICOM objects: all of them or none. They carry the patient's name.

        For X-ray n from 1: registration_n.dcm (a Spatial Registration: pose and camera) and overlay_n.dcm (a Secondary Capture of
        outline and DRR); bones.dcm (a Segmentation). They refer to the files that the CT and the X-rays were loaded from.

        Args:
            result: of a registration, also one of a scene that was opened again.
            folder: made where it is missing.
            sources: these files; None: those in Slicer's DICOM database.

        Returns:
            The files written.

        Raises:
            InputError: if this Slicer is older than 5.12, the folder is a file, the CT or an X-ray was removed from the scene, or CT and
                X-rays are of different patients by their files, or these are no longer in the database.
            OSError: if a file cannot be written or read.
        """
        from DRRSimulatorLib.progress import ignore_progress

        return self.prepareDICOM(result, folder, sources)(ignore_progress)

    def prepareDICOM(
        self, result: RegistrationResult, folder: Path | str, sources: DicomSources | None = None
    ) -> Callable[[Report], list[Path]]:
        """Collect from the scene what `exportDICOM` needs, in the main thread; arguments and errors are the same.

        Returns:
            A function that writes the files and returns them; it may run in another thread.
        """
        from .dicom_export import prepareDICOM

        return prepareDICOM(result, Path(folder), self.preparePatient(result), sources)

    def train(
        self,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        modelPath: Path | str,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        steps: int | None = None,
        forceCPU: bool = False,
        **callbacks: Callable[[Any], Any],
    ) -> TrainingJob:
        """Train a model for a CT in another process, or go on with a training of the same file that was stopped; returns at once.

        Args:
            ctNode: the CT; the model will work for it alone.
            modelPath: file to write, *.safetensors.
            segmentationNode: the bones, each segment one of its own; None to find the bone in the CT.
            steps: length of the training; None for what the device is good for. A training that goes on needs the same.
            forceCPU: do not use a GPU.
            callbacks: onProgress, onFinished, onFailed and onStopped, as for `training.startTraining`.

        Returns:
            What is going on; its `stop()` ends it soon, so that it can go on later.

        Raises:
            InputError: if the nodes or the file cannot be used, or the file is being trained already.
        """
        from DRRSimulatorSlicer.dependencies import Dependencies

        from .training import startTraining

        Dependencies().ensure("registration")
        return startTraining(ctNode, modelPath, segmentationNode, steps, forceCPU, **callbacks)
