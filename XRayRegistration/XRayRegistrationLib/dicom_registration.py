"""An X-ray's camera relative to the CT as a DICOM Spatial Registration object (PS3.3 A.39.1, C.20.2), written and read back.

What maps to what:

- The object's own Frame of Reference is the CT's. An item of the Registration Sequence maps its frame into that one: the CT's own by
  the identity, the X-ray camera's by the inverse of the pose. So x_ct = matrix @ x_camera, both in mm, x_ct in LPS as DICOM has it.
- The camera's frame gets a UID of its own. Its origin is the X-ray source, x runs along image columns, y along rows (down), z towards
  the detector. The X-ray images themselves, if DICOM, are what the item refers to.
- DICOM has no attributes for a pinhole camera with its principal point. It is kept beside the matrix in private attributes, in doubles:
  source-to-detector distance (mm), pixel spacing (x, y; mm), image size (rows, columns), principal point (column, row; pixel (0, 0) is
  the centre of the top-left pixel), and how the image is stored: by how many degrees clockwise the view of the source was turned, and
  whether (1) or not (0) it was then mirrored left to right. The camera is that of the image as the source sees the patient. The
  attributes tell nothing of the patient, which the object says, so that deidentifying keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from DRRSimulatorLib.camera import Camera, FloatArray, is_rigid
from DRRSimulatorLib.dicom_file import read_dicom_file
from DRRSimulatorLib.errors import InputError

from .dicom_place import RAS_TO_LPS
from .dicom_study import (
    DicomSources,
    XRaySource,
    equipment,
    frame_reference,
    long_string,
    new_uid,
    patient_and_study,
    reference,
    series_reference,
)
from .orientation import AS_SEEN, Orientation

if TYPE_CHECKING:
    from highdicom import SOPClass
    from pydicom.dataset import Dataset

SPATIAL_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
SERIES_NUMBER = 9001
LARGEST_BYTES = 1 << 21  # of a file to read; a CT of 9,000 slices makes one of this size
LARGEST_IMAGE = 1 << 16  # rows or columns, what DICOM can count

_PRIVATE_GROUP, _PRIVATE_CREATOR = 0x0071, "XRAYREGISTRATION CAMERA"
_DISTANCE, _SPACING, _SIZE, _PRINCIPAL_POINT, _STORED = 0x01, 0x02, 0x03, 0x04, 0x05
_PRIVATE_ATTRIBUTES = {  # value representation, how many values, name, whether retired
    0x00711001: ("FD", "1", "Source to Detector Distance", ""),
    0x00711002: ("FD", "2", "Pixel Spacing at the Detector", ""),
    0x00711003: ("UL", "2", "Image Size", ""),
    0x00711004: ("FD", "2", "Principal Point", ""),
    0x00711005: ("US", "2", "Image Turned by and Mirrored", ""),
}
_CAMERA_FRAME = "Origin source; x columns, y rows, z to the detector; mm"


@dataclass(frozen=True)
class PlacedCamera:
    """An X-ray's camera and where it is relative to a CT.

    Attributes:
        ras_to_camera: 4x4 pose.
        camera: the X-ray's; None where the file was written or stripped by other software.
        stored: how the X-ray's image is stored; the camera is that of the image as the source sees the patient.
        frame_of_reference_uid: of the CT.
    """

    ras_to_camera: FloatArray
    camera: Camera | None
    stored: Orientation
    frame_of_reference_uid: str


def spatial_registration(
    placed: PlacedCamera,
    sources: DicomSources,
    xray: XRaySource | None,
    series_uid: str,
    number: int,
    description: str,
    by_eye: bool = False,
) -> SOPClass:
    """The Spatial Registration object of an X-ray.

    Args:
        placed: its camera and pose.
        sources: the DICOM files that the registration was made from.
        xray: the file of the X-ray, if it is one of them.
        series_uid: of the series that all registrations of a result make up.
        number: of the instance in that series, from 1.
        description: what was registered, one line.
        by_eye: whether a user set the pose; else it follows from the images.
    """
    from highdicom import SOPClass
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian

    study = patient_and_study(sources)
    made = SOPClass(
        study_instance_uid=study.StudyInstanceUID,
        series_instance_uid=series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=new_uid(),
        sop_class_uid=SPATIAL_REGISTRATION,
        instance_number=number,
        modality="REG",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description="2D/3D registration (research use only)",
        **equipment(),
    )
    made.update(study)
    made.FrameOfReferenceUID = placed.frame_of_reference_uid
    made.PositionReferenceIndicator = made.Laterality = ""
    made.ContentLabel = "XRAY_TO_CT"
    made.ContentDescription = long_string(description)
    made.ContentCreatorName = ""
    to_ct = RAS_TO_LPS @ np.linalg.inv(placed.ras_to_camera)
    slices = [] if sources.ct_moved else [reference(header) for header in sources.ct]
    images = [] if xray is None else [frame_reference(xray)]
    method = codes.DCM.VisualAlignment if by_eye else codes.DCM.ImageContentBasedAlignment
    of_ct = _registration_item(np.eye(4), placed.frame_of_reference_uid, slices, codes.DCM.FrameOfReferenceIdentity)
    of_xray = _registration_item(to_ct, new_uid(), images, method)
    of_xray.MatrixRegistrationSequence[0].FrameOfReferenceTransformationComment = _CAMERA_FRAME
    if placed.camera is not None:
        _keep_camera(of_xray, placed.camera, placed.stored)
        made.PrivateDataElementCharacteristicsSequence = [_harmless_private_attributes()]
    made.RegistrationSequence = [of_ct, of_xray]
    _refer(made, [series for series in (sources.ct, [] if xray is None else [xray.header]) if series])
    return made


def read_registration(path: Path) -> PlacedCamera:
    """Read a Spatial Registration object of an X-ray and a CT back; the file may be from anyone.

    Raises:
        InputError: if the file is missing, too large, no DICOM, no Spatial Registration, or does not map exactly one other frame into
            its own by one rigid matrix; or if the camera in it is impossible.
    """
    from pydicom.config import disable_value_validation

    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if path.stat().st_size > LARGEST_BYTES:
        raise InputError(f"{path} is larger than a Spatial Registration object can be; give the file of one.")
    try:
        with disable_value_validation():  # what counts is checked here
            return _placed_camera(_read(path), path)
    except InputError:
        raise
    except Exception as error:  # damaged files make pydicom raise nearly anything
        raise InputError(f"{path} holds no readable Spatial Registration object; export it again.") from error


def _registration_item(matrix: FloatArray, frame_uid: str, images: Sequence[Dataset], method: Any) -> Dataset:
    """Item of the Registration Sequence: a frame, the images in it, and a 4x4 matrix from it into the object's frame."""
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DS

    rigid = Dataset()
    rigid.FrameOfReferenceTransformationMatrixType = "RIGID"
    rigid.FrameOfReferenceTransformationMatrix = [DS(value, auto_format=True) for value in matrix.ravel().tolist()]
    registration = Dataset()
    registration.RegistrationTypeCodeSequence = [CodedConcept.from_code(method)]
    registration.MatrixSequence = [rigid]
    item = Dataset()
    item.FrameOfReferenceUID = frame_uid
    if images:
        item.ReferencedImageSequence = list(images)
    item.MatrixRegistrationSequence = [registration]
    return item


