"""What each view of a data set is to be: its pose, its acquisition and its split. A view's plan depends on its number alone.

The random numbers of view v of a patient come from streams of their own, seeded with the data set's seed, the CT's fingerprint and v: one
for the plan, one for the image. So neither the number of views nor the order of the work nor the other CTs change a view.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, ViewRange, transform_points
from DRRSimulatorLib.detector import OPEN_FIELD_PHOTONS
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.exposed_field import Collimation

from .layout import NAMES_OF, SPLITS, VIEW_VALUES

UNIFORM = ViewRange()
# Standard views of the pelvis and hip as (LAO/RAO, CRAN/CAUD): anteroposterior, both obliques of Judet, lateral, inlet and outlet. The
# detector is in front of the supine patient: it moves towards the head to look into the pelvic ring from above, which is the inlet.
CLINICAL = ((0.0, 0.0), (45.0, 0.0), (-45.0, 0.0), (90.0, 0.0), (0.0, 25.0), (0.0, -35.0))
CLINICAL_JITTER = ViewRange(primary_deg=5.0, secondary_deg=5.0, roll_deg=5.0, in_plane_mm=15.0, source_to_bone_mm=(670.0, 730.0))
EXTREME = ViewRange(primary_deg=90.0, secondary_deg=45.0)
TRUNCATED = (0.1, 0.5)  # share of the bone's surface on the detector
LEAST_VISIBLE = 0.1  # of every other view
HARD = ("extreme_angles", "truncation", "tools", "low_dose")

KILOVOLTS = (60, 90, 120)
# OPEN_FIELD_PHOTONS are of a pixel of this width; others collect more or fewer at the same dose.
PHOTONS_PIXEL_MM = 0.58
USUAL_DOSE, LOW_DOSE = (1 / 3, 3.0), (0.01, 0.1)  # of OPEN_FIELD_PHOTONS, uniform in the logarithm
COLLIMATED, VIGNETTED = 0.25, 0.15  # shares of the views

_MOST_TRIES = 10000
_PLAN, _IMAGE, _SPLIT = range(3)  # streams of random numbers


class Sampling(str, Enum):
    """Where views are drawn from."""

    mixed = "mixed"
    uniform = "uniform"
    clinical = "clinical"
    hard = "hard"


class SplitRule(str, Enum):
    """What is divided into training, validation and test."""

    view = "view"
    patient = "patient"


@dataclass(frozen=True)
class ViewPlan:
    """A view to be simulated.

    Attributes:
        ras_to_camera: 4x4 pose.
        values: all else, by the names of `layout.VIEW_VALUES`; numbers, and text where numbers stand for names.
    """

    ras_to_camera: FloatArray
    values: dict[str, Any]


def image_stream(seed: int, fingerprint: str, number: int) -> np.random.Generator:
    """Random numbers of a view's image."""
    return _stream(seed, fingerprint, number, _IMAGE)


def plan_view(
    number: int, seed: int, fingerprint: str, sampling: Sampling, camera: Camera, surface_points: FloatArray, lone_bones: bool
) -> ViewPlan:
    """Plan a view.

    Args:
        number: of the view, from 0.
        seed: of the data set.
        fingerprint: of the CT.
        sampling: where views are drawn from.
        camera: of every view.
        surface_points: points (N, 3) of the bones' surface, RAS mm, about whose mean the C-arm turns.
        lone_bones: whether soft tissue has to be made up.

    Raises:
        InputError: if no such view has the bone on the detector.
    """
    rng = _stream(seed, fingerprint, number, _PLAN)
    stratum = stratum_of(number, sampling)
    centre = surface_points.mean(axis=0)

    def on_detector(view: CArmView) -> float:
        points = transform_points(view.ras_to_camera(centre), surface_points)
        return float(camera.contains(camera.project(points)).mean())

    view = _draw_view(stratum, camera, on_detector, rng)
    dose = math.exp(rng.uniform(*np.log(LOW_DOSE if stratum == "low_dose" else USUAL_DOSE)))
    pixels = camera.pixel_spacing[0] * camera.pixel_spacing[1] / PHOTONS_PIXEL_MM**2
    values = {
        "stratum": stratum,
        "split": split_of_view(number, seed, fingerprint),
        "primary_deg": view.primary_deg,
        "secondary_deg": view.secondary_deg,
        "roll_deg": view.roll_deg,
        "offset_x_mm": view.offset_mm[0],
        "offset_y_mm": view.offset_mm[1],
        "source_to_bone_mm": view.source_to_point_mm,
        "kilovolts": int(rng.choice(KILOVOLTS)),
        "photons": OPEN_FIELD_PHOTONS * pixels * dose,
        "vignetting": rng.uniform(0.05, 0.4) if rng.random() < VIGNETTED else 0.0,
        **_draw_collimation(camera, rng),
        "tools": int(rng.integers(2, 7)) if stratum == "tools" else 0,
        "soft_tissue_mm": rng.uniform(30.0, 80.0) if lone_bones else 0.0,
        "bone_on_detector": on_detector(view),
    }
    return ViewPlan(view.ras_to_camera(centre), values)


