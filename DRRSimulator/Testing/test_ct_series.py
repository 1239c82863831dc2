"""DICOM series as they come: several points in time, copies, scouts, enhanced multi-frame files, and what is wrong in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from ct_files import LPS_TO_RAS, OBLIQUE, ORIGIN, SPACING, phantom, write_series
from DRRSimulatorLib.camera import transform_points
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.dicom_series import series_files
from DRRSimulatorLib.errors import InputError
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, EnhancedCTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

POSITIONS = ORIGIN + np.arange(8)[:, None] * SPACING[2] * OBLIQUE[:, 2]


def enhanced(
    hu: npt.NDArray[np.int16], positions: npt.NDArray[np.float64] = POSITIONS, order: npt.NDArray[np.intp] | None = None, bits: int = 16
) -> Dataset:
    """An enhanced multi-frame CT whose frames stand in any order, each with a rescale of its own: slope 2 or 1, intercept -1024 - k."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.ImageType, dataset.SeriesDescription = "CT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "Enhanced"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = hu.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, bits, bits - 1, 1
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [Dataset()], [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = [SPACING[1], SPACING[0]]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [f"{v:.12f}" for v in OBLIQUE[:, :2].T.ravel()]
    dataset.SharedFunctionalGroupsSequence = [shared]
    stored, frames = [], []
    for k in range(len(hu)) if order is None else order:
        slope, intercept = 1 + k % 2, -1024 - k
        frame = Dataset()
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [Dataset()], [Dataset()]
        frame.FrameContentSequence = [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = [f"{v:.6f}" for v in positions[k]]
        frame.PixelValueTransformationSequence[0].RescaleSlope = slope
        frame.PixelValueTransformationSequence[0].RescaleIntercept = intercept
        frames.append(frame)
        stored.append((hu[k].astype(np.int32) - intercept) // slope)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.PixelData = np.array(stored).astype("<i2").tobytes()
    return dataset


def saved(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def as_stored(hu: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """HU after a rescale whose slope is 2 in every second slice."""
    k = np.arange(len(hu))[:, None, None]
    return (hu.astype(np.int64) + 1024 + k) // (1 + k % 2) * (1 + k % 2) - 1024 - k


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "RLE"])
def test_an_enhanced_multi_frame_ct_is_read_with_the_rescale_and_the_place_of_each_frame(tmp_path: Path, compressed: bool) -> None:
    order = np.random.default_rng(3).permutation(8)
    dataset = enhanced(phantom(), order=order)
    if compressed:
        dataset.compress(RLELossless)
    file = saved(dataset, tmp_path / "ct.dcm")
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, np.maximum(as_stored(phantom()), -1000))
    voxel = POSITIONS[5] + OBLIQUE[:, 0] * 7 * SPACING[0] + OBLIQUE[:, 1] * 3 * SPACING[1]
    np.testing.assert_allclose(transform_points(ct.ijk_to_ras, [[7, 3, 5]])[0], LPS_TO_RAS * voxel, atol=1e-4)
    assert series_files(tmp_path, None) == [file]


def test_an_enhanced_ct_in_two_files_is_one_volume(tmp_path: Path) -> None:
    whole, first, second = enhanced(phantom()), enhanced(phantom()[:3], POSITIONS[:3]), enhanced(phantom()[3:], POSITIONS[3:])
    second.SeriesInstanceUID = first.SeriesInstanceUID
    saved(first, tmp_path / "parts" / "a.dcm")
    saved(second, tmp_path / "parts" / "b.dcm")
    parts = read_ct(tmp_path / "parts")
    saved(whole, tmp_path / "whole" / "ct.dcm")
    np.testing.assert_allclose(parts.ijk_to_ras, read_ct(tmp_path / "whole").ijk_to_ras)
    assert len(series_files(tmp_path / "parts", None)) == 2


def test_twelve_bits_with_something_else_above_them_are_read_with_their_sign(tmp_path: Path) -> None:
    hu = np.clip(phantom(), -1000, 900)
    dataset = enhanced(hu, bits=12)
    stored = np.frombuffer(dataset.PixelData, "<u2") & 0x0FFF
    dataset.PixelData = (stored | 0xA000).astype("<u2").tobytes()
    saved(dataset, tmp_path / "ct.dcm")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, np.maximum(as_stored(hu), -1000))


def test_localizer_frames_are_passed_over_and_missing_ones_named(tmp_path: Path) -> None:
    dataset = enhanced(phantom())
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    dataset.PerFrameFunctionalGroupsSequence[0].CTImageFrameTypeSequence = [kind]
    saved(dataset, tmp_path / "a" / "ct.dcm")
    assert len(read_ct(tmp_path / "a").hu) == 7
    del dataset.PerFrameFunctionalGroupsSequence[0].CTImageFrameTypeSequence
    dataset.PerFrameFunctionalGroupsSequence[4].CTImageFrameTypeSequence = [kind]
    saved(dataset, tmp_path / "b" / "ct.dcm")
    with pytest.raises(InputError, match=r"missing between 4 of .*ct\.dcm and 6 of .*ct\.dcm"):
        read_ct(tmp_path / "b")


@pytest.mark.parametrize("claimed", [7, 2_000_000_000])
def test_a_wrong_number_of_frames_is_refused(tmp_path: Path, claimed: int) -> None:
    dataset = enhanced(phantom())
    dataset.NumberOfFrames = claimed
    saved(dataset, tmp_path / "ct.dcm")
    with pytest.raises(InputError, match=rf"is damaged \(it describes 8 frames of {claimed}\)"):
        read_ct(tmp_path)


def test_frames_without_their_pixels_are_refused(tmp_path: Path) -> None:
    dataset = enhanced(phantom())
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]
    saved(dataset, tmp_path / "ct.dcm")
    with pytest.raises(InputError, match=r"The pixels of the DICOM file .*ct\.dcm cannot be read"):
        read_ct(tmp_path)


