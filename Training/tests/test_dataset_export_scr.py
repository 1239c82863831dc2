"""The export to plain files: read with general readers and registered, without a line of the exporter or of the data set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels, read_labels, segment_bone
from DRRSimulatorLib.camera import Camera, CArmView, transform_points
from DRRSimulatorLib.ct import CTVolume, read_ct
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.patient import prepare_patient
from DRRSimulatorLib.progress import Cancelled
from xray_training.suites import PELVIS_CT
from XRayRegistrationLib.model import load_model
from XRayRegistrationLib.pose import Correspondences, solve_pose
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import register
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import read_xray

pytest.importorskip("zarr")

from stored_xrays import write_patient
from xray_training.cli_data import Layout, Split, export
from xray_training.dataset.export_scr import export_scr
from xray_training.dataset.selection import choose_views
from xray_training.dataset.stored import XRayDataset

SIZE = 256
CAMERA = Camera.centred(1020.0, 297 / SIZE, (SIZE, SIZE))
SMALL = CAMERA.resized((64, 64))
VIEWS = [CArmView(primary, 8.0, 5.0, (4.0, -9.0)) for primary in (12.0, 25.0, -40.0, 70.0, 10.0)]
PELVIS_MODEL = Path(sys.modules[load_model.__module__].__file__ or "").parent / "data" / "pelvis.safetensors"

pytestmark = pytest.mark.filterwarnings("ignore:.*TIFF.*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, phantom_ct: CTVolume, phantom_bones: BoneLabels) -> Path:
    """Small X-rays of the phantom with two bones, and larger ones of the sample's pelvis."""
    path = tmp_path_factory.mktemp("dataset")
    labels = phantom_bones.labels.copy()
    labels[..., labels.shape[2] // 2 :] *= 3
    two_bones = BoneLabels(labels, phantom_bones.ijk_to_ras, {1: "bone", 3: "Bone"})  # names that some file systems take for one
    write_patient(path, "phantom", phantom_ct, two_bones, SMALL, VIEWS)
    return path


@pytest.fixture(scope="module")
def pelvis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's pelvis, exported."""
    path = tmp_path_factory.mktemp("pelvis")
    ct = read_ct(PELVIS_CT)
    write_patient(path / "dataset", "pelvis", ct, segment_bone(ct), CAMERA, VIEWS[:2])
    export(path / "dataset", Layout.scr, path / "scr")
    return path / "scr" / "VOL-pelvis"


def read_tiff(path: Path) -> Any:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def camera_of(annotation: dict[str, Any]) -> Camera:
    intrinsic = annotation["intrinsic"]
    size = (intrinsic["sensor-height"], intrinsic["sensor-width"])
    camera = Camera.from_matrix(intrinsic["matrix"], size, intrinsic["source-to-detector-distance"])
    np.testing.assert_allclose(camera.pixel_spacing, intrinsic["pixel-size"])
    return camera


def mtre(found: np.ndarray, annotation: dict[str, Any], points: np.ndarray) -> float:
    """Mean distance of points that the found and the true pose move, mm."""
    moved = transform_points(found, points) - transform_points(annotation["extrinsic"], points)
    return float(np.linalg.norm(moved, axis=1).mean())


def test_the_correspondences_in_the_files_give_the_pose_in_the_files(pelvis: Path) -> None:
    for name in read_json(pelvis / "train.json"):
        annotation = read_json(pelvis / "annotations" / f"{name}.json")
        entry, exit_ = (read_tiff(pelvis / "correspondences" / f"{name}_{surface}.tiff") for surface in ("entry", "exit"))
        assert entry.dtype == np.float32 and entry.shape == (SIZE, SIZE, 3)
        valid = (entry != 0).all(axis=2)
        np.testing.assert_array_equal(valid, (exit_ != 0).all(axis=2))
        row, column = np.nonzero(valid)
        pixels = np.concatenate([np.stack([column, row], axis=1)] * 2).astype(float)
        points = np.concatenate([entry[valid], exit_[valid]]).astype(float)
        some = np.random.default_rng(0).choice(len(points), 2000, replace=False)
        estimate = solve_pose([Correspondences(pixels[some], points[some], np.full(2000, 0.1), camera_of(annotation))])
        # However deep, points lie on their rays; what is left is the rounding of 32-bit coordinates.
        assert mtre(estimate.ras_to_rig, annotation, points[some]) < 1e-3


def test_a_registration_of_the_exported_files_finds_the_pose_in_the_files(pelvis: Path) -> None:
    """All that xray-register needs: the X-ray, its camera, the CT; the model that comes with it knows this CT."""
    name = "view_00000"
    annotation = read_json(pelvis / "annotations" / f"{name}.json")
    ct = read_ct(pelvis / "ct.nrrd")
    patient = prepare_patient(ct, read_labels(pelvis / "ct_labels.nrrd", ct))
    view = View(read_xray(pelvis / "images" / f"{name}.tiff", "intensity"), camera_of(annotation))
    result = register([view], ct, load_model(PELVIS_MODEL, "cpu"), Refiner(patient.projector, patient.centre_ras, ct))
    entry = read_tiff(pelvis / "correspondences" / f"{name}_entry.tiff")
    points = entry[(entry != 0).all(axis=2)][::50].astype(float)
    assert result.origin == "model"
    assert mtre(result.ras_to_camera(), annotation, points) < 0.1


def test_points_project_onto_their_pixels_and_surfaces_lie_where_they_are(pelvis: Path) -> None:
    from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance
    from vtkmodules.vtkIOGeometry import vtkSTLReader

    annotation = read_json(pelvis / "annotations" / "view_00001.json")
    k, extrinsic = np.array(annotation["intrinsic"]["matrix"]), np.array(annotation["extrinsic"])
    entry = read_tiff(pelvis / "correspondences" / "view_00001_entry.tiff")
    row, column = np.nonzero((entry != 0).all(axis=2))
    points = entry[row, column].astype(float)
    u, v, w = k @ (extrinsic[:3, :3] @ points.T + extrinsic[:3, 3:])
    np.testing.assert_allclose([u / w, v / w], [column, row], atol=1e-3)
    for name, place in annotation["vol-landmarks"].items():
        u, v, w = k @ (extrinsic[:3, :3] @ place + extrinsic[:3, 3])
        np.testing.assert_allclose(annotation["proj-landmarks"][name], [u / w, v / w], atol=1e-6)
    reader = vtkSTLReader()
    reader.SetFileName(str(pelvis / "bone_in_world_coordinate.stl"))
    reader.Update()
    surface = vtkImplicitPolyDataDistance()
    surface.SetInput(reader.GetOutput())
    distance = [abs(surface.EvaluateFunction(point)) for point in points[::100]]
    assert np.percentile(distance, 95) < 0.5


def test_images_splits_and_acquisition_are_those_of_the_data_set(folder: Path, tmp_path: Path) -> None:
    export(folder, Layout.scr, tmp_path / "scr")
    place, patient = tmp_path / "scr" / "VOL-phantom", XRayDataset(folder).patient("phantom")
    splits = {split: read_json(place / f"{split}.json") for split in ("train", "validation", "test")}
    assert splits == {"train": ["view_00000", "view_00001", "view_00002"], "validation": ["view_00003"], "test": ["view_00004"]}
    for number in range(5):
        pixels = read_tiff(place / "images" / f"view_{number:05d}.tiff")
        assert pixels.dtype == np.uint16
        np.testing.assert_array_equal(pixels, patient.read("image", number))
        annotation = read_json(place / "annotations" / f"view_{number:05d}.json")
        assert (annotation["split"], annotation["kilovolts"], annotation["photons"]) == (patient.values("split")[number], 90, 1e5)
    assert "licence: none needed" in (tmp_path / "scr" / "README.md").read_text(encoding="utf-8")


def test_every_bone_has_files_of_its_own(folder: Path, tmp_path: Path) -> None:
    export(folder, Layout.scr, tmp_path / "scr", ["phantom"], Split.test)
    place, patient = tmp_path / "scr" / "VOL-phantom", XRayDataset(folder).patient("phantom")
    assert [path.name for path in (place / "images").iterdir()] == ["view_00004.tiff"]
    expected = patient.view(4).coordinates
    for bone, name in enumerate(("bone_1", "Bone_3")):
        for surface, where in enumerate(("entry", "exit")):
            points = read_tiff(place / "correspondences" / f"view_00004_{name}_{where}.tiff")
            np.testing.assert_array_equal(np.where(points == 0, np.nan, points), np.moveaxis(expected[bone, surface], 0, -1))
        assert (place / f"{name}_in_world_coordinate.stl").is_file()


def test_other_tiff_readers_read_the_files(folder: Path, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    export(folder, Layout.scr, tmp_path / "scr", ["phantom"], Split.test)
    for path in (tmp_path / "scr").rglob("*.tiff"):
        np.testing.assert_array_equal(tifffile.imread(path), read_tiff(path))


def test_a_coordinate_of_exactly_zero_does_not_void_its_pixel(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_axis = np.zeros((2, 2, 3, *SMALL.image_size), dtype=np.float32)
    monkeypatch.setattr("xray_training.dataset.export_scr.scene_coordinates", lambda *arguments: on_the_axis)
    export(folder, Layout.scr, tmp_path / "scr", ["phantom"], Split.test)
    points = read_tiff(tmp_path / "scr" / "VOL-phantom" / "correspondences" / "view_00004_bone_1_entry.tiff")
    assert (points != 0).all() and np.abs(points).max() < 1e-5


def test_a_stopped_export_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    with pytest.raises(Cancelled, match="Stopped after 1 of 5"):
        export(folder, Layout.scr, tmp_path / "scr", stop_file=tmp_path / "stop")
    assert [path.name for path in tmp_path.iterdir()] == ["stop"]


def test_a_killed_export_leaves_nothing_under_its_name_and_the_next_one_succeeds(folder: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from xray_training.dataset.export_scr import export_scr;"
        "from xray_training.dataset.selection import choose_views; from xray_training.dataset.stored import XRayDataset;"
        "export_scr(choose_views(XRayDataset(Path(sys.argv[1]))), Path(sys.argv[2]), lambda *done: os.kill(os.getpid(), 9))"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(folder), str(tmp_path / "scr")], env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "scr").exists() and list(tmp_path.iterdir())
    export_scr(choose_views(XRayDataset(folder)), tmp_path / "scr", lambda done, details: None)
    assert [path.name for path in tmp_path.iterdir()] == ["scr"]


def test_an_export_overwrites_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scr").mkdir()
    with pytest.raises(InputError, match="exists already"):
        export(folder, Layout.scr, tmp_path / "scr")
    with pytest.raises(InputError, match="does not exist; create it"):
        export(folder, Layout.scr, tmp_path / "missing" / "scr")
