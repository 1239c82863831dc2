"""The camera that the DICOM header of an X-ray tells (PS3.3 C.8.7.2, X-Ray Acquisition)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .camera import Camera


def camera_from_tags(distance: Any, imager_spacing: Any, image_size: tuple[int, int]) -> Camera | None:
    """Camera with its principal point in the image's middle, as a header does not tell where the beam's centre lies.

    Args:
        distance: DistanceSourceToDetector (0018,1110), a number or its text.
        imager_spacing: ImagerPixelSpacing (0018,1164), two of them: of rows, of columns. PixelSpacing is not the detector's.
        image_size: (rows, columns).

    Returns:
        None where a value is absent or no positive number.
    """
    distances, spacings = _positive_numbers(distance, 1), _positive_numbers(imager_spacing, 2)
    if distances is None or spacings is None:
        return None
    rows, columns = image_size
    return Camera(distances[0], (spacings[1], spacings[0]), image_size, ((columns - 1) / 2, (rows - 1) / 2))


def _positive_numbers(value: Any, count: int) -> list[float] | None:
    try:
        values = [float(number) for number in np.atleast_1d(value)]
    except (TypeError, ValueError):  # absent, empty or malformed
        return None
    return values if len(values) == count and all(math.isfinite(number) and number > 0 for number in values) else None
