"""A Spatial Registration object: which way it goes, what comes back, and files of strangers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray
from DRRSimulatorLib.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from small_patient import CENTRE_RAS
from XRayRegistrationLib.dicom_registration import LARGEST_BYTES, PlacedCamera, read_registration, spatial_registration
from XRayRegistrationLib.dicom_study import DicomSources
from XRayRegistrationLib.orientation import Orientation

FRAME = "2.25.12345"
CAMERA = Camera(1023.456789012345, (0.1234567890123, 0.2), (1500, 1400), (812.25, 601.0 / 3))
POSE = CArmView(-37.1, 12.3, 170.0, (8, -12), 700.123456).ras_to_camera(CENTRE_RAS)
PLACED = PlacedCamera(POSE, CAMERA, Orientation(90, True), FRAME)


def write(path: Path, placed: PlacedCamera = PLACED) -> Path:
    spatial_registration(placed, DicomSources((), (None,)), None, "2.25.1", 1, "X-ray 1 to CT").save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "registration.dcm")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("good") / "registration.dcm").read_bytes()


def of_camera(dataset: Dataset) -> Dataset:
    """The item that maps the camera's frame."""
    (item,) = [item for item in dataset.RegistrationSequence if item.FrameOfReferenceUID != dataset.FrameOfReferenceUID]
    return item


def matrix_of(item: Dataset) -> FloatArray:
    (step,) = item.MatrixRegistrationSequence
    (matrix,) = step.MatrixSequence
    assert matrix.FrameOfReferenceTransformationMatrixType == "RIGID"
    return np.array(matrix.FrameOfReferenceTransformationMatrix, dtype=np.float64).reshape(4, 4)


