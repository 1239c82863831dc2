"""Which way round an X-ray is stored: turned by quarters or mirrored, against how the X-ray source sees the patient.

Displays show a patient's right side on the left. Of a radiograph from front to back that is what the source sees; C-arms with the
source under the table see it the other way round, so their pictures are mirrored for the display. No camera of a right-handed
patient makes a mirrored picture: a pose for it is wrong, however well it fits. A turned one is only unusual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray
from DRRSimulatorLib.errors import InputError

from .dicom_header import numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Of the patient in RAS, by the first letter of PatientOrientation (PS3.3 C.7.6.1.1.1).
_TOWARDS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}
_BEAMS = {"AP": _TOWARDS["P"], "PA": _TOWARDS["A"]}  # by ViewPosition
_LEAST_DETERMINANT = 0.3  # of the three directions; less, and the picture is seen nearly along its own plane


@dataclass(frozen=True)
class Orientation:
    """How an image was stored: as the source sees the patient, then turned clockwise, then mirrored left to right.

    Attributes:
        turned_deg: 0, 90, 180 or 270, clockwise.
        mirrored: whether left and right are exchanged.

    Raises:
        InputError: for other angles.
    """

    turned_deg: int = 0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.turned_deg not in (0, 90, 180, 270):
            raise InputError(f"An X-ray is stored turned by 0, 90, 180 or 270 degrees, not by {self.turned_deg}.")

    def as_seen(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The image [row, column, ...] as the source sees the patient."""
        return np.rot90(stored[:, ::-1] if self.mirrored else stored, self.turned_deg // 90)

    def as_seen_camera(self, stored: Camera) -> Camera:
        """The camera of an image that was stored this way, for the image as the source sees it."""
        spacing, (rows, columns), (x, y) = stored.pixel_spacing, stored.image_size, stored.principal_point
        if self.mirrored:
            x = columns - 1 - x
        for _ in range(self.turned_deg // 90):
            spacing, (x, y), (rows, columns) = (spacing[1], spacing[0]), (y, columns - 1 - x), (columns, rows)
        return Camera(stored.source_to_detector_distance, spacing, (rows, columns), (x, y))

    @property
    def options(self) -> str:
        """The options of xray-register that undo it."""
        turned = [f"--turned {self.turned_deg}"] if self.turned_deg else []
        return " ".join([*turned, *(["--mirrored"] if self.mirrored else [])])

    @property
    def words(self) -> str:
        """What was done to the image, as "turned clockwise by 90 degrees and mirrored"."""
        turned = [f"turned clockwise by {self.turned_deg} degrees"] if self.turned_deg else []
        return " and ".join([*turned, *(["mirrored"] if self.mirrored else [])])


AS_SEEN = Orientation()
ORIENTATIONS = tuple(Orientation(turned, mirrored) for mirrored in (False, True) for turned in (0, 90, 180, 270))


def told_orientation(header: Dataset) -> Orientation | None:
    """The orientation that a DICOM header tells, by where rows and columns of the image lead (PatientOrientation) and the beam.

    The beam's direction is that of ViewPosition AP or PA, or else of the positioner angles of XA and RF. If rows, columns and beam form
    a left-handed system, the image is mirrored. It counts as turned where the feet are not below.

    Args:
        header: of the frame.

    Returns:
        None where the header does not tell it.
    """
    along = header.get("PatientOrientation")
    letters = [str(text)[:1] for text in along] if along is not None and not isinstance(along, str) else []
    beam = _beam(header)
    if len(letters) != 2 or beam is None or any(letter not in _TOWARDS for letter in letters):
        return None
    row, column = (np.array(_TOWARDS[letter], dtype=np.float64) for letter in letters)
    handedness = float(np.cross(row, column) @ beam)
    if abs(handedness) < _LEAST_DETERMINANT:
        return None
    mirrored = handedness < 0
    if mirrored:
        row = -row
    # Down of the image as seen, by how often it was turned clockwise: the right side of a picture turned by 90 degrees was its top.
    downwards = {0: column, 90: -row, 180: -column, 270: row}
    turned = next((angle for angle, down in downwards.items() if np.array_equal(down, _TOWARDS["F"])), 0)
    return Orientation(turned, mirrored)


def orientation_question(header: Dataset) -> str:
    """What a header says against the image's being as the source sees the patient, with the option that mends it; "" if nothing."""
    told = told_orientation(header)
    if told is not None and told != AS_SEEN:
        row, column = header.PatientOrientation
        return (
            f"The header tells that the image is {told.words}, against what the X-ray source sees: its rows lead to {row}, its columns "
            f"to {column}. It was used as it is stored; if the header is right, give {told.options}."
        )
    if told is None and str(header.get("FieldOfViewHorizontalFlip", "")).upper() == "YES":
        return (
            "The header tells that the image was flipped after it was taken (FieldOfViewHorizontalFlip). It was used as it is stored; "
            f"if it does not show the patient as the X-ray source sees him, give {Orientation(mirrored=True).options}."
        )
    return ""


def positioner_angles(header: Dataset) -> tuple[float, float] | None:
    """Primary (LAO +, RAO -) and secondary angle (CRAN +, CAUD -) of an XA or RF image, degrees; None where the header lacks them."""
    angles = [numbers(header, f"Positioner{name}Angle") for name in ("Primary", "Secondary")]
    if header.get("Modality") not in ("XA", "RF") or any(len(values) != 1 for values in angles):
        return None
    return angles[0][0], angles[1][0]


def _beam(header: Dataset) -> FloatArray | None:
    """Unit vector from source to detector, RAS."""
    angles = positioner_angles(header)
    position = str(header.get("ViewPosition", "")).strip().upper()
    if position in _BEAMS:
        return np.array(_BEAMS[position], dtype=np.float64)
    return CArmView(*angles).ras_to_camera((0.0, 0.0, 0.0))[2, :3] if angles else None
