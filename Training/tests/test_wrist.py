"""The real wrist: radiographs, calibrations, volumes and reference poses fit together, checked by the images' edges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from DRRSimulatorLib.bone import read_labels
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.errors import InputError
from scipy.ndimage import binary_erosion, gaussian_filter
from xray_training.cli_evaluate import evaluate_suite
from xray_training.cli_prepare import prepare
from xray_training.suites import Patient
from xray_training.wrist import BONES, WristSuite, bone_ct
from XRayRegistrationLib.model import Model, ModelDescription, build_network, save_model


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "wrist_biplane"


@pytest.fixture(scope="module")
def suite(folder: Path) -> WristSuite:
    return WristSuite.of_model(folder, bone_ct(folder, "radius").fingerprint)


@pytest.fixture(scope="module")
def radius(suite: WristSuite) -> Patient:
    return suite.patient()


@pytest.mark.parametrize("bone", list(BONES))
def test_the_files_for_the_training_are_of_the_ct_that_the_suite_knows(bone: str, folder: Path, tmp_path: Path) -> None:
    prepare("wrist-real", folder, tmp_path)
    ct, labels_file = read_ct(tmp_path / f"{bone}.nrrd"), tmp_path / f"{bone}_labels.nrrd"
    assert ct.fingerprint == bone_ct(folder, bone).fingerprint
    assert WristSuite.of_model(folder, ct.fingerprint).bone == bone
    bones = read_labels(labels_file, ct)
    np.testing.assert_array_equal(bones.labels > 0, ct.hu > -1000)
    assert bones.names == {1: bone}
    assert 1000 < ct.hu.max() < 3100  # cortical bone, in HU


def test_cases_are_either_camera_alone_and_both_together(suite: WristSuite, radius: Patient) -> None:
    cases = list(suite.cases(radius))
    assert [len(case.views) for case in cases] == [1, 1, 2, 1, 1, 2]
    assert [case.notes["frame"] for case in cases] == ["0099"] * 3 + ["0158"] * 3
    for case in cases:
        for view in case.views:
            pose = view.rig_to_camera @ case.ras_to_rig
            points = view.camera.project(transform_points(pose, radius.surface_points))
            assert view.camera.contains(points).all() and view.xray.polarity == "intensity"
            column, row = np.rint(points).astype(int).T
            assert view.image[row, column].mean() > view.image[view.xray.field].mean() + 0.2  # bone is bright in the normalised image


def edges(image: FloatArray) -> FloatArray:
    """Gradient [axis, row, column] of an image without its coarse brightness."""
    return np.stack(np.gradient(gaussian_filter(image, 1.0) - gaussian_filter(image, 8.0)))


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_at_the_reference_the_edges_of_the_bone_lie_over_those_of_the_radiograph(suite: WristSuite, radius: Patient, number: int) -> None:
    """Of all shifts of the DRR by up to 10 pixels of 0.66 mm none correlates better than one of a pixel or less."""
    case = suite.case(number, radius)
    camera = case.view.camera.resized((440, 440))
    bone = radius.projector.line_integrals(camera, case.ras_to_camera[None]).numpy()[0].sum(axis=0)
    inside = binary_erosion(bone > 0, iterations=3)
    row, column = np.nonzero(inside)
    image = case.view.image.reshape(440, 4, 440, 4).mean(axis=(1, 3))
    drr, radiograph = edges(bone)[:, row, column], edges(image)
    shifts = range(-10, 11)
    similarity = [[np.corrcoef(drr.ravel(), radiograph[:, row + y, column + x].ravel())[0, 1] for x in shifts] for y in shifts]
    y, x = np.unravel_index(np.argmax(similarity), (21, 21))
    assert np.hypot(y - 10, x - 10) <= 1.5 and similarity[y][x] > 0.4


def test_a_model_of_another_bone_is_refused_in_a_sentence(folder: Path) -> None:
    with pytest.raises(InputError, match="neither radius nor ulna"):
        WristSuite.of_model(folder, "0" * 64)


def test_a_folder_without_the_data_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no models.rad_dcm_cropped\.tif"):
        WristSuite.of_model(tmp_path, "0" * 64)


def test_a_model_that_finds_nothing_fails_in_every_case_of_scr_evaluate(folder: Path, radius: Patient, tmp_path: Path) -> None:
    description = ModelDescription(
        ct_fingerprint=radius.ct.fingerprint,
        labels={1: "radius"},
        centre_ras=(0.0, 0.0, 0.0),
        scale_mm=40.0,
        camera=Camera.centred(1020.0, 148 / 128, (128, 128)),
        channels=(4, 8),
    )
    save_model(tmp_path / "untrained.safetensors", Model(build_network(description).eval(), description))
    json_file, report = tmp_path / "wrist.json", tmp_path / "report"
    evaluate_suite(json_file, "wrist-real", tmp_path / "untrained.safetensors", refine=True, report=report, data=folder, device="cpu")
    values = json.loads(json_file.read_text())
    assert values["suite"] == "wrist-real" and values["n"] == values["n_failed"] == 6
    assert [case["notes"]["cameras"] for case in values["cases"]] == 2 * [["cam01"], ["cam02"], ["cam01", "cam02"]]
    assert "bronze standard" in (report / "report.html").read_text()
