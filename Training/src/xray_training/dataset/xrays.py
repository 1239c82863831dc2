"""The X-rays of a data set as a registration reads X-rays."""

from __future__ import annotations

import numpy as np
from XRayRegistrationLib.xray import XRay

from .stored import StoredPatient


def stored_xray(patient: StoredPatient, number: int) -> XRay:
    """An X-ray with its exposed field, which is searched for where there is a collimator, and everything elsewhere.

    Raises:
        InputError: if it is damaged.
    """
    pixels = patient.read("image", number).astype(np.float32)
    if patient.values("collimation")[number] == "none":
        return XRay(pixels, np.ones(pixels.shape, dtype=np.bool_), "intensity", patient.camera)
    return XRay.from_pixels(pixels, "intensity", patient.camera)
