"""A small file in DeepFluoro's layout, whose images are drawn by the layout's own words, without a line of ours.

A point p of the CT (LPS) lies at e = extrinsic inverse(cam-to-pelvis-vol) p in a camera whose z axis points to the source, and at the
pixel (column, row, 1) ~ intrinsic e. The bones are three ellipsoids, so a ray's way through them has a closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.bone import BoneLabels, read_labels
from DRRSimulatorLib.camera import CArmView, transform_points
from DRRSimulatorLib.ct import CTVolume, read_ct
from DRRSimulatorLib.errors import InputError
from scipy.spatial.transform import Rotation
from true_coordinates import use_true_coordinates
from xray_training.cli_prepare import prepare
from xray_training.deepfluoro import open_deepfluoro
from xray_training.deepfluoro_suite import DeepFluoroSuite
from xray_training.evaluate import evaluate_case
from XRayRegistrationLib.model import Model
from XRayRegistrationLib.refine import Refiner

h5py = pytest.importorskip("h5py")

FloatArray = npt.NDArray[np.float64]

SPECIMEN = "17-1882"
ROWS, COLUMNS, SPACING = 292, 308, 1.2
INTRINSIC = np.array([[-1020 / SPACING, 0, 160.3], [0, -1020 / SPACING, 141.8], [0, 0, 1]])
EXTRINSIC = np.array([[0.0, 0, 1, -157], [-1, 0, 0, -3], [0, -1, 0, -632], [0, 0, 0, 1]])
ELLIPSOIDS = [((-35, 10, 0), (25, 20, 60)), ((40, -20, 30), (30, 25, 20)), ((30, 20, -45), (20, 35, 20))]  # RAS, as in conftest
BODY = ((0, 0, 0), (90, 60, 95))
LPS = np.array([-1.0, -1.0, 1.0])
HALF_VOXEL = 2.5  # mm: the poses in the file belong to a CT that is shifted by it along each axis


def stored_pose(primary: float, turned: bool) -> FloatArray:
    """Some cam-to-pelvis-vol: the patient lies so that the source is 650 mm behind, the head up in the image or, turned, down."""
    # Of the camera's axes in LPS, for 0 degrees: x to the patient's left, y to the feet, z to the back, where the source is.
    axes = Rotation.from_euler("z", primary, degrees=True).as_matrix() @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    if turned:
        axes = axes @ np.diag([-1.0, -1.0, 1.0])
    volume_to_camera = np.eye(4)
    volume_to_camera[:3, :3] = axes.T
    volume_to_camera[:3, 3] = (12, -7, -650)
    return np.linalg.inv(np.linalg.inv(EXTRINSIC) @ volume_to_camera)


def chord(source: FloatArray, directions: FloatArray, ellipsoid: tuple[tuple[float, ...], tuple[float, ...]]) -> FloatArray:
    """Millimetres of the ellipsoid (RAS) on rays from a point along unit vectors, both in LPS."""
    centre, radii = np.array(ellipsoid[0]) * LPS, np.array(ellipsoid[1])
    o, d = (source - centre) / radii, directions / radii
    a, b, c = (d * d).sum(-1), (d * o).sum(-1), o @ o - 1
    return 2 * np.sqrt(np.maximum(b * b - a * c, 0)) / a


def image_of(world_to_volume: FloatArray) -> FloatArray:
    """Intensities at a true pose."""
    row, column = np.indices((ROWS, COLUMNS))
    in_camera = -np.stack([column, row, np.ones_like(row)], axis=-1) @ np.linalg.inv(INTRINSIC).T  # z = -1: away from the source
    camera_to_volume = world_to_volume @ np.linalg.inv(EXTRINSIC)
    directions = in_camera @ camera_to_volume[:3, :3].T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    source = camera_to_volume[:3, 3]
    # In 1/mm: water, and what 800 HU have more than 40 HU.
    return 2000 * np.exp(-0.02 * chord(source, directions, BODY) - sum(0.0152 * chord(source, directions, e) for e in ELLIPSOIDS))


@pytest.fixture(scope="module")
def file(phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deepfluoro") / "small.h5"
    origin = (phantom_ct.ijk_to_ras[:3, 3] * LPS)[:, None]
    # The phantom's axes are RAS; those of the file are LPS.
    origin[:2] -= (phantom_ct.hu.shape[0] - 1) * 5.0
    with h5py.File(path, "w") as made:
        parameters = {"extrinsic": EXTRINSIC, "intrinsic": INTRINSIC, "num-rows": ROWS, "num-cols": COLUMNS}
        parameters |= {"pixel-row-spacing": SPACING, "pixel-col-spacing": SPACING}
        for name, value in parameters.items():
            made[f"proj-params/{name}"] = value
        labels = np.where(phantom_bones.labels > 0, 1, 0)
        labels[:12][labels[:12] > 0] = 5  # a part of the bone counts as a femur
        for place, values in (("vol", phantom_ct.hu), ("vol-seg/image", labels.astype(np.uint8))):
            group = made.create_group(f"{SPECIMEN}/{place}")
            group["pixels"] = values[:, ::-1, ::-1]
            group["spacing"], group["origin"], group["dir-mat"] = np.full((3, 1), 5.0), origin, np.eye(3)
        made[f"{SPECIMEN}/vol-seg/labels-def/1"] = "left-hemipelvis"
        made[f"{SPECIMEN}/vol-seg/labels-def/5"] = "left-femur"
        half_voxel = np.eye(4)
        half_voxel[:3, 3] = -HALF_VOXEL
        for number, (primary, turned) in enumerate([(0, False), (0, True), (20, False), (-15, True)]):
            pose = stored_pose(primary, turned)
            group = made.create_group(f"{SPECIMEN}/projections/{number:03}")
            group["image/pixels"] = image_of(half_voxel @ pose).astype(np.float32)
            group["gt-poses/cam-to-pelvis-vol"] = pose
            group["rot-180-for-up"] = int(turned)
    return path


@pytest.fixture(scope="module")
def suite(file: Path) -> DeepFluoroSuite:
    return DeepFluoroSuite.of_specimen(file, SPECIMEN)


def test_points_project_where_the_layout_says(file: Path) -> None:
    """In the stored image; ours is mirrored, or turned by 180 degrees and mirrored, and lacks 50 pixels on each side."""
    points = np.random.default_rng(0).uniform(-60, 60, (20, 3))
    with open_deepfluoro(file) as data, h5py.File(file) as stored:
        for name in data.projections(SPECIMEN):
            found = data.projection(SPECIMEN, name)
            group = stored[f"{SPECIMEN}/projections/{name}"]
            to_camera = EXTRINSIC @ np.linalg.inv(group["gt-poses/cam-to-pelvis-vol"][()])
            u, v, w = INTRINSIC @ transform_points(to_camera, points * LPS + HALF_VOXEL).T
            column, row = u / w, v / w
            expected = (column, ROWS - 1 - row) if group["rot-180-for-up"][()] else (COLUMNS - 1 - column, row)
            projected = found.camera.project(transform_points(found.ras_to_camera, points))
            np.testing.assert_allclose(projected, np.stack(expected, axis=1) - 50, atol=1e-9)
            assert found.camera.source_to_detector_distance == pytest.approx(1020)
            assert found.pixels.shape == found.camera.image_size == (ROWS - 100, COLUMNS - 100)


def test_the_patient_is_upright_and_seen_from_behind(suite: DeepFluoroSuite) -> None:
    patient = suite.patient()
    views = [CArmView.from_pose(case.ras_to_camera, patient.centroid) for case in suite.cases(patient)]
    np.testing.assert_allclose([view.roll_deg for view in views], 0, atol=1e-6)
    np.testing.assert_allclose([view.primary_deg for view in views], [0, 0, 20, -15], atol=1e-6)


def test_the_ct_and_the_pelvis_are_those_of_the_file(file: Path, phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    with open_deepfluoro(file) as data:
        ct = data.ct(SPECIMEN)
        pelvis = data.pelvis(SPECIMEN, ct)
    assert ct.fingerprint == phantom_ct.fingerprint
    assert pelvis.names == {1: "left-hemipelvis"}
    expected = phantom_bones.labels.copy()
    expected[:12] = 0  # the femur
    np.testing.assert_array_equal(pelvis.labels[:, ::-1, ::-1], expected)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_registration_of_its_x_rays_finds_their_poses(
    number: int, suite: DeepFluoroSuite, untrained_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From correspondences with much noise; the images alone decide. The CT has the ellipsoids in cubes of 5 mm: that is how well the
    depth can be told. Half a voxel off along each axis would be 3.5 mm in plane.
    """
    patient = suite.patient()
    case = suite.case(number, patient)
    use_true_coordinates(monkeypatch, case, patient, noise_mm=4.0)
    result, _ = evaluate_case(case, patient, untrained_model, Refiner(patient.projector, patient.centroid, patient.ct))
    assert result.error is not None and result.error_before_refinement is not None
    assert result.error.mtre_mm < min(5.0, result.error_before_refinement.mtre_mm)
    assert result.error.in_plane_mm < 0.5


