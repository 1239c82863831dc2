"""Bones that were cut out of their CT: they are known as such, and their shafts go on where a face of the volume cuts them off."""

from __future__ import annotations

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels, segment_bone
from DRRSimulatorLib.ct import CTVolume, read_ct
from xray_training.lone_bones import SHAFT_MM, holds_lone_bones, with_continued_shafts
from xray_training.suites import PELVIS_CT


def shaft(axis: int, end: int) -> tuple[CTVolume, BoneLabels]:
    """A block of bone that one face of the volume cuts off; spacing (1, 2, 0.5) mm along i, j, k, and an oblique direction."""
    hu = np.full((30, 31, 32), -1000, dtype=np.float32)
    inside = [slice(10, 20)] * 3
    inside[axis] = slice(0, 20) if end == 0 else slice(10, None)
    hu[tuple(inside)] = 700 + np.arange(10)[:, None] if axis != 1 else 700
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3] = np.column_stack([turn @ np.diag([1.0, 2.0, 0.5]), [5.0, -7.0, 11.0]])
    return CTVolume(hu, ijk_to_ras), BoneLabels((hu > 0).astype(np.uint8), ijk_to_ras, {1: "bone"})


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_a_shaft_goes_on_straight_beyond_the_face_that_cuts_it_off_and_stays_where_it_was(axis: int, end: int) -> None:
    ct, bones = shaft(axis, end)
    longer, labels = with_continued_shafts(ct, bones)
    added = longer.hu.shape[axis] - ct.hu.shape[axis]
    assert added * ct.spacing[2 - axis] == pytest.approx(SHAFT_MM)
    assert [a - b for a, b in zip(longer.hu.shape, ct.hu.shape, strict=True)] == [added if other == axis else 0 for other in range(3)]
    first = added if end == 0 else 0
    old = tuple(slice(first, first + n) if other == axis else slice(None) for other, n in enumerate(ct.hu.shape))
    np.testing.assert_array_equal(longer.hu[old], ct.hu)
    np.testing.assert_array_equal(labels.labels[old], bones.labels)
    assert labels.labels.sum() == bones.labels.sum()  # what was added is not labelled
    beyond = np.moveaxis(longer.hu, axis, 0)[:added] if end == 0 else np.moveaxis(longer.hu, axis, 0)[-added:]
    assert (beyond == np.moveaxis(ct.hu, axis, 0)[end]).all()
    # A voxel of the old volume is where it was.
    index = np.zeros(3)
    index[2 - axis] = first
    np.testing.assert_allclose(longer.ijk_to_ras[:3, :3] @ index + longer.ijk_to_ras[:3, 3], ct.ijk_to_ras[:3, 3], atol=1e-12)


def test_a_bone_that_ends_within_the_volume_is_left_as_it_is() -> None:
    ct, _ = shaft(0, 0)
    hu = ct.hu.copy()
    hu[:2] = -1000
    ended = CTVolume(hu, ct.ijk_to_ras)
    longer, _ = with_continued_shafts(ended, BoneLabels((hu > 0).astype(np.uint8), ct.ijk_to_ras, {1: "bone"}))
    np.testing.assert_array_equal(longer.hu, hu)


def test_a_cut_out_bone_is_told_from_a_ct_of_a_body() -> None:
    assert holds_lone_bones(*shaft(0, 0))
    pelvis = read_ct(PELVIS_CT)
    assert not holds_lone_bones(pelvis, segment_bone(pelvis))