def stratum_of(number: int, sampling: Sampling) -> str:
    """What view `number` is drawn for; mixed: of 8 views in turn 4 uniform, 2 clinical, 2 hard."""
    if sampling is Sampling.mixed:
        return ("uniform", "clinical", "uniform", HARD[number // 4 % len(HARD)])[number % 4]
    return HARD[number % len(HARD)] if sampling is Sampling.hard else sampling.value


def split_of_view(number: int, seed: int, fingerprint: str) -> str:
    """Split of a view: of each ten views in turn, eight are for training and one each for validation and test, in random order."""
    ten, place = divmod(number, 10)
    return str(_stream(seed, fingerprint, ten, _SPLIT).permutation([SPLITS[0]] * 8 + list(SPLITS[1:]))[place])


def splits_of_patients(seed: int, fingerprints: Sequence[str]) -> dict[str, str]:
    """Split of each CT by its fingerprint: of three or more a tenth, but at least one, for validation and as many for test."""
    order = sorted(fingerprints, key=lambda fingerprint: hashlib.sha256(f"{seed} {fingerprint}".encode()).hexdigest())
    held_out = max(1, round(len(order) / 10)) if len(order) >= len(SPLITS) else 0
    ends = {"validation": order[:held_out], "test": order[held_out : 2 * held_out], "train": order[2 * held_out :]}
    return {fingerprint: split for split, chosen in ends.items() for fingerprint in chosen}


def as_arrays(plans: Sequence[ViewPlan]) -> dict[str, npt.NDArray[Any]]:
    """One array of numbers for each name of `layout.VIEW_VALUES`."""
    return {
        name: np.array([NAMES_OF[name].index(plan.values[name]) if name in NAMES_OF else plan.values[name] for plan in plans], dtype=dtype)
        for name, dtype in VIEW_VALUES.items()
    }


def collimation_of(values: Mapping[str, Any]) -> Collimation | None:
    """The collimator's opening that the values of a view tell."""
    if values["collimation"] == "none":
        return None
    shape: Literal["round", "rectangular"] = "round" if values["collimation"] == "round" else "rectangular"
    return Collimation(
        shape,
        float(values["collimation_width_mm"]),
        float(values["collimation_height_mm"]),
        (float(values["collimation_x_mm"]), float(values["collimation_y_mm"])),
        float(values["collimation_deg"]),
    )


def _stream(seed: int, fingerprint: str, number: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(fingerprint[:16], 16), number, purpose])


def _draw_view(stratum: str, camera: Camera, on_detector: Callable[[CArmView], float], rng: np.random.Generator) -> CArmView:
    """Draw views until one is as its stratum asks."""
    # Far enough to the side for the bone to leave the detector, in the plane of the bone.
    sideways = 0.75 * camera.image_size[1] * camera.pixel_spacing[0] * 700.0 / camera.source_to_detector_distance
    for _ in range(_MOST_TRIES):
        if stratum == "clinical":
            primary, secondary = CLINICAL[rng.integers(len(CLINICAL))]
            jitter = CLINICAL_JITTER.sample(rng)
            view = CArmView(
                primary + jitter.primary_deg, secondary + jitter.secondary_deg, jitter.roll_deg, jitter.offset_mm, jitter.source_to_point_mm
            )
        elif stratum == "extreme_angles":
            view = EXTREME.sample(rng)
            if abs(view.primary_deg) <= UNIFORM.primary_deg and abs(view.secondary_deg) <= UNIFORM.secondary_deg:
                continue
        else:
            view = (ViewRange(in_plane_mm=sideways) if stratum == "truncation" else UNIFORM).sample(rng)
        share = on_detector(view)
        if TRUNCATED[0] <= share <= TRUNCATED[1] if stratum == "truncation" else share >= LEAST_VISIBLE:
            return view
    raise InputError(
        f'No view for the stratum "{stratum}" was found in {_MOST_TRIES} tries: the bone is hardly ever on the detector as it asks; '
        "choose another sampling or another width of the detector (--detector-mm)."
    )


def _draw_collimation(camera: Camera, rng: np.random.Generator) -> dict[str, Any]:
    """The collimator's values of a view: mostly none, else an opening that lies within the image."""
    opening, width, height, x, y, turn = "none", 0.0, 0.0, 0.0, 0.0, 0.0
    if rng.random() < COLLIMATED:
        opening = "round" if rng.random() < 0.5 else "rectangular"
        side = camera.image_size[1] * camera.pixel_spacing[0]
        width, height = side * rng.uniform(0.6, 0.95, 2)
        if opening == "round":
            height = width
        x, y = rng.uniform(-0.5, 0.5, 2) * (side - width, side - height)
        turn = 0.0 if opening == "round" else rng.uniform(-10.0, 10.0)
    return {
        "collimation": opening,
        "collimation_width_mm": width,
        "collimation_height_mm": height,
        "collimation_x_mm": x,
        "collimation_y_mm": y,
        "collimation_deg": turn,
    }
