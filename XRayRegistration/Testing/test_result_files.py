"""The files of a registration: numbers that agree with it, a point cloud, and a scene that Slicer reads as it was meant."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import FloatArray, transform_points
from small_patient import CENTRE_RAS, SmallPatient
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader
from XRayRegistrationLib.metrics import pose_error
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.result_files import write_results
from XRayRegistrationLib.scene_file import write_scene

NAMES = ['somewhere/first & <"1">.dcm', "second.png"]


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    patient: SmallPatient,
    registration: Registration,
    description: ModelDescription,
    true_ras_to_rig: FloatArray,
) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_results(folder, registration, NAMES, description, patient.ct, patient.surfaces, patient.projector, true_ras_to_rig)
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return numbers


@pytest.fixture(scope="module")
def scene(folder: Path) -> dict[str, Any]:
    """What 3D Slicer makes of the scene; in a process of its own, as importing slicer changes the interpreter."""
    if importlib.util.find_spec("slicer_core") is None:
        pytest.skip("slicer-core is not installed, whose classes read the scene as 3D Slicer does")
    answer = folder / "answer.json"
    reader = Path(__file__).with_name("read_scene_in_slicer.py")
    reading = subprocess.run([sys.executable, reader, folder / "scene.mrb", answer], capture_output=True, text=True)
    assert (reading.returncode, reading.stdout, reading.stderr) == (0, "", "")  # not one warning of Slicer's
    seen: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return seen


def in_world(node: dict[str, Any], points: Any) -> FloatArray:
    return transform_points(node["to_world"], points)


def test_every_file_is_there_and_nothing_else(folder: Path, scene: dict[str, Any]) -> None:
    names = {"result.json", "overlay_1.png", "overlay_2.png", "point_cloud.vtp", "scene.mrb", "answer.json"}
    assert {path.name for path in folder.iterdir()} == names


def test_the_numbers_are_those_of_the_registration(
    result: dict[str, Any], registration: Registration, description: ModelDescription
) -> None:
    np.testing.assert_array_equal(result["ras_to_rig"], registration.ras_to_rig)
    for number, view in enumerate(result["views"]):
        np.testing.assert_array_equal(view["ras_to_camera"], np.array(view["rig_to_camera"]) @ result["ras_to_rig"])
        assert view["inliers"] == registration.estimate.inliers[number].sum() < view["correspondences"]
        assert 0.5 < view["inlier_sigma_mm"]["p10"] < view["inlier_sigma_mm"]["median"] < view["inlier_sigma_mm"]["p90"] < 3
    assert [view["xray"] for view in result["views"]] == ['first & <"1">.dcm', "second.png"]
    assert result["model"] == {"ct_fingerprint": description.ct_fingerprint, "labels": {"1": "bone"}}
    assert result["refinement"] == {"similarity_before": 0.8, "similarity": 0.9}
    assert "research use only" in result["note"].lower()


def test_standard_deviations_are_in_degrees_and_millimetres(result: dict[str, Any], registration: Registration) -> None:
    before = result["before_refinement"]
    rotation, translation = np.split(np.sqrt(np.diag(registration.estimate.covariance)), 2)
    np.testing.assert_allclose(before["rotation_standard_deviations_deg"], rotation * 180 / np.pi)
    np.testing.assert_allclose(before["translation_standard_deviations_mm"], translation)


def test_errors_are_measured_in_every_camera_against_the_reference(
    result: dict[str, Any], patient: SmallPatient, registration: Registration, true_ras_to_rig: FloatArray
) -> None:
    points = patient.surfaces["bone"].sample(5000, np.random.default_rng(9))
    for number, (view, measured) in enumerate(zip(registration.views, result["errors"], strict=True)):
        truth = view.rig_to_camera @ true_ras_to_rig
        expected = pose_error(registration.ras_to_camera(number), truth, view.camera, points, points.mean(axis=0))
        assert measured["rotation_deg"] == pytest.approx(expected.rotation_deg)
        assert measured["mtre_mm"] == pytest.approx(expected.mtre_mm, rel=0.02)
        assert 0.5 < measured["mtre_mm"] < 2  # the registration was put off by 1 mm and 0.3 degrees


def test_no_reference_gives_no_errors_and_no_refinement_no_similarity(
    tmp_path: Path, patient: SmallPatient, registration: Registration, description: ModelDescription
) -> None:
    plain = replace(registration, refinement=None)
    write_results(tmp_path, plain, NAMES, description, patient.ct, patient.surfaces, patient.projector)
    numbers = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert numbers["errors"] is None and numbers["refinement"] is None


def test_the_point_cloud_holds_the_agreeing_points_with_their_sigma(folder: Path, registration: Registration) -> None:
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(folder / "point_cloud.vtp"))
    reader.Update()
    cloud = reader.GetOutput()
    sigma, surface, view = (vtk_to_numpy(cloud.GetPointData().GetArray(name)) for name in ("sigma_mm", "surface", "view"))
    points = vtk_to_numpy(cloud.GetPoints().GetData())
    for number, (correspondences, inliers) in enumerate(zip(registration.correspondences, registration.estimate.inliers, strict=True), 1):
        np.testing.assert_allclose(points[view == number], correspondences.points_ras[inliers], atol=1e-4)
        np.testing.assert_allclose(sigma[view == number], correspondences.sigma_mm[inliers], rtol=1e-6)
        depth = transform_points(registration.ras_to_camera(number - 1), points[view == number])[:, 2]
        assert depth[surface[view == number] == 0].mean() < depth[surface[view == number] == 1].mean() - 10  # entry lies before exit


def test_the_bundle_holds_one_folder_and_no_path_that_leaves_it(folder: Path) -> None:
    with zipfile.ZipFile(folder / "scene.mrb") as bundle:
        assert bundle.testzip() is None
        names = bundle.namelist()
    assert "scene/scene.mrml" in names
    assert all(name.startswith("scene/") and ".." not in name and "\\" not in name for name in names)


def test_slicer_finds_the_ct_where_it_was(scene: dict[str, Any], patient: SmallPatient) -> None:
    node = scene["nodes"]["CT"]
    voxels = np.array(node["voxels"])
    rng = np.random.default_rng(0)
    k, j, i = np.array(np.nonzero(voxels > 500))[:, rng.integers(0, np.count_nonzero(voxels > 500), 200)]
    positions = transform_points(node["ijk_to_ras"], np.stack([i, j, k], axis=1))  # Slicer turns left-handed axes round
    original = transform_points(np.linalg.inv(patient.ct.ijk_to_ras), positions)
    indices = np.rint(original).astype(int)
    np.testing.assert_allclose(original, indices, atol=1e-3)
    np.testing.assert_array_equal(patient.ct.hu[indices[:, 2], indices[:, 1], indices[:, 0]], 800)
    assert np.count_nonzero(voxels > 500) == np.count_nonzero(patient.ct.hu > 500)
    assert node["window"] == [1200, 400, 0]


@pytest.mark.parametrize("number", [0, 1])
def test_slicer_places_the_xray_on_its_detector(scene: dict[str, Any], registration: Registration, number: int) -> None:
    name = Path(NAMES[number]).stem
    view, node = registration.views[number], scene["nodes"][name]
    camera = view.camera
    rng = np.random.default_rng(1)
    column, row = rng.integers(0, camera.image_size[::-1], (50, 2)).T
    in_ras = in_world(node, transform_points(node["ijk_to_ras"], np.stack([column, row, 0 * row], axis=1)))
    in_camera = transform_points(registration.ras_to_camera(number), in_ras)
    np.testing.assert_allclose(in_camera[:, 2], camera.source_to_detector_distance, atol=1e-6)
    np.testing.assert_allclose(camera.project(in_camera), np.stack([column, row], axis=1), atol=1e-6)
    np.testing.assert_array_equal(np.array(node["voxels"], dtype=np.float32)[0], view.xray.pixels)
    assert node["under"] == f"{name} camera"
    low, high = node["bounds"][::2], node["bounds"][1::2]
    assert (in_ras > np.array(low) - 1e-6).all() and (in_ras < np.array(high) + 1e-6).all()


@pytest.mark.parametrize("number", [0, 1])
def test_slicer_places_the_drr_on_the_same_detector(scene: dict[str, Any], registration: Registration, number: int) -> None:
    xray, drr = (scene["nodes"][f"{Path(NAMES[number]).stem}{suffix}"] for suffix in ("", " DRR"))
    np.testing.assert_allclose(xray["bounds"], drr["bounds"], atol=1e-6)
    pixels, integrals = np.array(xray["voxels"]), np.array(drr["voxels"])
    assert np.corrcoef(np.log(pixels.ravel()), integrals.ravel())[0, 1] < -0.99  # intensity falls where the integral rises


@pytest.mark.parametrize("number", [0, 1])
def test_slicer_draws_the_beam_from_the_source_to_the_principal_point(
    scene: dict[str, Any], registration: Registration, number: int
) -> None:
    node, camera = scene["nodes"][f"{Path(NAMES[number]).stem} beam"], registration.views[number].camera
    source, hit = transform_points(registration.ras_to_camera(number), node["ends"])
    np.testing.assert_allclose(source, 0, atol=1e-6)
    np.testing.assert_allclose(camera.project(hit), camera.principal_point, atol=1e-6)
    assert hit[2] == pytest.approx(camera.source_to_detector_distance) and node["locked"]


def test_slicer_places_bone_and_point_cloud_in_the_patient(
    scene: dict[str, Any], patient: SmallPatient, registration: Registration
) -> None:
    bone, cloud = scene["nodes"]["bone"], scene["nodes"]["point cloud"]
    np.testing.assert_allclose(in_world(bone, bone["points"]), patient.surfaces["bone"].points, atol=1e-4)
    assert bone["cells"]["triangles"] == len(patient.surfaces["bone"].triangles) and bone["opacity"] < 1
    points = np.concatenate([c.points_ras[i] for c, i in zip(registration.correspondences, registration.estimate.inliers, strict=True)])
    np.testing.assert_allclose(in_world(cloud, cloud["points"]), points, atol=1e-4)
    assert cloud["scalar"] == "sigma_mm" and cloud["cells"]["vertices"] == len(points)
    assert np.linalg.norm(np.mean(cloud["bounds"], axis=0) - CENTRE_RAS.mean()) < 100


@pytest.mark.parametrize("number", [0, 1])
def test_slicer_draws_the_outline_on_the_detector_around_the_bones_shadow(
    scene: dict[str, Any], patient: SmallPatient, registration: Registration, number: int
) -> None:
    outline = scene["nodes"][f"{Path(NAMES[number]).stem} outline"]
    in_camera = transform_points(registration.ras_to_camera(number), in_world(outline, outline["points"]))
    camera = registration.views[number].camera
    np.testing.assert_allclose(in_camera[:, 2], camera.source_to_detector_distance, atol=1e-3)
    drawn = camera.project(in_camera)
    shadow = camera.project(transform_points(registration.ras_to_camera(number), patient.surfaces["bone"].points))
    rows, columns = camera.image_size
    on_detector = shadow.clip(0, (columns - 1, rows - 1))
    np.testing.assert_allclose([drawn.min(axis=0), drawn.max(axis=0)], [on_detector.min(axis=0), on_detector.max(axis=0)], atol=1.5)
    assert outline["cells"]["lines"] == 3


def test_slicer_shows_the_xrays_upright_in_its_first_views_and_the_ct_in_the_next(
    scene: dict[str, Any], registration: Registration
) -> None:
    for number, view in enumerate(("Red", "Yellow")):
        shown, camera = scene["views"][view], registration.views[number].camera
        assert shown["volume"] == Path(NAMES[number]).stem and shown["in_3d"]
        to_camera = registration.ras_to_camera(number) @ np.array(shown["slice_to_ras"])
        np.testing.assert_allclose(to_camera[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-9)  # rows of the image run down
        rows, columns = camera.image_size
        np.testing.assert_allclose(camera.project(to_camera[:3, 3]), ((columns - 1) / 2, (rows - 1) / 2), atol=1e-6)
        assert shown["extent_mm"] == pytest.approx([max(columns * camera.pixel_spacing[0], rows * camera.pixel_spacing[1])] * 2)
    assert scene["views"]["Green"]["volume"] == "CT" and not scene["views"]["Green"]["in_3d"]


def test_names_that_xml_cannot_hold_do_not_spoil_the_scene(tmp_path: Path, patient: SmallPatient, registration: Registration) -> None:
    from xml.etree import ElementTree

    surfaces = {"hip\x00\x1b;:left": patient.surfaces["bone"]}
    write_scene(tmp_path / "scene.mrb", registration, ["\udcff\x07", ""], patient.ct, surfaces, patient.projector)
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        root = ElementTree.fromstring(bundle.read("scene/scene.mrml"))
    assert "hip;:left" in {element.get("name") for element in root}
