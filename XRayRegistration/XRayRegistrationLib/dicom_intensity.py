"""What the pixel values of a DICOM X-ray mean: how they follow the beam's intensity, by DICOM PS3.3.

Three look-up tables stand between stored values and a display. The modality transform (C.11.1) gives the values their meaning and
is applied here. The VOI transform (C.11.2), window or table, chooses and bends a part of them for the eye, and the presentation
transform (C.11.6) does the same for a screen: neither is applied, as what is registered must follow the intensity or its logarithm. Only
whether they turn bright to dark matters, since a header may say nothing else of what is bone. Slicer keeps the window for the display.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .dicom_pixels import Pixels, value_range
from .exposed_field import Polarity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_RADIOGRAPHS = ("CR", "DX", "IO", "MG", "PX")  # modalities that are shown with bone white
_FLUOROSCOPY = ("XA", "RF")


def with_meaning(stored: Pixels, header: Dataset) -> tuple[Pixels, Polarity | None]:
    """Values that are proportional to the intensity, or an attenuation (a logarithm), or else as they are shown; and which, if known.

    - PixelIntensityRelationshipSign (C.8.11.3.1.2) is about the stored values: 1 rises with the X-ray intensity, -1 falls. XA and RF
      have none and rise (C.8.7.1).
    - PixelIntensityRelationship LIN means proportional to the intensity, LOG to its logarithm; anything else, as DISP, tells
      nothing. A modality look-up table of XA and RF leads from LOG back to the intensity.
    - Radiographs processed for presentation are shown with bone white, about in proportion to the logarithm, whatever they say of LIN.
    - MONOCHROME1 shows low values white: such images are inverted, unless their values are known to be intensities.

    Args:
        stored: values [row, column, sample].
        header: of the frame, see `dicom_header.of_frame`.

    Returns:
        Values of the same shape, and their polarity; None where the header does not tell it.
    """
    pixels = _transformed(stored, header)
    if stored.shape[2] > 1:
        return pixels, None
    rising = bool(pixels.flat[stored.argmax()] >= pixels.flat[stored.argmin()])
    modality, relationship = header.get("Modality"), header.get("PixelIntensityRelationship")
    sign = {"1": True, "-1": False}.get(str(header.get("PixelIntensityRelationshipSign", "")))
    if modality in _FLUOROSCOPY and sign is None and relationship in ("LIN", "LOG"):
        sign = rising  # the relationship of XA and RF is about the transformed values
        if "ModalityLUTSequence" in header:
            relationship = "LIN"
    for_presentation = header.get("PresentationIntentType") == "FOR PRESENTATION" and modality in _RADIOGRAPHS
    if sign is not None and not for_presentation:
        rises = sign == rising
        if relationship in ("LIN", "LOG") and rises != (relationship == "LIN"):
            pixels, rises = _inverted(pixels, header), not rises
        return pixels, "intensity" if rises else "attenuation"
    if (header.PhotometricInterpretation == "MONOCHROME1") != _voi_falls(header):
        pixels = _inverted(pixels, header)
    return pixels, "attenuation" if modality in _RADIOGRAPHS else None


def _transformed(stored: Pixels, header: Dataset) -> Pixels:
    """Values after rescale slope and intercept or the modality look-up table, where the file has them."""
    try:
        from pydicom.pixels.processing import apply_modality_lut
    except ImportError:  # pydicom 2, as Slicer 5.10 bundles it
        from pydicom.pixel_data_handlers import apply_modality_lut  # type: ignore[no-redef]
    return np.asarray(apply_modality_lut(stored, header))


def _inverted(pixels: Pixels, header: Dataset) -> Pixels:
    """The least possible value in place of the greatest."""
    ends = _transformed(np.array(value_range(header)), header).astype(np.float64)
    inverted: Pixels = ends.sum() - pixels
    return inverted


def _voi_falls(header: Dataset) -> bool:
    """Whether a VOI look-up table turns bright to dark."""
    tables = header.get("VOILUTSequence")
    if not tables:
        return False
    data = tables[0].get("LUTData")
    values = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.atleast_1d(data)
    return bool(values[0] > values[-1])
