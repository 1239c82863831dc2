"""Deformed copies of a CT: volumes, folds, HU and labels of the same place, any grid, and the files of scr-deform."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels, read_labels
from DRRSimulatorLib.camera import FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume, read_ct
from DRRSimulatorLib.errors import InputError
from scipy.ndimage import label as connected_regions
from scipy.spatial.transform import Rotation
from typer import Typer
from typer.testing import CliRunner
from xray_training import cli_deform
from xray_training.deform import LEAST_VOLUME, Variety, deformed, smooth_displacement

AS_IT_IS = Variety(0, 0, 0, 0, 0)
BOX = np.array([200.0, 150.0, 320.0])  # mm


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def centroid_and_variances(mask: npt.NDArray[np.bool_], ijk_to_ras: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the voxels' centres, RAS mm and mm2."""
    points = transform_points(ijk_to_ras, np.argwhere(mask)[:, ::-1])
    return points.mean(axis=0), points.var(axis=0)


def volume(bones: BoneLabels) -> float:
    return float(np.count_nonzero(bones.labels) * np.linalg.det(bones.ijk_to_ras[:3, :3]))


def regions(bones: BoneLabels) -> int:
    """Number of pieces that touch nowhere, not even at a corner."""
    return int(connected_regions(bones.labels, np.ones((3, 3, 3)))[1])


def mapped(transform: sitk.Transform, points: FloatArray) -> FloatArray:
    return np.array([transform.TransformPoint(point) for point in points.tolist()])


