"""Moving the bone by hand: motions mean what the sliders say, everything follows, and refining finds back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import invert_pose, transform_points
from DRRSimulatorLib.errors import InputError
from pelvis_case import CAMERA, PelvisCase
from registration_scene import add_ct, add_xray


@pytest.fixture
def result(logic: Any, pelvis: PelvisCase) -> Any:
    """Of two X-rays."""
    xrays = [add_xray(pelvis.pixels(view), f"X-ray {view}") for view in (0, 1)]
    for xray, pose in zip(xrays, pelvis.poses, strict=True):
        logic.setGeometry(xray, CAMERA, pose @ invert_pose(pelvis.poses[0]))
    return logic.registerXRay(xrays, add_ct(pelvis.patient.ct), refine=False)


def outline_is_the_shadow(result: Any, pelvis: PelvisCase, view: int = 0) -> bool:
    """Whether an X-ray's outline is the edge of the bone's shadow where its camera is now."""
    import slicer

    outline = CAMERA.project(slicer.util.arrayFromModelPoints(result.outlines[view]).astype(float))
    to_edge, to_outline = pelvis.distances_to_shadow(result.carms[view].pose(), outline)
    return bool(to_edge.max() < 2 and np.quantile(to_outline, 0.9) < 2)


def test_the_bone_moves_right_down_and_away_as_the_xray_shows_it(logic: Any, pelvis: PelvisCase, result: Any) -> None:
    centre = np.array(result.numbers["bone_centre_ras"])[None]
    before = transform_points(result.carms[1].pose(), centre)[0]
    logic.moveBone(result, (3, -4, 12, 0, 0, 0), view=1)
    assert np.allclose(transform_points(result.carms[1].pose(), centre)[0] - before, (3, -4, 12))


@pytest.mark.parametrize(("axis", "moves"), [((1, 0, 0), (1, 2)), ((0, 1, 0), (2, 0)), ((0, 0, 1), (0, 1))])
def test_rotations_turn_the_bone_about_its_center(logic: Any, result: Any, axis: tuple[int, ...], moves: tuple[int, int]) -> None:
    """By 90 degrees about an axis of the camera, the next axis turns to the one after it; the centre stays."""
    centre = np.array(result.numbers["bone_centre_ras"])
    before = result.carms[0].pose()
    logic.moveBone(result, (0, 0, 0, *(90 * np.array(axis))))
    pose = result.carms[0].pose()
    first, second = moves
    arm = before[:3, :3].T[:, first]  # in RAS, along the first axis of the camera
    turned = pose[:3, :3] @ arm
    assert turned[second] == pytest.approx(1) and np.allclose(transform_points(pose, centre[None]), transform_points(before, centre[None]))


def test_the_other_xray_of_the_rig_moves_along(logic: Any, pelvis: PelvisCase, result: Any) -> None:
    between = result.carms[1].pose() @ invert_pose(result.carms[0].pose())
    logic.adjustment(result).apply((6, 3, 0, 0, 0, 5))
    assert np.allclose(result.carms[1].pose() @ invert_pose(result.carms[0].pose()), between)
    assert all(outline_is_the_shadow(result, pelvis, view) for view in (0, 1))


def test_outline_and_drr_follow_the_bone(logic: Any, pelvis: PelvisCase, result: Any) -> None:
    import slicer

    assert outline_is_the_shadow(result, pelvis)
    logic.moveBone(result, (5, 0, 0, 0, 0, 4))
    assert outline_is_the_shadow(result, pelvis)
    drr = slicer.util.arrayFromVolume(result.drrs[0])[0]
    there, before = (
        np.corrcoef(drr.ravel(), np.exp(-pelvis.patient.projector.line_integrals(CAMERA, pose[None]).numpy()[0].sum(axis=0)).ravel())[0, 1]
        for pose in (result.carms[0].pose(), pelvis.unrefined.ras_to_camera())
    )
    assert there > 0.995 > before


def test_a_bone_moved_off_the_xray_has_no_outline(logic: Any, pelvis: PelvisCase, result: Any) -> None:
    logic.moveBone(result, (3000, 0, 0, 0, 0, 0))
    assert result.outlines[0].GetPolyData().GetNumberOfPoints() == 0
    logic.moveBone(result, (0, 0, 0, 0, 0, 0))
    assert outline_is_the_shadow(result, pelvis)


def test_the_motion_is_read_back_and_reset(logic: Any, result: Any) -> None:
    adjustment, start = logic.adjustment(result, 1), result.carms[1].pose()
    motion = (1.5, -2.5, 8.0, 3.0, -4.0, 5.0)
    adjustment.apply((9, 9, 9, 9, 9, 9))
    adjustment.apply(motion)
    assert np.allclose(adjustment.motion, motion) and result.movedByHand()
    assert result.verdict.level == "check" and "moved by hand" in result.table.GetCellText(1, 1)
    adjustment.reset()
    assert np.allclose(adjustment.motion, 0, atol=1e-9) and np.allclose(result.carms[1].pose(), start) and not result.movedByHand()


def test_what_was_measured_of_the_registered_pose_is_not_told_of_another(logic: Any, result: Any) -> None:
    def tells(quantity: str) -> bool:
        return any(quantity in result.table.GetCellText(row, 0) for row in range(result.table.GetNumberOfRows()))

    assert tells("Distance of recognized points") and tells("Recognized points that agree")
    logic.moveBone(result, (5, 0, 0, 0, 0, 0))
    assert not tells("ecognized points") and tells("Source to center of the bone")
    logic.adjustment(result).reset()
    assert tells("Distance of recognized points") and tells("Recognized points that agree")


def test_a_camera_that_was_dragged_is_followed(logic: Any, pelvis: PelvisCase, result: Any) -> None:
    import slicer
    import vtk

    node = result.carms[0].transformNode
    between = result.carms[1].pose() @ invert_pose(result.carms[0].pose())
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    matrix.SetElement(0, 3, matrix.GetElement(0, 3) + 8)
    node.SetMatrixTransformToParent(matrix)
    logic.updateFromTransform(result)
    assert np.allclose(result.carms[1].pose() @ invert_pose(result.carms[0].pose()), between)
    assert all(outline_is_the_shadow(result, pelvis, view) for view in (0, 1))
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.1, 1.1, 1.1, 1])))
    with pytest.raises(InputError, match="undo its scaling"):
        logic.updateFromTransform(result)


def test_refining_from_where_the_bone_was_moved_finds_the_true_pose(logic: Any, pelvis: PelvisCase, result: Any) -> None:
    adjustment = logic.adjustment(result)
    adjustment.apply((4, -3, 10, 2, -2, 2))
    assert pelvis.mtre(result.carms[0].pose()) > 5
    refined = adjustment.refine()
    assert max(pelvis.mtre(carm.pose(), view) for view, carm in enumerate(refined.carms)) < 0.5
    assert refined.table is result.table and not refined.movedByHand()
    assert refined.verdict.level == "check" and "by hand" in refined.verdict.reason
    assert refined.pointCloud is result.pointCloud


def test_a_result_that_was_opened_again_can_be_moved_and_refined(logic: Any, pelvis: PelvisCase, result: Any, tmp_path: Any) -> None:
    import slicer

    slicer.util.saveScene(str(tmp_path / "scene.mrb"), {})
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    opened = logic.result(slicer.util.getNode("X-ray 0"))
    assert opened.registration is None
    adjustment = logic.adjustment(opened)
    adjustment.apply((3, 2, -8, 0, 2, 0))
    assert max(pelvis.mtre(carm.pose(), view) for view, carm in enumerate(adjustment.refine().carms)) < 0.5


def test_without_its_ct_a_result_cannot_be_moved(logic: Any, result: Any) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(result.ctNode)
    with pytest.raises(InputError, match="no longer in the scene"):
        logic.moveBone(result, (1, 0, 0, 0, 0, 0))
