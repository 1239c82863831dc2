"""The exposed field and the polarity found in images whose truth is known by construction, and in real radiographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.exposed_field import Collimation, exposure
from DRRSimulatorLib.physics import realistic, simulate_xray
from hypothesis import given, settings
from hypothesis import strategies as st
from pelvis_case import CAMERA, PelvisCase
from scipy import ndimage
from XRayRegistrationLib.exposed_field import exposed_field, guess_polarity
from XRayRegistrationLib.xray import normalised, read_xray

ROWS, COLUMNS = 200, 240
ROW, COLUMN = np.mgrid[:ROWS, :COLUMNS].astype(np.float64)


def limb(rng: np.random.Generator) -> np.ndarray:
    """Attenuation of a limb with a bone that crosses the image, seen in open beam, with noise."""
    across = COLUMN - 120 + 0.2 * (ROW - 100)
    flesh = 2 * np.sqrt(np.clip(45**2 - across**2, 0, None)) / 90
    bone = 2 * np.sqrt(np.clip(15**2 - (across - 10) ** 2, 0, None)) / 30
    return flesh + bone + rng.normal(0, 0.01, (ROWS, COLUMNS))


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return (ROW - row) ** 2 + (COLUMN - column) ** 2 < radius**2


def rectangle(row: float, column: float, half_height: float, half_width: float, angle: float) -> np.ndarray:
    x, y = COLUMN - column, ROW - row
    turned_x, turned_y = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (abs(turned_x) < half_width) & (abs(turned_y) < half_height)


fields = st.one_of(
    st.builds(disc, st.floats(90, 110), st.floats(105, 135), st.floats(70, 105)),
    st.builds(rectangle, st.floats(90, 110), st.floats(105, 135), st.floats(50, 85), st.floats(60, 110), st.floats(-0.3, 0.3)),
)


def assert_is_field(found: np.ndarray, truth: np.ndarray) -> None:
    assert not (found & ~truth).any()
    assert found.sum() > 0.85 * truth.sum()


@settings(max_examples=20, deadline=None)
@given(truth=fields, leak=st.floats(0, 0.02), seed=st.integers(0, 2**32 - 1))
def test_collimated_and_round_fields_are_found_and_cut_back(truth: np.ndarray, leak: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    blurred = ndimage.gaussian_filter(truth.astype(float), 1.0) + leak
    intensity = 4000 * np.exp(-limb(rng)) * blurred + rng.normal(0, 5, truth.shape)
    found = exposed_field(intensity, "intensity")
    assert_is_field(found, truth)
    assert np.array_equal(exposed_field(-intensity, "attenuation"), found)


@pytest.mark.parametrize("kilovolts", [60, 120])
@pytest.mark.parametrize(
    "collimation",
    [
        Collimation("round", 260, 260, (8, -5)),
        Collimation("round", 190, 190, (-30, 40)),
        Collimation("rectangular", 200, 250, (20, 10), 8),
        Collimation("rectangular", 180, 170, (-40, -35), -10),
    ],
)
def test_the_collimators_of_our_own_simulator_are_found_with_scatter_and_noise(
    pelvis: PelvisCase, collimation: Collimation, kilovolts: int
) -> None:
    taken = replace(realistic(kilovolts), photons=20_000.0, collimation=collimation)
    integrals = pelvis.patient.projector.line_integrals(CAMERA, pelvis.poses[0][None]).numpy()[0]
    intensity = simulate_xray(integrals, CAMERA, np.random.default_rng(0), taken)
    assert_is_field(exposed_field(intensity, "intensity"), exposure(collimation, CAMERA) > 0.3)


@settings(max_examples=20, deadline=None)
@given(truth=fields, seed=st.integers(0, 2**32 - 1))
def test_black_shutters_are_found_on_images_with_bright_bone(truth: np.ndarray, seed: int) -> None:
    body = 3 + limb(np.random.default_rng(seed))
    assert_is_field(exposed_field(np.where(truth, body, 0), "attenuation"), truth)


@pytest.mark.parametrize("polarity", ["intensity", "attenuation"])
def test_image_without_border_is_exposed_everywhere(polarity: str) -> None:
    attenuation = limb(np.random.default_rng(0))
    image = 4000 * np.exp(-attenuation) if polarity == "intensity" else attenuation
    assert exposed_field(image, polarity).all()


def test_letters_in_the_dark_border_do_not_belong_to_the_field() -> None:
    truth = disc(100, 120, 85)
    image = np.where(truth, 4000 * np.exp(-limb(np.random.default_rng(0))), 0)
    image[5:12, 5:8] = image[5:8, 5:12] = 4000
    assert_is_field(exposed_field(image, "intensity"), truth)


def test_large_image_has_the_field_of_its_reduced_copy() -> None:
    truth = disc(100, 120, 85)
    image = np.where(truth, 4000 * np.exp(-limb(np.random.default_rng(0))), 0)
    large = exposed_field(np.kron(image, np.ones((7, 7))), "intensity")
    assert large.shape == (7 * ROWS, 7 * COLUMNS)
    assert_is_field(large, np.kron(truth, np.ones((7, 7), bool)))


@pytest.mark.parametrize("axis", [1, 2])
def test_projections_of_a_ct_without_collimation_are_exposed_everywhere(shared_data: Path, axis: int) -> None:
    hu = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_data / "pelvis_ct" / "ct.nii.gz"))).astype(np.float64)
    attenuation = 0.06 * (np.clip(hu + 1000, 0, None) / 1000).sum(axis=axis)  # 3 mm voxels, 0.02 per mm
    for image, polarity in ((attenuation, "attenuation"), (4000 * np.exp(-attenuation), "intensity")):
        assert exposed_field(image, polarity).all()
        assert guess_polarity(image) == polarity


@settings(max_examples=10, deadline=None)
@given(truth=fields, seed=st.integers(0, 2**32 - 1))
def test_guessed_polarity_turns_with_the_image(truth: np.ndarray, seed: int) -> None:
    intensity = np.where(truth, 4000 * np.exp(-limb(np.random.default_rng(seed))), 0)
    assert guess_polarity(intensity) == "intensity"
    assert guess_polarity(-intensity) == "attenuation"


@pytest.mark.parametrize("camera", ["cam01", "cam02"])
def test_field_of_the_wrist_radiographs_is_the_disc_without_its_rim(shared_data: Path, camera: str) -> None:
    xray = read_xray(shared_data / "wrist_biplane" / "radiographs" / f"xr_rad_uln_{camera}_UND.0099.tif")
    assert xray.polarity == "intensity"
    field = xray.field
    rows, columns = np.nonzero(field)
    row, column = np.mgrid[: field.shape[0], : field.shape[1]]
    equal_disc = (row - rows.mean()) ** 2 + (column - columns.mean()) ** 2 < field.sum() / np.pi
    assert (field & equal_disc).sum() > 0.97 * (field | equal_disc).sum()
    # Bone stands out; the rim that is left is fainter than that.
    rim = field & (ndimage.distance_transform_edt(np.pad(field, 1))[1:-1, 1:-1] < 20)
    assert np.percentile(normalised(xray)[rim], 75) < 0.6
    # Beyond the open beam's edge the corners are unexposed.
    assert xray.pixels[~field].mean() < 0.3 * xray.pixels[field].mean()


@pytest.mark.parametrize("name", ["IM-0001-0020.dcm", "IM-0001-0041.dcm", "XA1_UNC.dcm"])
def test_field_of_fluoroscopy_leaves_the_black_corners_out_and_keeps_the_disc(shared_data: Path, name: str) -> None:
    xray = read_xray(shared_data / "xray_import" / name)
    black = ndimage.binary_opening(xray.pixels == 0, iterations=3)
    assert not (xray.field & black).any()
    assert xray.field.sum() > 0.9 * (~black).sum()


def test_field_of_collimated_radiographs_lies_between_the_blades(shared_data: Path) -> None:
    tibia = read_xray(shared_data / "xray_import" / "RG3_UNC.dcm")
    assert (tibia.pixels[~tibia.field] == 1023).mean() > 0.7
    assert (tibia.pixels[tibia.field] < 1023).all()
    hip = read_xray(shared_data / "xray_import" / "RG2_UNC.dcm")
    assert not hip.field[:, :80].any() and not hip.field[:, -60:].any()
    assert hip.field[300:1700, 250:1350].all()
