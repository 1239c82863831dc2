"""The benchmark's double-precision reference against integrals that are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.peers.reference import FloatArray, line_integrals
from scipy.spatial.transform import Rotation

SHAPE = (9, 12, 10)  # [k, j, i]
SPACING = np.array([0.8, 1.1, 2.0])


def oblique_grid() -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [12, -20, 33], degrees=True).as_matrix() * SPACING
    matrix[:3, 3] = 5, -7, 30
    return matrix


def to_ras(matrix: FloatArray, *ijk: float) -> FloatArray:
    return matrix[:3, :3] @ np.array(ijk) + matrix[:3, 3]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("slant", [(0.0, 0.0), (0.11, -0.07)])
def test_a_uniform_box_gives_its_thickness_along_the_ray(axis: int, slant: tuple[float, float]) -> None:
    """The fading voxels before and behind the box count half each."""
    matrix, size = oblique_grid(), SHAPE[2 - axis]
    step = np.insert(np.array(slant), axis, 1.0)
    middle = (np.array(SHAPE[::-1]) - 1) / 2
    source = to_ras(matrix, *(middle - 3 * size * step / 2))
    direction = matrix[:3, :3] @ step
    found = line_integrals(np.full(SHAPE, 0.02), matrix, source, direction[None])
    np.testing.assert_allclose(found, 0.02 * size * np.linalg.norm(direction), rtol=1e-12)


def test_the_integral_of_a_trilinear_function_is_that_of_its_cubic_along_the_ray() -> None:
    """The part between two points is the difference of two rays; Simpson's rule is exact for cubic polynomials."""
    k, j, i = np.indices(SHAPE)
    matrix = oblique_grid()
    start, end = np.array([1.2, 2.3, 0.7]), np.array([8.1, 9.4, 7.3])

    def value(ijk: FloatArray) -> float:
        x, y, z = ijk
        return float((1 + 0.3 * x) * (2 - 0.1 * y) * (1 + 0.2 * z))

    volume = (1 + 0.3 * i) * (2 - 0.1 * j) * (1 + 0.2 * k)
    step = matrix[:3, :3] @ (end - start)
    from_start, from_end = (line_integrals(volume, matrix, to_ras(matrix, *point), step[None])[0] for point in (start, end))
    expected = np.linalg.norm(step) * (value(start) + 4 * value((start + end) / 2) + value(end)) / 6
    assert from_start - from_end == pytest.approx(expected, rel=1e-12)


def test_rays_that_miss_or_lead_away_give_nothing() -> None:
    volume, matrix = np.ones(SHAPE), np.eye(4)
    directions = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [-3.0, 1.0, 0.0]])
    found = line_integrals(volume, matrix, np.array([4.0, 5.0, -20.0]), directions)
    assert found.tolist() == [pytest.approx(SHAPE[0]), 0.0, 0.0, 0.0]


def test_many_rays_are_integrated_in_parts() -> None:
    rng = np.random.default_rng(1)
    volume, matrix, source = rng.random(SHAPE), oblique_grid(), np.array([20.0, 40.0, -60.0])
    directions = to_ras(matrix, *(np.array(SHAPE[::-1]) / 2)) - source + rng.normal(0, 3, (450, 3))
    found = line_integrals(volume, matrix, source, directions)
    one_by_one = [line_integrals(volume, matrix, source, direction[None])[0] for direction in directions[::90]]
    np.testing.assert_allclose(found[::90], one_by_one, rtol=1e-12)
    assert found.std() > 0
