"""X-rays stored turned or mirrored: undone when asked, found in the header or by registration, and never undone silently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import write_dicom
from DRRSimulatorLib.camera import Camera, CArmView
from DRRSimulatorLib.errors import InputError
from hypothesis import given
from hypothesis import strategies as st
from pelvis_case import CAMERA, PelvisCase
from XRayRegistrationLib.orientation import AS_SEEN, ORIENTATIONS, Orientation, told_orientation
from XRayRegistrationLib.orientation_trial import likely_orientation, offer_in_words
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay, read_xray

PIXELS = np.random.default_rng(0).integers(0, 4096, (50, 60)).astype(np.uint16)
of_every_kind = pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda orientation: orientation.options or "as seen")


def stored(seen: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Turned clockwise, which brings the first column to the top, then mirrored."""
    for _ in range(orientation.turned_deg // 90):
        seen = seen[::-1].swapaxes(0, 1)
    return seen[:, ::-1] if orientation.mirrored else seen


@of_every_kind
def test_an_image_stored_in_any_way_is_turned_back_with_its_camera(orientation: Orientation) -> None:
    seen = np.arange(50 * 60).reshape(50, 60)
    assert np.array_equal(orientation.as_seen(stored(seen, orientation)), seen)
    camera = Camera(1000.0, (0.3, 0.4), seen.shape, (20.5, 31.25))
    column, row = np.meshgrid(np.arange(60.0), np.arange(50.0))
    # A camera of the stored image must see each pixel in the place on the detector to which the pixel was moved.
    rays = stored(camera.back_project(np.stack([column, row], axis=-1), 1000.0)[..., :2], orientation)
    spacing = (0.3, 0.4) if orientation.turned_deg % 180 == 0 else (0.4, 0.3)
    for _ in range(orientation.turned_deg // 90):
        rays = np.stack([-rays[..., 1], rays[..., 0]], axis=-1)
    if orientation.mirrored:
        rays = rays * (-1, 1)
    rows, columns = rays.shape[:2]
    point = (float(-rays[0, 0, 0] / spacing[0]), float(-rays[0, 0, 1] / spacing[1]))
    of_stored = Camera(1000.0, spacing, (rows, columns), point)
    again = orientation.as_seen_camera(of_stored)
    assert again.image_size == camera.image_size and again.pixel_spacing == camera.pixel_spacing
    assert again.principal_point == pytest.approx(camera.principal_point)


def test_other_angles_are_refused() -> None:
    with pytest.raises(InputError, match="90, 180 or 270"):
        Orientation(45)


@of_every_kind
def test_a_file_is_turned_back_when_asked(tmp_path: Path, orientation: Orientation) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.ascontiguousarray(stored(PIXELS, orientation)), DistanceSourceToDetector=1000)
    assert np.array_equal(read_xray(path, orientation=orientation).pixels, PIXELS)


LETTERS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}


def letter(direction: np.ndarray) -> str:
    return max(LETTERS, key=lambda name: float(np.dot(LETTERS[name], direction)))


