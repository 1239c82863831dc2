"""Contrast agent is told from bone, and bone is not taken for it."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import DRRSimulatorLib
import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.bone import segment_bone
from DRRSimulatorLib.ct import CTVolume, read_ct

Mask = npt.NDArray[np.bool_]

SAMPLE_CT = Path(DRRSimulatorLib.__file__).parent / "data" / "pelvis_ct.nii.gz"
# Of the label map of the sample CT as it was before contrast agent was looked for; the default model was trained on these bones.
SAMPLE_BONE = "0b59ff1c77a789055e7e52344fee38dc0750251f109d4a56a22061cc724e20a2"


def trunk(blood_hu: float, marrow_hu: float = 180.0) -> tuple[CTVolume, dict[str, Mask]]:
    """A trunk with a vertebral body of 40 mm whose cortex is 3 mm thick, an aorta of 24 mm that touches it, and a thin vessel of 5 mm."""
    spacing = 1.5
    y, x = ((np.indices((40, 70, 90)) + 0.5) * spacing - np.array([30.0, 52.5, 67.5]).reshape(3, 1, 1, 1))[1:]
    vertebra, aorta, thin = np.hypot(x, y - 10), np.hypot(x - 20, y + 16), np.hypot(x + 40, y)
    hu = np.where((x / 60) ** 2 + (y / 45) ** 2 < 1, 40.0, -1000.0)
    hu[vertebra < 20], hu[vertebra < 17] = 700.0, marrow_hu
    hu[aorta < 12], hu[thin < 2.5] = blood_hu, blood_hu
    hu += np.random.default_rng(2).normal(scale=20, size=hu.shape)
    inside = {"vertebra": vertebra < 19, "aorta": aorta < 11.5, "thin vessel": thin < 2.5}
    return CTVolume(hu.astype(np.float32), np.diag([spacing] * 3 + [1.0])), inside


@pytest.mark.parametrize("blood_hu", [200.0, 300.0, 400.0])
def test_an_aorta_full_of_contrast_agent_that_touches_a_vertebra_is_left_out_with_a_warning(blood_hu: float) -> None:
    ct, inside = trunk(blood_hu)
    with pytest.warns(UserWarning, match=r"contrast agent of up to \d+ HU.* give a label map"):
        bone = segment_bone(ct).labels > 0
    assert bone[inside["aorta"]].mean() < 0.03
    assert bone[inside["thin vessel"]].mean() < 0.03
    assert bone[inside["vertebra"]].mean() > 0.99


@pytest.mark.parametrize("marrow_hu", [80.0, 180.0, 300.0])
def test_dense_marrow_within_its_cortex_is_bone(marrow_hu: float) -> None:
    ct, inside = trunk(40.0, marrow_hu)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bone = segment_bone(ct).labels > 0
    assert bone[inside["vertebra"]].mean() > 0.99


def test_the_smallest_ct_goes_through_the_search_for_bone_and_contrast_agent() -> None:
    hu = np.full((5, 5, 5), -1000, dtype=np.float32)
    hu[1:, 1:, 1:] = 800
    assert segment_bone(CTVolume(hu, np.diag([3.0, 3.0, 3.0, 1.0]))).labels.any()


def test_the_bones_of_the_sample_ct_are_the_same_to_the_last_voxel() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels = segment_bone(read_ct(SAMPLE_CT)).labels
    assert hashlib.sha256(labels.tobytes()).hexdigest() == SAMPLE_BONE


def test_the_sample_ct_keeps_its_fingerprint() -> None:
    assert read_ct(SAMPLE_CT).fingerprint == "e2527d2924c338898d65509a5859fd3859e410d15247afcad013f2f344e32301"
