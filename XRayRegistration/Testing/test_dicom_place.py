"""Whether a CT still lies where its DICOM files have it: cropped and resampled it does, moved it does not."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from dicom_case import headers, write_ct_series
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import CTVolume, read_ct
from pydicom.dataset import Dataset
from XRayRegistrationLib.dicom_place import is_moved

SHAPE = (9, 12, 14)


def grid(direction: FloatArray, spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = direction * spacing
    matrix[:3, 3] = origin
    return matrix


def turned(axis: int, degrees: float) -> FloatArray:
    matrix, (one, other) = np.eye(4), [number for number in range(3) if number != axis]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[[one, one, other, other], [one, other, one, other]] = cosine, -sine, sine, cosine
    return matrix


GRID = grid(turned(2, 20)[:3, :3] @ turned(0, 10)[:3, :3] @ np.diag([-1, -1, 1]), (0.8, 1.1, 2.5), (31.25, -18.5, 903.7))


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    folder = tmp_path_factory.mktemp("ct") / "series"
    write_ct_series(folder, CTVolume(np.zeros(SHAPE, dtype=np.float32), GRID))
    return headers(folder)


def of_voxels(*columns: tuple[float, float, float, float]) -> FloatArray:
    """4x4 from voxels of a new grid to those of the old one."""
    return np.array([*columns, (0, 0, 0, 1)], dtype=np.float64)


IN_PLACE = {
    "as loaded": (SHAPE, np.eye(4)),
    "stored flipped": (SHAPE, of_voxels((-1, 0, 0, 13), (0, 1, 0, 0), (0, 0, -1, 8))),
    "stored with its axes swapped": (SHAPE[::-1], of_voxels((0, 0, 1, 0), (0, 1, 0, 0), (1, 0, 0, 0))),
    "cropped": ((4, 6, 7), of_voxels((1, 0, 0, 3), (0, 1, 0, 5), (0, 0, 1, 2))),
    "resampled finely": ((17, 23, 27), np.diag([0.5, 0.5, 0.5, 1])),
    "resampled coarsely": ((5, 6, 7), of_voxels((2, 0, 0, 0.5), (0, 2, 0, 0.5), (0, 0, 2, 0))),
}


@pytest.mark.parametrize("change", IN_PLACE)
def test_it_lies_in_place(slices: list[Dataset], change: str) -> None:
    shape, to_old = IN_PLACE[change]
    assert not is_moved(shape, GRID @ to_old, slices)


def shifted(x: float, y: float, z: float) -> FloatArray:
    return of_voxels((1, 0, 0, x), (0, 1, 0, y), (0, 0, 1, z))


@pytest.mark.parametrize("motion", [turned(0, 1), turned(1, -2), turned(2, 90), shifted(0.3, 0, 0), shifted(0, -0.3, 0), shifted(0, 0, 5)])
def test_it_was_moved(slices: list[Dataset], motion: FloatArray) -> None:
    assert is_moved(SHAPE, motion @ GRID, slices)


def test_moved_and_resampled_it_sticks_out(slices: list[Dataset]) -> None:
    assert is_moved((17, 23, 27), shifted(0, 0, 4) @ GRID @ np.diag([0.5, 0.5, 0.5, 1]), slices)
    assert is_moved((17, 23, 27), turned(0, 5) @ GRID @ np.diag([0.5, 0.5, 0.5, 1]), slices)


def test_slices_of_a_tilted_gantry_resampled_at_right_angles_are_in_place(slices: list[Dataset]) -> None:
    """Along their rows and columns, in the box about all slices, as Slicer resamples them."""
    tilted = deepcopy(slices)
    for number, header in enumerate(tilted):
        along_columns = np.array(header.ImageOrientationPatient[3:], dtype=np.float64)
        header.ImagePositionPatient = (np.array(header.ImagePositionPatient, dtype=np.float64) + number * 0.55 * along_columns).tolist()
    rows = SHAPE[1] + 4  # 8 slices' 0.55 mm are 4 rows of 1.1 mm
    assert not is_moved((SHAPE[0], rows, SHAPE[2]), GRID, tilted)


def test_frames_of_one_file_are_slices_as_well(slices: list[Dataset]) -> None:
    enhanced, shared = Dataset(), Dataset()
    enhanced.file_meta = slices[0].file_meta
    enhanced.NumberOfFrames, enhanced.Rows, enhanced.Columns = SHAPE
    for sequence, keyword in (("PixelMeasuresSequence", "PixelSpacing"), ("PlaneOrientationSequence", "ImageOrientationPatient")):
        setattr(shared, sequence, [only(slices[0], keyword)])
    enhanced.SharedFunctionalGroupsSequence, enhanced.PerFrameFunctionalGroupsSequence = [shared], []
    for header in slices:
        frame = Dataset()
        frame.PlanePositionSequence = [only(header, "ImagePositionPatient")]
        enhanced.PerFrameFunctionalGroupsSequence.append(frame)
    assert not is_moved(SHAPE, GRID, [enhanced])
    assert is_moved(SHAPE, shifted(0, 0, 5) @ GRID, [enhanced])


def only(header: Dataset, keyword: str) -> Dataset:
    item = Dataset()
    setattr(item, keyword, header[keyword].value)
    return item


def test_what_lies_nowhere_counts_as_moved(slices: list[Dataset]) -> None:
    without = deepcopy(slices)
    del without[3].ImagePositionPatient
    assert is_moved(SHAPE, GRID, without)
    assert is_moved(SHAPE, GRID, [])


def test_a_ct_as_it_is_read_lies_in_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_ct_series(tmp_path / "ct", CTVolume(rng.uniform(-1000, 1000, SHAPE).astype(np.float32), GRID))
    ct = read_ct(tmp_path / "ct")
    assert not is_moved(ct.hu.shape, ct.ijk_to_ras, headers(tmp_path / "ct"))
