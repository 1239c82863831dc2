"""Reading CT: geometry against SimpleITK, DICOM series as scanners write them, and refusals in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk
from ct_files import LPS_TO_RAS, OBLIQUE, ORIGIN, SPACING, as_image, phantom, write_series
from DRRSimulatorLib.camera import transform_points
from DRRSimulatorLib.ct import CTVolume, cortical_part, hu_to_attenuation, read_ct
from DRRSimulatorLib.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.uid import RLELossless, generate_uid
from scipy.spatial.transform import Rotation


@st.composite
def directions(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """Direction cosines of any rotation and, half of the time, left-handed."""
    quaternion = draw(arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1))
    handedness = draw(st.sampled_from([1.0, -1.0]))
    return np.asarray(Rotation.from_quat(quaternion).as_matrix() * [1, 1, handedness])


AXIS_FLIPS = [np.diag(signs).astype(float) for signs in ((1, 1, 1), (-1, -1, 1), (1, -1, -1))]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    direction=directions(), index=arrays(np.float64, 3, elements=st.floats(0, 400)), suffix=st.sampled_from([".nii.gz", ".nrrd", ".mha"])
)
def test_voxels_lie_where_simpleitk_puts_them(
    tmp_path: Path, suffix: str, direction: npt.NDArray[np.float64], index: npt.NDArray[np.float64]
) -> None:
    image = as_image(phantom(), direction)
    sitk.WriteImage(image, tmp_path / f"ct{suffix}")
    ct = read_ct(tmp_path / f"ct{suffix}")
    expected = LPS_TO_RAS * image.TransformContinuousIndexToPhysicalPoint(index.tolist())
    # NIfTI keeps float32: one part in 10 million of some 1000 mm.
    np.testing.assert_allclose(transform_points(ct.ijk_to_ras, index[None])[0], expected, atol=1e-3)
    np.testing.assert_allclose(ct.spacing, SPACING, rtol=1e-6)
    np.testing.assert_array_equal(ct.hu, phantom())


@pytest.mark.parametrize("direction", [OBLIQUE, *AXIS_FLIPS], ids=["oblique", "supine", "prone", "feet first"])
def test_a_dicom_series_lies_where_its_headers_say(tmp_path: Path, direction: npt.NDArray[np.float64]) -> None:
    write_series(tmp_path, phantom(), direction)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom())
    header = min((pydicom.dcmread(file) for file in tmp_path.iterdir()), key=lambda h: np.dot(h.ImagePositionPatient, direction[:, 2]))
    across, down = np.array(header.ImageOrientationPatient).reshape(2, 3)
    row, column, k = 3, 7, 5
    # PS3.3 equation C.7.6.2.1-1, and steps of the slice spacing along the normal.
    pixel = np.array(header.ImagePositionPatient) + across * column * header.PixelSpacing[1] + down * row * header.PixelSpacing[0]
    pixel = pixel + k * SPACING[2] * np.cross(across, down)
    np.testing.assert_allclose(transform_points(ct.ijk_to_ras, [[column, row, k]])[0], LPS_TO_RAS * pixel, atol=1e-4)


def test_slices_stored_backwards_are_put_in_order_along_the_normal(tmp_path: Path) -> None:
    direction = np.diag([1.0, 1.0, -1.0])
    write_series(tmp_path, phantom(), direction)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom()[::-1])
    first = ORIGIN - np.array([0, 0, SPACING[2] * (len(ct.hu) - 1)])
    np.testing.assert_allclose(ct.ijk_to_ras[:3, 3], LPS_TO_RAS * first, atol=1e-4)


def test_compressed_slices_are_read(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    for file in tmp_path.iterdir():
        slice_ = pydicom.dcmread(file)
        slice_.compress(RLELossless)
        slice_.save_as(file)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, phantom())


@pytest.mark.parametrize(
    "direction",
    [
        OBLIQUE,
        np.diag([1.0, -1.0, -1.0]),
        np.eye(3)[[1, 2, 0]],
        np.eye(3)[[2, 1, 0]] * [1, -1, 1],
        Rotation.from_euler("z", 45, degrees=True).as_matrix(),
        np.array([[-1, -2, 2], [2, 1, 2], [-2, 2, 1]]) / 3,
    ],
    ids=["oblique", "prone", "sagittal", "coronal", "two axes equally near", "all orders equally near"],
)
def test_a_ct_has_one_fingerprint_in_every_format_and_storage_order(tmp_path: Path, direction: npt.NDArray[np.float64]) -> None:
    write_series(tmp_path / "dicom", phantom(), direction)
    image = as_image(phantom(), direction)
    converter_style = sitk.Flip(image, [False, True, False])
    sitk.WriteImage(image, tmp_path / "a.nii.gz")
    sitk.WriteImage(converter_style, tmp_path / "b.nii")
    sitk.WriteImage(sitk.PermuteAxes(image, [2, 0, 1]), tmp_path / "c.nrrd")
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat64), tmp_path / "d.mha")
    fingerprints = {read_ct(path).fingerprint for path in tmp_path.iterdir()}
    assert len(fingerprints) == 1


def test_a_fingerprint_changes_with_a_voxel_or_a_move_of_half_a_millimetre() -> None:
    hu, matrix = phantom().astype(np.float32), np.diag([0.7, 0.7, 2.5, 1.0])
    changed = hu.copy()
    changed[3, 4, 5] += 1
    moved = matrix.copy()
    moved[1, 3] += 0.5
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0]) @ matrix
    volumes = [CTVolume(hu, matrix), CTVolume(changed, matrix), CTVolume(hu, moved), CTVolume(hu, mirrored)]
    assert len({volume.fingerprint for volume in volumes}) == 4


@pytest.mark.parametrize("tilt_deg", [15, -15])
def test_a_tilted_gantry_is_resampled_and_keeps_points_in_place(tmp_path: Path, tilt_deg: float) -> None:
    tilt = np.radians(tilt_deg)
    direction = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    shape = (12, 40, 30)
    positions = ORIGIN + np.arange(shape[0])[:, None] * [0, 0, 3.0]  # the table moves along the patient, not along the normal
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    points = positions[k] + i[..., None] * SPACING[0] * direction[:, 0] + j[..., None] * SPACING[1] * direction[:, 1]
    slopes = np.array([7.0, 11.0, 13.0])  # HU per mm, LPS: linear interpolation keeps a linear field exactly
    hu = np.rint((points - ORIGIN) @ slopes).astype(np.int16)
    write_series(tmp_path, hu, direction, positions)
    with pytest.warns(UserWarning, match=r"15\.0 degrees"):
        ct = read_ct(tmp_path)
    axes = ct.ijk_to_ras[:3, :3] / ct.spacing
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(ct.spacing, [*SPACING[:2], 3.0 * np.cos(tilt)], rtol=1e-4)
    voxels = np.argwhere(np.ones_like(ct.hu))[:, ::-1]
    lps = LPS_TO_RAS * transform_points(ct.ijk_to_ras, voxels)
    slice_number = (lps - ORIGIN) @ np.cross(direction[:, 0], direction[:, 1]) / (3.0 * np.cos(tilt))
    row = ((lps - ORIGIN - slice_number[:, None] * [0, 0, 3.0]) @ direction[:, 1]) / SPACING[1]
    measured = (row >= 0) & (row <= shape[1] - 1)
    assert measured.sum() > 0.9 * hu.size
    read = ct.hu.ravel()
    np.testing.assert_allclose(read[measured], (lps[measured] - ORIGIN) @ slopes, atol=0.6)  # the stored HU are rounded to 1
    assert (read[(row < -1) | (row > shape[1])] == -1000).all()


def test_padding_outside_the_field_of_view_becomes_air(tmp_path: Path) -> None:
    hu = phantom()
    hu[:, :2] = -2048
    hu[:, -2:] = 3000
    write_series(tmp_path, hu, PixelPaddingValue=3000 + 1024)
    ct = read_ct(tmp_path)
    assert (ct.hu[:, :2] == -1000).all() and (ct.hu[:, -2:] == -1000).all()
    np.testing.assert_array_equal(ct.hu[:, 2:-2], phantom()[:, 2:-2])


def test_a_missing_slice_is_refused_and_its_place_named(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    position = {file: np.array(pydicom.dcmread(file).ImagePositionPatient) for file in tmp_path.iterdir()}
    ordered = sorted(position, key=lambda file: position[file] @ OBLIQUE[:, 2])
    ordered[4].unlink()
    with pytest.raises(InputError, match=rf"missing between .*{ordered[3].name} and .*{ordered[5].name}.* 5\.00 mm apart"):
        read_ct(tmp_path)


def test_two_slices_at_one_position_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    other = pydicom.dcmread(tmp_path / "003.dcm")
    other.SOPInstanceUID = generate_uid()
    other.save_as(tmp_path / "other than 003.dcm")
    with pytest.raises(InputError, match=r"003\.dcm and .*003\.dcm lie at the same position"):
        read_ct(tmp_path)


def test_uneven_slices_are_refused(tmp_path: Path) -> None:
    offsets = np.array([0, 2, 4, 6, 8.6, 11.2, 13.8, 16.4])
    write_series(tmp_path, phantom(), np.eye(3), ORIGIN + offsets[:, None] * [0, 0, 1])
    with pytest.raises(InputError, match=r"unevenly placed \(steps from 2\.00 to 2\.60 mm\)"):
        read_ct(tmp_path)


def test_a_slice_of_another_orientation_is_missed_in_its_place(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    file = sorted(tmp_path.iterdir(), key=lambda file: pydicom.dcmread(file).ImagePositionPatient @ OBLIQUE[:, 2])[3]
    slice_ = pydicom.dcmread(file)
    slice_.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    slice_.save_as(file)
    with pytest.raises(InputError, match="Slices are missing"):
        read_ct(tmp_path)


def test_of_several_series_one_is_chosen_by_its_uid(tmp_path: Path) -> None:
    bone, soft = phantom(), np.flip(phantom(), 2)
    bone_uid = write_series(tmp_path / "a", bone)
    soft_uid = write_series(tmp_path / "b", soft, SeriesDescription="Soft 2.0")
    with pytest.raises(InputError) as refusal:
        read_ct(tmp_path)
    assert all(text in str(refusal.value) for text in (bone_uid, soft_uid, "'Bone 0.6' (8 slices)", "'Soft 2.0' (8 slices)"))
    np.testing.assert_array_equal(read_ct(tmp_path, soft_uid).hu, soft)
    with pytest.raises(InputError, match=r"2 CT series, but not 1\.2\.3"):
        read_ct(tmp_path, "1.2.3")


def test_what_lies_beside_the_ct_is_passed_over(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    write_series(tmp_path / "scout", phantom(), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "mr", phantom(), Modality="MR")
    write_series(tmp_path / "bolus tracking", phantom(), positions=np.tile(ORIGIN, (8, 1)))
    write_series(tmp_path / "few", phantom((2, 10, 12)))
    (tmp_path / "notes.txt").write_text("not DICOM")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, phantom())


def test_a_folder_without_ct_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, phantom(), Modality="MR")
    with pytest.raises(InputError, match="holds no CT series"):
        read_ct(tmp_path)


def test_a_truncated_slice_is_named(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    file = tmp_path / "005.dcm"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"005\.dcm cannot be read"):
        read_ct(tmp_path)


@pytest.mark.parametrize("tags", [{"PixelSpacing": [0, 0.7]}, {"ImageOrientationPatient": [0] * 6}, {"ImagePositionPatient": [1, 2]}])
def test_a_nonsense_geometry_is_refused(tmp_path: Path, tags: dict[str, list[float]]) -> None:
    write_series(tmp_path, phantom(), **tags)
    with pytest.raises(InputError, match=r"\.dcm is damaged"):
        read_ct(tmp_path)


def refused(folder: Path, hu: npt.NDArray[Any], sentence: str, name: str = "ct.nrrd", vector: bool = False) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(hu, isVector=vector), folder / name)
    with pytest.raises(InputError, match=sentence):
        read_ct(folder / name)


def test_files_that_are_not_ct_are_refused(tmp_path: Path) -> None:
    hu = phantom().astype(np.float32)
    refused(tmp_path, hu[:1], "not a CT volume: its size is only")
    refused(tmp_path, np.zeros_like(hu), "highest value is 0,")
    refused(tmp_path, np.full_like(hu, 500), "lowest value is 500")
    refused(tmp_path, hu + 1024, "lowest value is 24")
    refused(tmp_path, (hu + 1000) / 3000, "not a CT of bone")
    refused(tmp_path, np.where(hu == hu.max(), np.nan, hu), "not finite")
    refused(tmp_path, np.where(hu == hu.max(), np.inf, hu), "not finite")
    refused(tmp_path, np.stack([hu] * 3, axis=-1).astype(np.uint8), "3 values per voxel", vector=True)
    refused(tmp_path, np.stack([hu] * 3), "4 dimensions", name="ct.nii.gz")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        read_ct(tmp_path / "missing.nrrd")
    for name in ("ct.nii.gz", "ct.nrrd", "ct.mha"):
        (tmp_path / name).write_bytes(b"not an image")
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            read_ct(tmp_path / name)
    (tmp_path / "slice.dcm").write_bytes(b"")
    with pytest.raises(InputError, match="for DICOM give the folder"):
        read_ct(tmp_path / "slice.dcm")


def test_a_header_with_its_voxels_beside_it_is_read_and_one_that_reaches_elsewhere_refused(tmp_path: Path) -> None:
    for name in ("ct.mhd", "ct.nhdr"):
        sitk.WriteImage(as_image(phantom()), tmp_path / name)
        np.testing.assert_array_equal(read_ct(tmp_path / name).hu, phantom())
        inner = tmp_path / "inner"
        inner.mkdir(exist_ok=True)
        header = (tmp_path / name).read_text()
        (inner / name).write_text(header.replace("ct.raw", "../ct.raw"))
        with pytest.raises(InputError, match=r"takes its voxels from \.\./ct\.raw"):
            read_ct(inner / name)


def test_a_nifti_whose_two_transforms_disagree_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii"
    sitk.WriteImage(as_image(phantom(), np.eye(3)), path)
    content = bytearray(path.read_bytes())
    srow_y = np.frombuffer(content[296:312], "<f4").copy()  # nifti1.h: srow_x, srow_y, srow_z start at byte 280
    srow_y[2] = 0.3 * SPACING[2]  # a shear such as gantry tilt, which the qform cannot hold and ITK drops in silence
    content[296:312] = srow_y.tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match="qform and sform differ"):
        read_ct(path)


def test_attenuation_is_that_of_air_water_and_more_in_bone() -> None:
    hu = np.array([[-3024, -1000], [0, 1000]], dtype=np.int16)
    attenuation = hu_to_attenuation(hu)
    assert attenuation.dtype == np.float32
    # NIST: water 0.2059 and 0.1837 cm2/g at 60 and 80 keV, between which the effective energy lies.
    assert 0.01837 < attenuation[1, 0] < 0.02059
    np.testing.assert_allclose(attenuation, attenuation[1, 0] * np.array([[0, 0], [1, 2]]), rtol=1e-6)


def test_bone_is_divided_as_a_mixture_of_soft_tissue_and_cortical_bone() -> None:
    # NIST's cm2/g at 60 and 80 keV; the photoelectric part, which makes the difference, falls with the third power of the energy.
    later = (60**-3 - 70**-3) / (60**-3 - 80**-3)
    soft, cortical = 0.106 * (0.2048 + later * (0.1823 - 0.2048)), 0.192 * (0.3148 + later * (0.2229 - 0.3148))
    share = np.linspace(0.1, 1, 10)
    part = cortical_part((1 - share) * soft + share * cortical)
    assert part.dtype == np.float32
    np.testing.assert_allclose(part, share * cortical, atol=0.01 * cortical)
    np.testing.assert_array_equal(cortical_part([0.0, 0.018]), 0)  # air and fat
    np.testing.assert_allclose(cortical_part([0.06, 0.2]), [0.06, 0.2], rtol=1e-6)  # enamel and metal


def test_the_pelvis_ct_is_read_as_it_is(shared_data: Path) -> None:
    path = shared_data / "pelvis_ct" / "ct.nii.gz"
    ct = read_ct(path)
    image = sitk.ReadImage(str(path))
    assert ct.hu.shape == image.GetSize()[::-1]
    np.testing.assert_allclose(ct.spacing, image.GetSpacing(), rtol=1e-6)
    np.testing.assert_array_equal(ct.hu, np.maximum(sitk.GetArrayFromImage(image), -1000))
    corner = [n - 1 for n in image.GetSize()]
    expected = LPS_TO_RAS * image.TransformIndexToPhysicalPoint(corner)
    np.testing.assert_allclose(transform_points(ct.ijk_to_ras, [corner])[0], expected, atol=1e-3)


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd", "ct.mha"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    sitk.WriteImage(as_image(phantom()), str(path), useCompression=name != "ct.nii")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=f"{name} cannot be read"):
        read_ct(path)


@pytest.mark.parametrize("field", ["dimension: ", "space directions: (", "type: "])
def test_an_nrrd_header_with_an_endless_word_is_refused(tmp_path: Path, field: str) -> None:
    """The library that reads NRRD writes such words into messages of limited length, and crashes."""
    sitk.WriteImage(as_image(phantom()), tmp_path / "ct.nrrd")
    content = (tmp_path / "ct.nrrd").read_bytes()
    assert field.encode() in content
    (tmp_path / "ct.nrrd").write_bytes(content.replace(field.encode(), field.encode() + b"9" * 400, 1))
    with pytest.raises(InputError, match="a line of its header is far longer"):
        read_ct(tmp_path / "ct.nrrd")


def test_an_nrrd_header_may_have_long_comments_and_entries_of_other_programs(tmp_path: Path) -> None:
    sitk.WriteImage(as_image(phantom()), tmp_path / "ct.nrrd")
    content = (tmp_path / "ct.nrrd").read_bytes()
    (tmp_path / "ct.nrrd").write_bytes(content.replace(b"type:", b"# " + b"a" * 900 + b"\nSegment0_Tags:=" + b"b" * 900 + b"\ntype:", 1))
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nrrd").hu, phantom())


def test_headers_whose_dimensions_or_sizes_cannot_be_are_refused(tmp_path: Path) -> None:
    """MetaImage's library keeps room for ten dimensions; that of NRRD takes memory by the sizes while it reads the header."""
    for name, old, new in (
        ("ct.mha", b"NDims = 3", b"NDims = 2147483648"),
        ("ct.mha", b"NDims = 3", b"NDims = -1"),
        ("ct.nrrd", b"sizes: 12", b"sizes: 4294967296"),
        ("ct.nrrd", b"sizes: 12", b"sizes: " + b"9" * 90),
        ("ct.nrrd", b"sizes: 12", b"sizes: " + b" ".join([b"9" * 90] * 5)),
        ("ct.nrrd", b"space directions: (", b"space directions: (18446744073709551616"),
        ("ct.mha", b"TransformMatrix = ", b"TransformMatrix = 1e308 "),
        ("ct.mha", b"ElementSpacing = ", b"ElementSpacing = 1e-300 "),
        ("ct.mhd", b"ElementDataFile = ", b"ElementDataFile = \0"),
        ("ct.mhd", b"ElementDataFile = ", b"ElementDataFile = " + b"x" * 10_000),
        ("ct.mha", b"CompressedData = False", b"CompressedData = True\nCompressedDataSize = 1e38"),
    ):
        sitk.WriteImage(as_image(phantom(), np.eye(3)), tmp_path / name)
        content = (tmp_path / name).read_bytes()
        assert old in content
        (tmp_path / name).write_bytes(content.replace(old, new, 1))
        with pytest.raises(InputError):
            read_ct(tmp_path / name)
