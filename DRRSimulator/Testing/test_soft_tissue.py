"""Made-up soft tissue: the section of a limb round known bones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.ct import SOFT_TISSUE_ATTENUATION_PER_MM
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.soft_tissue import SoftTissue, soft_tissue_integral
from scipy import ndimage

CAMERA = Camera(1000.0, (0.5, 0.8), (250, 300), (149.5, 124.5))
EVEN = SoftTissue(60.0, 12.0, 0.0)


def thickness(bone: npt.NDArray[np.float32], soft_tissue: SoftTissue = EVEN, seed: int = 0) -> npt.NDArray[np.float32]:
    """mm."""
    return soft_tissue_integral(bone, CAMERA, soft_tissue, np.random.default_rng(seed)) / SOFT_TISSUE_ATTENUATION_PER_MM


def forearm() -> npt.NDArray[np.float32]:
    """Two parallel bones, together 40 mm wide, that end within the image."""
    bone = np.zeros(CAMERA.image_size, dtype=np.float32)
    bone[60:200, 110:130] = bone[60:200, 160:190] = 1.0
    return bone


def test_a_straight_limb_has_an_elliptic_section_of_its_thickness_and_width() -> None:
    found = thickness(forearm())
    x = (np.arange(300) - 149.5) * 0.5
    expected = 60 * np.sqrt(np.maximum(1 - (x / 31.75) ** 2, 0))  # half of 40 mm less a pixel, and 12 mm to the skin
    np.testing.assert_allclose(found[130], expected, atol=0.5)
    assert found[130].max() == pytest.approx(60, rel=0.001)


def test_a_limb_goes_on_beyond_its_bones() -> None:
    found = thickness(forearm())
    for row in (0, 249):
        np.testing.assert_allclose(found[row], found[130], atol=4)


def test_all_bone_lies_in_the_limb_however_it_is_turned() -> None:
    for angle in (0, 30, 65, 90, 140):
        bone = ndimage.rotate(forearm(), angle, reshape=False, order=1)
        found = thickness(bone)
        assert (found[bone > 0.5] > 20).all()
        assert 0.1 < (found > 0).mean() < 0.8


def test_without_bone_there_is_no_limb() -> None:
    empty = np.zeros(CAMERA.image_size, dtype=np.float32)
    assert (thickness(empty) == 0).all()
    empty[100, 100] = 1
    assert (thickness(empty) == 0).all()


def test_unevenness_is_smooth_random_and_as_large_as_asked() -> None:
    uneven = SoftTissue(60.0, 12.0, 0.2)
    ratios = np.stack([thickness(forearm(), uneven, seed)[::10, 140:160] / thickness(forearm())[::10, 140:160] for seed in range(40)])
    assert ratios.mean() == pytest.approx(1, abs=0.03)
    assert 0.1 < ratios.std() < 0.25  # a spline through random values varies less between them
    found = thickness(forearm(), uneven)
    np.testing.assert_array_equal(found, thickness(forearm(), uneven))
    assert np.abs(np.diff(found[:, 150])).max() < 1.5  # from one row to the next


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thickness_mm": 0.0}, "thickness"),
        ({"margin_mm": np.inf}, "margin"),
        ({"unevenness": 0.7}, "unevenness"),
        ({"unevenness": np.nan}, "unevenness"),
    ],
)
def test_impossible_soft_tissue_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SoftTissue(**values)
