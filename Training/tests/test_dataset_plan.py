"""The views of a data set before they are simulated: what each stratum promises, what a view depends on, and the splits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zarr")

from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.detector import OPEN_FIELD_PHOTONS
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.exposed_field import Collimation
from DRRSimulatorLib.patient import surface_points
from xray_training.dataset.plan import (
    Sampling,
    ViewPlan,
    as_arrays,
    collimation_of,
    plan_view,
    split_of_view,
    splits_of_patients,
    stratum_of,
)
from xray_training.dataset.sources import read_sources

CAMERA = Camera.centred(1020.0, 297 / 512, (512, 512))
FINGERPRINT = "0123456789abcdef" * 4
VIEWS = 160


@pytest.fixture(scope="module")
def points(phantom_bones: BoneLabels) -> FloatArray:
    return surface_points(phantom_bones)


def plan(points: FloatArray, sampling: Sampling, numbers: range = range(VIEWS), seed: int = 0) -> list[ViewPlan]:
    return [plan_view(number, seed, FINGERPRINT, sampling, CAMERA, points, lone_bones=False) for number in numbers]


@pytest.fixture(scope="module")
def hard(points: FloatArray) -> list[ViewPlan]:
    return plan(points, Sampling.hard)


def of_stratum(plans: list[ViewPlan], stratum: str) -> list[ViewPlan]:
    found = [view for view in plans if view.values["stratum"] == stratum]
    assert len(found) >= 20
    return found


def share_on_detector(view: ViewPlan, points: FloatArray) -> float:
    """Projected by the camera matrix, and not by what the plan was made with."""
    homogeneous = CAMERA.matrix @ transform_points(view.ras_to_camera, points).T
    pixels = homogeneous[:2] / homogeneous[2]
    return float(((pixels > -0.5) & (pixels < 511.5)).all(axis=0).mean())


def test_of_eight_views_in_turn_four_are_uniform_two_clinical_and_two_hard() -> None:
    for start in range(0, 64, 8):
        counts = Counter(stratum_of(number, Sampling.mixed) for number in range(start, start + 8))
        assert (counts["uniform"], counts["clinical"], len(counts)) == (4, 2, 4)
    assert len({stratum_of(number, Sampling.mixed) for number in range(16)}) == 6


def test_truncated_views_show_ten_to_fifty_percent_of_the_bone_and_others_at_least_ten(hard: list[ViewPlan], points: FloatArray) -> None:
    for view in hard:
        share = share_on_detector(view, points)
        assert abs(share - view.values["bone_on_detector"]) < 0.002
        assert share >= 0.099
    shares = [share_on_detector(view, points) for view in of_stratum(hard, "truncation")]
    assert max(shares) <= 0.501 and np.ptp(shares) > 0.2


def test_extreme_angles_lie_outside_the_uniform_range(hard: list[ViewPlan], points: FloatArray) -> None:
    extreme = of_stratum(hard, "extreme_angles")
    primary, secondary = (np.abs([view.values[name] for view in extreme]) for name in ("primary_deg", "secondary_deg"))
    assert ((primary > 45) | (secondary > 25)).all()
    assert 75 < primary.max() <= 90 and 35 < secondary.max() <= 45
    uniform = plan(points, Sampling.uniform)
    assert max(abs(view.values["primary_deg"]) for view in uniform) <= 45
    # The angle between the beam and the anteroposterior axis, from the pose itself.
    for view in extreme:
        beam = view.ras_to_camera[2, :3]
        expected = np.cos(np.radians(view.values["primary_deg"])) * np.cos(np.radians(view.values["secondary_deg"]))
        assert abs(beam[1] - expected) < 1e-9


def test_low_dose_is_a_tenth_to_a_hundredth_of_the_photons(hard: list[ViewPlan]) -> None:
    photons = np.array([view.values["photons"] for view in of_stratum(hard, "low_dose")]) / OPEN_FIELD_PHOTONS
    assert 0.0099 < photons.min() < 0.03 and 0.05 < photons.max() < 0.101
    others = np.array([view.values["photons"] for view in of_stratum(hard, "tools")]) / OPEN_FIELD_PHOTONS
    assert others.min() > 0.33 and others.max() < 3.01


def test_a_larger_pixel_collects_more_photons_at_the_same_dose(points: FloatArray) -> None:
    coarse = CAMERA.resized((128, 128))
    fine, large = (plan_view(3, 0, FINGERPRINT, Sampling.uniform, camera, points, False) for camera in (CAMERA, coarse))
    assert large.values["photons"] == pytest.approx(16 * fine.values["photons"])


def test_only_the_stratum_of_tools_has_tools(hard: list[ViewPlan]) -> None:
    for view in hard:
        assert (2 <= view.values["tools"] <= 6) if view.values["stratum"] == "tools" else view.values["tools"] == 0


def test_clinical_views_are_near_one_of_the_standard_views(points: FloatArray) -> None:
    standard = np.array([(0, 0), (45, 0), (-45, 0), (90, 0), (0, 25), (0, -35)])
    nearest = []
    for view in plan(points, Sampling.clinical):
        distances = np.abs(standard - (view.values["primary_deg"], view.values["secondary_deg"])).max(axis=1)
        nearest.append(int(distances.argmin()))
        assert distances.min() <= 5
    assert min(Counter(nearest).values()) > 10 and len(set(nearest)) == 6


def test_a_quarter_of_the_views_is_collimated_within_the_image(hard: list[ViewPlan]) -> None:
    openings = [opening for view in hard if (opening := collimation_of(view.values)) is not None]
    assert 0.12 < len(openings) / VIEWS < 0.4 and {opening.shape for opening in openings} == {"round", "rectangular"}
    for opening in openings:
        assert isinstance(opening, Collimation)
        assert abs(opening.centre_mm[0]) + opening.width_mm / 2 <= 148.6 and abs(opening.centre_mm[1]) + opening.height_mm / 2 <= 148.6


def test_a_view_depends_on_its_number_the_seed_and_the_ct_alone(points: FloatArray) -> None:
    backwards = [plan(points, Sampling.mixed, range(number, number + 1))[0] for number in reversed(range(16))][::-1]
    for one, other in zip(plan(points, Sampling.mixed, range(16)), backwards, strict=True):
        assert one.values == other.values
        np.testing.assert_array_equal(one.ras_to_camera, other.ras_to_camera)
    for other in (*plan(points, Sampling.mixed, range(1), seed=1), plan_view(0, 0, "f" * 64, Sampling.mixed, CAMERA, points, False)):
        assert other.values["primary_deg"] != backwards[0].values["primary_deg"]


def test_lone_bones_get_soft_tissue(points: FloatArray) -> None:
    view = plan_view(0, 0, FINGERPRINT, Sampling.uniform, CAMERA, points, lone_bones=True)
    assert 30 <= view.values["soft_tissue_mm"] <= 80


def test_values_are_stored_as_numbers_of_their_names(hard: list[ViewPlan]) -> None:
    arrays = as_arrays(hard)
    assert arrays["stratum"].tolist()[:4] == [2, 3, 4, 5] and arrays["kilovolts"].dtype == np.uint16
    assert set(arrays["kilovolts"].tolist()) == {60, 90, 120}


def test_a_detector_that_never_shows_the_bone_is_refused(points: FloatArray) -> None:
    with pytest.raises(InputError, match="hardly ever on the detector"):
        plan_view(0, 0, FINGERPRINT, Sampling.uniform, Camera.centred(1020.0, 0.01, (32, 32)), points, False)


def test_of_ten_views_in_turn_eight_are_for_training() -> None:
    splits = [split_of_view(number, 5, FINGERPRINT) for number in range(200)]
    for start in range(0, 200, 10):
        assert Counter(splits[start : start + 10]) == {"train": 8, "validation": 1, "test": 1}
    assert len({splits.index("test", start) - start for start in range(0, 200, 10)}) > 4  # not always the same place
    assert splits[:10] != [split_of_view(number, 6, FINGERPRINT) for number in range(10)]


@pytest.mark.parametrize(("patients", "held_out"), [(1, 0), (2, 0), (3, 1), (10, 1), (20, 2), (57, 6)])
def test_a_tenth_of_the_patients_is_for_validation_and_for_test_whatever_their_order(patients: int, held_out: int) -> None:
    fingerprints = [f"{number:064x}" for number in range(patients)]
    splits = splits_of_patients(0, fingerprints)
    counts = Counter(splits.values())
    assert (counts["validation"], counts["test"], counts["train"]) == (held_out, held_out, patients - 2 * held_out)
    assert splits == splits_of_patients(0, fingerprints[::-1])


def write_list(folder: Path, text: str) -> Path:
    path = folder / "cts.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_names_cts_relative_to_itself(tmp_path: Path) -> None:
    path = write_list(tmp_path, "ct,labels,name,source,licence,series\na.nii.gz,b.nrrd,one,TCIA,CC BY 4.0,\nc,,,,,1.2.3\n")
    one, two, three = read_sources([path, tmp_path / "other.nii.gz"])
    assert (one.ct, one.labels, one.name, one.source, one.licence, one.series) == (
        tmp_path / "a.nii.gz", tmp_path / "b.nrrd", "one", "TCIA", "CC BY 4.0", None
    )  # fmt: skip
    assert (two.ct, two.labels, two.series, two.licence, two.patient_name("ab" * 32)) == (
        tmp_path / "c", None, "1.2.3", "not stated", "patient-abababab"
    )  # fmt: skip
    assert three.ct == tmp_path / "other.nii.gz" and len({one.key, two.key, three.key}) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file\na\n", "must have the column ct"),
        ("ct,age\na,3\n", "must have the column ct"),
        ("ct\n", "is empty"),
        ("", "must have the column ct"),
        ("ct,name\n,one\n", "names no CT"),
        ("ct\na,b\n", "names no CT"),
        ("ct,name\na,../one\n", "may have letters"),
        ("ct,name\na,one\nb,one\n", "The name one is given twice"),
        ("ct\na\na\n", "is given twice"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_sources([write_list(tmp_path, text)])
