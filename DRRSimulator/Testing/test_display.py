"""What displays do: transforms that undo each other, and local equalisation beside OpenCV's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.display import (
    Display,
    edges_enhanced,
    equalised,
    gamma_transform,
    inverted,
    log_transform,
    window_to_16_bit,
)
from DRRSimulatorLib.errors import InputError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

PLAIN = Display(logarithm=False, window_percent=(0, 100), contrast_limit=1, edge_gain=0)
SPACING = (0.5, 0.5)


def landscape(shape: tuple[int, int] = (181, 243), seed: int = 0) -> npt.NDArray[np.float32]:
    """A smooth image of values 0 to 1 with noise."""
    y, x = np.linspace(0, 1, shape[0])[:, None], np.linspace(0, 1, shape[1])[None]
    image = 0.4 + 0.25 * np.sin(5 * x + 3 * y) + 0.2 * np.cos(9 * y) * x + 0.02 * np.random.default_rng(seed).standard_normal(shape)
    return np.clip(image, 0, 1).astype(np.float32)


@given(arrays(np.float32, (4, 5), elements=st.floats(0, 6, width=32)))
def test_the_logarithm_gives_the_line_integrals_back(integrals: npt.NDArray[np.float32]) -> None:
    np.testing.assert_allclose(log_transform(np.exp(-integrals)), integrals, atol=1e-5)
    np.testing.assert_allclose(log_transform(250 * np.exp(-integrals), open_field=250), integrals, atol=1e-5)


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


def test_a_flat_part_stays_flat_and_an_edge_overshoots_on_both_sides() -> None:
    step = np.zeros((40, 60), dtype=np.float32)
    step[:, 30:] = 1
    sharp = edges_enhanced(step, (0.5, 0.25), 1.0, 0.8)
    np.testing.assert_allclose(sharp[:, :10], 0, atol=1e-3)
    np.testing.assert_allclose(sharp[:, -10:], 1, atol=1e-3)
    # The smooth step is the normal distribution function: pixel centres lie a quarter of a millimetre beside the edge.
    from scipy.stats import norm

    np.testing.assert_allclose(sharp[:, 29], -0.8 * norm.cdf(-0.25), atol=0.8 * 0.01)
    np.testing.assert_allclose(sharp[:, 30], 1 + 0.8 * norm.cdf(-0.25), atol=0.8 * 0.01)


def test_edges_are_measured_in_millimetres_along_each_axis() -> None:
    point = np.zeros((41, 61), dtype=np.float32)
    point[20, 30] = 1
    lost = point - edges_enhanced(point, (0.5, 0.25), 1.0, 1.0) + point
    second_moments = [
        (lost.sum(axis=other) * ((np.arange(size) - middle) * spacing) ** 2).sum() / lost.sum()
        for other, size, middle, spacing in ((0, 61, 30, 0.5), (1, 41, 20, 0.25))
    ]
    np.testing.assert_allclose(second_moments, 1.0, rtol=0.05)


@pytest.mark.parametrize("limit", [1.5, 2.0, 4.0, 40.0])
def test_local_equalisation_is_that_of_opencv(limit: float) -> None:
    import cv2

    image = np.rint(255 * landscape((256, 512))).astype(np.uint8)
    expected = cv2.createCLAHE(clipLimit=limit, tileGridSize=(8, 8)).apply(image)
    # OpenCV takes the upper edges of its bins, and places the curves half a pixel beside the middles of their tiles:
    # 1 % of the range on average, and 5 % where neighbouring curves differ most.
    found = 255 * equalised((image + np.float32(0.999)) / 256, limit)
    assert np.abs(found - expected).mean() < 2.55 and np.abs(found - expected).max() < 0.05 * 255


def test_equalising_an_image_of_all_values_equally_often_changes_nothing() -> None:
    ramps = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (256, 8))
    np.testing.assert_allclose(equalised(ramps, 3.0), ramps, atol=0.05)


def test_the_limit_bounds_the_slope_and_with_it_how_noise_grows() -> None:
    faint = np.float32(0.5) + np.float32(0.01) * (landscape() - np.float32(0.5))
    slopes = [np.abs(np.diff(equalised(faint, limit), axis=1)).max() / np.abs(np.diff(faint, axis=1)).max() for limit in (1.0, 3.0, 8.0)]
    assert slopes[0] > 1 and slopes == sorted(slopes)
    # Between the middles of tiles the curve changes as well, by a little more.
    assert all(slope < 1.1 * (limit + 1) for slope, limit in zip(slopes, (1.0, 3.0, 8.0), strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (8, 8), (64, 200)])
def test_images_of_any_size_are_equalised_within_their_range(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(0, 1, shape)
    found = equalised(image, 2.0)
    assert found.shape == shape and found.min() >= 0 and found.max() <= 1


def test_a_display_shows_attenuation_with_bone_bright_or_intensity_with_bone_dark() -> None:
    integrals = 1 + 3 * landscape()
    intensity = np.exp(-integrals)
    bright, dark = Display().apply(intensity, SPACING), Display(logarithm=False).apply(intensity, SPACING)
    assert bright.dtype == dark.dtype == np.uint16 and bright.shape == integrals.shape
    assert np.corrcoef(bright.ravel(), integrals.ravel())[0, 1] > 0.7 > 0 > np.corrcoef(dark.ravel(), integrals.ravel())[0, 1]
    np.testing.assert_array_equal(Display(inverted=True).apply(intensity, SPACING), 65535 - bright.astype(int))


def test_a_display_without_processing_is_a_window() -> None:
    image = landscape()
    expected = window_to_16_bit(image, image.min(), image.max())
    np.testing.assert_allclose(PLAIN.apply(image, SPACING).astype(int), expected.astype(int), atol=1)


def test_outside_the_field_a_display_is_black_and_does_not_count() -> None:
    image = landscape()
    field = np.zeros(image.shape, dtype=np.bool_)
    field[40:120, 50:200] = True
    spoiled = np.where(field, image, np.float32(50))
    shown = PLAIN.apply(spoiled, SPACING, field)
    assert (shown[~field] == 0).all()
    np.testing.assert_array_equal(shown[field], PLAIN.apply(image[40:120, 50:200], SPACING).ravel())
    assert PLAIN.apply(image, SPACING, np.zeros_like(field)).max() == 65535  # nothing was exposed: all is shown


def test_an_image_of_one_value_is_shown_without_complaint() -> None:
    assert np.isfinite(Display().apply(np.full((20, 30), 0.3), SPACING)).all()


@pytest.mark.parametrize(
    "values",
    [
        {"window_percent": (50, 50)},
        {"window_percent": (-1, 50)},
        {"contrast_limit": 0.5},
        {"contrast_limit": np.nan},
        {"edge_gain": -1},
        {"edge_mm": 0},
        {"gamma": 0},
        {"gamma": np.inf},
    ],
)
def test_impossible_displays_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Display(**values)  # type: ignore[arg-type]
