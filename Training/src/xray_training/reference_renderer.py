"""Rays of the test images: how many millimetres of fat, muscle and bone each crosses, by RTK's projector.

RTK (S. Rit et al., Journal of Physics: Conference Series 489, 2014) samples a volume by bilinear interpolation in every plane that a ray
crosses (P. M. Joseph, IEEE TMI 1(3), 1982). The volume is the CT as it is; its voxels become tissues by their HU alone, without any
segmentation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.launch import available_cpus

from .optional import optional_package
from .reference_beam import CT_KEV, TISSUES, tissue_attenuation, water_attenuation

FloatImage = npt.NDArray[np.float32]

# The patient does not end where the CT does: beyond it the body goes on, as soft tissue.
CONTINUATION_MM = 150.0
_AIR_HU = -1000.0
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def tissue_hu() -> tuple[float, float, float]:
    """HU of `TISSUES` at the CT's effective energy."""
    fat, muscle, bone = (1000 * (tissue_attenuation((CT_KEV,))[0] / water_attenuation(CT_KEV) - 1)).tolist()
    return fat, muscle, bone


def tissue_shares(hu: npt.ArrayLike) -> FloatImage:
    """How much of each tissue a voxel holds, so that its attenuation at the CT's effective energy is what its HU say.

    Between the HU of two neighbours among air, fat, muscle and cortical bone a voxel is a mixture of both; denser than cortical bone it
    holds more than its volume of it. So there is no step anywhere, and noise stays noise.

    Args:
        hu: Hounsfield units of any shape, at least -1000.

    Returns:
        float32 of that shape with an axis of `TISSUES` added at the end; 1 is a voxel full of the tissue.
    """
    values = np.asarray(hu, dtype=np.float64)
    fat, muscle, bone = tissue_hu()
    dense = np.maximum(values - _AIR_HU, 0) / (bone - _AIR_HU)
    shares = [
        np.interp(values, (_AIR_HU, fat, muscle), (0, 1, 0)),
        np.interp(values, (fat, muscle, bone), (0, 1, 0)),
        np.where(values > bone, dense, np.interp(values, (muscle, bone), (0, 1))),
    ]
    return np.stack(shares, axis=-1).astype(np.float32)


def continued(ct: CTVolume, length_mm: float = CONTINUATION_MM) -> CTVolume:
    """The CT with its first and last axial slice repeated outwards; denser than muscle there is nothing."""
    axis = int(np.argmax(np.abs(ct.ijk_to_ras[2, :3]) / ct.spacing))
    count = int(np.ceil(length_mm / ct.spacing[axis]))
    widths = [(count, count) if axis == 2 - dimension else (0, 0) for dimension in range(3)]
    inside = np.pad(np.ones(ct.hu.shape, dtype=np.bool_), widths)
    hu = np.pad(ct.hu, widths, mode="edge")
    shift = np.eye(4)
    shift[axis, 3] = -count
    return CTVolume(np.where(inside, hu, np.minimum(hu, np.float32(tissue_hu()[1]))), ct.ijk_to_ras @ shift)


class ReferenceRenderer:
    """Casts rays through one CT with RTK; works in LPS."""

    def __init__(self, ct: CTVolume) -> None:
        """Hand the CT over.

        Raises:
            InputError: if itk-rtk or xraylib is not installed.
        """
        self._itk = optional_package("itk.RTK", "itk-rtk")
        self._itk.MultiThreaderBase.SetGlobalMaximumNumberOfThreads(available_cpus())
        self._type = self._itk.Image[self._itk.Vector[self._itk.F, len(TISSUES)], 3]
        to_lps = _RAS_TO_LPS @ ct.ijk_to_ras
        self._volume = self._image(tissue_shares(ct.hu), ct.spacing)
        self._volume.SetOrigin(to_lps[:3, 3].tolist())
        self._volume.SetDirection(self._itk.matrix_from_array(to_lps[:3, :3] / ct.spacing))

    def lengths(self, camera: Camera, ras_to_camera: FloatArray) -> FloatImage:
        """Millimetres of each tissue on the ray of every pixel, float32 (3, rows, columns)."""
        itk = self._itk
        camera_to_lps = _RAS_TO_LPS @ invert_pose(ras_to_camera)
        first_pixel = (_RAS_TO_LPS @ camera.detector_to_ras(ras_to_camera))[:3, 3]
        points = [itk.Point[itk.D, 3](point.tolist()) for point in (camera_to_lps[:3, 3], first_pixel)]
        axes = [itk.Vector[itk.D, 3](camera_to_lps[:3, axis].tolist()) for axis in (0, 1)]
        geometry = itk.RTK.ThreeDCircularProjectionGeometry.New()
        if not geometry.AddProjection(*points, *axes):
            raise ValueError("RTK refuses the geometry.")
        projector = itk.RTK.JosephForwardProjectionImageFilter[self._type, self._type].New()
        projector.SetInput(0, self._image(np.zeros((1, *camera.image_size, len(TISSUES)), np.float32), (*camera.pixel_spacing, 1.0)))
        projector.SetInput(1, self._volume)
        projector.SetGeometry(geometry)
        projector.Update()
        return np.moveaxis(itk.array_from_image(projector.GetOutput())[0], -1, 0)

    def _image(self, values: FloatImage, spacing: tuple[float, ...]) -> Any:
        image = self._itk.image_from_array(values, ttype=self._type)
        image.SetSpacing(list(spacing))
        return image


@lru_cache(maxsize=1)
def renderer_of(ct: CTVolume) -> ReferenceRenderer:
    """The renderer of a CT, continued beyond its ends; the last one is kept.

    Raises:
        InputError: as `ReferenceRenderer`.
    """
    return ReferenceRenderer(continued(ct))
