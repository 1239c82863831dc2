"""The export to one HDF5 file: by the layout's own words, and as the reader of the real data set reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled

pytest.importorskip("zarr")

from stored_xrays import write_patient
from true_coordinates import use_true_coordinates
from xray_training.cli_data import Layout, Split, export
from xray_training.dataset.stored import StoredPatient, XRayDataset
from xray_training.deepfluoro import open_deepfluoro
from xray_training.deepfluoro_suite import DeepFluoroSuite
from xray_training.evaluate import evaluate_case
from XRayRegistrationLib.model import Model
from XRayRegistrationLib.refine import Refiner

h5py = pytest.importorskip("h5py")

BORDER = 50  # pixels
SIZE = 192
CAMERA = Camera(1020.0, (1.55, 1.55), (SIZE, SIZE), (90.0, 97.3))  # an off-centre principal point tells columns from rows
VIEWS = [CArmView(primary, 8.0, 5.0, (4.0, -9.0)) for primary in (0.0, 25.0, -40.0, 70.0, 10.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, phantom_ct: CTVolume, phantom_bones: BoneLabels) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    labels = phantom_bones.labels.copy()
    labels[..., labels.shape[2] // 2 :] *= 3
    bones = BoneLabels(labels, phantom_bones.ijk_to_ras, {1: "hip_left", 3: "femur_right"})
    write_patient(path, "two-bones", phantom_ct, bones, CAMERA, VIEWS)
    # Another grid: axes swapped and flipped, so that the CT's own axes are neither RAS nor LPS.
    turned = np.ascontiguousarray(phantom_ct.hu.transpose(2, 0, 1)[::-1])
    matrix = _moved_axes(phantom_ct, turned.shape)
    one_bone = BoneLabels(np.ascontiguousarray(phantom_bones.labels.transpose(2, 0, 1)[::-1]), matrix, {1: "bone"})
    write_patient(path, "all-bone", CTVolume(turned, matrix), one_bone, CAMERA, VIEWS[:2])
    return path


def _moved_axes(ct: CTVolume, shape: tuple[int, ...]) -> np.ndarray:
    """ijk_to_ras of voxels [i reversed, k, j]."""
    change = np.zeros((4, 4))  # new (i, j, k, 1) to old
    change[1, 0] = change[2, 1] = change[3, 3] = 1
    change[0, 2], change[0, 3] = -1, shape[0] - 1
    return ct.ijk_to_ras @ change


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "simulated.h5"
    export(folder, Layout.deepfluoro, path)
    return path


@pytest.fixture(scope="module", params=["two-bones", "all-bone"])
def stored(folder: Path, request: pytest.FixtureRequest) -> StoredPatient:
    return XRayDataset(folder).patient(request.param)


def test_points_project_where_the_layout_says(file: Path, stored: StoredPatient) -> None:
    """A point p (LPS), half a voxel on along each of the CT's axes, lies at e = extrinsic inverse(cam-to-pelvis-vol) p in a camera whose z
    axis points to the source, and at the pixel (column, row, 1) ~ intrinsic e of an image that is mirrored and has a border.
    """
    with h5py.File(file) as hdf5:
        k, extrinsic = hdf5["proj-params/intrinsic"][()], hdf5["proj-params/extrinsic"][()]
        columns = hdf5["proj-params/num-cols"][()]
        volume = hdf5[f"{stored.name}/vol"]
        half_voxel = volume["dir-mat"][()] @ volume["spacing"][()] / 2
        for number in range(len(stored)):
            points = stored.view(number).coordinates[0, 0]
            row, column = np.nonzero(np.isfinite(points[0]))
            shifted = points[:, row, column] * np.array([[-1], [-1], [1]]) + half_voxel
            pose = hdf5[f"{stored.name}/projections/{number:05d}/gt-poses/cam-to-pelvis-vol"][()]
            e = (extrinsic @ np.linalg.inv(pose) @ np.vstack([shifted, np.ones(len(row))]))[:3]
            assert (e[2] < 0).all()
            u, v, w = k @ e
            np.testing.assert_allclose(u / w, columns - 1 - (column + BORDER), atol=2e-3)
            np.testing.assert_allclose(v / w, row + BORDER, atol=2e-3)


def test_pixels_cameras_and_poses_are_read_back_as_they_were(file: Path, stored: StoredPatient) -> None:
    with open_deepfluoro(file) as data:
        assert data.specimens == ["all-bone", "two-bones"]
        names = data.projections(stored.name)
        assert len(names) == len(stored)
        for number, name in enumerate(names):
            found = data.projection(stored.name, name)
            np.testing.assert_array_equal(found.pixels, stored.read("image", number))
            np.testing.assert_allclose(found.ras_to_camera, stored.ras_to_camera[number], atol=1e-9)
            np.testing.assert_allclose(found.camera.matrix, CAMERA.matrix, atol=1e-9)
            assert found.camera.image_size == CAMERA.image_size
            assert found.camera.source_to_detector_distance == pytest.approx(1020.0)


def test_the_ct_and_the_bones_of_the_pelvis_are_read_back(file: Path, stored: StoredPatient) -> None:
    with open_deepfluoro(file) as data:
        ct = data.ct(stored.name)
        pelvis = data.pelvis(stored.name, ct)
    assert ct.fingerprint == stored.ct_fingerprint
    assert pelvis.names == {1: "left-hemipelvis" if stored.name == "two-bones" else "bone"}
    np.testing.assert_array_equal(pelvis.labels, np.where(stored.bone_labels().labels == 1, 1, 0))
    with h5py.File(file) as hdf5:
        named = {key: value[()].decode() for key, value in hdf5[f"{stored.name}/vol-seg/labels-def"].items()}
        assert hdf5[stored.name].attrs["licence"] == "none needed"
    assert named == ({"1": "left-hemipelvis", "3": "right-femur"} if stored.name == "two-bones" else {"1": "bone"})


def test_a_registration_of_its_x_rays_finds_their_poses(file: Path, untrained_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """From points with much noise; the images decide. Half a voxel off would be 3.5 mm."""
    suite = DeepFluoroSuite.of_specimen(file, "all-bone")
    patient = suite.patient()
    case = suite.case(1, patient)
    use_true_coordinates(monkeypatch, case, patient, noise_mm=4.0)
    result, _ = evaluate_case(case, patient, untrained_model, Refiner(patient.projector, patient.centroid, patient.ct))
    assert result.error is not None and result.error_before_refinement is not None
    assert result.error.mtre_mm < min(0.5, result.error_before_refinement.mtre_mm)


def test_one_split_of_one_patient_can_be_exported(folder: Path, tmp_path: Path) -> None:
    export(folder, Layout.deepfluoro, tmp_path / "test.h5", ["two-bones"], Split.test)
    with open_deepfluoro(tmp_path / "test.h5") as data:
        assert data.specimens == ["two-bones"] and data.projections("two-bones") == ["00004"]


def test_a_stopped_export_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    with pytest.raises(Cancelled, match="Stopped after 1 of 7"):
        export(folder, Layout.deepfluoro, tmp_path / "out.h5", stop_file=tmp_path / "stop")
    assert [path.name for path in tmp_path.iterdir()] == ["stop"]


def test_a_killed_export_leaves_nothing_under_its_name(folder: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from xray_training.dataset.export_deepfluoro import export_deepfluoro;"
        "from xray_training.dataset.selection import choose_views; from xray_training.dataset.stored import XRayDataset;"
        "export_deepfluoro(choose_views(XRayDataset(Path(sys.argv[1]))), Path(sys.argv[2]), lambda *done: os.kill(os.getpid(), 9))"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(folder), str(tmp_path / "out.h5")], env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.h5").exists()
    export(folder, Layout.deepfluoro, tmp_path / "out.h5")
    with open_deepfluoro(tmp_path / "out.h5") as data:
        assert len(data.specimens) == 2


def test_what_does_not_fit_is_refused(folder: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        export(folder, Layout.deepfluoro, file)
    with pytest.raises(InputError, match="does not exist"):
        export(folder, Layout.deepfluoro, tmp_path / "missing" / "out.h5")


def test_a_disk_that_fills_up_ends_the_export_in_a_sentence(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 itself does not survive it. Here there is no room for the third X-ray, which is the first of the second patient."""
    free = iter([10_000_000, 2_000_000, 1_800_000, 1_600_000, 1_000_000])
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=next(free)))
    with pytest.raises(InputError, match="The disk is too full for"):
        export(folder, Layout.deepfluoro, tmp_path / "out.h5")
    assert not list(tmp_path.iterdir()) and not list(free)
