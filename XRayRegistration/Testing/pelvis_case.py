"""The sample CT with the default model, and a simulated X-ray of it whose pose is known; made once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import DRRSimulatorLib
import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, move_pose, transform_points
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.patient import Patient, prepare_patient
from DRRSimulatorLib.physics import transmitted
from XRayRegistrationLib.metrics import pose_error
from XRayRegistrationLib.model import DEFAULT_MODEL, Model, load_model
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import Registration, register
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

SAMPLE_CT = Path(DRRSimulatorLib.__file__).parent / "data" / "pelvis_ct.nii.gz"
CAMERA = Camera.centred(1020.0, 1.8, (160, 160))


@dataclass(frozen=True, eq=False)
class PelvisCase:
    """A patient, the model of its CT, and the true 4x4 ras_to_camera of two X-rays."""

    patient: Patient
    model: Model
    poses: tuple[FloatArray, FloatArray]

    @classmethod
    def make(cls) -> PelvisCase:
        patient = prepare_patient(read_ct(SAMPLE_CT))
        first = np.asarray(CArmView(20, -8, 3, (5, -10), 720).ras_to_camera(patient.centre_ras))
        pivot = transform_points(first, patient.centre_ras[None])[0]
        return cls(patient, load_model(DEFAULT_MODEL), (first, move_pose(first, pivot, (0.05, 0.6, 0.0, 4.0, -6.0, 15.0))))

    def pixels(self, view: int = 0) -> npt.NDArray[np.float32]:
        """The X-ray without noise, bone dark."""
        integrals = self.patient.projector.line_integrals(CAMERA, self.poses[view][None]).numpy()[0]
        return 1000 * transmitted(integrals)

    @cached_property
    def registration(self) -> Registration:
        """What the library makes of the first X-ray."""
        return self._register(Refiner(self.patient.projector, self.model.description.centre_ras, self.patient.ct))

    @cached_property
    def unrefined(self) -> Registration:
        """The same without refinement."""
        return self._register(None)

    def mtre(self, pose: FloatArray, view: int = 0) -> float:
        """Mean distance of the bone's surface from where it truly is, mm."""
        points = self.patient.surfaces["bone"].sample(2000, np.random.default_rng(1))
        return pose_error(pose, self.poses[view], CAMERA, points, self.patient.centre_ras).mtre_mm

    def distances_to_shadow(self, pose: FloatArray, points_image: FloatArray) -> tuple[FloatArray, FloatArray]:
        """From image points (N, 2) to the edge of the bone's shadow at a pose, and from that edge to the points; to the nearest, pixels."""
        from scipy.ndimage import binary_erosion
        from scipy.spatial import cKDTree

        shadow = np.isfinite(self.patient.projector.scene_coordinates(CAMERA, pose[None]).numpy()[0, 0])
        rows, columns = np.nonzero(shadow & ~binary_erosion(shadow, border_value=1))
        edge = np.stack([columns, rows], axis=1).astype(np.float64)
        return cKDTree(edge).query(points_image)[0], cKDTree(points_image).query(edge)[0]

    def _register(self, refiner: Refiner | None) -> Registration:
        return register([View(XRay.from_pixels(self.pixels()), CAMERA)], self.patient.ct, self.model, refiner)
