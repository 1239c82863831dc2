"""Values that are no Hounsfield units, or no longer: a rescale that was lost or applied twice, numbers that wrapped round, metal."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.ct import ct_from_image
from DRRSimulatorLib.errors import InputError
from scipy import ndimage

Values = npt.NDArray[np.float64]


def limb(metal: float = 0.0) -> Values:
    """HU of a scanned limb of 80 mm with a bone and, where given, a metal rod of so many HU: noise everywhere, 1 mm voxels."""
    y, x = np.indices((120, 120)) - 60.0
    radius = np.hypot(x, y)
    plane = np.where(radius < 40, 50.0, -1000.0)
    plane[radius < 14], plane[radius < 9] = 1400.0, 100.0
    if metal:
        plane[np.hypot(x, y - 26) < 6], plane[np.hypot(x, y - 26) < 4] = 2900.0, metal
    blurred = ndimage.gaussian_filter(plane, 1.0)  # as every scanner does
    return np.tile(blurred, (10, 1, 1)) + np.random.default_rng(5).normal(scale=15, size=(10, 120, 120))


def read(values: Values) -> npt.NDArray[np.float32]:
    return ct_from_image(sitk.GetImageFromArray(values.astype(np.float32)), "the CT").hu


def padded(values: Values, padding: float) -> Values:
    """With a constant outside the round field of view."""
    y, x = np.indices((120, 120)) - 60.0
    return np.where(np.hypot(x, y) < 58, values, padding)


@pytest.mark.parametrize(
    "values",
    [limb(), padded(limb(), -2048), padded(limb(), -3024), limb(metal=8000), np.where(limb() > 300, limb(), -1000)],
    ids=["plain", "padding -2048", "padding -3024", "metal on an extended scale", "bone cut out of its CT"],
)
def test_hounsfield_units_raise_no_doubt(values: Values) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read(values), np.maximum(values, -1000).astype(np.float32))


REFUSED: dict[str, tuple[Callable[[], Values], str]] = {
    "intercept lost": (lambda: np.maximum(limb() + 1024, 0), "its lowest value is 0"),
    "intercept lost beside padding": (lambda: padded(np.maximum(limb() + 1024, 0), -2000), "but for its padding of -2000 no value"),
    "intercept applied twice": (lambda: limb() - 1024, "lie far below air"),
    "slope lost": (lambda: limb() / 1000, "its highest value is"),
    "negative values stored as unsigned": (lambda: np.where(limb() < 0, limb() + 65536, limb()), "more than any scanner measures"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_a_wrong_rescale_left_are_refused(case: str) -> None:
    make, sentence = REFUSED[case]
    with pytest.raises(InputError, match=sentence):
        read(make())


def test_dense_bone_that_wrapped_round_in_signed_12_bits_is_told() -> None:
    stored = np.rint(limb() + 1024).astype(np.int64)
    wrapped = (stored + 2048) % 4096 - 2048 - 1024
    with pytest.warns(UserWarning, match="right beside bone: dense bone may have been stored in too few bits"):
        read(wrapped.astype(np.float64))


def test_metal_that_wrapped_round_in_unsigned_12_bits_is_told() -> None:
    stored = np.rint(limb(metal=3300) + 1024).astype(np.int64)
    with pytest.warns(UserWarning, match="enclosed in metal"):
        read((stored % 4096 - 1024).astype(np.float64))
