"""The collimator's opening and vignetting: places, areas and edges that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.exposed_field import Collimation, exposure, vignetting
from DRRSimulatorLib.spectrum import read_beams

CAMERA = Camera(1000.0, (0.4, 0.5), (300, 400), (130.0, 170.0))  # its middle is not its principal point
ROWS, COLUMNS = np.indices(CAMERA.image_size)
X, Y = (COLUMNS - 199.5) * 0.4, (ROWS - 149.5) * 0.5


@pytest.mark.parametrize(
    ("collimation", "area"),
    [
        (Collimation("round", 80, 80, (10, -20), leakage=0.02), math.pi * 40**2),
        (Collimation("round", 80, 50, (10, -20), 30, leakage=0.02), math.pi * 40 * 25),
        (Collimation("rectangular", 90, 40, (10, -20), leakage=0.02), 90 * 40),
        (Collimation("rectangular", 60, 70, (10, -20), 25, leakage=0.02), 60 * 70),
    ],
)
def test_the_opening_has_its_area_and_its_middle(collimation: Collimation, area: float) -> None:
    share = exposure(collimation, CAMERA).astype(np.float64)
    assert share.dtype == np.float64 and share.min() == pytest.approx(0.02, abs=1e-6) and share.max() == pytest.approx(1, abs=1e-6)
    opened = (share - 0.02) / 0.98
    assert opened.sum() * 0.4 * 0.5 == pytest.approx(area, rel=0.01)
    assert [(opened * places).sum() / opened.sum() for places in (X, Y)] == pytest.approx([10, -20], abs=0.05)


def test_a_rectangle_turns_clockwise_in_the_image() -> None:
    share = exposure(Collimation("rectangular", 100, 20, rotation_deg=30), CAMERA)
    row, column = 149.5 + 40 * math.sin(math.radians(30)) / 0.5, 199.5 + 40 * math.cos(math.radians(30)) / 0.4
    assert share[round(row), round(column)] > 0.99  # 40 mm to the right along the long side, which points downwards there
    assert share[round(299 - row), round(column)] < 0.03


def test_the_penumbra_rises_from_16_to_84_percent_over_its_width() -> None:
    for shape in ("round", "rectangular"):
        share = exposure(Collimation(shape, 80, 80, penumbra_mm=6, leakage=0.0), CAMERA)  # type: ignore[arg-type]
        profile = share[150, 200:]
        places = (np.arange(200) + 0.5) * 0.4
        at = [float(np.interp(-level, -profile, places)) for level in (0.8413, 0.5, 0.1587)]
        assert at == pytest.approx([37, 40, 43], abs=0.05)


def test_a_smaller_leak_lets_less_through() -> None:
    corner = [exposure(Collimation("round", 40, 40, leakage=leakage), CAMERA)[0, 0] for leakage in (0.0, 0.01, 0.05)]
    assert corner == pytest.approx([0, 0.01, 0.05], abs=1e-6)


@pytest.mark.parametrize("kilovolts", [90, 120])
def test_blades_leak_about_as_much_as_two_millimetres_of_lead(kilovolts: int) -> None:
    xraylib = pytest.importorskip("xraylib")
    beam = read_beams()[f"{kilovolts} kV"]
    lead, grams_per_cm3 = 82, 11.34
    per_mm = np.array([xraylib.CS_Total(lead, float(energy)) for energy in beam.energies_kev]) * grams_per_cm3 / 10
    through = float((beam.weights * np.exp(-2 * per_mm)).sum())
    assert 0.3 * Collimation("round", 1, 1).leakage < through <= Collimation("round", 1, 1).leakage


@pytest.mark.parametrize("shape", ["round", "rectangular"])
def test_an_opening_inside_an_image_leaves_its_edge_covered(shape: str) -> None:
    share = exposure(Collimation.inside(shape, CAMERA), CAMERA)  # type: ignore[arg-type]
    assert share[150, 200] > 0.999
    edge = np.concatenate([share[0], share[-1], share[:, 0], share[:, -1]])
    assert edge.max() < 0.03


def test_vignetting_falls_from_the_middle_to_the_edge() -> None:
    brightness = vignetting(CAMERA, 0.4)
    assert brightness[149:151, 199:201].min() > 0.999
    assert np.interp(75, Y[150:, 199], brightness[150:, 199]) == pytest.approx(0.6, abs=0.005)  # half of the shorter side, 150 mm
    order = np.argsort(np.hypot(X, Y).ravel())
    assert (np.diff(brightness.ravel()[order]) <= 1e-6).all() and brightness.min() > 0
    assert (vignetting(CAMERA, 0.0) == 1).all()


@pytest.mark.parametrize(
    "values",
    [
        ("oval", 80, 80),
        ("round", 0, 80),
        ("round", 80, math.inf),
        ("round", 80, 80, (math.nan, 0)),
        ("round", 80, 80, (0, 0), math.inf),
        ("round", 80, 80, (0, 0), 0, 0),
        ("round", 80, 80, (0, 0), 0, 2, 1),
        ("round", 80, 80, (0, 0), 0, 2, -0.1),
    ],
)
def test_impossible_openings_are_refused(values: tuple[object, ...]) -> None:
    with pytest.raises(InputError):
        Collimation(*values)  # type: ignore[arg-type]
