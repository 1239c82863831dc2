"""The patient and the study that DICOM results belong to, taken from the DICOM files that the results were made from.

Results of DICOM files join the study of their source and carry its patient: the standard wants that, and viewers sort by it. This is the
one place where a patient's name leaves the input. Without a DICOM source they make up a study of their own whose patient is empty.

UIDs of results are made anew for every export (UUID-derived, PS3.5 B.2): no two instances may share one, and an export that is repeated
holds other dates at least. Only the frame of reference of a CT that is not DICOM follows from its fingerprint, so that all results of
one CT lie in the same space.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.dicom_file import read_dicom_file
from DRRSimulatorLib.dicom_series import series_files
from DRRSimulatorLib.errors import InputError

from .dicom_xray import is_dicom
from .metrics import environment
from .orientation import AS_SEEN, Orientation

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LONGEST_TEXT = 64  # characters of the value representation LO
UTF_8 = "ISO_IR 192"  # as a Specific Character Set

# Of the modules Patient and General Study (PS3.3 C.7.1.1, C.7.2.1).
_PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_MAY_BE_ABSENT = ("IssuerOfPatientID", "StudyDescription")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def new_uid() -> str:
    """A UID that nothing has yet."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True)
class XRaySource:
    """The DICOM file of an X-ray.

    Attributes:
        header: without pixels.
        frame: which image of a file with several was registered, from 0; None where that is not known.
    """

    header: Dataset
    frame: int | None = 0


@dataclass(frozen=True)
class DicomSources:
    """The DICOM files that a registration was made from.

    Attributes:
        ct: headers, without pixels, of the CT's slices from the first to the last; empty where the CT is not DICOM.
        xrays: of each X-ray; None where it is not DICOM.
        stored: how the X-rays' images are stored; what was registered is how the source sees the patient.
        ct_moved: whether the CT that was registered lies elsewhere than these slices.
        own_study: UID of the study of results that no DICOM file has one for.

    Raises:
        InputError: if CT and X-rays are of different patients.
    """

    ct: tuple[Dataset, ...]
    xrays: tuple[XRaySource | None, ...]
    stored: Orientation = AS_SEEN
    ct_moved: bool = False
    own_study: str = field(default_factory=new_uid)

    def __post_init__(self) -> None:
        headers = (*self.ct, *(xray.header for xray in self.xrays if xray is not None))
        if len({str(header.get("PatientID") or "").strip() for header in headers} - {""}) > 1:
            raise InputError(
                "The DICOM files of CT and X-rays are of different patients by their Patient ID, so no DICOM result can belong to both; "
                "take files of one patient, or do without results in DICOM."
            )

    @property
    def first(self) -> Dataset | None:
        """Whose patient and study the results have that belong to no X-ray; None without any DICOM file."""
        return next(iter((*self.ct[:1], *(xray.header for xray in self.xrays if xray is not None))), None)


def read_sources(
    ct: Path, series_uid: str | None, xrays: Sequence[Path], frame: int | None = None, stored: Orientation = AS_SEEN
) -> DicomSources:
    """Read the headers that results will refer to; arguments as for `read_ct` and `read_views`.

    Raises:
        InputError: if a file lacks the UIDs to refer to it by, or CT and X-rays are of different patients.
    """
    return DicomSources(ct_headers(ct, series_uid), xray_sources(xrays, frame), stored)


def ct_headers(ct: Path, series_uid: str | None = None) -> tuple[Dataset, ...]:
    """Headers of the slices that `read_ct` reads; none where the CT is not DICOM. Errors as of `read_header`."""
    return tuple(read_header(file) for file in series_files(ct, series_uid)) if ct.is_dir() else ()


def xray_sources(xrays: Sequence[Path], frame: int | None = None) -> tuple[XRaySource | None, ...]:
    """The files of X-rays of which one image was registered, from 0 (None: the first); errors as of `read_header`."""
    return tuple(XRaySource(read_header(file), frame or 0) if is_dicom(file) else None for file in xrays)


