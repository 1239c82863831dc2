"""The detector's image: statistics of quantum noise, conservation of light, and transforms that undo each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.physics import (
    detector_blur,
    gamma_transform,
    inverted,
    log_transform,
    quantum_noise,
    simulate_xray,
    transmitted,
    window_to_16_bit,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

CAMERA = Camera.centred(1000, 0.5, (200, 300))
SPACINGS = st.floats(0.05, 3)
IMAGES = arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.floats(0, 1, width=32))


def test_materials_attenuate_one_after_the_other() -> None:
    soft, bone = np.full((2, 3), 0.7), np.full((2, 3), 1.1)
    np.testing.assert_allclose(transmitted(np.stack([soft, bone])), np.exp(-0.7) * np.exp(-1.1), rtol=1e-6)


@pytest.mark.parametrize("intensity", [1.0, 0.01])
@pytest.mark.parametrize("photons", [1e3, 1e5])
def test_quantum_noise_has_the_mean_and_the_variance_of_counted_photons(intensity: float, photons: float) -> None:
    count = 200_000
    counts = quantum_noise(np.full((count,), intensity), photons, np.random.default_rng(1)).astype(np.float64) * photons
    expected = intensity * photons
    # 99.99 % intervals: the mean is normal by the central limit theorem; so is the variance, whose own variance, for Poisson counts
    # of mean m, is (m + 2 m^2) / count (fourth central moment m + 3 m^2).
    reach = stats.norm.ppf(0.99995)
    assert counts.mean() == pytest.approx(expected, abs=reach * np.sqrt(expected / count))
    assert counts.var() == pytest.approx(expected, abs=reach * np.sqrt((expected + 2 * expected**2) / count))


def test_noise_repeats_with_its_seed_and_changes_with_another() -> None:
    integrals = np.ones((2, 20, 30), dtype=np.float32)
    first, again, other = (simulate_xray(integrals, CAMERA, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


@given(IMAGES, SPACINGS, SPACINGS, st.floats(0.01, 3))
def test_blur_neither_loses_nor_makes_light(image: npt.NDArray[np.float32], x: float, y: float, blur_mm: float) -> None:
    blurred = detector_blur(image, (x, y), blur_mm)
    assert blurred.dtype == np.float32 and blurred.min() >= 0
    assert blurred.sum(dtype=np.float64) == pytest.approx(image.sum(dtype=np.float64), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("blur_mm", [0.1, 0.3, 1.0])
def test_blur_spreads_light_as_photons_that_are_absorbed_anywhere_in_a_pixel_do(blur_mm: float) -> None:
    spacing, count = (0.4, 0.7), 400_000
    image = np.zeros((21, 31), dtype=np.float32)
    image[10, 15] = 1
    rng = np.random.default_rng(2)
    absorbed = rng.uniform(-0.5, 0.5, (count, 2)) * spacing
    collected = np.rint((absorbed + rng.normal(0, blur_mm, (count, 2))) / spacing) + np.array([15, 10])
    shares = np.histogram2d(collected[:, 1], collected[:, 0], bins=(np.arange(22) - 0.5, np.arange(32) - 0.5))[0] / count
    blurred = detector_blur(image, spacing, blur_mm)
    # Each share is binomial; 5 standard deviations, and one photon where hardly any arrive.
    np.testing.assert_array_less(np.abs(shares - blurred), 5 * np.sqrt((blurred + 1 / count) / count))


def test_a_wide_blur_is_a_gaussian_of_its_width() -> None:
    image = np.zeros((1, 401), dtype=np.float32)
    image[0, 200] = 1
    x = (np.arange(401) - 200) * 0.25
    blurred = detector_blur(image, (0.25, 100.0), 5.0)[0]
    # 1/100000 of the peak's height, and the pixel's own width of 0.25 mm, which adds (0.25 / 5)^2 / 6 to the variance of 1.
    np.testing.assert_allclose(blurred / blurred.max(), np.exp(-0.5 * (x / 5) ** 2), atol=(0.25 / 5) ** 2 / 6)


def test_blur_after_the_counting_correlates_the_noise_of_neighbours() -> None:
    noisy = simulate_xray(np.zeros((2, 200, 300)), CAMERA, np.random.default_rng(5), photons=1e4, blur_mm=0.5)
    sharp = simulate_xray(np.zeros((2, 200, 300)), CAMERA, np.random.default_rng(5), photons=1e4, blur_mm=0)

    def correlation(image: npt.NDArray[np.float32]) -> float:
        return float(np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1])

    assert correlation(noisy) > 0.5
    assert abs(correlation(sharp)) < 5 / np.sqrt(sharp.size)
    assert noisy.std() < sharp.std() < 1.05 / np.sqrt(1e4)


@given(arrays(np.float32, (2, 4, 5), elements=st.floats(0, 6, width=32)))
def test_the_logarithm_gives_the_line_integrals_back(integrals: npt.NDArray[np.float32]) -> None:
    clean = simulate_xray(integrals, CAMERA, np.random.default_rng(0), photons=None, blur_mm=0)
    np.testing.assert_allclose(log_transform(clean), integrals.sum(axis=0), atol=1e-5)
    np.testing.assert_allclose(log_transform(250 * clean, open_field=250), integrals.sum(axis=0), atol=1e-5)


def test_pixels_without_photons_have_a_finite_logarithm() -> None:
    np.testing.assert_allclose(log_transform([0.0, -1.0, 1e-9], least=1e-4), -np.log(1e-4), rtol=1e-6)


@given(st.floats(-5, 5), st.floats(0.01, 10))
def test_the_window_maps_its_ends_and_its_middle(low: float, width: float) -> None:
    grey = window_to_16_bit([low - 1, low, low + width / 2, low + width, low + width + 1], low, low + width)
    assert grey.dtype == np.uint16
    assert grey[[0, 1, 3, 4]].tolist() == [0, 0, 65535, 65535]
    assert abs(int(grey[2]) - 65535 / 2) <= 1


@given(arrays(np.uint16, (3, 4)))
def test_inversion_swaps_dark_and_bright_and_undoes_itself(image: npt.NDArray[np.uint16]) -> None:
    assert (image.astype(int) + inverted(image) == 65535).all()
    np.testing.assert_array_equal(inverted(inverted(image)), image)


@given(arrays(np.float32, 6, elements=st.floats(2**-6, 1, width=32)), st.floats(0.3, 3))
def test_gamma_is_undone_by_its_reciprocal(image: npt.NDArray[np.float32], gamma: float) -> None:
    np.testing.assert_allclose(gamma_transform(gamma_transform(image, gamma), 1 / gamma), image, rtol=1e-4)


def test_gamma_below_one_brightens_and_keeps_black_and_white() -> None:
    image = gamma_transform([-1.0, 0.0, 0.25, 1.0, 2.0], 0.5)
    np.testing.assert_allclose(image, [0, 0, 0.5, 1, 1])
