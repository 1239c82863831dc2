"""How much X-rays and DRRs differ, both normalised locally, and how that changes with the poses and the distance of the detector.

Only pixels are compared that tell something in both images: those of the X-ray's field that are neither black nor white, where
windows and detectors cut off, and of the DRR those whose rays do not pass where the CT cuts the patient off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.projector import Projector

from .body import POSE_PARAMETERS, Body, Placement
from .local_normalisation import FloatImage, LocalNormalisation
from .view import View

SHADOW = 0.02  # a line integral above it shows
EDGE = 0.06  # share of the longer side; as far around what a DRR shows, its outline is compared
DISTANCE_STEP = 1e-3  # relative, of the finite differences by the source-to-detector distance
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


class Comparison:
    """X-rays and DRRs at one level, on the pixels that are comparable at one placement of the bodies and placements near to it."""

    def __init__(self, bodies: Sequence[Body], beyond: Projector, views: Sequence[ScaledView], placement: Placement) -> None:
        """Find the pixels that are comparable.

        Args:
            bodies: what the DRRs are made of.
            beyond: what the CT does not show of the patient, as `beyond_ct` makes it; it moves with the first body.
            views: the X-rays.
            placement: of the bodies, about.
        """
        self.bodies = bodies
        self.views = views
        self.normalise: list[LocalNormalisation] = []
        for view in views:
            cut = _integrals(beyond, view, placement.camera(view.camera), placement.poses[0]) > 0
            empty = _far_from_content(self._integrals(view, placement))
            field = np.where(cut | empty, np.float32(0), view.field)
            comparable = field if field.sum() >= LEAST_SHARE * view.field.sum() else view.field
            self.normalise.append(LocalNormalisation(comparable, view.neighbourhood))
        self.xrays = [normalise(view.image) for view, normalise in zip(views, self.normalise, strict=True)]

    @property
    def pixel_count(self) -> int:
        """Pixels of all views that are compared."""
        return sum(int(np.count_nonzero(normalise.field)) for normalise in self.normalise)

    def differences(self, placement: Placement) -> FloatArray:
        """(pixels of all views,) differences of X-rays and DRRs in local standard deviations."""
        views = zip(self._drrs(placement), self.xrays, self.normalise, strict=True)
        return np.concatenate([(drr - xray)[normalise.field > 0] for drr, xray, normalise in views]).astype(np.float64)

    def derivatives(self, placement: Placement, distance: bool = False) -> FloatArray:
        """(pixels of all views, 6 * bodies) derivatives of the differences by a small `Placement.moved`.

        With `distance` they have one more column, by the logarithm of the source-to-detector distance.
        """
        changes = []
        for view, normalise in zip(self.views, self.normalise, strict=True):
            rendered = [
                body.projector.line_integrals_and_derivatives(
                    placement.camera(view.camera), (view.rig_to_camera @ pose)[None], body.centre_ras
                ).numpy()[0]
                for body, pose in zip(self.bodies, placement.poses, strict=True)
            ]
            image, by_camera = sum(part[0] for part in rendered), np.concatenate([part[1:] for part in rendered])
            if distance:
                by_camera = np.concatenate([by_camera, self._by_distance(view, placement)[None]])
            _, normal_changes = normalise.with_derivatives(image, by_camera)
            at_pixels = normal_changes[:, normalise.field > 0].astype(np.float64)
            vectors = at_pixels[: POSE_PARAMETERS * len(self.bodies)].reshape(-1, 3, at_pixels.shape[1])
            in_rig = view.rig_to_camera[:3, :3].T @ vectors  # both vectors of a motion turn with the frame
            further = at_pixels[POSE_PARAMETERS * len(self.bodies) :]
            changes.append(np.concatenate([in_rig.reshape(-1, at_pixels.shape[1]), further]).T)
        return np.concatenate(changes)

    def similarity(self, placement: Placement) -> float:
        """Mean correlation of the locally normalised images over all views, -1 to 1."""
        values = []
        for drr, xray in zip(self._drrs(placement), self.xrays, strict=True):
            values.append(float((drr * xray).sum() / max(float(np.linalg.norm(drr) * np.linalg.norm(xray)), 1e-12)))
        return float(np.mean(values))

    def _drrs(self, placement: Placement) -> list[FloatImage]:
        """Normalised DRR of every view."""
        return [normalise(self._integrals(view, placement)) for view, normalise in zip(self.views, self.normalise, strict=True)]

    def _integrals(self, view: ScaledView, placement: Placement) -> FloatImage:
        """Line integrals [row, column] of all bodies."""
        camera = placement.camera(view.camera)
        parts = [_integrals(body.projector, view, camera, pose) for body, pose in zip(self.bodies, placement.poses, strict=True)]
        total: FloatImage = np.sum(parts, axis=0)
        return total

    def _by_distance(self, view: ScaledView, placement: Placement) -> FloatImage:
        """Derivative [row, column] of the line integrals by the logarithm of the source-to-detector distance."""
        nearer, farther = (
            self._integrals(view, replace(placement, sdd_factor=placement.sdd_factor * np.exp(step)))
            for step in (-DISTANCE_STEP, DISTANCE_STEP)
        )
        change: FloatImage = (farther - nearer) / np.float32(2 * DISTANCE_STEP)
        return change


def _integrals(projector: Projector, view: ScaledView, camera: Camera, pose: FloatArray) -> FloatImage:
    integrals: FloatImage = projector.line_integrals(camera, (view.rig_to_camera @ pose)[None]).numpy()[0].sum(axis=0)
    return integrals


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
