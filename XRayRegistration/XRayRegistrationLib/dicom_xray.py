"""X-rays in DICOM: pixels of one frame, what the header says of bone's brightness, and the geometry of the detector.

Attributes and their meaning are those of DICOM PS3.3: X-Ray Image (C.8.7.1), DX Image (C.8.11.3), X-Ray Acquisition (C.8.7.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.dicom_camera import camera_from_tags
from DRRSimulatorLib.dicom_file import read_dicom_file
from DRRSimulatorLib.errors import InputError

from .dicom_geometry import geometry_questions, known_geometry
from .dicom_header import of_frame
from .dicom_intensity import with_meaning
from .dicom_pixels import stored_frame
from .exposed_field import Polarity
from .orientation import orientation_question, positioner_angles

_COLOURS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True)
class DicomXRay:
    """One frame of a DICOM file.

    Attributes:
        pixels: [row, column], or [row, column, 3] for colours: proportional to the intensity or an attenuation where the header tells,
            else as the image is shown; see `dicom_intensity.with_meaning`.
        polarity: as the header tells, None where it does not.
        camera: None where the header lacks the distance or the pixel spacing at the detector.
        known_geometry: what the header tells of an incomplete geometry, as sentences; "" for a complete one.
        questions: what is doubtful in the header, as sentences.
        orientation_question: what the header says against the image's being as the source sees the patient; "" if nothing.
        positioner_angles: primary and secondary angle of a C-arm, degrees.
    """

    pixels: npt.NDArray[Any]
    polarity: Polarity | None
    camera: Camera | None
    known_geometry: str
    questions: tuple[str, ...]
    orientation_question: str
    positioner_angles: tuple[float, float] | None


def is_dicom(path: Path) -> bool:
    """Whether the file is marked as DICOM, by its first bytes or its name."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" or path.suffix.lower() == ".dcm"


def read_dicom(path: Path, frame: int | None = None) -> DicomXRay:
    """Read one frame, counted from 0; None takes the first one, and says so where there are several.

    Raises:
        InputError: if the file has no such frame, or its pixels cannot be decoded.
    """
    try:
        dataset = read_dicom_file(path)
        colours = dataset.get("PhotometricInterpretation")
        size = int(dataset.Rows), int(dataset.Columns)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except InputError:
        raise
    except Exception as error:  # pydicom's parser raises errors of many types on broken files
        raise InputError(f"The DICOM file {path} holds no readable image; export it again.") from error
    if colours not in _COLOURS:
        raise InputError(f"The DICOM file {path} has the colours {colours}, which X-rays do not; export it as MONOCHROME2.")
    chosen = frame or 0
    if not 0 <= chosen < frames:
        raise InputError(f"The DICOM file {path} has the frames 0 to {frames - 1}; choose one of them instead of {chosen}.")
    try:
        header = of_frame(dataset, chosen)
        pixels, polarity = with_meaning(stored_frame(dataset, chosen), header)
    except InputError as error:
        raise InputError(f"The DICOM file {path} cannot be used. {error}") from error
    except Exception as error:  # so do its decoders
        syntax = getattr(dataset.file_meta.get("TransferSyntaxUID"), "name", "no transfer syntax")
        # Not "install python-gdcm", which decodes them: inside 3D Slicer it makes the application crash when it ends.
        raise InputError(
            f"The pixels of the DICOM file {path} ({syntax}) cannot be decoded; export the file again without compression."
        ) from error
    try:
        camera = camera_from_tags(header.get("DistanceSourceToDetector"), header.get("ImagerPixelSpacing"), size)
        doubts = [*geometry_questions(header), _about_frames(frames, frame)]
        return DicomXRay(
            pixels[..., 0] if pixels.shape[2] == 1 else pixels,
            polarity,
            camera,
            "" if camera else known_geometry(header),
            tuple(filter(None, doubts)),
            orientation_question(header),
            positioner_angles(header),
        )
    except InputError:
        raise
    except Exception as error:  # pydicom makes values of their bytes when they are asked for
        raise InputError(f"The header of the DICOM file {path} is damaged where it tells the geometry; export it again.") from error


def _about_frames(frames: int, frame: int | None) -> str:
    if frames == 1 or frame is not None:
        return ""
    return f"The file holds {frames} frames, of which the first was used; choose another one by --frame, from 0 to {frames - 1}."