TIMES: list[tuple[str, list[Any], str]] = [
    ("TemporalPositionIdentifier", [10, 2], "temporal position 2"),
    ("NominalPercentageOfCardiacPhase", [75, 5], "cardiac phase 5.0"),
    ("TriggerTime", [400, 50], "trigger time 50.0"),
    ("AcquisitionNumber", [4, 3], "acquisition 3"),
    ("ConvolutionKernel", ["B70", "B30"], "kernel B30"),
    ("AcquisitionTime", ["120001", "120000"], "acquisition time 120000"),
]


@pytest.mark.parametrize(("keyword", "values", "words"), TIMES, ids=[keyword for keyword, _, _ in TIMES])
def test_of_several_volumes_in_one_series_one_is_chosen_by_its_number(tmp_path: Path, keyword: str, values: list[Any], words: str) -> None:
    uid = generate_uid()
    later = np.flip(phantom(), 2)
    write_series(tmp_path / "later", later, SeriesInstanceUID=uid, **{keyword: values[0]})
    write_series(tmp_path / "first", phantom(), SeriesInstanceUID=uid, **{keyword: values[1]})
    with pytest.raises(InputError, match="holds 2 CT series") as refusal:
        read_ct(tmp_path)
    assert f"{uid}:1 'Bone 0.6' (8 slices, {words})" in str(refusal.value)
    np.testing.assert_array_equal(read_ct(tmp_path, f"{uid}:1").hu, phantom())
    np.testing.assert_array_equal(read_ct(tmp_path, f"{uid}:2").hu, later)
    assert {file.parent.name for file in series_files(tmp_path, f"{uid}:2")} == {"later"}


def test_points_in_time_of_an_enhanced_ct_are_told_apart(tmp_path: Path) -> None:
    dataset = enhanced(np.concatenate([phantom(), np.flip(phantom(), 1)]), np.concatenate([POSITIONS, POSITIONS]))
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.FrameContentSequence[0].TemporalPositionIndex = 1 + number // 8
    saved(dataset, tmp_path / "ct.dcm")
    uid = dataset.SeriesInstanceUID
    np.testing.assert_array_equal(read_ct(tmp_path, f"{uid}:1").hu, np.maximum(as_stored(phantom()), -1000))


def test_copies_of_slices_are_left_out_with_a_warning(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    for name in ("000", "003"):
        shutil.copy(tmp_path / f"{name}.dcm", tmp_path / f"copy of {name}.dcm")
    with pytest.warns(UserWarning, match="holds 2 second copies"):
        ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom())
    assert len(series_files(tmp_path, None)) == 8


def test_other_slices_under_the_same_uid_are_no_copies(tmp_path: Path) -> None:
    one = {"SeriesInstanceUID": generate_uid(), "SOPInstanceUID": generate_uid()}
    write_series(tmp_path / "a", phantom(), AcquisitionNumber=1, **one)
    write_series(tmp_path / "b", np.flip(phantom(), 2), AcquisitionNumber=2, **one)
    np.testing.assert_array_equal(read_ct(tmp_path, f"{one['SeriesInstanceUID']}:2").hu, np.flip(phantom(), 2))


