"""How much X-rays and DRRs differ, both normalised locally, and how that changes with the pose.

Only pixels are compared that tell something in both images: those of the X-ray's field that are neither black nor white, where
windows and detectors cut off, and of the DRR those whose rays do not pass where the CT cuts the patient off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector

from .local_normalisation import FloatImage, LocalNormalisation
from .view import View

TISSUE_HU = -500.0  # between lung and air; what is denser attenuates
CUT_REACH_MM = 200.0  # as far as this beyond the CT the patient is taken to go on
CUT_VOXEL_MM = 4.0
CUT_AREA = 0.5  # of a face's tissue to that of the slice with most
BONE_HU = 300.0
CUT_BONE_AREA = 0.1  # the same of its bone
SHADOW = 0.02  # a line integral above it shows
EDGE = 0.06  # share of the longer side; as far around what a DRR shows, its outline is compared
LEAST_SHARE = 0.2  # of the field; where less is comparable, the whole field is compared all the same


@dataclass(frozen=True)
class Level:
    """How finely images are compared.

    Attributes:
        longer_side: of the images, pixels.
        neighbourhood: of the local normalisation, share of the longer side.
    """

    longer_side: int
    neighbourhood: float


@dataclass(frozen=True, eq=False)
class ScaledView:
    """A view at one level.

    Attributes:
        camera: of the small image.
        rig_to_camera: 4x4.
        image: normalised X-ray [row, column].
        field: float32 [row, column], 1 where the X-ray shows something everywhere in the pixel, 0 elsewhere.
        neighbourhood: of the local normalisation.
    """

    camera: Camera
    rig_to_camera: FloatArray
    image: FloatImage
    field: FloatImage
    neighbourhood: float

    @classmethod
    def of(cls, view: View, level: Level) -> ScaledView:
        """A view with at most so many pixels along its longer side as a level has."""
        scale = min(1.0, level.longer_side / max(view.camera.image_size))
        rows, columns = (max(1, round(size * scale)) for size in view.camera.image_size)
        field = (_resample(view.xray.unclipped.astype(np.float32), (rows, columns)) > 0.95).astype(np.float32)
        image = _resample(view.image, (rows, columns))
        return cls(view.camera.resized((rows, columns)), view.rig_to_camera, image, field, level.neighbourhood)


def beyond_ct(ct: CTVolume, device: str = "cpu") -> Projector:
    """The patient where the CT does not show it: its line integrals are positive for rays that miss a part of the patient in the CT.

    A face cuts the patient if it holds much tissue or some bone for a slice parallel to it; there the tissue is continued straight
    on. Skin that touches a face is left out: hardly anything follows, and all rays along a side would count as cut off.
    """
    step = [max(1, round(CUT_VOXEL_MM / spacing)) for spacing in reversed(ct.spacing)]
    faces = _cut_faces(ct.hu, step)
    reach = [round(CUT_REACH_MM / (n * spacing)) for n, spacing in zip(step, reversed(ct.spacing), strict=True)]
    inside = tuple(slice(n, n + size) for n, size in zip(reach, faces.shape, strict=True))
    continued = np.pad(faces, [(n, n) for n in reach], mode="edge").astype(np.float32)
    continued[inside] = 0
    ijk_to_ras = ct.ijk_to_ras.copy()
    ijk_to_ras[:3, :3] *= step[::-1]
    ijk_to_ras[:3, 3] -= ijk_to_ras[:3, :3] @ reach[::-1]
    return Projector(continued, np.zeros_like(continued), [], ijk_to_ras, device)


def _cut_faces(hu: npt.NDArray[np.float32], step: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Tissue at the faces of a volume that cut the patient, at every step-th voxel along each axis; elsewhere False."""
    coarse = hu[:: step[0], :: step[1], :: step[2]]
    faces = np.zeros(coarse.shape, dtype=np.bool_)
    for axis in range(3):
        within_slice = tuple(slice(None, None, step[other]) for other in range(3) if other != axis)
        slices, marked = np.moveaxis(coarse, axis, 0), np.moveaxis(faces, axis, 0)
        for end in (0, -1):
            face = np.moveaxis(hu, axis, 0)[end][within_slice]
            for level, least in ((TISSUE_HU, CUT_AREA), (BONE_HU, CUT_BONE_AREA)):
                largest = np.count_nonzero(slices > level, axis=(1, 2)).max()
                if np.count_nonzero(face > level) > least * largest:
                    marked[end] = face > TISSUE_HU
    return faces