def _keep_camera(item: Dataset, camera: Camera, stored: Orientation) -> None:
    block = item.private_block(_PRIVATE_GROUP, _PRIVATE_CREATOR, create=True)
    block.add_new(_DISTANCE, "FD", camera.source_to_detector_distance)
    block.add_new(_SPACING, "FD", list(camera.pixel_spacing))
    block.add_new(_SIZE, "UL", list(camera.image_size))
    block.add_new(_PRINCIPAL_POINT, "FD", list(camera.principal_point))
    block.add_new(_STORED, "US", [stored.turned_deg, int(stored.mirrored)])


def _harmless_private_attributes() -> Dataset:
    """Says that the private attributes identify nobody (PS3.3 C.12.1.1.7)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.PrivateGroupReference = _PRIVATE_GROUP
    item.PrivateCreatorReference = _PRIVATE_CREATOR
    item.BlockIdentifyingInformationStatus = "SAFE"
    return item


def _refer(made: Dataset, series: Sequence[Sequence[Dataset]]) -> None:
    """Tell series and study of all instances that are referred to (Common Instance Reference, PS3.3 C.12.2)."""
    from pydicom.dataset import Dataset

    own = [series_reference(headers) for headers in series if headers[0].StudyInstanceUID == made.StudyInstanceUID]
    others = []
    for headers in series:
        if headers[0].StudyInstanceUID != made.StudyInstanceUID:
            other = Dataset()
            other.StudyInstanceUID = headers[0].StudyInstanceUID
            other.ReferencedSeriesSequence = [series_reference(headers)]
            others.append(other)
    if own:
        made.ReferencedSeriesSequence = own
    if others:
        made.StudiesContainingOtherReferencedInstancesSequence = others


def _read(path: Path) -> Dataset:
    from pydicom.datadict import add_private_dict_entries

    # Archives may store it in Implicit VR, which tells of private attributes no value representation.
    add_private_dict_entries(_PRIVATE_CREATOR, _PRIVATE_ATTRIBUTES)
    return read_dicom_file(path, largest_deflated=0)


def _placed_camera(dataset: Dataset, path: Path) -> PlacedCamera:
    if dataset.get("SOPClassUID") != SPATIAL_REGISTRATION:
        raise InputError(f"{path} is DICOM, but no Spatial Registration object.")
    own = str(dataset.FrameOfReferenceUID)
    others = [item for item in dataset.RegistrationSequence if str(item.get("FrameOfReferenceUID") or "") != own]
    if len(others) != 1:
        raise InputError(f"{path} maps {len(others)} frames to the CT's, where one is needed: the X-ray camera's.")
    matrices = [matrix for step in others[0].MatrixRegistrationSequence for matrix in step.MatrixSequence]
    values = [float(value) for value in matrices[0].FrameOfReferenceTransformationMatrix] if len(matrices) == 1 else []
    to_ct = np.array(values).reshape(4, 4) if len(values) == 16 else np.zeros((4, 4))
    if not is_rigid(to_ct):
        raise InputError(f"The matrix in {path} is not a single rigid 4x4 transform (rotation and translation).")
    pose: FloatArray = np.linalg.inv(to_ct) @ RAS_TO_LPS
    return PlacedCamera(pose, *_kept_camera(others[0]), own)


def _kept_camera(item: Dataset) -> tuple[Camera | None, Orientation]:
    try:
        block = item.private_block(_PRIVATE_GROUP, _PRIVATE_CREATOR)
        distance, spacing, size, point, stored = (block[offset].value for offset in range(_DISTANCE, _STORED + 1))
    except KeyError:
        return None, AS_SEEN
    (x, y), (rows, columns), (column, row), (turned, mirrored) = spacing, size, point, stored
    if max(rows, columns) > LARGEST_IMAGE:
        raise InputError(f"The camera's image of {rows} x {columns} pixels is larger than any X-ray; export the registration again.")
    camera = Camera(float(distance), (float(x), float(y)), (int(rows), int(columns)), (float(column), float(row)))
    return camera, Orientation(int(turned), bool(mirrored))
