"""A small patient: three ellipsoids of bone in one of soft tissue, in a CT whose axes are oblique and left-handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import Surface, bone_surface
from scipy.spatial.transform import Rotation
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

SIZE, SPACING_MM = 40, 5.0
CENTRE_RAS = np.array([20.0, -35.0, 110.0])
ELLIPSOIDS = [((-35, 10, 0), (25, 20, 60)), ((40, -20, 30), (30, 25, 20)), ((30, 20, -45), (20, 35, 20))]  # from the centre: middle, radii


@dataclass(frozen=True)
class SmallPatient:
    """A CT, its bones, and what is made of them."""

    ct: CTVolume
    bones: BoneLabels
    surfaces: Mapping[str, Surface]
    projector: Projector

    @classmethod
    def make(cls) -> SmallPatient:
        oblique = Rotation.from_euler("xyz", (12, -8, 20), degrees=True).as_matrix() @ np.diag([1.0, -1.0, 1.0])
        ijk_to_ras = np.eye(4)
        ijk_to_ras[:3, :3] = oblique * SPACING_MM
        ijk_to_ras[:3, 3] = CENTRE_RAS - ijk_to_ras[:3, :3] @ np.full(3, (SIZE - 1) / 2)
        k, j, i = np.indices((SIZE, SIZE, SIZE))
        from_centre = transform_points(ijk_to_ras, np.stack([i, j, k], axis=-1)) - CENTRE_RAS

        def ellipsoid(middle: tuple[float, ...], radii: tuple[float, ...]) -> npt.NDArray[np.bool_]:
            return (((from_centre - middle) / radii) ** 2).sum(axis=-1) < 1

        bone = np.any([ellipsoid(middle, radii) for middle, radii in ELLIPSOIDS], axis=0)
        hu = np.where(bone, 800, np.where(ellipsoid((0, 0, 0), (90, 60, 90)), 40, -1000))
        ct = CTVolume(hu.astype(np.float32), ijk_to_ras)
        bones = BoneLabels(bone.astype(np.uint8), ijk_to_ras, {1: "bone"})
        return cls(ct, bones, {"bone": bone_surface(bones)}, Projector.from_ct(ct, bones))

    def view(self, ras_to_camera: FloatArray, camera: Camera, rig_to_camera: FloatArray) -> View:
        """A clean simulated intensity X-ray."""
        integrals = self.projector.line_integrals(camera, ras_to_camera[None]).numpy()[0].sum(axis=0)
        return View(XRay.from_pixels(1000 * np.exp(-integrals), "intensity"), camera, rig_to_camera)

    def save_ct(self, path: Path) -> None:
        """Write the CT as files have it: in LPS."""
        matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.ct.ijk_to_ras
        image = sitk.GetImageFromArray(self.ct.hu.astype(np.int16))
        image.SetSpacing(self.ct.spacing)
        image.SetOrigin(matrix[:3, 3].tolist())
        image.SetDirection((matrix[:3, :3] / self.ct.spacing).ravel().tolist())
        sitk.WriteImage(image, path)
