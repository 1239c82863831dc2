"""The detector: statistics of quantum and electronic noise, and light that neither vanishes nor appears."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.detector import detector_blur, electronic_noise, quantum_noise
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

SPACINGS = st.floats(0.05, 3)
IMAGES = arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.floats(0, 1, width=32))


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


def test_electronic_noise_is_normal_and_the_same_in_dark_and_bright_pixels() -> None:
    count = 100_000
    image = np.repeat(np.array([0.0, 0.9], dtype=np.float32), count).reshape(2, count)
    noise = (electronic_noise(image, 0.01, np.random.default_rng(1)) - image) / 0.01
    for pixels in noise:
        assert stats.kstest(pixels, "norm").pvalue > 1e-4


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
