"""Choosing views of a data set by patient and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from DRRSimulatorLib.errors import InputError

from .layout import SPLITS
from .stored import StoredPatient, XRayDataset


@dataclass(frozen=True, eq=False)
class ChosenViews:
    """Views of a patient.

    Attributes:
        patient: the patient.
        numbers: of the views, ascending.
    """

    patient: StoredPatient
    numbers: list[int]


def choose_views(dataset: XRayDataset, patients: Sequence[str] | None = None, split: str | None = None) -> list[ChosenViews]:
    """The views of a split, of each patient that has any.

    Args:
        dataset: the data set.
        patients: names; None for all.
        split: "train", "validation" or "test"; None for all views.

    Raises:
        InputError: if there is no such patient or split, or no view is left.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    chosen = []
    for name in dataset.patients if patients is None else dict.fromkeys(patients):
        patient = dataset.patient(name)
        numbers = np.flatnonzero((patient.values("split") == split) | (split is None)).tolist()
        if numbers:
            chosen.append(ChosenViews(patient, numbers))
    if not chosen:
        raise InputError(f"The data set {dataset.folder} has no view to choose; name other patients or another split.")
    return chosen


def view_count(chosen: Sequence[ChosenViews]) -> int:
    """Number of the views of all patients."""
    return sum(len(views.numbers) for views in chosen)
