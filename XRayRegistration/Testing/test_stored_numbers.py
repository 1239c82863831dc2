"""The numbers that a scene stores of a registration: those that the library makes are read, and all others refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_patient import SmallPatient
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.result_files import result_numbers
from XRayRegistrationSlicer.stored_numbers import parseNumbers


@pytest.fixture
def numbers(registration: Registration, patient: SmallPatient, description: ModelDescription) -> dict[str, Any]:
    made = result_numbers(registration, ["AP", "lateral"], description, patient.surfaces)
    return made | {"bone_centre_ras": [1.0, 2.0, 3.0], "force_cpu": True}


def test_numbers_of_a_registration_are_read_as_they_were_stored(numbers: dict[str, Any]) -> None:
    assert parseNumbers(json.dumps(numbers)) == json.loads(json.dumps(numbers))


def test_numbers_without_model_or_refinement_are_read(registration: Registration, patient: SmallPatient) -> None:
    plain = replace(registration, correspondences=(), estimate=None, refinement=None, origin="search")
    made = result_numbers(plain, ["AP", "lateral"], None, patient.surfaces) | {"bone_centre_ras": [0, 0, 0], "force_cpu": False}
    assert parseNumbers(json.dumps(made)) == json.loads(json.dumps(made))


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no views": lambda numbers: numbers["views"].clear(),
    "views that are no list": lambda numbers: numbers.update(views={"0": numbers["views"][0]}),
    "a view without a name": lambda numbers: numbers["views"][0].pop("xray"),
    "half a character in a name": lambda numbers: numbers["views"][1].update(xray="\ud800"),
    "another polarity": lambda numbers: numbers["views"][1].update(polarity="bright"),
    "a mirror for a pose": lambda numbers: numbers["views"][1].update(ras_to_camera=np.diag([1, 1, -1, 1]).tolist()),
    "a pose beyond all numbers": lambda numbers: numbers["views"][0]["rig_to_camera"][0].__setitem__(3, 1e300),
    "a pose of numbers as text": lambda numbers: numbers["views"][0]["rig_to_camera"][3].__setitem__(3, "1"),
    "a pose of text": lambda numbers: numbers.update(ras_to_rig="up"),
    "a distance of text": lambda numbers: numbers["views"][0]["camera"].update(source_to_detector_distance="1000"),
    "points without a count": lambda numbers: numbers["views"][0].pop("correspondences"),
    "another verdict": lambda numbers: numbers["verdict"].update(level="perfect"),
    "a verdict without a reason": lambda numbers: numbers["verdict"].update(reason=""),
    "a verdict of more": lambda numbers: numbers["verdict"].update(more=1),
    "an error of text": lambda numbers: numbers["verdict"].update(expected_error_mm="2"),
    "a centre of two": lambda numbers: numbers["bone_centre_ras"].pop(),
    "an infinite centre": lambda numbers: numbers["bone_centre_ras"].__setitem__(0, float("inf")),
    "seconds of text": lambda numbers: numbers["seconds"].update(pose="1"),
    "no number anywhere": lambda numbers: numbers.update(unknown=float("nan")),
    "a number beyond all floats": lambda numbers: numbers["seconds"].update(pose=10**400),
    "refined without similarity": lambda numbers: numbers["refinement"].pop("similarity"),
    "a device of text": lambda numbers: numbers.update(force_cpu="no"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_anything_else_is_refused(numbers: dict[str, Any], damage: str) -> None:
    damaged = deepcopy(numbers)
    DAMAGE[damage](damaged)
    with pytest.raises(ValueError):
        parseNumbers(json.dumps(damaged))


@pytest.mark.parametrize("text", [None, "", "[]", "1", "{", "[" * 100_000, '"\\ud800"'])
def test_text_that_is_no_object_is_refused(text: str | None) -> None:
    with pytest.raises(ValueError):
        parseNumbers(text)
