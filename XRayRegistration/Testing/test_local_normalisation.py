"""Local normalisation of images, and its derivatives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from XRayRegistrationLib.local_normalisation import CONTRAST_FLOOR, LocalNormalisation

FloatImage = npt.NDArray[np.float32]
NEIGHBOURHOOD = 0.05


@pytest.fixture
def field() -> FloatImage:
    field = np.ones((48, 64), dtype=np.float32)
    field[:, :10] = 0
    return field


def test_gain_and_offset_are_taken_out_and_nothing_is_left_outside_the_field(field: FloatImage) -> None:
    image = np.random.default_rng(2).random((48, 64)).astype(np.float32)
    normal = LocalNormalisation(field, NEIGHBOURHOOD)(image)
    assert np.allclose(LocalNormalisation(field, NEIGHBOURHOOD)(7 * image - 3), normal, atol=1e-4)
    assert (normal[:, :10] == 0).all()
    assert abs(float(normal[:, 10:].mean())) < 0.1


def test_an_empty_field_leaves_nothing(field: FloatImage) -> None:
    normal, changes = LocalNormalisation(0 * field, NEIGHBOURHOOD).with_derivatives(field, np.stack([field, field]))
    assert not normal.any() and not changes.any()


def test_derivatives_are_those_of_finite_differences(field: FloatImage) -> None:
    """Along random directions; the brightest and darkest pixels, which set the contrast floor, are kept as they are."""
    rng = np.random.default_rng(3)
    image = rng.random((48, 64)).astype(np.float32)
    image[20, 20], image[20, 30] = -5, 5
    directions = rng.normal(size=(3, 48, 64)).astype(np.float32)
    directions[:, 20, [20, 30]] = 0
    normalise = LocalNormalisation(field, NEIGHBOURHOOD)
    normal, changes = normalise.with_derivatives(image, directions)
    np.testing.assert_array_equal(normal, normalise(image))
    step = np.float32(1e-3)
    for direction, change in zip(directions, changes, strict=True):
        expected = (normalise(image + step * direction) - normalise(image - step * direction)) / (2 * step)
        np.testing.assert_allclose(change, expected, atol=2e-3 * np.abs(expected).max())


def test_a_flat_image_stays_near_zero(field: FloatImage) -> None:
    """Noise far under the contrast floor is not blown up to structures."""
    image = np.zeros((48, 64), dtype=np.float32)
    image[:2, 40:] = 1.0  # the image's range
    image += np.random.default_rng(4).normal(0, CONTRAST_FLOOR / 100, image.shape).astype(np.float32)
    assert np.abs(LocalNormalisation(field, NEIGHBOURHOOD)(image)[30:]).max() < 0.1
