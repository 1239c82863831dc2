"""Patients of the scene: made once, and again as soon as what they are made of changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import ignore_progress
from scene_nodes import add_transform, add_volume, rigid


@pytest.fixture
def cache(scene: Any) -> Any:
    from DRRSimulatorSlicer.patients import PatientCache

    return PatientCache()


@pytest.fixture
def ct_node(scene: Any) -> Any:
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[5:15, 5:15, 5:15] = 900
    return add_volume(hu, ijk_to_ras=np.diag([3.0, 3.0, 3.0, 1.0]))


@pytest.fixture
def segmentation(ct_node: Any) -> Any:
    from DRRSimulatorLib.bone import BoneLabels
    from DRRSimulatorSlicer.nodes import writeSegmentation

    labels = np.zeros((20, 20, 20), np.uint8)
    labels[6:14, 6:14, 6:10], labels[6:14, 6:14, 10:14] = 1, 2
    return writeSegmentation(BoneLabels(labels, np.diag([3.0, 3.0, 3.0, 1.0]), {1: "left", 2: "right"}), ct_node)


def test_a_patient_is_made_once(cache: Any, ct_node: Any, segmentation: Any) -> None:
    patient = cache.prepare(ct_node, segmentation)(ignore_progress)
    assert patient.bones.names == {1: "left", 2: "right"}
    assert cache.prepare(ct_node, segmentation)(ignore_progress) is patient


def test_what_does_not_matter_to_it_keeps_the_patient(cache: Any, ct_node: Any) -> None:
    patient = cache.prepare(ct_node)(ignore_progress)
    ct_node.SetName("renamed")
    ct_node.CreateDefaultDisplayNodes()
    ct_node.SetAndObserveTransformNodeID(add_transform(rigid((1, 2, 3), (4, 5, 6))).GetID())
    assert cache.prepare(ct_node)(ignore_progress) is patient


def test_other_voxels_another_place_or_other_bones_make_a_new_patient(cache: Any, ct_node: Any, segmentation: Any) -> None:
    import slicer

    def changed(change: Any) -> bool:
        before = cache.prepare(ct_node, segmentation)(ignore_progress)
        change()
        return cache.prepare(ct_node, segmentation)(ignore_progress) is not before

    def draw() -> None:
        slicer.util.arrayFromVolume(ct_node)[7, 7, 7] = 1000
        slicer.util.arrayFromVolumeModified(ct_node)

    def erase() -> None:
        segmentation.GetSegmentation().RemoveSegment(segmentation.GetSegmentation().GetNthSegmentID(1))

    assert changed(draw)
    assert changed(lambda: ct_node.SetOrigin(10, 0, 0))
    assert changed(lambda: segmentation.GetSegmentation().GetNthSegment(0).SetName("femur"))
    assert changed(lambda: segmentation.SetAndObserveTransformNodeID(add_transform(rigid((0, 0, 0), (3, 0, 0))).GetID()))
    assert changed(erase)
    assert cache.prepare(ct_node, segmentation)(ignore_progress).bones.names == {1: "femur"}
    assert cache.prepare(ct_node)(ignore_progress).bones.names == {1: "bone"}


def test_clearing_forgets_the_patient(cache: Any, ct_node: Any) -> None:
    patient = cache.prepare(ct_node)(ignore_progress)
    cache.clear()
    assert cache.prepare(ct_node)(ignore_progress) is not patient


def test_a_failure_leaves_no_half_made_patient(cache: Any, ct_node: Any, segmentation: Any) -> None:
    patient = cache.prepare(ct_node)(ignore_progress)
    segmentation.GetSegmentation().AddEmptySegment("empty", "empty")
    for _ in range(2):
        with pytest.raises(InputError, match="empty"):
            cache.prepare(ct_node, segmentation)(ignore_progress)
    assert cache.prepare(ct_node)(ignore_progress) is not patient
