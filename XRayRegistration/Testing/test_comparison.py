"""Comparing X-ray and DRR: what the squares hold, and what the X-ray view is told to show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pelvis_case import CAMERA, PelvisCase
from registration_scene import add_ct, add_xray


@pytest.fixture
def result(logic: Any, pelvis: PelvisCase) -> Any:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)
    return logic.registerXRay(xray, ct, refine=False)


def test_squares_are_taken_from_both_images_in_turns(scene: Any) -> None:
    from XRayRegistrationSlicer.comparison import composed

    first, second = np.zeros((8, 12), np.float32), np.ones((4, 6), np.float32)
    expected = np.zeros((8, 12))
    expected[:4, 4:8] = expected[4:, :4] = expected[4:, 8:] = 1
    assert np.array_equal(composed(first, second, 3), expected)


def test_a_drr_of_fewer_pixels_lies_at_the_same_place(scene: Any) -> None:
    from XRayRegistrationSlicer.comparison import composed

    rows, columns = np.indices((64, 96))
    fine = (2.0 * columns - rows).astype(np.float32)
    coarse = fine.reshape(32, 2, 48, 2).mean(axis=(1, 3))
    mixed = composed(fine, coarse, 8)
    assert np.allclose(mixed[1:-1, 1:-1], fine[1:-1, 1:-1], atol=1e-4)


def test_the_checkerboard_lies_on_the_detector_and_is_made_once(logic: Any, pelvis: PelvisCase, result: Any) -> None:
    import slicer

    board = logic.comparison(result).checkerboard(4)
    assert board.GetParentTransformNode() is result.carms[0].transformNode and board.GetName() == "AP checkerboard"
    pixels, drr = slicer.util.arrayFromVolume(board)[0], slicer.util.arrayFromVolume(result.drrs[0])[0]
    assert np.array_equal(pixels[:40, :40], pelvis.pixels()[:40, :40])
    assert np.allclose(pixels[:40, 40:80], drr[:40, 40:80])
    assert logic.comparison(result).checkerboard(8) is board
    assert board.GetDisplayNode().GetWindow() == pytest.approx(result.xraysOnDetector[0].GetDisplayNode().GetWindow())


def test_blending_and_flickering_show_the_drr_over_the_xray(logic: Any, result: Any, views: Any) -> None:
    import slicer
    from DRRSimulatorSlicer.views import showLayout

    showLayout()
    comparison = logic.comparison(result)
    composite = views.sliceWidget("XRay1").mrmlSliceCompositeNode()
    shown = []
    comparison.blend(0.3)
    shown.append(composite.GetForegroundOpacity())
    for _ in range(3):
        comparison.flicker()
        shown.append(composite.GetForegroundOpacity())
    assert shown == pytest.approx([0.3, 1.0, 0.0, 1.0])
    assert composite.GetBackgroundVolumeID() == result.xraysOnDetector[0].GetID()
    assert composite.GetForegroundVolumeID() == result.drrs[0].GetID()
    assert slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID()).GetName() == "AP DRR"


def test_without_views_comparing_does_nothing(logic: Any, result: Any) -> None:
    logic.compare(result, "blend", 0.5)
    logic.compare(result, "checkerboard")
