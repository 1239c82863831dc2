"""The bones of a CT as a DICOM Segmentation object (PS3.3 A.51) on the CT's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray

from .dicom_place import RAS_TO_LPS, corners
from .dicom_study import UTF_8, DicomSources, equipment, long_string, new_uid, patient_and_study, series_reference

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.dataset import Dataset

SERIES_NUMBER = 9002
SAME_PLACE_MM = 0.01  # between a slice of the CT's files and one of the grid

_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def segmentation(bones: BoneLabels, sources: DicomSources, frame_of_reference_uid: str, found: bool) -> Segmentation:
    """The Segmentation object of bones: a segment of single bits for each, in the order of the labels.

    The slices of a grid with left-handed axes are stored in reverse order, as DICOM's are. Slices without bone are left out, as is
    usual; the positions of the others tell where they lie. Each slice refers to the CT's where the grid is that of its files; it is not
    where the CT was resampled.

    Args:
        bones: the label map and the bones' names.
        sources: the DICOM files that the registration was made from.
        frame_of_reference_uid: of the CT.
        found: whether `segment_bone` found the bones; else the user gave them.
    """
    from highdicom.seg import Segmentation

    labels, ijk_to_lps = _right_handed(bones)
    slices = _slices(labels.shape, ijk_to_lps, sources, frame_of_reference_uid)
    aligned = _take_references(slices, sources.ct)
    numbers = np.zeros(256, dtype=np.uint8)  # segments are numbered from 1 without gaps
    numbers[list(bones.names)] = np.arange(1, len(bones.names) + 1)
    made = Segmentation(
        source_images=slices,
        pixel_array=numbers[labels],
        segmentation_type="BINARY",
        segment_descriptions=[_describe(number, name, found) for number, name in enumerate(bones.names.values(), 1)],
        series_instance_uid=new_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=new_uid(),
        instance_number=1,
        content_label="BONES",
        content_description="Bones that an X-ray was registered to",
        series_description="Bones (research use only)",
        **equipment(),
    )
    made.SpecificCharacterSet, made.ContentCreatorName = UTF_8, ""  # highdicom 0.27 copies texts without what they are encoded in
    if not aligned:
        _leave_out_references(made, sources.ct)
    return made


def _right_handed(bones: BoneLabels) -> tuple[npt.NDArray[np.uint8], FloatArray]:
    """Labels [k, j, i] and 4x4 from (i, j, k, 1) to LPS, with k along the normal of the slices."""
    labels, matrix = bones.labels, RAS_TO_LPS @ bones.ijk_to_ras
    if np.linalg.det(matrix) < 0:
        labels = labels[::-1]
        matrix = matrix @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, len(labels) - 1], [0, 0, 0, 1.0]])
    return labels, matrix


def _slices(shape: tuple[int, ...], ijk_to_lps: FloatArray, sources: DicomSources, frame_of_reference_uid: str) -> list[Dataset]:
    """Headers of CT slices on the grid, whose place highdicom copies."""
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DS

    def decimals(values: FloatArray) -> list[Any]:
        return [DS(value, auto_format=True) for value in values.tolist()]

    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    study, series_uid = patient_and_study(sources), new_uid()
    slices = []
    for number in range(shape[0]):
        header = Dataset()
        header.update(study)
        header.SOPClassUID, header.SOPInstanceUID, header.SeriesInstanceUID = _CT_IMAGE, new_uid(), series_uid
        header.Modality, header.InstanceNumber = "CT", number + 1
        header.FrameOfReferenceUID, header.PositionReferenceIndicator = frame_of_reference_uid, ""
        header.Rows, header.Columns = shape[1:]
        header.PixelSpacing = decimals(spacing[1::-1])
        header.SliceThickness = header.SpacingBetweenSlices = DS(float(spacing[2]), auto_format=True)
        header.ImageOrientationPatient = decimals((ijk_to_lps[:3, :2] / spacing[:2]).T.ravel())
        header.ImagePositionPatient = decimals((ijk_to_lps @ (0, 0, number, 1))[:3])
        slices.append(header)
    return slices


def _take_references(slices: Sequence[Dataset], ct: Sequence[Dataset]) -> bool:
    """Give the slices the UIDs of the CT's files where each lies at the place of one; whether they do."""
    if len(ct) != len(slices) or not all(_is_at(header, made) for header, made in zip(ct, slices, strict=True)):
        return False
    for header, made in zip(ct, slices, strict=True):
        made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = header.SOPClassUID, header.SOPInstanceUID, header.SeriesInstanceUID
    return True


def _is_at(header: Dataset, made: Dataset) -> bool:
    """Whether a file of the CT, which may hold many frames, is the slice of the grid."""
    if (header.Rows, header.Columns) != (made.Rows, made.Columns):
        return False
    place, place_made = corners(header), corners(made)
    return place is not None and place_made is not None and bool(np.abs(place - place_made).max() <= SAME_PLACE_MM)


def _leave_out_references(made: Segmentation, ct: Sequence[Dataset]) -> None:
    """Refer to the CT's series as a whole, or to nothing where it is not DICOM."""
    for frame in made.PerFrameFunctionalGroupsSequence:
        frame.DerivationImageSequence = []
    del made.SourceImageSequence, made.ReferencedSeriesSequence
    if ct:
        made.ReferencedSeriesSequence = [series_reference(ct)]


def _describe(number: int, name: str, found: bool) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        "bone of the CT by thresholds", codes.cid7162.MorphologicalOperations, equipment()["software_versions"]
    )
    return SegmentDescription(
        segment_number=number,
        segment_label=long_string(name) or f"bone {number}",
        segmented_property_category=codes.cid7150.AnatomicalStructure,
        segmented_property_type=codes.SCT.Bone,
        algorithm_type="AUTOMATIC" if found else "MANUAL",
        algorithm_identification=algorithm if found else None,
    )
