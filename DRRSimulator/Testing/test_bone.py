"""Bones of a CT: segmentation of a phantom and of a real pelvis, label maps, and the field whose 0.5 level is the surface."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels, occupancy, read_labels, segment_bone
from DRRSimulatorLib.ct import CTVolume, read_ct
from DRRSimulatorLib.errors import InputError
from scipy import ndimage
from scipy.spatial.transform import Rotation

Mask = npt.NDArray[np.bool_]

FINE_IN_PLANE = (0.7, 0.7, 2.5)
COARSE = (3.0, 3.0, 3.0)


def trunk(spacing: tuple[float, float, float]) -> tuple[CTVolume, dict[str, Mask]]:
    """A trunk that lies on a table, with a femoral shaft, two vertebrae and a kidney stone.

    HU are averaged over each voxel and noisy. The masks tell which voxels lie wholly inside a part.
    """
    size = (168.0, 126.0, 90.0)  # mm along x, y, z
    shape = tuple(round(length / s) for length, s in zip(size, spacing, strict=True))
    finer = tuple(max(1, round(s)) for s in spacing)  # sampled at about 1 mm
    x, y, z = np.meshgrid(
        *((np.arange(n * f) + 0.5) * s / f - length / 2 for n, f, s, length in zip(shape, finer, spacing, size, strict=True)),
        indexing="ij",
    )

    def cylinder(centre_x: float, centre_y: float, radius: float) -> Mask:
        return (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2

    def voxels(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        (nx, ny, nz), (fx, fy, fz) = shape, finer
        return values.reshape(nx, fx, ny, fy, nz, fz).mean(axis=(1, 3, 5)).T

    parts = {
        "shaft": cylinder(-40, 0, 14),
        "vertebrae": (cylinder(35, 5, 20) | cylinder(35, -24, 12)) & ~cylinder(35, -24, 8) & (np.abs(z) > 4) & (np.abs(z) < 35),
        "canal": cylinder(35, -24, 7) & (np.abs(z) < 35),  # a millimetre inside its wall
        "disc": cylinder(35, 5, 20) & (np.abs(z) < 4),
        "stone": (x - 10) ** 2 + (y - 20) ** 2 + z**2 < 4**2,
        "table": (y > -60) & (y < -57) & (np.abs(x) < 75),
    }
    hu = np.full(x.shape, -1000.0)
    hu[np.abs(y + 54) < 3] = -850  # the mattress
    hu[(x / 78) ** 2 + (y / 51) ** 2 < 1] = 40
    hu[parts["table"]] = 400
    hu[parts["stone"]] = 900
    hu[parts["shaft"]] = 1200
    hu[cylinder(-40, 0, 9)] = -80
    hu[parts["vertebrae"]] = 600
    hu[cylinder(35, 5, 17) & (np.abs(z) > 7) & (np.abs(z) < 32) & ~cylinder(35, -24, 11)] = 80
    noisy = voxels(hu) + np.random.default_rng(1).normal(scale=25, size=shape[::-1])
    ct = CTVolume(noisy.astype(np.float32), np.diag([*spacing, 1.0]))
    return ct, {name: voxels(part) == 1 for name, part in parts.items()}


@pytest.fixture(scope="module", params=[FINE_IN_PLANE, COARSE], ids=["fine", "coarse"])
def segmented(request: pytest.FixtureRequest) -> tuple[dict[str, Mask], Mask]:
    ct, parts = trunk(request.param)
    return parts, segment_bone(ct).labels == 1


@pytest.mark.parametrize("part", ["shaft", "vertebrae"])
def test_bone_and_its_marrow_are_found(segmented: tuple[dict[str, Mask], Mask], part: str) -> None:
    parts, bone = segmented
    assert bone[parts[part]].mean() > 0.99


def test_the_marrow_of_a_shaft_is_filled_up_to_the_edge_of_the_ct(segmented: tuple[dict[str, Mask], Mask]) -> None:
    parts, bone = segmented
    assert bone[0][parts["shaft"][0]].mean() > 0.99
    assert bone[-1][parts["shaft"][-1]].mean() > 0.99


@pytest.mark.parametrize("part", ["canal", "disc", "stone", "table"])
def test_what_is_no_bone_stays_out(segmented: tuple[dict[str, Mask], Mask], part: str) -> None:
    parts, bone = segmented
    assert parts[part].any()
    assert bone[parts[part]].mean() < 0.05


def test_the_found_bone_does_not_reach_beyond_its_edge_voxels(segmented: tuple[dict[str, Mask], Mask]) -> None:
    parts, bone = segmented
    inner = parts["shaft"] | parts["vertebrae"]
    assert not bone[~ndimage.binary_dilation(inner, np.ones((3, 3, 3)), iterations=2)].any()


def test_a_metal_nail_in_a_bone_belongs_to_it() -> None:
    ct, parts = trunk(COARSE)
    nail = ndimage.binary_erosion(parts["shaft"], np.ones((1, 3, 3)), iterations=2)
    hu = np.where(nail, np.float32(3000), ct.hu)
    assert segment_bone(CTVolume(hu, ct.ijk_to_ras)).labels[nail].all()


def test_flipping_a_ct_flips_its_segmentation() -> None:
    ct, _ = trunk(COARSE)
    flipped = CTVolume(ct.hu[::-1, :, ::-1], ct.ijk_to_ras)
    np.testing.assert_array_equal(segment_bone(flipped).labels, segment_bone(ct).labels[::-1, :, ::-1])


def test_a_real_pelvis_agrees_with_a_trained_segmentation(shared_data: Path) -> None:
    ct = read_ct(shared_data / "pelvis_ct" / "ct.nii.gz")
    reference = read_labels(shared_data / "pelvis_ct" / "bone_labels.nii.gz", ct).labels > 0
    bone = segment_bone(ct).labels > 0
    dice = 2 * (bone & reference).sum() / (bone.sum() + reference.sum())
    assert dice >= 0.88


@pytest.mark.parametrize("hu", [-1000.0, 40.0, 100.0])
def test_a_ct_without_bone_is_refused(hu: float) -> None:
    with pytest.raises(InputError, match="No bone"):
        segment_bone(CTVolume(np.full((20, 20, 20), hu, dtype=np.float32), np.diag([2.0, 2.0, 2.0, 1.0])))


LABELS = np.zeros((6, 8, 10), dtype=np.uint8)
LABELS[1:3, 2:5, 3:9] = 7
LABELS[4:, 5:, :4] = 2


def write_labels(path: Path, labels: npt.NDArray[Any] = LABELS, spacing: float = 2.0) -> Path:
    """The corner of the label map lies at RAS (-5, -5, 5) mm and its axes run left, posterior and superior, as in DICOM."""
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing([spacing] * 3)
    image.SetOrigin((np.array([5.0, 5.0, 5.0]) + spacing / 2).tolist())
    sitk.WriteImage(image, str(path))
    return path


def ct_of(shape: tuple[int, int, int], spacing: float = 2.0) -> CTVolume:
    matrix = np.diag([-spacing, -spacing, spacing, 1.0])
    matrix[:3, 3] = np.array([-5.0, -5.0, 5.0]) + np.array([-1, -1, 1]) * spacing / 2
    return CTVolume(np.zeros(shape, dtype=np.float32), matrix)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_label_map_on_the_grid_of_the_ct_is_kept_as_it_is(tmp_path: Path, suffix: str) -> None:
    ct = ct_of(LABELS.shape)
    bones = read_labels(write_labels(tmp_path / f"bones{suffix}"), ct)
    np.testing.assert_array_equal(bones.labels, LABELS)
    np.testing.assert_array_equal(bones.ijk_to_ras, ct.ijk_to_ras)
    assert bones.labels.dtype == np.uint8
    assert bones.names == {2: "label 2", 7: "label 7"}


def test_a_coarser_label_map_covers_the_same_space_up_to_its_edge(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "bones.nii.gz", spacing=6.0)
    bones = read_labels(path, ct_of((18, 24, 30), spacing=2.0))
    np.testing.assert_array_equal(bones.labels, LABELS.repeat(3, 0).repeat(3, 1).repeat(3, 2))


def test_a_label_map_of_another_orientation_keeps_its_place_in_the_patient(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "bones.nii.gz")
    oriented = sitk.DICOMOrient(sitk.ReadImage(str(path)), "SAR")
    sitk.WriteImage(oriented, str(tmp_path / "turned.nii.gz"))
    assert sitk.GetArrayFromImage(oriented).shape != LABELS.shape
    np.testing.assert_array_equal(read_labels(tmp_path / "turned.nii.gz", ct_of(LABELS.shape)).labels, LABELS)


def test_a_label_map_may_cover_a_part_of_the_ct(tmp_path: Path) -> None:
    bones = read_labels(write_labels(tmp_path / "bones.nii.gz"), ct_of((9, 9, 12)))
    np.testing.assert_array_equal(bones.labels[:6, :8, :10], LABELS)
    assert bones.labels.sum() == LABELS.sum()


def test_names_come_from_the_json_file_beside_the_label_map(tmp_path: Path) -> None:
    (tmp_path / "bones.json").write_text(json.dumps({"7": "femur_left", "9": "not in the map"}))
    bones = read_labels(write_labels(tmp_path / "bones.nii.gz"), ct_of(LABELS.shape))
    assert bones.names == {2: "label 2", 7: "femur_left"}


@pytest.mark.parametrize("text", ["[1, 2]", '{"one": "femur"}', '{"1": 2}', "{", "\udcff"])
def test_a_damaged_file_of_names_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bones.json").write_text(text, errors="surrogateescape")
    path = write_labels(tmp_path / "bones.nii.gz")
    with pytest.raises(InputError, match="file of names"):
        read_labels(path, ct_of(LABELS.shape))


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0, np.nan, np.inf])
def test_values_that_are_no_labels_are_refused(tmp_path: Path, value: float) -> None:
    labels = LABELS.astype(np.float32)
    labels[0, 0, 0] = value
    path = write_labels(tmp_path / "bones.nrrd", labels)  # ITK reads NaN from NIfTI as 0
    with pytest.raises(InputError, match="whole numbers"):
        read_labels(path, ct_of(LABELS.shape))


def test_whole_numbers_stored_as_floats_are_labels(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "bones.nii.gz", LABELS.astype(np.float64))
    np.testing.assert_array_equal(read_labels(path, ct_of(LABELS.shape)).labels, LABELS)


def test_a_label_map_without_labels_is_refused(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "bones.nii.gz", np.zeros_like(LABELS))
    with pytest.raises(InputError, match="no labels"):
        read_labels(path, ct_of(LABELS.shape))


def test_a_label_map_of_another_patient_is_refused(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "bones.nii.gz")
    ct = ct_of(LABELS.shape)
    ct.ijk_to_ras[2, 3] += 500
    with pytest.raises(InputError, match="outside the CT"):
        read_labels(path, ct)


def labels_of(mask: npt.NDArray[Any]) -> BoneLabels:
    return BoneLabels(mask.astype(np.uint8), np.eye(4), {1: "bone"})


def level_crossings(field: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Points (N, 3) as (k, j, i) where the field, linear between neighbouring voxels, is 0.5."""
    points = []
    for axis in range(3):
        steps = np.moveaxis(field, axis, 0) - 0.5
        index = np.argwhere(np.moveaxis(steps[:-1] * steps[1:] < 0, 0, axis))
        before = field[tuple(index.T)] - 0.5
        after = field[tuple((index + np.eye(3, dtype=int)[axis]).T)] - 0.5
        points.append(index + np.outer(before / (before - after), np.eye(3)[axis]))
    return np.concatenate(points)