class Comparison:
    """X-rays and DRRs at one level, on the pixels that are comparable at one pose (4, 4) ras_to_rig and poses near to it."""

    def __init__(self, projector: Projector, beyond: Projector, views: Sequence[ScaledView], pose: FloatArray) -> None:
        self.projector = projector
        self.views = views
        self.normalise: list[LocalNormalisation] = []
        for view in views:
            placed = (view.rig_to_camera @ pose)[None]
            cut = beyond.line_integrals(view.camera, placed).numpy()[0].sum(axis=0) > 0
            empty = _far_from_content(projector.line_integrals(view.camera, placed).numpy()[0].sum(axis=0))
            field = np.where(cut | empty, np.float32(0), view.field)
            comparable = field if field.sum() >= LEAST_SHARE * view.field.sum() else view.field
            self.normalise.append(LocalNormalisation(comparable, view.neighbourhood))
        self.xrays = [normalise(view.image) for view, normalise in zip(views, self.normalise, strict=True)]

    @property
    def pixel_count(self) -> int:
        """Pixels of all views that are compared."""
        return sum(int(np.count_nonzero(normalise.field)) for normalise in self.normalise)

    def differences(self, pose: FloatArray) -> FloatArray:
        """(pixels of all views,) differences of X-rays and DRRs in local standard deviations at a pose."""
        views = zip(self._drrs(pose), self.xrays, self.normalise, strict=True)
        return np.concatenate([(drr - xray)[normalise.field > 0] for drr, xray, normalise in views]).astype(np.float64)

    def derivatives(self, pose: FloatArray, pivot_ras: FloatArray) -> FloatArray:
        """(pixels of all views, 6) derivatives of the differences by a small motion of the patient in the rig's frame.

        The motion is a rotation vector (rad) about the pivot, and a translation (mm).
        """
        changes = []
        for view, normalise in zip(self.views, self.normalise, strict=True):
            placed = (view.rig_to_camera @ pose)[None]
            image = self.projector.line_integrals_and_derivatives(view.camera, placed, pivot_ras).numpy()[0]
            _, by_camera = normalise.with_derivatives(image[0], image[1:])
            at_pixels = by_camera[:, normalise.field > 0].astype(np.float64)
            rotation = view.rig_to_camera[:3, :3]  # both vectors of a motion turn with the frame
            changes.append(np.concatenate([rotation.T @ at_pixels[:3], rotation.T @ at_pixels[3:]]).T)
        return np.concatenate(changes)

    def similarity(self, pose: FloatArray) -> float:
        """Mean correlation of the locally normalised images over all views, -1 to 1."""
        values = []
        for drr, xray in zip(self._drrs(pose), self.xrays, strict=True):
            values.append(float((drr * xray).sum() / max(float(np.linalg.norm(drr) * np.linalg.norm(xray)), 1e-12)))
        return float(np.mean(values))

    def _drrs(self, pose: FloatArray) -> list[FloatImage]:
        """Normalised DRR of every view."""
        rendered = []
        for view, normalise in zip(self.views, self.normalise, strict=True):
            integrals = self.projector.line_integrals(view.camera, (view.rig_to_camera @ pose)[None]).numpy()[0]
            rendered.append(normalise(integrals.sum(axis=0)))
        return rendered


def _far_from_content(drr: FloatImage) -> npt.NDArray[np.bool_]:
    """Where a DRR [row, column] shows nothing near: around bones that were cut out of their CT, an X-ray shows the rest of the body."""
    from scipy import ndimage

    if (drr > SHADOW).all():
        return np.zeros(drr.shape, dtype=np.bool_)
    distance = ndimage.distance_transform_edt(drr <= SHADOW)
    far: npt.NDArray[np.bool_] = distance > EDGE * max(drr.shape)
    return far


def _resample(image: FloatImage, size: tuple[int, int]) -> FloatImage:
    """Image at another size; antialiased."""
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    resampled: FloatImage = functional.interpolate(tensor, size, mode="bilinear", antialias=True)[0, 0].numpy()
    return resampled
