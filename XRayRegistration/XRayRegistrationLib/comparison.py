"""How much X-rays and DRRs differ, both normalised locally, and how that changes with the pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.projector import Projector

from .local_normalisation import FloatImage, LocalNormalisation
from .view import View


@dataclass(frozen=True)
class Level:
    """How finely images are compared.

    Attributes:
        longer_side: of the images, pixels.
        neighbourhood: of the local normalisation, share of the longer side.
    """

    longer_side: int
    neighbourhood: float


class Comparison:
    """X-rays and DRRs at one level."""

    def __init__(self, projector: Projector, views: Sequence[View], level: Level) -> None:
        self.projector = projector
        self.rig_to_camera = [view.rig_to_camera for view in views]
        self.cameras: list[Camera] = []
        self.normalise: list[LocalNormalisation] = []
        self.xrays: list[FloatImage] = []
        for view in views:
            camera, image, field = at_resolution(view, level.longer_side)
            self.cameras.append(camera)
            self.normalise.append(LocalNormalisation(field, level.neighbourhood))
            self.xrays.append(self.normalise[-1](image))

    def differences(self, pose: FloatArray) -> FloatArray:
        """(pixels of all views,) differences of X-rays and DRRs in local standard deviations at a pose (4, 4) ras_to_rig."""
        views = zip(self._drrs(pose[None]), self.xrays, self.normalise, strict=True)
        return np.concatenate([(drrs[0] - xray)[normalise.field > 0] for drrs, xray, normalise in views]).astype(np.float64)

    def derivatives(self, pose: FloatArray, pivot_ras: FloatArray) -> FloatArray:
        """(pixels of all views, 6) derivatives of the differences by a small motion of the patient in the rig's frame.

        The motion is a rotation vector (rad) about the pivot, and a translation (mm).
        """
        changes = []
        for camera, to_camera, normalise in zip(self.cameras, self.rig_to_camera, self.normalise, strict=True):
            image = self.projector.line_integrals_and_derivatives(camera, (to_camera @ pose)[None], pivot_ras).numpy()[0]
            _, by_camera = normalise.with_derivatives(image[0], image[1:])
            at_pixels = by_camera[:, normalise.field > 0].astype(np.float64)
            rotation = to_camera[:3, :3]  # both vectors of a motion turn with the frame
            changes.append(np.concatenate([rotation.T @ at_pixels[:3], rotation.T @ at_pixels[3:]]).T)
        return np.concatenate(changes)

    def similarities(self, poses: npt.ArrayLike) -> FloatArray:
        """Correlations (N,) of the locally normalised images at poses (N, 4, 4) ras_to_rig, -1 to 1; means over all views."""
        views = zip(self._drrs(np.asarray(poses, dtype=np.float64)), self.xrays, strict=True)
        correlations = [
            (drrs * xray).sum(axis=(1, 2)) / np.maximum(np.linalg.norm(drrs, axis=(1, 2)) * np.linalg.norm(xray), 1e-12)
            for drrs, xray in views
        ]
        return np.mean(correlations, axis=0, dtype=np.float64)

    def _drrs(self, poses: FloatArray) -> list[FloatImage]:
        """Normalised DRRs (poses, rows, columns) of every view."""
        rendered = []
        for camera, to_camera, normalise in zip(self.cameras, self.rig_to_camera, self.normalise, strict=True):
            rendered.append(normalise(self.projector.line_integrals(camera, to_camera @ poses).numpy().sum(axis=1)))
        return rendered


def at_resolution(view: View, longer_side: int) -> tuple[Camera, FloatImage, FloatImage]:
    """A view with at most so many pixels along its longer side: camera, normalised image, and field, 1 where fully exposed, else 0."""
    scale = min(1.0, longer_side / max(view.camera.image_size))
    rows, columns = (max(1, round(size * scale)) for size in view.camera.image_size)
    field = (_resample(view.xray.field.astype(np.float32), (rows, columns)) > 0.99).astype(np.float32)
    return view.camera.resized((rows, columns)), _resample(view.image, (rows, columns)), field


def _resample(image: FloatImage, size: tuple[int, int]) -> FloatImage:
    """Image at another size; antialiased."""
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    resampled: FloatImage = functional.interpolate(tensor, size, mode="bilinear", antialias=True)[0, 0].numpy()
    return resampled
