"""Derivatives of line integrals by the pose, against finite differences of the line integrals themselves."""

from __future__ import annotations

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, move_pose, transform_points
from DRRSimulatorLib.projector import Projector
from smooth_ct import smooth_ct

CAMERA = Camera(1020.0, (4.0, 4.4), (60, 70), (37.0, 28.0))
VIEWS = {
    "frontal": CArmView(5, -3, 4, (10, -20), 700),
    "lateral": CArmView(85, 10, -8, (0, 15), 650),
    "cranial": CArmView(20, 75, 0, (0, 0), 700),
    "between two main axes": CArmView(44, 5, 0, (0, 0), 720),
}
STEPS = np.array([1e-3, 1e-3, 1e-3, 0.1, 0.1, 0.5])  # rad and mm, some hundredths of a pixel


def finite_differences(projector: Projector, camera: Camera, pose: FloatArray, pivot_ras: FloatArray) -> FloatArray:
    """(6, rows, columns) central differences of the line integrals of both materials."""
    pivot = transform_points(pose, pivot_ras[None])[0]
    moved = [move_pose(pose, pivot, sign * motion) for sign in (1, -1) for motion in np.diag(STEPS)]
    images = projector.line_integrals(camera, np.stack(moved)).numpy().sum(axis=1).astype(np.float64)
    return (images[:6] - images[6:]) / (2 * STEPS[:, None, None])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("spacing", [0.7, 2.0])
def test_derivatives_are_those_of_finite_differences(view: str, spacing: float) -> None:
    """Voxels of 0.7 mm are cast in slabs of two and four slices, those of 2 mm slice by slice; the grid is oblique and anisotropic.

    A hundredth of the pixels is left out: within the step they change between slabs of two thicknesses, or between two main axes.
    """
    ct = smooth_ct(spacing)
    attenuation = 2e-5 * (ct.hu + 1000)
    projector = Projector(0.3 * attenuation, 0.7 * attenuation, [], ct.ijk_to_ras)
    centre = transform_points(ct.ijk_to_ras, np.array([ct.hu.shape[::-1]]) / 2)[0]
    pose, pivot_ras = VIEWS[view].ras_to_camera(centre), centre + np.array([5, -8, 11])
    result = projector.line_integrals_and_derivatives(CAMERA, pose[None], pivot_ras).numpy()[0].astype(np.float64)
    image = projector.line_integrals(CAMERA, pose[None]).numpy()[0].sum(axis=0)
    np.testing.assert_allclose(result[0], image, atol=1e-5 * image.max())
    for found, expected in zip(result[1:], finite_differences(projector, CAMERA, pose, pivot_ras), strict=True):
        squares = np.sort((found - expected).ravel() ** 2)[: -found.size // 100]
        error = np.sqrt(squares.mean() / (expected**2).mean())
        print(f"relative RMS difference from finite differences: {error:.2%}")
        assert error <= 0.03


def test_views_of_a_batch_have_the_derivatives_that_they_have_alone() -> None:
    ct = smooth_ct(2.0)
    projector = Projector(2e-5 * (ct.hu + 1000), np.zeros_like(ct.hu), [], ct.ijk_to_ras)
    centre = transform_points(ct.ijk_to_ras, np.array([ct.hu.shape[::-1]]) / 2)[0]
    poses = np.stack([view.ras_to_camera(centre) for view in VIEWS.values()])
    together = projector.line_integrals_and_derivatives(CAMERA, poses, centre).numpy()
    alone = [projector.line_integrals_and_derivatives(CAMERA, pose[None], centre).numpy() for pose in poses]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    assert len(projector.line_integrals_and_derivatives(CAMERA, np.empty((0, 4, 4)), centre)) == 0