def ellipsoid_distance(points: npt.NDArray[np.float64], semi_axes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance to a centred ellipsoid near its surface, to first order (Taubin, IEEE PAMI 1991;13:1115-1138)."""
    radius = np.linalg.norm(points / semi_axes, axis=1)
    return (radius - 1) * radius / np.linalg.norm(points / semi_axes**2, axis=1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)], ids=["isotropic", "anisotropic"])
def test_the_half_level_lies_on_an_ellipsoid_within_a_tenth_of_a_voxel(seed: int, spacing: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(seed)
    semi_axes = rng.uniform(15, 25, 3) * max(spacing)
    rotation = Rotation.random(random_state=seed).as_matrix()
    centre = np.array([30.0, 30.0, 30.0]) * max(spacing) + rng.uniform(-1, 1, 3)
    shape = np.array([61, 61, 61]) * max(spacing) / spacing
    points = np.stack(np.indices(shape.astype(int)), axis=-1) * spacing
    mask = np.linalg.norm((points - centre) @ rotation / semi_axes, axis=-1) <= 1
    surface = level_crossings(occupancy(labels_of(mask), 1)) * spacing
    distance = ellipsoid_distance((surface - centre) @ rotation, semi_axes)
    assert np.sqrt(np.mean(distance**2)) <= 0.1 * max(spacing)


@pytest.mark.parametrize("size", [(2, 12, 12), (2, 2, 12), (1, 12, 12), (1, 1, 12)])
def test_thin_bones_do_not_vanish(size: tuple[int, int, int]) -> None:
    mask = np.zeros((16, 16, 16), dtype=bool)
    mask[tuple(slice(2, 2 + n) for n in size)] = True
    np.testing.assert_array_equal(occupancy(labels_of(mask), 1) > 0.5, mask)


def test_a_field_holds_one_bone_only() -> None:
    labels = np.zeros((20, 20, 40), dtype=np.uint8)
    labels[5:15, 5:15, 5:20] = 1
    labels[5:15, 5:15, 20:35] = 2
    field = occupancy(BoneLabels(labels, np.eye(4), {1: "radius", 2: "ulna"}), 2)
    assert field.dtype == np.float32
    assert field.min() == 0 and field.max() <= 1
    np.testing.assert_array_equal(field > 0.5, labels == 2)


@pytest.mark.parametrize("label", [0, 3])
def test_a_label_that_does_not_occur_is_refused(label: int) -> None:
    with pytest.raises(InputError, match="no bone with label"):
        occupancy(labels_of(np.ones((4, 4, 4))), label)