def test_the_matrix_maps_points_of_the_camera_to_the_cts_lps(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    assert dataset.FrameOfReferenceUID == FRAME
    to_ct = matrix_of(of_camera(dataset))
    # On the detector: the source's beam through a pixel, drawn in RAS by the IJK-to-RAS of the X-ray as a volume.
    pixels = np.array([[0, 0], [1399, 1499], [812.25, 601 / 3], [100, 900]])
    on_detector = CAMERA.back_project(pixels, CAMERA.source_to_detector_distance)
    in_ras = (CAMERA.detector_to_ras(POSE) @ np.column_stack([pixels, np.zeros(4), np.ones(4)]).T).T[:, :3]
    in_lps = (to_ct @ np.column_stack([on_detector, np.ones(4)]).T).T[:, :3]
    np.testing.assert_allclose(in_lps * (-1, -1, 1), in_ras, atol=1e-6)


def test_the_matrix_maps_the_origin_to_the_source_and_the_bone_into_the_beam(file: Path) -> None:
    to_ct = matrix_of(of_camera(pydicom.dcmread(file)))
    centre_lps = CENTRE_RAS * (-1, -1, 1)
    assert np.linalg.norm(to_ct[:3, 3] - centre_lps) == pytest.approx(np.linalg.norm((8, -12, 700.123456)), abs=1e-6)
    in_camera = np.linalg.solve(to_ct, (*centre_lps, 1))
    np.testing.assert_allclose(in_camera, (8, -12, 700.123456, 1), atol=1e-6)


def test_the_cts_own_frame_is_mapped_by_the_identity(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    (own,) = [item for item in dataset.RegistrationSequence if item.FrameOfReferenceUID == FRAME]
    np.testing.assert_array_equal(matrix_of(own), np.eye(4))


def random_placed(seed: int) -> PlacedCamera:
    """Any pose of any camera, stored in any way."""
    rng = np.random.default_rng(seed)
    pose = CArmView(*rng.uniform(-180, 180, 3), rng.uniform(-300, 300, 2), rng.uniform(100, 3000)).ras_to_camera(
        rng.uniform(-2000, 2000, 3)
    )
    rows, columns = rng.integers(1, 4097, 2).tolist()
    x, y = (rng.uniform(-1, 2, 2) * (columns, rows)).tolist()
    camera = Camera(rng.uniform(200, 5000), tuple(rng.uniform(0.05, 2, 2).tolist()), (rows, columns), (x, y))
    return PlacedCamera(pose, camera, Orientation(int(rng.choice((0, 90, 180, 270))), bool(rng.integers(2))), FRAME)


@pytest.mark.parametrize("seed", range(20))
def test_pose_and_camera_are_read_back(tmp_path: Path, seed: int) -> None:
    placed = random_placed(seed)
    read = read_registration(write(tmp_path / "registration.dcm", placed))
    np.testing.assert_allclose(read.ras_to_camera, placed.ras_to_camera, rtol=0, atol=1e-8)
    assert (read.camera, read.stored, read.frame_of_reference_uid) == (placed.camera, placed.stored, FRAME)


def test_an_archive_that_stores_implicit_value_representations_keeps_the_camera(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=True)
    assert read_registration(file).camera == CAMERA


def test_without_the_private_attributes_the_pose_is_left(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    dataset.remove_private_tags()
    dataset.save_as(file)
    read = read_registration(file)
    assert read.camera is None
    np.testing.assert_allclose(read.ras_to_camera, POSE, atol=1e-6)


def test_the_private_attributes_say_that_they_identify_nobody(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    (block,) = dataset.PrivateDataElementCharacteristicsSequence
    assert block.BlockIdentifyingInformationStatus == "SAFE"
    private = [element for element in of_camera(dataset) if element.tag.is_private]
    assert private[0].value == block.PrivateCreatorReference and {element.tag.group for element in private} == {block.PrivateGroupReference}


def set_matrix(values: Any) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        of_camera(dataset).MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix = values

    return change


def set_private(offset: int, value: Any) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        of_camera(dataset)[0x0071, 0x1000 + offset].value = value

    return change


def two_cameras(dataset: Dataset) -> None:
    other = pydicom.dcmread(dataset.filename).RegistrationSequence[1]
    other.FrameOfReferenceUID = "2.25.3"
    dataset.RegistrationSequence.append(other)


def two_steps(dataset: Dataset) -> None:
    item = of_camera(dataset)
    item.MatrixRegistrationSequence = [*item.MatrixRegistrationSequence] * 2


def no_camera(dataset: Dataset) -> None:
    del dataset.RegistrationSequence[1]


def no_sequence(dataset: Dataset) -> None:
    del dataset.RegistrationSequence


def another_class(dataset: Dataset) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"


IDENTITY = np.eye(4).ravel().tolist()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_matrix([2 * value for value in IDENTITY]), "rigid"),
        (set_matrix(np.diag([1.0, 1.0, -1.0, 1.0]).ravel().tolist()), "rigid"),
        (set_matrix(IDENTITY[:15]), "rigid"),
        (set_matrix(IDENTITY * 2), "rigid"),
        (set_matrix([0.0] * 16), "rigid"),
        (set_matrix(None), "readable|rigid"),
        (two_steps, "single rigid"),
        (two_cameras, "maps 2 frames"),
        (no_camera, "maps 0 frames"),
        (no_sequence, "no readable Spatial Registration"),
        (another_class, "no Spatial Registration object"),
        (set_private(1, 0.0), "must be positive"),
        (set_private(1, float("nan")), "must be positive"),
        (set_private(2, [0.1, -0.1]), "must be positive"),
        (set_private(2, [0.1]), "readable"),
        (set_private(3, [0, 100]), "image size"),
        (set_private(3, [4_000_000_000, 100]), "larger than any X-ray"),
        (set_private(4, [float("inf"), 0.0]), "finite"),
        (set_private(5, [45, 0]), "90, 180 or 270"),
    ],
)
def test_what_is_no_registration_of_a_camera_is_refused(file: Path, change: Callable[[Dataset], None], reason: str) -> None:
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(file)
    with pytest.raises(InputError, match=reason):
        read_registration(file)


def test_a_matrix_that_is_not_a_number_is_refused(file: Path) -> None:
    matrix = of_camera(pydicom.dcmread(file)).MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix
    number = str(matrix[3])
    file.write_bytes(file.read_bytes().replace(number.encode(), b"nan".ljust(len(number))))
    with pytest.raises(InputError, match=r"rigid|readable"):
        read_registration(file)


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 1000])
def test_what_is_no_dicom_is_refused(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "file.dcm").write_bytes(content)
    with pytest.raises(InputError, match=r"holds no readable|no Spatial Registration"):
        read_registration(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.dcm"):
        with pytest.raises(InputError, match="There is no file"):
            read_registration(path)


def test_a_file_that_is_too_large_is_refused_unread(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(LARGEST_BYTES + 1)
    with pytest.raises(InputError, match="is larger than"):
        read_registration(file)


def test_a_file_that_would_grow_when_unpacked_is_refused(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.ContentDescription = "0" * 64
    dataset.save_as(file)
    with pytest.raises(InputError, match="compressed as a whole"):
        read_registration(file)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    kept=st.sampled_from([1.0, 1.0, 0.999, 0.9, 0.5]),
)
def test_damaged_bytes_are_read_or_refused(tmp_path: Path, good: bytes, damage: list[tuple[float, int]], kept: float) -> None:
    content = bytearray(good)
    for place, value in damage:
        content[132 + int(place * (len(content) - 132))] = value
    (path := tmp_path / "damaged.dcm").write_bytes(content[: int(kept * len(content))])
    try:
        read = read_registration(path)
    except InputError:
        return
    assert np.isfinite(read.ras_to_camera).all() and read.ras_to_camera.shape == (4, 4)
