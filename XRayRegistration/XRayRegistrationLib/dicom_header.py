"""The header of one frame of a DICOM file, classic or enhanced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from DRRSimulatorLib.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def of_frame(dataset: Dataset, frame: int) -> Dataset:
    """All attributes that hold for a frame, counted from 0.

    Enhanced multi-frame files (DICOM PS3.3 C.7.6.16) keep geometry and meaning of the values in sequences of one item, shared by all
    frames or for each frame; here these stand beside the other attributes, as in classic files. What the file says outside of the
    sequences is not replaced.

    Raises:
        InputError: if the sequences are damaged.
    """
    try:
        groups = [item for item in dataset.get("SharedFunctionalGroupsSequence") or []][:1]
        groups += [item for item in dataset.get("PerFrameFunctionalGroupsSequence") or []][frame : frame + 1]
        if not groups:
            return dataset
        header = a_copy(dataset, ())
        for group in groups:
            for element in group:
                if element.VR == "SQ" and len(element.value) == 1:
                    header.update(element.value[0])
        header.update(dataset)
    except Exception as error:  # pydicom makes values of their bytes when they are asked for, and raises errors of many types
        raise InputError("The DICOM header is damaged where it describes its frames; export the file again.") from error
    return header


def a_copy(dataset: Dataset, keywords: Sequence[str] | None = None) -> Dataset:
    """Another data set with the same elements, or some of them; Python's own copy would share all changes."""
    from pydicom.dataset import Dataset as Header

    header = Header()
    header.file_meta = dataset.file_meta
    if keywords is None:
        header.update(dataset)
        return header
    for keyword in keywords:
        if keyword in dataset:
            header[keyword] = dataset[keyword]
    return header


def numbers(header: Dataset, keyword: str) -> list[float]:
    """The finite numbers of an attribute; none where it is absent, empty or malformed."""
    try:
        values = [float(value) for value in np.atleast_1d(header.get(keyword))]
    except (TypeError, ValueError):
        return []
    return [value for value in values if math.isfinite(value)]
