"""A registration between the scene and the library: input is collected on the main thread, and computed with on any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.patient import Patient
from DRRSimulatorLib.progress import Report
from DRRSimulatorSlicer import nodes
from DRRSimulatorSlicer.patients import PatientCache
from slicer.i18n import tr as _
from XRayRegistrationLib.device import choose_device
from XRayRegistrationLib.model import Model, load_model
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.view import View

from .appearance import Appearance, appearances

if TYPE_CHECKING:
    from XRayRegistrationLib.exposed_field import Polarity

# Shares of the time of a first registration, about; the rest is the registration itself.
SHARE_OF_MODEL, SHARE_OF_PATIENT = 0.1, 0.4


@dataclass(frozen=True, eq=False)
class Sources:
    """What a registration is made from.

    Attributes:
        xrayNodes: the X-rays.
        ctNode: the patient's CT.
        segmentationNode: the bones; None where they are found in the CT.
        forceCPU: do not use a GPU.
    """

    xrayNodes: tuple[slicer.vtkMRMLVolumeNode, ...]
    ctNode: slicer.vtkMRMLScalarVolumeNode
    segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
    forceCPU: bool = False

    def device(self) -> str:
        """The device to compute on; it loads PyTorch."""
        return choose_device("cpu" if self.forceCPU else "auto")

    def requireInScene(self) -> None:
        """Refuse a CT or X-rays that were removed from the scene meanwhile.

        Raises:
            InputError: naming the one that was.
        """
        for node in (*self.xrayNodes, self.ctNode):
            if node.GetScene() is None:
                raise InputError(_("{name} is no longer in the scene, so the result is not shown.").format(name=node.GetName()))


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was computed, ready to be shown.

    Attributes:
        sources: what it was computed from.
        views: the X-rays with their geometry.
        rasToRig: 4x4 pose of the CT in the frame common to the X-rays.
        patient: the CT and its bones.
        numbers: all that is worth keeping, values for JSON.
        appearances: what the X-rays' cameras see at that pose.
        registration: the library's result; None where a pose that was set by hand was refined.
    """

    sources: Sources
    views: tuple[View, ...]
    rasToRig: FloatArray
    patient: Patient
    numbers: dict[str, Any]
    appearances: tuple[Appearance, ...]
    registration: Registration | None


class ModelCache:
    """The model that was used last."""

    def __init__(self) -> None:
        self._state: tuple[Path, int, str] | None = None
        self._model: Model | None = None

    def load(self, path: Path, device: str) -> Model:
        """The model of a file, which is read only where another one was used last or the file has changed.

        Raises:
            InputError: if the file is no model.
        """
        state = (path, path.stat().st_mtime_ns if path.is_file() else 0, device)
        if self._model is None or self._state != state:
            self._model = load_model(path, device)
            self._state = state
        return self._model


def prepareRegistration(
    sources: Sources,
    start: Path | FloatArray | None,
    polarity: Polarity | None,
    refine: bool,
    patients: PatientCache,
    models: ModelCache,
) -> Callable[[Report], Outcome]:
    """Collect the input of a registration; see `XRayRegistrationLogic.prepare`.

    It starts from a model's file, a 4x4 pose of the CT relative to the first X-ray's camera, or a search (None).
    """
    makeViews = _prepareViews(sources.xrayNodes, polarity)
    makePatient = patients.prepare(sources.ctNode, sources.segmentationNode, sources.device)
    names = [node.GetName() for node in sources.xrayNodes]

    def compute(report: Report) -> Outcome:
        from XRayRegistrationLib.refine import Refiner
        from XRayRegistrationLib.register import register
        from XRayRegistrationLib.result_files import result_numbers
        from XRayRegistrationLib.search import search_range

        report(0.0, _("Loading PyTorch and the model"))
        model = models.load(start, sources.device()) if isinstance(start, Path) else None
        views = makeViews()
        patient = makePatient(part(report, SHARE_OF_MODEL, SHARE_OF_MODEL + SHARE_OF_PATIENT))
        if model is not None:
            model.description.check_ct(patient.ct)
            if sources.segmentationNode is None or len(patient.bones.names) != len(model.description.labels):
                model.description.check_bones(patient.bones)  # else they are as many, and segments have no numbers that could differ
        centre = patient.centre_ras if model is None else model.description.centre_ras
        refiner = Refiner(patient.projector, centre, patient.ct) if refine else None
        first = model
        if model is None:
            first = search_range(views) if start is None else invert_pose(views[0].rig_to_camera) @ start
        registration = register(views, patient.ct, first, refiner, report=part(report, SHARE_OF_MODEL + SHARE_OF_PATIENT, 1.0))
        numbers = result_numbers(registration, names, model and model.description, patient.surfaces)
        if model is not None:
            numbers["model"]["file"] = start.name
        numbers["bone_centre_ras"] = list(centre)
        numbers["force_cpu"] = sources.forceCPU
        seen = appearances(views, registration.ras_to_rig, patient)
        return Outcome(sources, views, registration.ras_to_rig, patient, numbers, seen, registration)

    return compute


def geometry(xrayNode: slicer.vtkMRMLVolumeNode) -> tuple[Camera, FloatArray | None] | None:
    """The geometry that was set, else the camera of the DICOM header; None where neither tells it."""
    known = nodes.geometry(xrayNode)
    if known is not None:
        return known
    camera = nodes.dicomGeometry(xrayNode)
    return camera and (camera, None)


def part(report: Report, first: float, last: float) -> Report:
    """The report of work that is a part of other work, between two fractions of that."""
    return lambda done, text: report(first + (last - first) * done, text)


def _prepareViews(xrayNodes: Sequence[slicer.vtkMRMLVolumeNode], polarity: Polarity | None) -> Callable[[], tuple[View, ...]]:
    """Collect the X-rays and their geometry; what is returned may run in any thread."""
    if not xrayNodes:
        raise InputError(_("There is no X-ray; load one and choose it."))
    if len(set(xrayNodes)) < len(xrayNodes):
        raise InputError(_("The same X-ray was chosen twice; choose another one, or register it alone."))
    images = [nodes.readXRayPixels(node) for node in xrayNodes]
    geometries = [_knownGeometry(node, alone=len(xrayNodes) == 1) for node in xrayNodes]

    def make() -> tuple[View, ...]:
        from XRayRegistrationLib.xray import XRay

        return tuple(
            View(XRay.from_pixels(image, polarity), camera, rigToCamera)
            for image, (camera, rigToCamera) in zip(images, geometries, strict=True)
        )

    return make


def _knownGeometry(xrayNode: slicer.vtkMRMLVolumeNode, alone: bool) -> tuple[Camera, FloatArray]:
    """Camera and 4x4 from the rig to it; the rig of a lone X-ray may be its camera."""
    known = geometry(xrayNode)
    if known is None:
        raise InputError(
            _("The geometry of {name} is not known; give its source-to-detector distance and the pixel spacing at the detector.").format(
                name=xrayNode.GetName()
            )
        )
    camera, rigToCamera = known
    if rigToCamera is None and not alone:
        raise InputError(
            _("Where the camera of {name} stands among those of the other X-rays is not known; load its calibration.").format(
                name=xrayNode.GetName()
            )
        )
    return camera, np.eye(4) if rigToCamera is None else rigToCamera
