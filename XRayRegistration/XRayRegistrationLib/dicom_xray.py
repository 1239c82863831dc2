"""X-rays in DICOM: pixels of one frame, what the header says of bone's brightness, and the geometry of the detector.

Attributes and their meaning are those of DICOM PS3.3: X-Ray Image (C.8.7.1), DX Image (C.8.11.3), X-Ray Acquisition
(C.8.7.2), Modality LUT (C.11.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.dicom_camera import camera_from_tags
from DRRSimulatorLib.errors import InputError

from .exposed_field import Polarity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_RADIOGRAPHS = ("CR", "DX", "IO", "MG", "PX")  # modalities that are shown with bone white
_COLOURS = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True)
class DicomXRay:
    """One frame of a DICOM file.

    Attributes:
        pixels: [row, column], or [row, column, 3] for colours, after the modality transform; not inverted for MONOCHROME1.
        polarity: as the header tells, None where it does not.
        camera: None where the header lacks the distance or the pixel spacing at the detector.
    """

    pixels: npt.NDArray[np.generic]
    polarity: Polarity | None
    camera: Camera | None


def is_dicom(path: Path) -> bool:
    """Whether the file is marked as DICOM, by its first bytes or its name."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" or path.suffix.lower() == ".dcm"


def read_dicom(path: Path, frame: int) -> DicomXRay:
    """Read one frame, counted from 0.

    Raises:
        InputError: if the file has no such frame, or its pixels cannot be decoded.
    """
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        colours = dataset.get("PhotometricInterpretation")
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except Exception as error:  # pydicom's parser raises errors of many types on broken files
        raise InputError(f"The DICOM file {path} holds no readable image; export it again.") from error
    if colours not in _COLOURS:
        raise InputError(f"The DICOM file {path} has the colours {colours}, which X-rays do not; export it as MONOCHROME2.")
    if not 0 <= frame < frames:
        raise InputError(f"The DICOM file {path} has the frames 0 to {frames - 1}; choose one of them instead of {frame}.")
    try:
        stored = dataset.pixel_array.reshape(frames, rows, columns, -1)[frame]
        pixels = _modality_transform(stored, dataset)
    except Exception as error:  # so do its decoders
        syntax = getattr(dataset.file_meta.get("TransferSyntaxUID"), "name", "no transfer syntax")
        # Not "install python-gdcm", which decodes them: inside 3D Slicer it makes the application crash when it ends.
        raise InputError(
            f"The pixels of the DICOM file {path} ({syntax}) cannot be decoded; export the file again without compression."
        ) from error
    rising = bool(pixels.flat[stored.argmax()] >= pixels.flat[stored.argmin()])
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    camera = camera_from_tags(dataset.get("DistanceSourceToDetector"), dataset.get("ImagerPixelSpacing"), (rows, columns))
    return DicomXRay(pixels, _polarity(dataset, rising), camera)


def _modality_transform(stored: npt.NDArray[np.generic], dataset: Dataset) -> npt.NDArray[np.generic]:
    """Stored values through rescale slope and intercept, or the modality look-up table, where the file has them."""
    try:
        from pydicom.pixels.processing import apply_modality_lut
    except ImportError:  # pydicom 2, as Slicer 5.10 bundles it
        from pydicom.pixel_data_handlers import apply_modality_lut  # type: ignore[no-redef]
    return np.asarray(apply_modality_lut(stored, dataset))


def _polarity(dataset: Dataset, rising: bool) -> Polarity | None:
    """What the header says of the pixels after the modality transform; `rising` tells whether that kept their order.

    - PixelIntensityRelationshipSign is about the stored values: 1 rises with the X-ray intensity, -1 falls.
    - PixelIntensityRelationship LIN or LOG of XA and RF is about the transformed values and means proportional to intensity or its
      logarithm; DISP (processed for display) tells nothing.
    - Radiographs are displayed with bone white, so MONOCHROME1 (low values white) means that bone has low values.
    """
    sign = str(dataset.get("PixelIntensityRelationshipSign", ""))
    if sign in ("1", "-1"):
        return "intensity" if (sign == "1") == rising else "attenuation"
    modality = dataset.get("Modality")
    if modality in ("XA", "RF") and dataset.get("PixelIntensityRelationship") in ("LIN", "LOG"):
        return "intensity"
    if modality in _RADIOGRAPHS and dataset.PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2"):
        return "intensity" if dataset.PhotometricInterpretation == "MONOCHROME1" else "attenuation"
    return None