def test_without_any_variety_the_copy_is_the_ct(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    ct, bones = deformed(phantom_ct, phantom_bones, rng(), AS_IT_IS)
    assert ct.fingerprint == phantom_ct.fingerprint
    for one, other in zip(
        centroid_and_variances(bones.labels > 0, bones.ijk_to_ras),
        centroid_and_variances(phantom_bones.labels > 0, phantom_bones.ijk_to_ras),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_scale_alone_changes_the_volume_of_an_ellipsoid_as_its_half_axes(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    """The half-axes' squares are 5 times the variances, and the volume is 4/3 pi times the product of the half-axes."""
    body = BoneLabels((phantom_ct.hu > -1000).astype(np.uint8), phantom_ct.ijk_to_ras, {1: "body"})
    _, copy = deformed(phantom_ct, body, rng(), Variety(0.12, 0, 0, 0, 0))
    half_axes = np.sqrt(5 * centroid_and_variances(copy.labels > 0, copy.ijk_to_ras)[1])
    factors = half_axes / (90, 60, 95)
    assert np.ptp(factors) > 0.02 and (np.abs(factors - 1) < 0.13).all()
    assert volume(copy) / volume(body) == pytest.approx(factors.prod(), rel=0.01)


def test_shear_and_rotation_leave_the_volume(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    _, bones = deformed(phantom_ct, phantom_bones, rng(), Variety(0, 0.05, 5, 0, 0))
    assert volume(bones) == pytest.approx(volume(phantom_bones), rel=0.01)


@pytest.mark.parametrize("displacement", [0.3, 2.0])
def test_the_displacement_folds_nowhere_and_does_something(displacement: float) -> None:
    """By central differences at random points; at 2.0 control points would change places if the displacement were not made smaller."""
    spline = smooth_displacement(BOX, displacement, rng())
    points = rng(2).uniform(-0.49, 0.49, (4000, 3)) * BOX
    step = 0.1
    columns = [(mapped(spline, points + step * axis) - mapped(spline, points - step * axis)) / (2 * step) for axis in np.eye(3)]
    volumes = np.linalg.det(np.stack(columns, axis=-1))
    assert volumes.min() > 0.9 * LEAST_VOLUME and volumes.max() < 1.1 / LEAST_VOLUME
    assert 2 < np.linalg.norm(mapped(spline, points) - points, axis=1).max() < 40


def test_faces_of_the_volume_stay_flat() -> None:
    spline = smooth_displacement(BOX, 0.3, rng())
    for axis in range(3):
        points = rng(3).uniform(-0.49, 0.49, (200, 3)) * BOX
        points[:, axis] = BOX[axis] / 2 * (1 - 1e-9)
        moved = mapped(spline, points) - points
        assert np.abs(moved[:, axis]).max() < 1e-5 and np.abs(moved).max() > 1


def test_the_same_seed_gives_the_same_copy_and_another_seed_another(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    prints = [deformed(phantom_ct, phantom_bones, rng(seed))[0].fingerprint for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


def test_bones_and_their_hu_stay_together(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    """Bone has 800 HU and soft tissue 40: a voxel of half bone has 420, give or take the density's change."""
    ct, bones = deformed(phantom_ct, phantom_bones, rng())
    dense = ct.hu > 420
    overlap = 2 * np.count_nonzero(dense & (bones.labels > 0)) / (np.count_nonzero(dense) + np.count_nonzero(bones.labels))
    assert overlap > 0.95
    assert regions(bones) == regions(phantom_bones) == 3


@pytest.mark.parametrize("seed", range(3))
def test_density_changes_what_bone_has_above_soft_tissue(seed: int, phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    body = BoneLabels((phantom_ct.hu > -1000).astype(np.uint8), phantom_ct.ijk_to_ras, {1: "bone and marrow"})
    ct, _ = deformed(phantom_ct, body, rng(seed), Variety(0, 0, 0, 0, 0.2))
    values = np.unique(ct.hu.round())
    np.testing.assert_array_equal(values[:2], [-1000, 40])
    assert len(values) == 3 and 0.8 * 750 <= values[2] - 50 <= 1.2 * 750 and values[2] != 800


def test_no_bone_is_lost_even_if_it_is_a_single_voxel(phantom_ct: CTVolume) -> None:
    labels = np.zeros_like(phantom_ct.hu, dtype=np.uint8)
    for label in range(1, 201):
        labels[tuple(rng(label).integers(5, 35, 3))] = label
    present = set(np.unique(labels))
    bones = BoneLabels(labels, phantom_ct.ijk_to_ras, {label: f"bone {label}" for label in sorted(present - {0})})
    _, copy = deformed(phantom_ct, bones, rng(), Variety(displacement=0.4))
    assert set(np.unique(copy.labels)) == present and copy.names == bones.names


def test_the_order_and_sense_of_the_axes_do_not_matter(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    """The same oblique CT with its axes in another order and one of them flipped."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (10, -15, 20), degrees=True).as_matrix()
    place = turn @ phantom_ct.ijk_to_ras
    change = np.array([[0, 0, -1, phantom_ct.hu.shape[2] - 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # new (i, j, k, 1) to old

    def changed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.flip(values.transpose(2, 0, 1), 0)

    results = [
        deformed(CTVolume(hu, matrix), BoneLabels(labels, matrix, phantom_bones.names), rng())
        for hu, labels, matrix in (
            (phantom_ct.hu, phantom_bones.labels, place),
            (changed(phantom_ct.hu), changed(phantom_bones.labels), place @ change),
        )
    ]
    np.testing.assert_allclose(results[0][0].ijk_to_ras, results[1][0].ijk_to_ras, atol=1e-9)
    np.testing.assert_allclose(results[0][0].hu, results[1][0].hu, atol=0.01)
    np.testing.assert_array_equal(results[0][1].labels, results[1][1].labels)


def test_all_of_a_body_that_fills_the_ct_is_in_the_copy(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> None:
    full = CTVolume(np.full_like(phantom_ct.hu, 40), phantom_ct.ijk_to_ras)
    ct, _ = deformed(full, phantom_bones, rng(), Variety(0, 0.2, 5, 0.3, 0))
    assert np.sum(ct.hu + 1000) == pytest.approx(np.sum(full.hu + 1000), rel=0.005)
    assert ct.hu.min() == -1000


def run(*arguments: object) -> None:
    app = Typer()
    app.command()(cli_deform.deform)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def test_the_command_writes_copies_that_read_back_and_a_list_of_them(phantom_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    run(phantom_file, "-o", folder, "--count", 2, "--seed", 5, "--source", "a phantom", "--licence", "CC0")
    with (folder / "patients.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["name"] for row in rows] == ["phantom_deformed_1", "phantom_deformed_2"]
    assert [(row["source"], row["licence"]) for row in rows] == [(f"deformed copy {n} of a phantom", "CC0") for n in (1, 2)]
    prints = set()
    for row in rows:
        ct = read_ct(folder / row["ct"])
        bones = read_labels(folder / row["labels"], ct)
        assert bones.names == {1: "bone"} and np.median(ct.hu[bones.labels > 0]) > 500
        prints.add(ct.fingerprint)
    assert len(prints) == 2
    assert len(list(folder.iterdir())) == 2 * 3 + 1


def test_the_command_keeps_copies_that_are_there_and_makes_missing_and_others_again(phantom_file: Path, tmp_path: Path) -> None:
    run(phantom_file, "-o", tmp_path, "--count", 2)
    first, second = (tmp_path / f"phantom_deformed_{n}.nii.gz" for n in (1, 2))
    contents, kept = second.read_bytes(), first.stat().st_mtime_ns
    second.unlink()
    run(phantom_file, "-o", tmp_path, "--count", 3)
    assert first.stat().st_mtime_ns == kept and second.read_bytes() == contents
    run(phantom_file, "-o", tmp_path, "--count", 2, "--seed", 1)
    assert first.stat().st_mtime_ns != kept and second.read_bytes() != contents
    assert (tmp_path / "patients.csv").read_text().count("phantom_deformed_3.nii.gz") == 1


def test_a_list_of_another_kind_is_not_overwritten(phantom_file: Path, tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("name,age\nA,30\n")
    with pytest.raises(InputError, match=r"patients\.csv is no list of this command"):
        run(phantom_file, "-o", tmp_path, "--count", 1)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b'ct,labels,name,source,licence\n"a,b,c,d,e\n',
        b"ct,labels,name,source,licence\na,b,c\n",
        b"ct,labels,name,source,licence\na,b,c,d,e,f\n",
    ],
    ids=["no text", "a quote without end", "too few columns", "too many columns"],
)
def test_a_damaged_list_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "patients.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"patients\.csv"):
        cli_deform.read_list(tmp_path / "patients.csv")
