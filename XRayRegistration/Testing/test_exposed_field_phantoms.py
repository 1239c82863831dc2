"""The exposed field of simulated bodies whose true field is known: every display, collimator and shutter, scatter, and no field at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from XRayRegistrationLib.exposed_field import Polarity, exposed_field, guess_polarity

SIZE = 256
Y, X = (np.indices((SIZE, SIZE)) + 0.5) / SIZE * 300 - 150  # mm from the middle of a detector of 300 mm
FULL_SCALE = 4095
Image = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def ellipsoid(x: float, y: float, half_width: float, half_height: float, depth: float) -> Image:
    """Millimetres that rays pass through."""
    return 2 * depth * np.sqrt(np.clip(1 - ((X - x) / half_width) ** 2 - ((Y - y) / half_height) ** 2, 0, None))


def cylinder(x: float, radius: float, angle: float) -> Image:
    """Millimetres that rays pass through, of a cylinder that runs from top to bottom."""
    return 2 * np.sqrt(np.clip(radius**2 - ((X - x) * np.cos(angle) + Y * np.sin(angle)) ** 2, 0, None))


def attenuation(flesh: Image) -> Image:
    """Of flesh with bones and gas in it."""
    bone = ellipsoid(-50, 40, 40, 25, 20) + ellipsoid(60, 50, 30, 45, 15) + ellipsoid(0, -60, 18, 90, 18)
    gas = ellipsoid(40, -50, 30, 18, 15) + ellipsoid(-60, -70, 15, 25, 12)
    return np.where(flesh > 0, 0.02 * np.clip(flesh - gas, 0, None) + 0.025 * bone, 0)


BODIES = {
    "trunk": attenuation(0.7 * cylinder(0, 190, 0.05)),
    "hip": attenuation(0.8 * cylinder(-50, 150, 0.1)),  # open beam at the right
    "thigh": attenuation(cylinder(10, 80, -0.15)),
}


def image(body: Image, field: Mask, display: str, scatter: float = 0.5, seed: int = 0) -> Image:
    """As a C-arm shows it: blades with a penumbra, scatter that reaches behind them, noise, and a detector that saturates."""
    rng = np.random.default_rng(seed)
    primary = ndimage.gaussian_filter(np.exp(-body) * field, 0.7)
    source = ndimage.gaussian_filter(-primary * np.log(np.maximum(primary, 1e-6)), 20, truncate=3, mode="nearest")
    behind = field & (body > 0)
    signal = primary + scatter * source * np.median(primary[behind]) / np.median(source[behind])
    typical = np.median(signal[behind])
    counts = rng.poisson(signal * 1000 / typical) + rng.normal(0, 2, signal.shape)
    raw = np.rint(np.clip(counts * 0.1 * FULL_SCALE / 1000, 0, FULL_SCALE))
    if display == "linear":
        return raw
    share = np.maximum(raw, 1) / FULL_SCALE
    shown = -np.log(share) if display == "log" else share**0.5
    low, high = np.percentile(shown[field], (0.5, 99.5))
    return np.rint(np.clip((shown - low) / (high - low), 0, 1) * FULL_SCALE)


def polarity(display: str) -> Polarity:
    return "attenuation" if display == "log" else "intensity"


def blades(angle: float, *places: float) -> Mask:
    """The field between blades, mm from the middle: right, lower, left, upper, or the first few of them."""
    field = np.ones((SIZE, SIZE), dtype=np.bool_)
    for place, side in zip(places, (0, np.pi / 2, np.pi, -np.pi / 2), strict=False):
        field &= X * np.cos(side + angle) + Y * np.sin(side + angle) < place
    return field


FIELDS = {
    "one blade": blades(0.0, 110),
    "two blades": blades(0.0, 100, 125),
    "three blades, turned": blades(0.1, 130, 105, 120),
    "four blades": blades(0.0, 120, 95, 105, 110),
    "four blades, turned": blades(-0.2, 100, 110, 95, 120),
    "round": np.hypot(X + 8, Y - 5) < 125,
    "round, cut by the detector": np.hypot(X - 4, Y) < 158,
}


def overlap(found: Mask, truth: Mask) -> float:
    """Intersection over union with the true field, which is cut back by a hundredth of the image's size as the found one is."""
    cut_back = ndimage.distance_transform_edt(np.pad(truth, 1))[1:-1, 1:-1] > 0.01 * SIZE
    return float((found & cut_back).sum() / (found | cut_back).sum())


