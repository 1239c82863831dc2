"""Metal tools: chords through cylinders and boxes, beside analytic lengths and beside counting points along the rays."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.spectrum import METALS
from DRRSimulatorLib.tools import Box, Cylinder, Tool, sample_tools, screw, thicknesses_mm
from scipy.spatial.transform import Rotation

FloatArray = npt.NDArray[np.float64]

CAMERA = Camera(1000.0, (0.8, 1.0), (120, 150), (70.3, 64.1))


def rays(camera: Camera = CAMERA) -> FloatArray:
    """Unit directions (rows, columns, 3) of all pixels."""
    rows, columns = np.indices(camera.image_size)
    directions = camera.back_project(np.stack([columns, rows], axis=-1), 1.0)
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def counted(inside: Callable[[FloatArray], npt.NDArray[np.bool_]], directions: FloatArray, first: float, last: float) -> FloatArray:
    """Length within a body by counting points a tenth of a millimetre apart."""
    steps = np.arange(first, last, 0.1) + 0.05
    return 0.1 * inside(directions[..., None, :] * steps[:, None]).sum(axis=-1)


def test_a_wire_across_the_beam_has_the_chords_of_a_circle() -> None:
    wire = Cylinder((-90.0, 3.0, 700.0), (90.0, 3.0, 700.0), 5.0, "steel")
    found = thicknesses_mm([wire], CAMERA)
    assert list(found) == ["steel"] and found["steel"].dtype == np.float32
    directions = rays()
    # Seen along the wire, rays are lines in the y-z plane, at this distance from its axis; along x they are longer by their slope.
    in_plane = directions[..., 1:] / np.linalg.norm(directions[..., 1:], axis=-1, keepdims=True)
    distance = in_plane[..., 0] * 700.0 - in_plane[..., 1] * 3.0
    chord = 2 * np.sqrt(np.maximum(2.5**2 - distance**2, 0)) / np.linalg.norm(directions[..., 1:], axis=-1)
    np.testing.assert_allclose(found["steel"], chord, atol=1e-3)
    assert found["steel"].max() == pytest.approx(5.0, abs=0.05)


def test_a_wire_along_the_beam_is_as_thick_as_it_is_long() -> None:
    camera = Camera.centred(1000.0, 0.5, (41, 41))
    found = thicknesses_mm([Cylinder((0.0, 0.0, 600.0), (0.0, 0.0, 640.0), 3.0)], camera)["steel"]
    assert found[20, 20] == pytest.approx(40.0, abs=1e-4)
    radius = np.hypot(*(np.indices((41, 41)) - 20)) * 0.5 * 0.6  # at the nearer end
    assert (found[radius > 1.6] == 0).all() and (found[radius < 1.0] > 30).all()


@pytest.mark.parametrize("seed", range(4))
def test_oblique_cylinders_are_as_thick_as_points_counted_along_the_rays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, end = rng.uniform((-30, -30, 600), (30, 30, 680), (2, 3))
    cylinder = Cylinder(tuple(start), tuple(end), 9.0, "titanium")  # type: ignore[arg-type]
    axis = (end - start) / np.linalg.norm(end - start)

    def inside(points: FloatArray) -> npt.NDArray[np.bool_]:
        along = (points - start) @ axis
        across = np.linalg.norm(points - start - along[..., None] * axis, axis=-1)
        return (along > 0) & (along < np.linalg.norm(end - start)) & (across < 4.5)

    directions = rays()[::7, ::7]
    expected = counted(inside, directions, 550, 730)
    assert (expected > 0).sum() > 5
    np.testing.assert_allclose(thicknesses_mm([cylinder], CAMERA)["titanium"][::7, ::7], expected, atol=0.11)


@pytest.mark.parametrize("seed", range(4))
def test_turned_boxes_are_as_thick_as_points_counted_along_the_rays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centre, size, angles = rng.uniform((-15, -15, 620), (15, 15, 660)), np.array([60.0, 14.0, 6.0]), rng.uniform(-180, 180, 3)
    box = Box(tuple(centre), tuple(size), tuple(angles), "cobalt chromium")  # type: ignore[arg-type]
    turn_x, turn_y, turn_z = (
        Rotation.from_rotvec(math.radians(angle) * axis).as_matrix() for angle, axis in zip(angles, np.eye(3), strict=True)
    )

    def inside(points: FloatArray) -> npt.NDArray[np.bool_]:
        return (np.abs((points - centre) @ (turn_z @ turn_y @ turn_x)) < size / 2).all(axis=-1)

    directions = rays()[::7, ::7]
    expected = counted(inside, directions, 550, 730)
    assert (expected > 0).sum() > 5
    np.testing.assert_allclose(thicknesses_mm([box], CAMERA)["cobalt chromium"][::7, ::7], expected, atol=0.11)


def test_thicknesses_of_one_metal_add_up_and_those_of_others_are_apart() -> None:
    plate = Box((0.0, 0.0, 700.0), (40.0, 30.0, 2.0), metal="titanium")
    wire = Cylinder((-40.0, 0.0, 600.0), (40.0, 0.0, 600.0), 2.0, "steel")
    found = thicknesses_mm([plate, wire, plate], CAMERA)
    assert set(found) == {"titanium", "steel"}
    np.testing.assert_allclose(found["titanium"], 2 * thicknesses_mm([plate], CAMERA)["titanium"])
    assert found["titanium"].max() == pytest.approx(4.0, rel=0.01)


def test_what_lies_behind_the_source_or_off_the_image_casts_no_shadow() -> None:
    behind = Cylinder((0.0, 0.0, -600.0), (10.0, 0.0, -700.0), 20.0)
    beside = Box((900.0, 0.0, 700.0), (40.0, 30.0, 2.0), metal="steel")
    assert (thicknesses_mm([behind, beside], CAMERA)["steel"] == 0).all()


def test_of_a_tool_round_the_source_only_what_lies_in_front_counts() -> None:
    camera = Camera.centred(1000.0, 1.0, (21, 21))
    found = thicknesses_mm([Cylinder((0.0, 0.0, -100.0), (0.0, 0.0, 250.0), 60.0), Box((0.0, 0.0, 0.0), (50.0, 50.0, 50.0))], camera)
    assert found["steel"][10, 10] == pytest.approx(250.0) and found["titanium"][10, 10] == pytest.approx(25.0)


def test_a_screw_has_a_wide_head_and_is_as_long_as_from_head_to_tip() -> None:
    head, shaft = screw((0.0, 0.0, 600.0), (0.0, 30.0, 600.0), 4.0)
    assert head.end == shaft.start == pytest.approx((0, 4, 600)) and shaft.end == (0.0, 30.0, 600.0)
    assert head.diameter_mm == pytest.approx(1.7 * shaft.diameter_mm)


def test_random_tools_repeat_with_their_seed_and_lie_in_the_picture() -> None:
    camera = Camera.centred(1020.0, 0.58, (256, 256))

    def shadow(seed: int) -> npt.NDArray[np.float32]:
        return np.sum(list(thicknesses_mm(sample_tools(3, camera, 700.0, np.random.default_rng(seed)), camera).values()), axis=0)

    np.testing.assert_array_equal(shadow(1), shadow(1))
    shares = [(shadow(seed) > 0).mean() for seed in range(20)]
    assert min(shares) > 0.0005 and max(shares) < 0.5 and len(set(shares)) == 20
    assert all(0 < shadow(seed).max() < 400 for seed in range(5))
    assert sample_tools(0, camera, 700.0, np.random.default_rng(0)) == ()


def make_tool(**changes: object) -> Tool:
    return Cylinder(**({"start": (0.0, 0.0, 700.0), "end": (0.0, 9.0, 700.0), "diameter_mm": 2.0} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_tool(metal="gold"), ", ".join(METALS)),
        (lambda: make_tool(end=(0.0, 0.0, 700.0)), "two different ends"),
        (lambda: make_tool(end=(math.nan, 0.0, 700.0)), "two different ends"),
        (lambda: make_tool(diameter_mm=0.0), "positive diameter"),
        (lambda: Box((0.0, 0.0, 700.0), (10.0, 0.0, 2.0)), "positive sizes"),
        (lambda: Box((math.inf, 0.0, 700.0), (10.0, 1.0, 2.0)), "finite place"),
        (lambda: Box((0.0, 0.0, 700.0), (10.0, 1.0, 2.0), metal="wood"), "no attenuation of wood"),
    ],
)
def test_impossible_tools_are_refused(make: Callable[[], Tool], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
