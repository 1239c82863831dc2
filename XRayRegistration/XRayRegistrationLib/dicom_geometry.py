"""What the DICOM header of an X-ray says of its geometry where that is incomplete or cannot be right, in words.

Three attributes sound alike. ImagerPixelSpacing is the distance of pixels on the detector, which a camera needs. PixelSpacing
is that distance too, or has been calibrated to the patient, where it is smaller by the magnification (PS3.3 10.7.1); the header need
not say which. NominalScannedPixelSpacing is that of a scanned film. So only the first is used, and the others are shown to the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dicom_header import numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_AGREEMENT = 0.05  # of two numbers for the same magnification


def known_geometry(header: Dataset) -> str:
    """Sentences on what a header without a whole geometry tells: what is missing, and what may stand for it."""
    distance, spacing = numbers(header, "DistanceSourceToDetector"), numbers(header, "ImagerPixelSpacing")
    told = []
    if len(distance) != 1:
        told.append("The header lacks the source-to-detector distance.")
    elif distance[0] <= 0:
        told.append(f"The header's source-to-detector distance is {distance[0]:g} mm, which stands for an unknown one.")
    else:
        told.append(f"The header's source-to-detector distance is {distance[0]:g} mm.")
    if len(spacing) == 2 and min(spacing) > 0:
        return " ".join([*told, f"The pixel spacing at the detector is {_of_two(spacing)} mm."])
    told.append("The header lacks the pixel spacing at the detector.")
    told += [sentence for sentence in (_of_pixel_spacing(header), _of_field(header)) if sentence]
    return " ".join(told)


def geometry_questions(header: Dataset) -> list[str]:
    """What does not agree in a header's geometry, as questions."""
    imager, plain = numbers(header, "ImagerPixelSpacing"), numbers(header, "PixelSpacing")
    detector, patient = numbers(header, "DistanceSourceToDetector"), numbers(header, "DistanceSourceToPatient")
    factor = numbers(header, "EstimatedRadiographicMagnificationFactor")
    asked = []
    if len(imager) == 2 and imager == [1.0, 1.0]:
        asked.append("The pixel spacing at the detector is exactly 1 mm. Is that measured, or did something fill in a number?")
    if len(imager) == len(plain) == 2 and plain[0] > imager[0] * 1.001:
        asked.append(
            f"The pixel spacing is {imager[0]:g} mm at the detector but {plain[0]:g} mm at the patient, where it must be smaller. "
            "Have the two been exchanged?"
        )
    if len(detector) == len(patient) == 1 and min(detector + patient) > 0:
        magnification = detector[0] / patient[0]
        if magnification <= 1:
            asked.append(
                f"The detector is {detector[0]:g} mm from the source, and the patient {patient[0]:g} mm. "
                "Is the patient behind the detector, or have the two been exchanged?"
            )
        elif len(factor) == 1 and abs(factor[0] / magnification - 1) > _AGREEMENT:
            asked.append(
                f"The distances of {detector[0]:g} and {patient[0]:g} mm from the source magnify by {magnification:.3g}, but the header "
                f"says {factor[0]:g}. Is the source-to-detector distance right?"
            )
    return asked


def _of_pixel_spacing(header: Dataset) -> str:
    spacing, factor = numbers(header, "PixelSpacing"), numbers(header, "EstimatedRadiographicMagnificationFactor")
    if len(spacing) != 2 or min(spacing) <= 0:
        return ""
    words = f"Its PixelSpacing is {_of_two(spacing)} mm"
    if len(factor) == 1 and factor[0] > 1:
        at_detector = [factor[0] * value for value in spacing]
        return f"{words} with a magnification of {factor[0]:g}: if that is at the patient, it is {_of_two(at_detector)} mm at the detector."
    if header.get("PixelSpacingCalibrationType"):
        return f"{words}, calibrated to the patient: at the detector it is larger by the magnification."
    return f"{words}, which may be that at the detector, or be smaller by the magnification as at the patient: find out which."


def _of_field(header: Dataset) -> str:
    for keyword in ("IntensifierSize", "FieldOfViewDimensions"):
        size = [value for value in numbers(header, keyword) if value > 0]
        if size:
            longest = max(size)
            return (
                f"Its {keyword} is {longest:g} mm: divided by the number of pixels across the exposed field, that is the spacing "
                f"({longest / max(int(header.Rows), int(header.Columns)):.3g} mm if the field is as wide as the image)."
            )
    return ""


def _of_two(spacing: list[float]) -> str:
    """Spacing of rows and of columns, or one number for square pixels."""
    return f"{spacing[0]:g}" if spacing[0] == spacing[1] else f"{spacing[0]:g} (rows) x {spacing[1]:g} (columns)"
