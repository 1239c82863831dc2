"""Scatter: its energy, its ratio to primary radiation beside a Monte Carlo simulation, and how it falls off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.scatter import BEHIND_GRID, WITHOUT_GRID, Scatter, scattered

CAMERA = Camera.centred(1020.0, 0.58, (512, 512))  # of the simulation
WIDE = Camera(1020.0, (4.0, 5.0), (401, 501), (250.0, 200.0))


def slab(attenuation: float, camera: Camera = CAMERA) -> npt.NDArray[np.float32]:
    return np.full(camera.image_size, np.exp(-attenuation), dtype=np.float32)


def ratio(attenuation: float, scatter: Scatter, camera: Camera = CAMERA) -> float:
    """Scatter to primary, on average over the detector."""
    transmission = slab(attenuation, camera)
    return float(scattered(transmission, np.ones_like(transmission), camera, scatter).mean() / transmission.mean())


# Printed by Testing/xray_physics/simulate_scatter.py: -log T, and scatter to primary over the detector, for 10, 20 and 30 cm of water.
# It follows single photons; the numbers of `Scatter`, four for each case, were fitted to it.
@pytest.mark.parametrize(
    ("scatter", "attenuation", "expected"),
    [
        (WITHOUT_GRID, 2.24, 0.41),
        (WITHOUT_GRID, 4.36, 1.21),
        (WITHOUT_GRID, 6.43, 2.63),
        (BEHIND_GRID, 2.24, 0.11),
        (BEHIND_GRID, 4.36, 0.26),
        (BEHIND_GRID, 6.43, 0.48),
    ],
)
def test_the_ratio_to_primary_radiation_is_that_of_a_monte_carlo_simulation(scatter: Scatter, attenuation: float, expected: float) -> None:
    assert ratio(attenuation, scatter) == pytest.approx(expected, rel=0.2)


def test_the_ratio_grows_with_the_thickness() -> None:
    for scatter in (WITHOUT_GRID, BEHIND_GRID):
        ratios = [ratio(attenuation, scatter) for attenuation in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)]
        assert ratios[0] == 0 and (np.diff(ratios) > 0).all()


def test_a_small_body_scatters_as_much_as_its_ratio_says_wherever_it_lands() -> None:
    transmission = np.ones(WIDE.image_size, dtype=np.float32)
    transmission[195:206, 240:261] = np.exp(-1.0)
    found = scattered(transmission, np.ones_like(transmission), WIDE, BEHIND_GRID)
    # At -log T = 1 the ratio is the scatter to the primary radiation behind the body; 3.5 standard deviations fit on the detector.
    assert found.sum(dtype=np.float64) == pytest.approx(BEHIND_GRID.ratio * np.exp(-1.0) * 11 * 21, rel=0.005)


def test_a_point_spreads_by_the_two_gaussians() -> None:
    transmission = np.ones(WIDE.image_size, dtype=np.float32)
    transmission[200, 250] = np.exp(-1.0)
    scatter = Scatter(1.0, 1.0, (60.0, 150.0), 0.4)
    found = scattered(transmission, np.ones_like(transmission), WIDE, scatter)
    rows, columns = np.indices(WIDE.image_size)
    x, y = (columns - 250) * 4.0, (rows - 200) * 5.0
    second_moment = 0.4 * 60.0**2 + 0.6 * 150.0**2
    for distance in (x, y):
        assert (found * distance**2).sum(dtype=np.float64) / found.sum(dtype=np.float64) == pytest.approx(second_moment, rel=0.03)
    radius = np.hypot(x, y)
    expected = sum(
        share * np.exp(-0.5 * (radius / sigma) ** 2) / sigma**2 for share, sigma in zip((0.4, 0.6), scatter.widths_mm, strict=True)
    )
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=0.05 * expected.max() / expected.sum())


def test_scatter_does_not_depend_on_the_pixels_it_is_computed_for() -> None:
    rng = np.random.default_rng(0)
    coarse = np.exp(-np.kron(rng.uniform(1, 5, (8, 8)), np.ones((16, 16)))).astype(np.float32)
    fine = np.kron(coarse, np.ones((4, 4), dtype=np.float32))
    found = [scattered(image, np.ones_like(image), CAMERA.resized(image.shape), BEHIND_GRID) for image in (coarse, fine)]
    np.testing.assert_allclose(found[0], found[1].reshape(128, 4, 128, 4).mean(axis=(1, 3)), atol=0.03 * found[0].max())


@pytest.mark.parametrize("size", [(512, 512), (511, 333), (30, 40), (1, 1)])
def test_images_of_any_size_get_scatter(size: tuple[int, int]) -> None:
    camera = Camera.centred(1000.0, 0.3, size)
    found = scattered(slab(3.0, camera), np.ones(size, dtype=np.float32), camera, WITHOUT_GRID)
    assert found.shape == size and found.dtype == np.float32 and (found > 0).all()


def test_only_what_is_exposed_scatters_and_it_reaches_beyond() -> None:
    exposure = np.zeros(CAMERA.image_size, dtype=np.float32)
    exposure[200:300, 200:300] = 1
    found = scattered(slab(4.0), exposure, CAMERA, BEHIND_GRID)
    whole = scattered(slab(4.0), np.ones_like(exposure), CAMERA, BEHIND_GRID)
    assert (found < 0.6 * whole).all()
    middle, outside = found[250, 250], found[250, 350]
    assert 0.1 * middle < outside < middle
    np.testing.assert_allclose(scattered(slab(4.0), 0.5 * exposure, CAMERA, BEHIND_GRID), 0.5 * found, rtol=1e-5)


def test_rays_that_nothing_of_passes_do_not_scatter() -> None:
    transmission = np.zeros(CAMERA.image_size, dtype=np.float32)
    found = scattered(transmission, np.ones_like(transmission), CAMERA, WITHOUT_GRID)
    assert (found == 0).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-0.1, 1.0, (30.0, 100.0), 0.3), "ratio"),
        ((np.nan, 1.0, (30.0, 100.0), 0.3), "ratio"),
        ((0.1, np.inf, (30.0, 100.0), 0.3), "power"),
        ((0.1, 1.0, (0.0, 100.0), 0.3), "widths"),
        ((0.1, 1.0, (30.0, np.inf), 0.3), "widths"),
        ((0.1, 1.0, (30.0, 100.0), 1.1), "narrow share"),
    ],
)
def test_impossible_scatter_is_refused(values: tuple[float, float, tuple[float, float], float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Scatter(*values)
