"""One simulated X-ray: computed in any thread, shown in the scene by the main thread."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import slicer
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, FloatImage
from DRRSimulatorLib.detector import OPEN_FIELD_PHOTONS
from DRRSimulatorLib.display import log_transform
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.patient import Patient
from DRRSimulatorLib.physics import Acquisition, realistic, simulate_xray
from slicer.i18n import tr as _

from .carm import CArm, createCArm
from .nodes import setGeometry, updateImage

DRR_ROLE = "drr"
OPEN_FIELD = 0.6  # intensity above which nothing but air and clothes is in the way
SHOWN_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, eq=False)
class SimulatedXRay:
    """An X-ray of a view.

    Attributes:
        pixels: float32 [row, column]; intensity (1 = open field) or attenuation.
        camera: its geometry.
        rasToCamera: 4x4 from the CT's own RAS to camera coordinates, mm.
        view: the same pose as angles of the C-arm.
        polarity: "intensity" or "attenuation".
    """

    pixels: FloatImage
    camera: Camera
    rasToCamera: FloatArray
    view: CArmView
    polarity: str


def poseOf(patient: Patient, camera: Camera, view: CArmView) -> FloatArray:
    """4x4 rasToCamera of a view of the patient's bones.

    Raises:
        InputError: if the bones do not lie between the source and the detector.
    """
    if not 0 < view.source_to_point_mm < camera.source_to_detector_distance:
        raise InputError(
            _("The isocenter must lie between the source and the detector; make its distance shorter than {distance:g} mm.").format(
                distance=camera.source_to_detector_distance
            )
        )
    return view.ras_to_camera(patient.centre_ras)


def simulateView(
    patient: Patient,
    camera: Camera,
    view: CArmView,
    polarity: str = "intensity",
    noise: bool = False,
    seed: int = 0,
    kilovolts: int | None = None,
) -> SimulatedXRay:
    """The same image as the first one of drr-simulate for the same seed.

    Raises:
        InputError: as `poseOf` does, if the polarity is neither "intensity" nor "attenuation", and if there is no such tube voltage.
    """
    if polarity not in ("intensity", "attenuation"):
        raise InputError(_('The polarity must be "intensity" or "attenuation", not "{polarity}".').format(polarity=polarity))
    acquisition = Acquisition() if kilovolts is None else realistic(kilovolts)
    pose = poseOf(patient, camera, view)
    integrals = patient.projector.line_integrals(camera, pose[None]).numpy()[0]
    rng = np.random.default_rng([seed, 1])
    intensity = simulate_xray(integrals, camera, rng, replace(acquisition, photons=OPEN_FIELD_PHOTONS if noise else None))
    pixels = log_transform(intensity) if polarity == "attenuation" else intensity
    return SimulatedXRay(pixels, camera, pose, view, polarity)


def lineIntegrals(patient: Patient, camera: Camera, rasToCamera: FloatArray) -> npt.NDArray[np.float32]:
    """What a preview shows: the attenuation [row, column] without noise and blur."""
    return patient.projector.line_integrals(camera, rasToCamera[None]).numpy()[0].sum(axis=0)


def showSimulatedXRay(
    xray: SimulatedXRay, ctNode: slicer.vtkMRMLScalarVolumeNode, outputNode: slicer.vtkMRMLScalarVolumeNode | None = None
) -> slicer.vtkMRMLScalarVolumeNode:
    """Place a simulated X-ray on its detector, under the transform of its camera, with its geometry as X-rays have it.

    Args:
        xray: the X-ray.
        ctNode: the CT that it is of.
        outputNode: the volume to update; None: a new one.
    """
    if outputNode is not None:
        name = outputNode.GetName()
    else:
        name = _("{ct} DRR {view}").format(ct=ctNode.GetName(), view=describeView(xray.view))
        name = slicer.mrmlScene.GenerateUniqueName(name)  # selectors take no notice of a change between nodes of one name
    carm = CArm.find(outputNode.GetParentTransformNode()) if outputNode else None
    if carm is None:
        carm = createCArm(name, ctNode, xray.camera)
    else:
        carm.setCT(ctNode)
        carm.setCamera(xray.camera)
    carm.setPose(xray.rasToCamera)
    node = updateImage(outputNode, name, xray.pixels, xray.camera, carm.transformNode, DRR_ROLE)
    setGeometry(node, xray.camera)
    if outputNode is None:
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevelMinMax(*windowOf(xray.pixels, xray.polarity))
    return node


def windowOf(pixels: npt.NDArray[np.float32], polarity: str) -> tuple[float, float]:
    """The values to show as black and white: nearly all that are behind the patient."""
    isBehind = pixels < OPEN_FIELD if polarity == "intensity" else pixels > -np.log(OPEN_FIELD)
    low, high = np.percentile(pixels[isBehind] if isBehind.any() else pixels, SHOWN_PERCENTILES)
    return float(low), float(high)


def describeView(view: CArmView) -> str:
    """The angles as a radiographer says them, such as "LAO 30 CAUD 10"."""
    primary, secondary = round(view.primary_deg, 1), round(view.secondary_deg, 1)
    return f"{'LAO' if primary >= 0 else 'RAO'} {abs(primary):g} {'CRAN' if secondary >= 0 else 'CAUD'} {abs(secondary):g}"