def read_header(file: Path) -> Dataset:
    """Header, without pixels, of a DICOM file.

    Raises:
        InputError: if it is damaged, or lacks the UIDs to refer to it by.
        OSError: if it cannot be read.
    """
    from pydicom.config import disable_value_validation
    from pydicom.uid import UID

    try:
        header = read_dicom_file(file, stop_before_pixels=True)
    except (OSError, InputError):
        raise
    except Exception as error:  # damaged files make pydicom raise nearly anything
        raise InputError(f"The header of the DICOM file {file.name} cannot be read; do without results in DICOM.") from error
    with disable_value_validation():
        missing = [keyword for keyword in _UIDS if not UID(str(header.get(keyword) or "")).is_valid]
    if missing:
        raise InputError(
            f"The DICOM file {file.name} lacks a valid {missing[0]}, by which results refer to it; do without results in DICOM."
        )
    return header


def patient_and_study(sources: DicomSources, xray: XRaySource | None = None) -> Dataset:
    """The patient and the study of a result: those of its X-ray, or else of the CT, or else of any X-ray, or else nobody's.

    Values that the standard does not allow are left empty. All text is Unicode, so the result's character set is UTF-8.
    """
    from pydicom.config import disable_value_validation
    from pydicom.dataset import Dataset

    source = sources.first if xray is None else xray.header
    copied = Dataset()
    copied.SpecificCharacterSet = UTF_8
    for keyword in _PATIENT_AND_STUDY:
        with disable_value_validation():  # its warnings quote the value
            value = "" if source is None else _valid(keyword, source.get(keyword))
        if value or keyword not in _MAY_BE_ABSENT:
            setattr(copied, keyword, value)
    if source is None:
        now = datetime.now()
        copied.StudyDate, copied.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    copied.StudyInstanceUID = sources.own_study if source is None else str(source.StudyInstanceUID)
    return copied


def frame_of_reference(sources: DicomSources, ct: CTVolume) -> str:
    """UID of the CT's patient space: that of its files, or one that follows from its fingerprint."""
    of_files = sources.ct and not sources.ct_moved
    own = _valid("FrameOfReferenceUID", sources.ct[0].get("FrameOfReferenceUID")) if of_files else ""
    return own or f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, ct.fingerprint).int}"


def reference(header: Dataset) -> Dataset:
    """Item of a sequence that refers to an instance as a whole."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def frame_reference(xray: XRaySource) -> Dataset:
    """Item of a sequence that refers to the image of an X-ray."""
    item = reference(xray.header)
    if xray.frame is not None and int(xray.header.get("NumberOfFrames") or 1) > 1:
        item.ReferencedFrameNumber = xray.frame + 1
    return item


def series_reference(headers: Sequence[Dataset]) -> Dataset:
    """Item of a Referenced Series Sequence: instances of one series."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.SeriesInstanceUID = headers[0].SeriesInstanceUID
    item.ReferencedInstanceSequence = [reference(header) for header in headers]
    return item


def equipment() -> dict[str, Any]:
    """What made the results, as highdicom's arguments."""
    return {
        "manufacturer": "The XRayRegistration developers",
        "manufacturer_model_name": "xray-register",
        "software_versions": environment(seed=0)["versions"]["project"] or "unknown",
        "device_serial_number": "not applicable",  # must not be empty in a segmentation
    }


def long_string(text: str) -> str:
    """Text as the value representation LO holds it: at most 64 characters, no backslash, no control characters."""
    allowed = "".join(character if character.isprintable() and character != "\\" else " " for character in text)
    return " ".join(allowed.split())[:LONGEST_TEXT].strip()


def _valid(keyword: str, value: Any) -> str:
    """A value as text; empty where it is absent or the standard does not allow it."""
    from pydicom.config import RAISE
    from pydicom.datadict import dictionary_VR
    from pydicom.multival import MultiValue
    from pydicom.valuerep import validate_value

    text = "" if value is None or isinstance(value, MultiValue) else str(value).strip()
    try:
        validate_value(dictionary_VR(keyword), text, RAISE)
    except ValueError:
        return ""
    return text if keyword != "PatientSex" or text in ("M", "F", "O") else ""