def header_of(view: CArmView, orientation: Orientation, **attributes: Any) -> pydicom.Dataset:
    """PatientOrientation as the view's camera has it, of an image that is then stored in a way."""
    axes = np.asarray(view.ras_to_camera((0.0, 0.0, 0.0)))[:3, :3]
    along, down = axes[0], axes[1]
    for _ in range(orientation.turned_deg // 90):
        along, down = -down, along  # the left side, whose pixels lead upwards, comes to the top
    header = pydicom.Dataset()
    header.PatientOrientation = [letter(-along if orientation.mirrored else along), letter(down)]
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return header


@of_every_kind
@pytest.mark.parametrize(("position", "primary"), [("PA", 0.0), ("AP", 180.0)])
def test_the_header_of_a_radiograph_tells_how_it_is_stored(position: str, primary: float, orientation: Orientation) -> None:
    assert told_orientation(header_of(CArmView(primary), orientation, ViewPosition=position)) == orientation


@of_every_kind
@given(primary=st.floats(-180, 180), secondary=st.floats(-40, 40), roll=st.floats(-10, 10), modality=st.sampled_from(["XA", "RF"]))
def test_the_header_of_a_c_arm_tells_how_its_picture_is_stored(
    orientation: Orientation, primary: float, secondary: float, roll: float, modality: str
) -> None:
    angles = {"PositionerPrimaryAngle": primary, "PositionerSecondaryAngle": secondary, "Modality": modality}
    told = told_orientation(header_of(CArmView(primary, secondary, roll), orientation, **angles))
    assert told in (orientation, None)
    if abs(secondary) < 20 and abs((primary + 45) % 90 - 45) < 30:
        assert told == orientation


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"PatientOrientation": ["L", "F"]},
        {"PatientOrientation": "", "ViewPosition": "AP"},
        {"PatientOrientation": ["L", "F"], "ViewPosition": "LLO"},
        {"PatientOrientation": ["L", "L"], "ViewPosition": "AP"},
        {"PatientOrientation": ["A", "F"], "ViewPosition": "AP"},
        {"PatientOrientation": ["X", "Y"], "ViewPosition": "AP"},
        {"PatientOrientation": ["L", "F", "P"], "ViewPosition": "AP"},
        {"PatientOrientation": ["L", "F"], "Modality": "XA", "PositionerPrimaryAngle": 0},
        {"PatientOrientation": ["L", "F"], "Modality": "XA", "PositionerPrimaryAngle": 90, "PositionerSecondaryAngle": 0},
        {"PatientOrientation": ["L", "F"], "Modality": "CR", "PositionerPrimaryAngle": 0, "PositionerSecondaryAngle": 0},
    ],
)
def test_a_header_that_does_not_tell_enough_tells_nothing(attributes: dict[str, Any]) -> None:
    header = pydicom.Dataset()
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    assert told_orientation(header) is None


def test_what_the_header_tells_is_offered_and_not_done(tmp_path: Path) -> None:
    attributes = {"PatientOrientation": ["R", "F"], "ViewPosition": "AP", "Modality": "CR"}
    path = write_dicom(tmp_path / "a.dcm", PIXELS, **attributes)
    xray = read_xray(path)
    assert np.array_equal(xray.pixels, PIXELS)
    (question,) = xray.questions
    assert "mirrored" in question and "used as it is stored" in question and question.endswith("give --mirrored.")
    undone = read_xray(path, orientation=Orientation(mirrored=True))
    assert undone.questions == () and np.array_equal(undone.pixels, PIXELS[:, ::-1])


def test_a_flip_of_the_field_of_view_is_asked_about(tmp_path: Path) -> None:
    (question,) = read_xray(write_dicom(tmp_path / "a.dcm", PIXELS, FieldOfViewHorizontalFlip="YES")).questions
    assert "FieldOfViewHorizontalFlip" in question and "--mirrored" in question
    assert read_xray(write_dicom(tmp_path / "b.dcm", PIXELS, FieldOfViewHorizontalFlip="NO")).questions == ()


@pytest.mark.parametrize("name", ["RG3_UNC.dcm", "RG3_J2KR"])
def test_the_real_tibia_is_told_to_be_mirrored(shared_data: Path, name: str) -> None:
    """The letter R that lay on the cassette reads reversed in the picture."""
    (question,) = read_xray(shared_data / "xray_import" / name).questions
    assert question.endswith("give --mirrored.")


@pytest.mark.parametrize("orientation", [Orientation(mirrored=True), Orientation(90)])
def test_the_way_an_xray_was_stored_is_found_by_registering_it_each_way(pelvis: PelvisCase, orientation: Orientation) -> None:
    seen = View(XRay.from_pixels(pelvis.pixels(), "intensity"), CAMERA)
    turned = XRay.from_pixels(stored(pelvis.pixels(), orientation), "intensity")
    refiner = Refiner(pelvis.patient.projector, pelvis.model.description.centre_ras, pelvis.patient.ct)
    found = likely_orientation(replace(seen, xray=turned), pelvis.patient.ct, pelvis.model, refiner)
    assert found == orientation
    assert f"register again with {orientation.options}." in offer_in_words(orientation)


def test_the_options_name_what_they_undo() -> None:
    assert AS_SEEN.options == "" and Orientation(90, True).options == "--turned 90 --mirrored"