@pytest.mark.parametrize("shutter", [False, True], ids=["collimator", "black shutter"])
@pytest.mark.parametrize("display", ["linear", "gamma", "log"])
@pytest.mark.parametrize("name", FIELDS)
def test_sharp_fields_are_found_in_every_display(name: str, display: str, shutter: bool) -> None:
    truth = FIELDS[name]
    shown = image(BODIES["trunk"], truth, display)
    assert overlap(exposed_field(np.where(truth | (not shutter), shown, 0), polarity(display)), truth) >= 0.95


@pytest.mark.parametrize("display", ["linear", "gamma", "log"])
@pytest.mark.parametrize("body", ["hip", "thigh"])
@pytest.mark.parametrize("name", FIELDS)
def test_saturated_open_beam_in_a_field_does_not_hide_it(name: str, body: str, display: str) -> None:
    truth = FIELDS[name]
    assert overlap(exposed_field(image(BODIES[body], truth, display), polarity(display)), truth) >= 0.95


@pytest.mark.parametrize("name", ["four blades", "round"])
def test_white_padding_beside_intensities_is_no_part_of_the_field(name: str) -> None:
    truth = FIELDS[name]
    shown = np.where(truth, image(BODIES["trunk"], truth, "linear"), FULL_SCALE)
    assert overlap(exposed_field(shown, "intensity"), truth) >= 0.95


@pytest.mark.parametrize("display", ["linear", "log"])
def test_scatter_behind_the_blades_does_not_belong_to_the_field(display: str) -> None:
    truth = FIELDS["four blades"]
    shown = image(BODIES["trunk"], truth, display, scatter=1.2)
    assert overlap(exposed_field(shown, polarity(display)), truth) >= 0.95


@pytest.mark.parametrize("display", ["linear", "log"])
def test_letters_on_a_black_shutter_do_not_belong_to_the_field(display: str) -> None:
    truth = FIELDS["round"]
    shown = np.where(truth, image(BODIES["trunk"], truth, display), 0)
    for row, column in ((5, 5), (5, 30), (230, 215)):
        shown[row : row + 20, column : column + 3] = shown[row : row + 3, column : column + 15] = FULL_SCALE
    assert overlap(exposed_field(shown, polarity(display)), truth) >= 0.95


@pytest.mark.parametrize("display", ["linear", "gamma", "log"])
@pytest.mark.parametrize(
    "flesh",
    [
        0.8 * cylinder(-130, 170, 0.05),  # its skin near the image's middle
        0.8 * cylinder(140, 160, -0.1),
        cylinder(-60, 160, 0.1),  # dense far beyond the middle
        cylinder(-115, 85, 0.1) + cylinder(115, 85, -0.1),  # open beam between thighs
        cylinder(0, 50, 0.1),
        0.7 * cylinder(0, 190, 0.0),
    ],
)
def test_dense_bodies_beside_open_beam_are_exposed_everywhere(flesh: Image, display: str) -> None:
    everywhere = np.ones((SIZE, SIZE), dtype=np.bool_)
    assert exposed_field(image(attenuation(flesh), everywhere, display), polarity(display)).all()


@pytest.mark.parametrize("shape", [(32, 32), (32, 5000), (257, 40), (1, 50)])
def test_images_of_any_shape_get_a_field_of_theirs(shape: tuple[int, int]) -> None:
    single = np.zeros(shape)
    single[0, 0] = 1
    for pixels in (np.random.default_rng(0).normal(size=shape), np.ones(shape), single):
        assert exposed_field(pixels, "intensity").shape == exposed_field(pixels, "attenuation").shape == shape
        assert guess_polarity(pixels) in ("intensity", "attenuation")
