"""Intensity-based refinement: the pose at which simulated X-rays look most like the real ones.

Both images are normalised locally (their mean and contrast in a neighbourhood are taken out), so that the sum of squared
differences measures local normalised correlation and survives gain, gamma and soft-tissue background. The differences are
minimised by trust-region least squares, coarse to fine, over all views together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, move_pose, transform_points
from DRRSimulatorLib.progress import Report, ignore_progress
from DRRSimulatorLib.projector import Projector

from .view import View

FloatImage = npt.NDArray[np.float32]

LEVELS = (64, 128)  # pixels along the longer side of the images compared
NEIGHBOURHOOD = 0.05  # standard deviation of the local window, share of the image's longer side
CONTRAST_FLOOR = 0.03  # of the normalised range; below it, an image counts as flat
ROBUST_SCALE = 0.5  # differences beyond it, in local standard deviations, count linearly: tools, text, other bones
STEPS = np.array([0.006, 0.006, 0.006, 0.6, 0.6, 2.5])  # of the finite differences: rad and mm, about half a pixel
MAXIMUM_EVALUATIONS = 12  # at each level
MOST_POSES_TRIED = MAXIMUM_EVALUATIONS * len(LEVELS)


@dataclass(frozen=True)
class Refinement:
    """A refined pose.

    Attributes:
        ras_to_rig: 4x4 pose.
        similarity_before: local normalised correlation at the start, -1 to 1, at the finest level.
        similarity: the same at the refined pose; never below the start's.
    """

    ras_to_rig: FloatArray
    similarity_before: float
    similarity: float


class Refiner:
    """Refines poses of one CT."""

    def __init__(self, projector: Projector, centre_ras: npt.ArrayLike) -> None:
        """Keep what all refinements of a CT share.

        Args:
            projector: of the patient's CT.
            centre_ras: point (3,), RAS mm, that rotations turn about: the middle of the bone.
        """
        self.projector = projector
        self.centre_ras = np.asarray(centre_ras, dtype=np.float64)

    def refine(self, views: Sequence[View], ras_to_rig: FloatArray, report: Report = ignore_progress) -> Refinement:
        """The pose near a starting pose (4x4) at which the DRRs match the X-rays best; it reports at every pose tried."""
        pose = ras_to_rig
        comparisons = [_Comparison(self.projector, views, level) for level in LEVELS]
        tried = count()
        for comparison in comparisons:
            pose = self._refine_at(comparison, pose, lambda: report(next(tried) / MOST_POSES_TRIED, "Refining the pose"))
        before, after = (comparisons[-1].similarity(candidate) for candidate in (ras_to_rig, pose))
        return Refinement(pose, before, after) if after >= before else Refinement(ras_to_rig, before, before)

    def _refine_at(self, comparison: _Comparison, start: FloatArray, try_pose: Callable[[], None]) -> FloatArray:
        """The best pose near a starting pose at one resolution; `try_pose` is called before each pose tried."""
        from scipy.optimize import least_squares

        pivot = transform_points(start, self.centre_ras[None])[0]

        def residuals(motion: FloatArray) -> FloatArray:
            try_pose()
            return comparison.differences([move_pose(start, pivot, motion)])[0]

        def jacobian(motion: FloatArray) -> FloatArray:
            offsets = np.concatenate([np.diag(STEPS), -np.diag(STEPS)])
            differences = comparison.differences([move_pose(start, pivot, motion + offset) for offset in offsets])
            return ((differences[:6] - differences[6:]) / (2 * STEPS[:, None])).T

        solution = least_squares(
            residuals, np.zeros(6), jacobian, loss="soft_l1", f_scale=ROBUST_SCALE, x_scale=STEPS, max_nfev=MAXIMUM_EVALUATIONS
        )
        return move_pose(start, pivot, solution.x)


class _Comparison:
    """X-rays and DRRs at one resolution."""

    def __init__(self, projector: Projector, views: Sequence[View], longer_side: int) -> None:
        self.projector = projector
        self.rig_to_camera = [view.rig_to_camera for view in views]
        self.cameras: list[Camera] = []
        self.fields: list[FloatImage] = []
        self.xrays: list[FloatImage] = []
        for view in views:
            scale = min(1.0, longer_side / max(view.camera.image_size))
            rows, columns = (max(1, round(size * scale)) for size in view.camera.image_size)
            self.cameras.append(view.camera.resized((rows, columns)))
            field = (_resample(view.xray.field.astype(np.float32), (rows, columns)) > 0.99).astype(np.float32)
            self.fields.append(field)
            self.xrays.append(local_normalisation(_resample(view.image, (rows, columns)), field))

    def _drrs(self, poses: Sequence[FloatArray]) -> list[list[FloatImage]]:
        """Normalised DRRs of every view (outer) at every pose (inner)."""
        rendered = []
        for camera, to_camera, field in zip(self.cameras, self.rig_to_camera, self.fields, strict=True):
            integrals = self.projector.line_integrals(camera, np.stack([to_camera @ pose for pose in poses])).numpy()
            rendered.append([local_normalisation(image, field) for image in integrals.sum(axis=1)])
        return rendered

    def differences(self, poses: Sequence[FloatArray]) -> FloatArray:
        """(poses, pixels of all views) differences of X-rays and DRRs in local standard deviations."""
        rendered = self._drrs(poses)
        return np.stack([
            np.concatenate([(drrs[i] - xray)[field > 0] for drrs, xray, field in zip(rendered, self.xrays, self.fields, strict=True)])
            for i in range(len(poses))
        ]).astype(np.float64)  # fmt: skip

    def similarity(self, pose: FloatArray) -> float:
        """Mean correlation of the locally normalised images over all views."""
        values = []
        for (drr,), xray in zip(self._drrs([pose]), self.xrays, strict=True):
            values.append(float((drr * xray).sum() / max(float(np.linalg.norm(drr) * np.linalg.norm(xray)), 1e-12)))
        return float(np.mean(values))


def local_normalisation(image: FloatImage, field: FloatImage) -> FloatImage:
    """Image [row, column] minus its local mean, over its local standard deviation, inside a field of 0 and 1; 0 outside."""
    from scipy.ndimage import gaussian_filter

    sigma = NEIGHBOURHOOD * max(image.shape)
    inside = image[field > 0]
    if inside.size == 0:
        return np.zeros_like(image)
    floor = CONTRAST_FLOOR * max(float(inside.max() - inside.min()), 1e-6)
    weight = np.maximum(gaussian_filter(field, sigma), 1e-3)
    mean = gaussian_filter(image * field, sigma) / weight
    variance = gaussian_filter(field * (image - mean) ** 2, sigma) / weight
    normal: FloatImage = (field * (image - mean) / np.sqrt(variance + floor**2)).astype(np.float32)
    return normal


def _resample(image: FloatImage, size: tuple[int, int]) -> FloatImage:
    """Image at another size; antialiased."""
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    resampled: FloatImage = functional.interpolate(tensor, size, mode="bilinear", antialias=True)[0, 0].numpy()
    return resampled
