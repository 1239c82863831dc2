"""The bones as a DICOM Segmentation: bone by bone where the label map has them, on grids of every sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk
from dicom_case import headers, write_ct_series
from DRRSimulatorLib.bone import BoneLabels, segment_bone
from DRRSimulatorLib.camera import FloatArray, transform_points
from DRRSimulatorLib.ct import read_ct
from pydicom.dataset import Dataset
from small_patient import SmallPatient
from XRayRegistrationLib.dicom_segmentation import segmentation
from XRayRegistrationLib.dicom_study import DicomSources

FRAME = "2.25.12345"
NO_SOURCES = DicomSources((), (None,))


def labelled(grid: FloatArray) -> BoneLabels:
    """Bones 2 and 7 without symmetry, on a grid of different spacings; bone 7 leaves a gap of slices, bone 2 reaches the grid's edges."""
    labels = np.zeros((9, 12, 14), dtype=np.uint8)
    labels[0:4, 2:5, 0:6] = 2
    labels[3, 5:9, 7] = 7
    labels[6:8, 11, 9:14] = 7
    return BoneLabels(labels, grid, {2: "femur_left", 7: "tibia\\left\n"})


def grid(direction: npt.ArrayLike) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(direction) * (0.8, 1.1, 2.5)
    matrix[:3, 3] = (-31.25, 18.5, 903.7)
    return matrix


def oblique(patient: SmallPatient) -> npt.NDArray[np.float64]:
    return patient.ct.ijk_to_ras[:3, :3] / patient.ct.spacing


GRIDS = {
    "along RAS": np.eye(3),
    "along LPS": np.diag([-1, -1, 1]),
    "slices downwards": np.diag([-1, -1, -1]),
    "columns flipped": np.diag([1, -1, 1]),
    "rows flipped": np.diag([-1, 1, 1]),
    "sagittal": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "coronal and flipped": np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]]),
    "oblique and left-handed": None,
}


def written(path: Path, bones: BoneLabels, sources: DicomSources = NO_SOURCES, found: bool = True) -> Dataset:
    segmentation(bones, sources, FRAME, found).save_as(path, enforce_file_format=True)
    return pydicom.dcmread(path)


def voxels_in_ras(dataset: Dataset, segment: int) -> FloatArray:
    """Places (N, 3) of a segment's voxels, from the attributes of each frame by the formula of PS3.3 C.7.6.2.1.1."""
    shared, places = dataset.SharedFunctionalGroupsSequence[0], []
    between_rows, between_columns = shared.PixelMeasuresSequence[0].PixelSpacing
    along = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient).reshape(2, 3)
    for frame, mask in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True):
        own = frame if "SegmentIdentificationSequence" in frame else shared
        if own.SegmentIdentificationSequence[0].ReferencedSegmentNumber == segment:
            row, column = np.nonzero(mask)
            origin = np.array(frame.PlanePositionSequence[0].ImagePositionPatient)
            places.append(origin + column[:, None] * between_columns * along[0] + row[:, None] * between_rows * along[1])
    return np.concatenate(places) * (-1, -1, 1)


def assert_same_voxels(dataset: Dataset, bones: BoneLabels) -> None:
    """Each segment fills exactly the voxels of its bone."""
    assert [segment.SegmentNumber for segment in dataset.SegmentSequence] == list(range(1, len(bones.names) + 1))
    for segment, label in enumerate(bones.names, 1):
        found = transform_points(np.linalg.inv(bones.ijk_to_ras), voxels_in_ras(dataset, segment))
        indices = np.rint(found).astype(int)
        np.testing.assert_allclose(found, indices, atol=1e-6)
        expected = np.argwhere(bones.labels == label)[:, ::-1]
        assert sorted(indices.tolist()) == sorted(expected.tolist())


@pytest.mark.parametrize("name", GRIDS)
def test_every_voxel_lies_where_the_label_map_has_it(tmp_path: Path, patient: SmallPatient, name: str) -> None:
    direction = GRIDS[name]
    bones = labelled(grid(oblique(patient) if direction is None else direction))
    assert_same_voxels(written(tmp_path / "bones.dcm", bones), bones)


