"""Coarse search: poses to start a refinement from, where there is no model for the CT.

DRRs of all directions and distances in a range of C-arm views are compared with an X-ray at low resolution, both normalised locally.
Where the bone lies in the image needs no search: every DRR is correlated with the X-ray at all shifts at once by Fourier transforms,
within the exposed field (after Padfield, Masked Object Registration in the Fourier Domain, IEEE TIP 21(5), 2012). The shift of a
DRR's picture is a turn of the camera about the source, which changes no ray through the patient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, ViewRange, invert_pose, transform_points
from DRRSimulatorLib.progress import Report, ignore_progress
from DRRSimulatorLib.projector import Projector

from .comparison import Level, ScaledView
from .local_normalisation import FloatImage, LocalNormalisation
from .refine import Refiner
from .view import View

LEVEL = Level(48, 0.05)
ANGLE_STEP_DEG = 10.0  # at most; refinement finds poses that are further away
DISTANCE_STEP = 1.13  # ratio, at most
BEAM_SPREAD_DEG = 6.0  # between the central ray and that through a bone beside it
LEAST_ENERGY = 0.3  # of the X-ray's; a DRR and an X-ray that show less of the same
BATCH = 64  # DRRs rendered at once
CANDIDATES = 20
DISTINCT_MM = 25.0  # mean distance of a bone's points, below which two poses lead a refinement to the same result
BONE_RADIUS_MM = 100.0  # of the points that this distance is taken over


def search_range(views: Sequence[View]) -> ViewRange:
    """The views to search where nothing else is known: from one side of a supine patient to the other, at all usual distances."""
    distance = _searched(views).camera.source_to_detector_distance
    return ViewRange(primary_deg=95.0, source_to_bone_mm=(0.55 * distance, 0.88 * distance))


def starting_poses(views: Sequence[View], refiner: Refiner, view_range: ViewRange, report: Report = ignore_progress) -> list[FloatArray]:
    """The poses in a range of views at which DRRs look most like the X-ray with the largest exposed field.

    Args:
        views: the X-rays.
        refiner: of the patient's CT; the middle of the bone, that the views turn about, must lie inside the image.
        view_range: what is searched, of the camera of that X-ray; its in-plane offset does not matter.
        report: called with the fraction done; may raise `Cancelled`.

    Returns:
        Up to 20 distinct poses (4, 4) ras_to_rig, the most similar first.
    """
    view = _searched(views)
    centre = refiner.centre_ras
    template = _Template(view)
    grid = _grid(view_range)
    found: list[tuple[float, FloatArray]] = []
    for first in range(0, len(grid), BATCH):
        report(first / len(grid), "Searching for the pose")
        poses = np.stack([carm.ras_to_camera(centre) for carm in grid[first : first + BATCH]])
        found += template.best_shifts(refiner, poses)
    found.sort(key=lambda scored: -scored[0])
    rig = invert_pose(view.rig_to_camera)
    return [rig @ pose for pose in _distinct([pose for _, pose in found], centre)]


class _Template:
    """A small X-ray that DRRs of twice its size are searched for."""

    def __init__(self, view: View) -> None:
        scaled = ScaledView.of(view, LEVEL)
        self.camera, field = scaled.camera, scaled.field
        rows, columns = self.camera.image_size
        self.drr_size = 2 * rows, 2 * columns
        spacing, middle = self.camera.pixel_spacing, (columns - 0.5, rows - 0.5)
        self.drr_camera = Camera(self.camera.source_to_detector_distance, spacing, self.drr_size, middle)
        xray = LocalNormalisation(field, LEVEL.neighbourhood)(scaled.image)
        self.least_energy = LEAST_ENERGY * float((xray**2).sum())
        self.transforms = [self._transform(image) for image in (xray, field, xray**2)]

    def best_shifts(self, refiner: Refiner, poses: FloatArray) -> list[tuple[float, FloatArray]]:
        """For each pose (4, 4) of the bone amid the image, the pose where its DRR fits best, after its correlation."""
        from scipy.fft import irfft2, rfft2

        rows, columns = self.camera.image_size
        comparable = (self._render(refiner.beyond, self.camera.image_size, poses) == 0).astype(np.float32).repeat(2, 1).repeat(2, 2)
        drrs = LocalNormalisation(comparable, LEVEL.neighbourhood / 2)(self._render(refiner.projector, self.drr_size, poses))
        # Without wrapping around: only shifts that leave the X-ray inside the DRR are looked at.
        products, of_drrs, of_xray = (
            irfft2(rfft2(images) * np.conj(transform), self.drr_size)[:, : rows + 1, : columns + 1]
            for images, transform in zip((drrs, drrs**2, comparable), self.transforms, strict=True)
        )
        correlations = products / np.sqrt(np.maximum(of_drrs, self.least_energy) * np.maximum(of_xray, self.least_energy) + 1e-12)
        best = correlations.reshape(len(poses), -1).argmax(axis=1)
        shifts = np.stack(np.unravel_index(best, correlations.shape[1:]), axis=1)
        return [
            (float(correlation.flat[index]), self._turned(pose, int(row), int(column)))
            for correlation, index, pose, (row, column) in zip(correlations, best, poses, shifts, strict=True)
        ]

    def _render(self, projector: Projector, size: tuple[int, int], poses: FloatArray) -> FloatImage:
        """Line integrals (poses, rows, columns) over the DRR's detector at a size."""
        integrals: FloatImage = projector.line_integrals(self.drr_camera.resized(size), poses).numpy().sum(axis=1)
        return integrals

    def _transform(self, image: FloatImage) -> npt.NDArray[np.complex64]:
        from scipy.fft import rfft2

        transform: npt.NDArray[np.complex64] = rfft2(image, self.drr_size)
        return transform

    def _turned(self, pose: FloatArray, row: int, column: int) -> FloatArray:
        """The pose after the camera has turned so that the X-ray's part of the DRR, from a pixel on, is what it sees."""
        from scipy.spatial.transform import Rotation

        x, y = self.camera.principal_point
        ray = self.drr_camera.back_project((x + column, y + row), 1.0)
        axis = np.cross(ray, (0.0, 0.0, 1.0))
        sine = float(np.linalg.norm(axis))
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec(axis / max(sine, 1e-12) * math.atan2(sine, ray[2])).as_matrix()
        return turn @ pose