def test_the_files_for_the_training_are_of_the_ct_that_the_suite_knows(
    file: Path, suite: DeepFluoroSuite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare("deepfluoro", file, tmp_path, SPECIMEN)
    ct = read_ct(tmp_path / f"{SPECIMEN}.nrrd")
    patient = suite.patient()
    assert ct.fingerprint == patient.ct.fingerprint
    bones = read_labels(tmp_path / f"{SPECIMEN}_labels.nrrd", ct)
    assert bones.names == {1: "left-hemipelvis"}
    np.testing.assert_array_equal(bones.labels, patient.bones.labels)
    assert "LAO/RAO (deg): -15 to 20" in capsys.readouterr().out


def replaced(place: str, value: object) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        del file[place]
        if value is not None:
            file[place] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (replaced("proj-params/intrinsic", -INTRINSIC), "z axis points to the source"),
        (replaced("proj-params/extrinsic", None), "has no proj-params/extrinsic"),
        (replaced("proj-params/extrinsic", 2 * EXTRINSIC), "not a rigid"),
        (replaced("proj-params/num-rows", 10**9), "no number of pixels"),
        (replaced("proj-params/pixel-row-spacing", 3.0), "two source-to-detector distances"),
        (replaced(f"{SPECIMEN}/projections/000/image/pixels", np.zeros((7, 7))), "should hold numbers of the shape"),
        (replaced(f"{SPECIMEN}/projections/000/image/pixels", np.full((ROWS, COLUMNS), np.nan)), "not finite"),
        (replaced(f"{SPECIMEN}/projections/000/gt-poses/cam-to-pelvis-vol", np.zeros((4, 4))), "not a rigid"),
        (replaced(f"{SPECIMEN}/projections/000/rot-180-for-up", "no"), "should hold numbers"),
        (replaced(f"{SPECIMEN}/projections/000/image/pixels", h5py.ExternalLink("other.h5", "/pixels")), "has no"),
        (replaced(f"{SPECIMEN}/vol/spacing", [0.0, 1, 1]), "no usable grid"),
        (replaced(f"{SPECIMEN}/vol/spacing", [1e-260, 1e-308, 1e-318]), "no usable grid"),
        (replaced(f"{SPECIMEN}/vol/pixels", np.zeros((4, 4))), "not a volume"),
        (replaced(f"{SPECIMEN}/vol-seg/labels-def/1", 7), "is not the name of a label"),
        (replaced(f"{SPECIMEN}/vol-seg/labels-def/1", "skull"), "no hip bone and no sacrum"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(damage: Callable[[h5py.File], None], reason: str, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(file.read_bytes())
    with h5py.File(path, "a") as stored:
        damage(stored)
    with pytest.raises(InputError, match=reason), open_deepfluoro(path) as data:
        data.projection(SPECIMEN, "000")
        data.pelvis(SPECIMEN, data.ct(SPECIMEN))


@pytest.mark.parametrize("size", [0, 15])
def test_a_heap_of_text_that_the_library_would_never_leave_is_refused(file: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "damaged.h5"
    content = file.read_bytes()
    start = content.index(b"GCOL") + 16
    while number := int.from_bytes(content[start : start + 2], "little"):
        assert number < 100
        start += 16 + -(-int.from_bytes(content[start + 8 : start + 16], "little") // 8) * 8
    assert int.from_bytes(content[start + 8 : start + 16], "little") > 1000  # the free piece
    path.write_bytes(content[: start + 8] + size.to_bytes(8, "little") + content[start + 16 :])
    with open_deepfluoro(path) as data, pytest.raises(InputError, match="a piece of no size"):
        data.pelvis(SPECIMEN, data.ct(SPECIMEN))


def test_a_huge_volume_is_refused_before_it_is_read(file: Path, tmp_path: Path) -> None:
    """Only its shape is in the file; its 64 TiB would be zeros."""
    path = tmp_path / "huge.h5"
    path.write_bytes(file.read_bytes())
    with h5py.File(path, "a") as stored:
        del stored[f"{SPECIMEN}/vol/pixels"]
        stored.create_dataset(f"{SPECIMEN}/vol/pixels", (1 << 14,) * 3, np.float32, chunks=(16, 16, 16))
    with pytest.raises(InputError, match="not a volume of at most"), open_deepfluoro(path) as data:
        data.ct(SPECIMEN)


def test_images_behind_external_files_are_not_read(file: Path, tmp_path: Path) -> None:
    """HDF5 can take a data set's bytes from any file of the machine."""
    path, secret = tmp_path / "external.h5", tmp_path / "secret.bin"
    path.write_bytes(file.read_bytes())
    secret.write_bytes(bytes(8 * ROWS * COLUMNS))
    place = f"{SPECIMEN}/projections/000/image/pixels"
    with h5py.File(path, "a") as stored:
        del stored[place]
        stored.create_dataset(place, (ROWS, COLUMNS), np.float64, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(InputError, match="not a plain data set"), open_deepfluoro(path) as data:
        data.projection(SPECIMEN, "000")


def test_what_is_no_hdf5_and_a_specimen_that_is_missing_are_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("nothing")
    with pytest.raises(InputError, match="cannot be read as an HDF5 file"), open_deepfluoro(tmp_path / "text.h5"):
        pass
    with pytest.raises(InputError, match="choose one of 17-1882"):
        DeepFluoroSuite.of_specimen(file, "18-0000")


@pytest.mark.parametrize("signature", [b"TREE", b"SNOD", b"HEAP"])
def test_a_file_whose_index_is_damaged_is_refused(file: Path, tmp_path: Path, signature: bytes) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(file.read_bytes().replace(signature, b"0000"))
    with pytest.raises(InputError, match=r"cannot be read|has no"), open_deepfluoro(path) as data:
        for specimen in [*data.specimens, SPECIMEN]:
            data.projection(specimen, "000")


def test_a_volume_of_which_nothing_is_in_the_file_is_refused(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.h5"
    path.write_bytes(file.read_bytes())
    with h5py.File(path, "a") as stored:
        del stored[f"{SPECIMEN}/vol/pixels"]
        stored.create_dataset(f"{SPECIMEN}/vol/pixels", (512, 512, 512), np.float32, chunks=(16, 16, 16))
    with pytest.raises(InputError, match="which are not in the file"), open_deepfluoro(path) as data:
        data.ct(SPECIMEN)
