"""What X-ray cameras see of a CT: computed here in any thread, since it takes a while, and drawn by `drawing` in the main one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.patient import Patient
from XRayRegistrationLib.overlay import DISPLAY_SIDE, comparison_drr, display_camera, drr_like_xray, outlines
from XRayRegistrationLib.view import View


@dataclass(frozen=True, eq=False)
class Appearance:
    """What one camera sees.

    Attributes:
        drr: the DRR [row, column] in the grey values of the X-ray.
        camera: geometry of the DRR, which has fewer pixels than the X-ray.
        outlines: of each bone by its name, the contours (N, 2) as (column, row) in pixels of the X-ray.
    """

    drr: npt.NDArray[np.float32]
    camera: Camera
    outlines: dict[str, list[FloatArray]]


def appearances(views: Sequence[View], rasToRig: FloatArray, patient: Patient, longerSide: int = DISPLAY_SIDE) -> tuple[Appearance, ...]:
    """What the cameras of X-rays see at a pose.

    Args:
        views: the X-rays.
        rasToRig: 4x4 pose of the CT in the frame common to the X-rays.
        patient: the CT and its bones.
        longerSide: pixels of the DRRs, and of the images that outlines are found in; fewer are faster.
    """
    return tuple(_appearance(view, view.rig_to_camera @ rasToRig, patient, longerSide) for view in views)


def _appearance(view: View, pose: FloatArray, patient: Patient, longerSide: int) -> Appearance:
    drr = drr_like_xray(comparison_drr(patient.projector, view.camera, pose, longerSide), view.xray)
    contours = outlines(patient.projector, view.camera, pose, longerSide)
    return Appearance(drr, display_camera(view.camera, longerSide), dict(zip(patient.surfaces, contours, strict=True)))