def _searched(views: Sequence[View]) -> View:
    """The view with the largest exposed field on the detector."""
    return max(views, key=lambda view: float(view.xray.field.sum()) * view.camera.pixel_spacing[0] * view.camera.pixel_spacing[1])


def _grid(view_range: ViewRange) -> list[CArmView]:
    """Views of the bone amid the image, whose steps are small enough."""
    near, far = view_range.source_to_bone_mm
    count = max(1, math.ceil(math.log(far / near) / math.log(DISTANCE_STEP)))
    distances = near * (far / near) ** ((np.arange(count) + 0.5) / count)
    angles = [_angles(view_range.primary_deg + BEAM_SPREAD_DEG), _angles(view_range.secondary_deg + BEAM_SPREAD_DEG)]
    return [
        CArmView(primary, secondary, roll, (0.0, 0.0), distance)
        for primary, secondary, roll, distance in product(*angles, _angles(view_range.roll_deg), distances.tolist())
    ]


def _angles(largest_deg: float) -> list[float]:
    """Angles between plus and minus the largest, evenly spaced from the middle of a step to that of another."""
    count = max(1, math.ceil(2 * largest_deg / ANGLE_STEP_DEG))
    return ((np.arange(count) + 0.5) * 2 * largest_deg / count - largest_deg).tolist()


def _distinct(poses: Sequence[FloatArray], centre: FloatArray) -> list[FloatArray]:
    """The first poses of a list, without those near to an earlier one."""
    points = centre + BONE_RADIUS_MM * np.concatenate([np.eye(3), -np.eye(3)])
    chosen: list[tuple[FloatArray, FloatArray]] = []
    for pose in poses:
        placed = transform_points(pose, points)
        if all(np.linalg.norm(placed - other, axis=1).mean() > DISTINCT_MM for _, other in chosen):
            chosen.append((pose, placed))
        if len(chosen) == CANDIDATES:
            break
    return [pose for pose, _ in chosen]