def test_scouts_in_the_series_itself_are_left_out_with_a_warning(tmp_path: Path) -> None:
    uid = write_series(tmp_path / "ct", phantom())
    write_series(tmp_path / "scout", phantom((1, 30, 12)), np.eye(3)[[0, 2, 1]], SeriesInstanceUID=uid)
    with pytest.warns(UserWarning, match="1 images of another orientation, size or pixel spacing"):
        ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom())


def test_two_planes_in_one_series_are_two_volumes(tmp_path: Path) -> None:
    uid = write_series(tmp_path / "axial", phantom(), np.eye(3))
    write_series(tmp_path / "coronal", np.flip(phantom(), 1), np.eye(3)[[0, 2, 1]], SeriesInstanceUID=uid)
    with pytest.raises(InputError, match="holds 2 CT series"):
        read_ct(tmp_path)
    assert {file.parent.name for file in series_files(tmp_path, f"{uid}:1")} == {"axial"}


def test_slices_that_only_move_within_their_plane_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, phantom(), np.eye(3), ORIGIN + np.arange(8)[:, None] * [2.0, 0, 0])
    with pytest.raises(InputError, match="lie at the same position"):
        read_ct(tmp_path)


def test_a_shear_that_no_gantry_has_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, phantom(), np.eye(3), ORIGIN + np.arange(8)[:, None] * [0, 3.0, 1.0])
    with pytest.raises(InputError, match="sheared by 72 degrees"):
        read_ct(tmp_path)


def test_slices_larger_than_any_ct_are_refused_by_their_headers(tmp_path: Path) -> None:
    write_series(tmp_path, phantom(), Rows=65535, Columns=65535)
    with pytest.raises(InputError, match="have 65535x65535 pixels"):
        read_ct(tmp_path)


def test_a_small_deflated_series_is_read_and_a_large_deflated_file_refused_before_it_is_inflated(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    for file in tmp_path.iterdir():
        slice_ = pydicom.dcmread(file)
        slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        slice_.save_as(file)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, phantom())
    with file.open("ab") as end:
        end.write(bytes(2**20))
    with pytest.raises(InputError, match=r"\(deflated\) and larger than 1 MB"):
        read_ct(tmp_path)


@pytest.mark.parametrize("mark", [b"\xe0\x7f\x10\x00OW\x00\x00", b"\x40\x00\x60\xa1UT\x00\x00"], ids=["pixels", "within a sequence"])
def test_an_element_that_claims_to_be_longer_than_its_file_is_refused_before_memory_is_taken_for_it(tmp_path: Path, mark: bytes) -> None:
    inner = Dataset()
    inner.TextValue = "four"
    write_series(tmp_path, phantom(), ReferencedImageSequence=[inner])
    read_ct(tmp_path)
    path = sorted(tmp_path.iterdir())[3]
    content = path.read_bytes()
    length = content.index(mark) + len(mark)
    path.write_bytes(content[:length] + (0xF0000000).to_bytes(4, "little") + content[length + 4 :])
    with pytest.raises(InputError, match=rf"{path.name} cannot be read"):
        read_ct(tmp_path)


def test_a_header_that_tells_two_values_for_one_is_refused_in_a_sentence(tmp_path: Path) -> None:
    dataset = enhanced(phantom())
    dataset.PhotometricInterpretation = ["MONOCHROME2", "MONOCHROME2"]
    saved(dataset, tmp_path / "ct" / "a.dcm")
    with pytest.raises(InputError, match=r"a\.dcm cannot be read"):
        read_ct(tmp_path / "ct")


def test_a_header_with_text_in_the_place_of_numbers_is_refused_in_a_sentence(tmp_path: Path) -> None:
    saved(enhanced(phantom()), tmp_path / "ct" / "a.dcm")
    content = (tmp_path / "ct" / "a.dcm").read_bytes()
    colours = b"\x28\x00\x04\x00CS"  # of PhotometricInterpretation: 12 bytes, which doubles do not divide
    assert content.count(colours) == 1
    (tmp_path / "ct" / "a.dcm").write_bytes(content.replace(colours, colours[:4] + b"FD"))
    with pytest.raises(InputError, match=r"a\.dcm cannot be read"):
        read_ct(tmp_path / "ct")