@pytest.mark.parametrize("name", ["along LPS", "columns flipped"])
def test_highdicom_reads_the_label_map_back(tmp_path: Path, name: str) -> None:
    from highdicom.seg import segread

    bones = labelled(grid(GRIDS[name]))
    written(tmp_path / "bones.dcm", bones)
    volume = segread(tmp_path / "bones.dcm").get_volume(combine_segments=True)
    index = np.argwhere(volume.array)
    in_lps = transform_points(volume.affine, index)
    i, j, k = np.rint(transform_points(np.linalg.inv(bones.ijk_to_ras), in_lps * (-1, -1, 1))).astype(int).T
    np.testing.assert_array_equal(np.array([0, 2, 7])[volume.array[tuple(index.T)]], bones.labels[k, j, i])
    assert len(index) == np.count_nonzero(bones.labels)


def test_simpleitk_places_a_bone_where_the_label_map_has_it(tmp_path: Path, patient: SmallPatient) -> None:
    written(tmp_path / "bones.dcm", patient.bones)
    image = sitk.ReadImage(str(tmp_path / "bones.dcm"))
    index = np.argwhere(sitk.GetArrayViewFromImage(image))[:, ::-1]
    in_lps = np.array([image.TransformIndexToPhysicalPoint(voxel) for voxel in index.tolist()])
    found = np.rint(transform_points(np.linalg.inv(patient.bones.ijk_to_ras), in_lps * (-1, -1, 1))).astype(int)
    assert sorted(found.tolist()) == sorted(np.argwhere(patient.bones.labels)[:, ::-1].tolist())


def test_segments_say_what_they_are_and_how_they_were_made(tmp_path: Path) -> None:
    bones = labelled(grid(np.eye(3)))
    for found, how in ((True, "AUTOMATIC"), (False, "MANUAL")):
        first, second = written(tmp_path / "bones.dcm", bones, found=found).SegmentSequence
        assert (first.SegmentLabel, second.SegmentLabel) == ("femur_left", "tibia left")
        assert first.SegmentAlgorithmType == second.SegmentAlgorithmType == how
        assert first.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Bone"


@pytest.fixture(scope="module")
def ct_folder(tmp_path_factory: pytest.TempPathFactory, patient: SmallPatient) -> Path:
    folder = tmp_path_factory.mktemp("ct") / "series"
    write_ct_series(folder, patient.ct)
    return folder


def referred(frame: Dataset) -> Sequence[str]:
    return [image.ReferencedSOPInstanceUID for step in frame.DerivationImageSequence for image in step.SourceImageSequence]


def test_each_frame_refers_to_the_slice_of_the_ct_at_its_place(tmp_path: Path, ct_folder: Path) -> None:
    slices = headers(ct_folder)
    dataset = written(tmp_path / "bones.dcm", segment_bone(read_ct(ct_folder)), DicomSources(tuple(slices), (None,)))
    at = {header.SOPInstanceUID: header.ImagePositionPatient for header in slices}
    assert len(dataset.PerFrameFunctionalGroupsSequence) > 10
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        (uid,) = referred(frame)
        np.testing.assert_allclose(frame.PlanePositionSequence[0].ImagePositionPatient, at[uid], atol=1e-6)
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == set(at)


def test_bones_of_a_ct_that_was_resampled_refer_to_its_series_alone(tmp_path: Path, ct_folder: Path) -> None:
    slices, bones = headers(ct_folder), segment_bone(read_ct(ct_folder))
    moved = replace(bones, ijk_to_ras=bones.ijk_to_ras @ np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    dataset = written(tmp_path / "bones.dcm", moved, DicomSources(tuple(slices), (None,)))
    assert not any(referred(frame) for frame in dataset.PerFrameFunctionalGroupsSequence)
    assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert_same_voxels(dataset, moved)


def test_bones_of_a_ct_that_is_not_dicom_refer_to_nothing(tmp_path: Path) -> None:
    dataset = written(tmp_path / "bones.dcm", labelled(grid(np.eye(3))))
    assert not any(referred(frame) for frame in dataset.PerFrameFunctionalGroupsSequence)
    assert "SourceImageSequence" not in dataset and "ReferencedSeriesSequence" not in dataset
    assert dataset.FrameOfReferenceUID == FRAME
