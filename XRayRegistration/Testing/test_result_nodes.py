"""What a registration puts into the scene: where it lies, that it is updated, found and removed, and what views show of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray, invert_pose, transform_points
from DRRSimulatorLib.patient import prepare_patient
from DRRSimulatorLib.progress import ignore_progress
from pelvis_case import CAMERA, PelvisCase
from registration_scene import SharedPatient, add_ct, add_xray, node_names, to_world
from XRayRegistrationLib.model import Model


@pytest.fixture
def ct(logic: Any, pelvis: PelvisCase) -> Any:
    return add_ct(pelvis.patient.ct)


@pytest.fixture
def xray(logic: Any, pelvis: PelvisCase) -> Any:
    return known_xray(logic, pelvis, "AP")


def known_xray(logic: Any, pelvis: PelvisCase, name: str, view: int = 0) -> Any:
    node = add_xray(pelvis.pixels(view), name)
    logic.setGeometry(node, CAMERA, pelvis.poses[view] @ invert_pose(pelvis.poses[0]))
    return node


def register(logic: Any, xrays: Any, ct: Any) -> Any:
    return logic.registerXRay(xrays, ct, refine=False)


def points_of(model: Any) -> FloatArray:
    import slicer

    return np.array(slicer.util.arrayFromModelPoints(model), dtype=np.float64)


def table_rows(table: Any) -> list[list[str]]:
    return [[table.GetCellText(row, column) for column in range(3)] for row in range(table.GetNumberOfRows())]


def test_every_node_lies_where_the_pose_puts_it(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    import slicer

    result = register(logic, xray, ct)
    pose = pelvis.unrefined.ras_to_camera()
    (carm,) = result.carms
    assert [node.GetName() for node in (*result.xraysOnDetector, *result.drrs, *result.outlines, *result.boneModels, result.table)] == [
        "AP on detector", "AP DRR", "AP outline", "bone", "AP registration",
    ]  # fmt: skip
    assert np.allclose(to_world(carm.node("drr")), invert_pose(pose))
    assert np.array_equal(slicer.util.arrayFromVolume(result.xraysOnDetector[0])[0], pelvis.pixels())
    outline = points_of(result.outlines[0])
    assert np.abs(outline[:, 2] - CAMERA.source_to_detector_distance).max() < 2 * CAMERA.pixel_spacing[0]
    bone = points_of(result.boneModels[0])
    assert np.array_equal(bone, pelvis.patient.surfaces["bone"].points.astype(np.float64))
    seen = CAMERA.project(transform_points(pose, points_of(result.pointCloud)))
    assert CAMERA.contains(seen).mean() > 0.95


def test_the_outline_is_the_edge_of_the_bone_s_shadow(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    result = register(logic, xray, ct)
    outline = CAMERA.project(points_of(result.outlines[0]))
    to_edge, to_outline = pelvis.distances_to_shadow(result.carms[0].pose(), outline)
    assert to_edge.max() < 2 and np.quantile(to_outline, 0.9) < 2  # specks of the segmentation have no outline


def test_the_drr_has_the_grey_values_of_the_xray(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    import slicer

    drr = slicer.util.arrayFromVolume(register(logic, xray, ct).drrs[0])[0]
    assert drr.shape == pelvis.pixels().shape
    assert np.corrcoef(drr.ravel(), pelvis.pixels().ravel())[0, 1] > 0.99
    assert np.median(np.abs(drr - pelvis.pixels()) / pelvis.pixels()) < 0.1


def test_points_are_colored_by_their_uncertainty_in_mm(logic: Any, ct: Any, xray: Any) -> None:
    import slicer

    cloud = register(logic, xray, ct).pointCloud
    display, sigma = cloud.GetDisplayNode(), slicer.util.arrayFromModelPointData(cloud, "sigma_mm")
    assert display.GetScalarVisibility() and display.GetActiveScalarName() == "sigma_mm"
    assert "Viridis" in display.GetColorNodeID()
    assert display.GetScalarRange() == pytest.approx((0, np.percentile(sigma, 95)))


def test_the_table_says_the_verdict_first_and_a_unit_in_every_row(logic: Any, ct: Any, xray: Any) -> None:
    result = register(logic, xray, ct)
    rows = table_rows(result.table)
    assert rows[0][:2] == ["Verdict", "Check it"] and rows[1][1] == result.verdict.reason  # it was not refined
    assert all(all(cell for cell in row) for row in rows)
    values = {quantity: (value, unit) for quantity, value, unit in rows}
    assert float(values["LAO"][0]) == pytest.approx(20, abs=1) and float(values["Caudal"][0]) == pytest.approx(8, abs=1)
    assert float(values["Source to center of the bone"][0]) == pytest.approx(720, abs=10)


def test_registering_again_updates_the_same_nodes(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    import slicer

    first = register(logic, xray, ct)
    first.boneModels[0].GetDisplayNode().SetColor(0, 0, 1)
    before, pose = node_names(), first.carms[0].pose()
    slicer.util.updateVolumeFromArray(xray, pelvis.pixels(1)[None])
    second = register(logic, xray, ct)
    assert node_names() == before
    assert second.table is first.table and np.abs(second.carms[0].pose() - pose).max() > 1
    assert first.boneModels[0].GetDisplayNode().GetColor() == (0, 0, 1)
    assert slicer.util.arrayFromVolume(second.xraysOnDetector[0])[0, 0, 0] == pelvis.pixels(1)[0, 0]


def test_removing_a_result_removes_its_nodes_and_nothing_else(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    before = node_names()
    register(logic, xray, ct)
    xray.SetAndObserveTransformNodeID(logic.result(xray).carms[0].transformNode.GetID())  # as a user may well do
    logic.compare(logic.result(xray), "checkerboard")
    logic.removeResult(xray)
    assert node_names() == before
    assert logic.result(xray) is None
    logic.removeResult(xray)


@pytest.mark.parametrize("part", ["AP on detector", "AP DRR", "AP outline", "AP points", "bone", "AP beam"])
def test_a_part_that_the_user_removed_is_made_again(logic: Any, ct: Any, xray: Any, part: str) -> None:
    import slicer

    register(logic, xray, ct)
    names = shown_names()
    slicer.mrmlScene.RemoveNode(slicer.util.getNode(part))
    found = logic.result(xray)
    assert found is None or found.verdict.level == "check"
    register(logic, xray, ct)
    assert shown_names() == names
    logic.removeResult(xray)
    assert shown_names() == ["AP", "CT"]


@pytest.mark.parametrize("part", ["AP camera", "AP registration"])
def test_without_its_camera_or_table_there_is_no_result_until_the_next_registration(logic: Any, ct: Any, xray: Any, part: str) -> None:
    import slicer

    register(logic, xray, ct)
    slicer.mrmlScene.RemoveNode(slicer.util.getNode(part))
    assert logic.result(xray) is None
    assert register(logic, xray, ct).table is logic.result(xray).table


def shown_names() -> list[str]:
    """Names of the nodes that the Data module shows."""
    import slicer

    nodes = (slicer.mrmlScene.GetNodeByID(node) for node in node_names())
    return sorted(node.GetName() for node in nodes if node.IsA("vtkMRMLTransformableNode") or node.IsA("vtkMRMLTableNode"))


def test_results_of_one_ct_share_the_bone_until_the_last_is_removed(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    other = known_xray(logic, pelvis, "lateral", 1)
    first, second = register(logic, xray, ct), register(logic, other, ct)
    assert first.boneModels == second.boneModels
    logic.removeResult(xray)
    assert second.boneModels[0].GetScene() is not None and len(logic.result(other).drrs) == 1
    logic.removeResult(other)
    assert set(node_names().values()) >= {"AP", "lateral"} and "bone" not in node_names().values()


def test_a_registration_replaces_the_results_that_its_xrays_had(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    other = known_xray(logic, pelvis, "lateral", 1)
    camera = register(logic, xray, ct).carms[0].transformNode
    register(logic, other, ct)
    both = register(logic, [other, xray], ct)
    assert both.carms[1].transformNode is camera
    assert list(node_names().values()).count("bone") == 1 and logic.result(xray) is both and logic.result(other) is both
    alone = register(logic, xray, ct)
    assert alone.table is both.table and logic.result(other) is None
    assert not [name for name in node_names().values() if name.startswith("lateral ")]


def test_a_copy_of_an_xray_has_no_result_and_gets_one_of_its_own(logic: Any, ct: Any, xray: Any) -> None:
    import slicer

    result = register(logic, xray, ct)
    copy = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, xray, "copy")
    assert logic.result(copy) is None
    assert register(logic, copy, ct).carms[0].transformNode is not result.carms[0].transformNode
    xray.SetName("renamed")
    assert logic.result(xray).table is result.table


def test_a_copy_of_the_table_is_no_second_result(logic: Any, ct: Any, xray: Any) -> None:
    import slicer

    result = register(logic, xray, ct)
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "for the record")
    copy.Copy(result.table)
    logic.removeResult(xray)
    assert logic.result(xray) is None and copy.GetScene() is not None
    assert register(logic, xray, ct).table is not copy


def test_a_saved_scene_has_its_result_when_it_is_opened_again(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any, tmp_path: Path) -> None:
    import slicer

    xray.SetName('AP; 50 % "dose" <é>')
    before = register(logic, xray, ct)
    pose, numbers, verdict = before.carms[0].pose(), before.numbers, before.verdict
    rows = table_rows(before.table)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"), {})
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    again = slicer.util.getFirstNodeByClassByName("vtkMRMLScalarVolumeNode", 'AP; 50 % "dose" <é>')
    result = logic.result(again)
    assert np.allclose(result.carms[0].pose(), pose, rtol=0, atol=1e-9)
    assert (result.numbers, result.verdict, result.registration) == (numbers, verdict, None)
    assert table_rows(result.table) == rows
    names = node_names()
    register(logic, again, result.ctNode)
    assert node_names() == names


def test_closing_the_scene_leaves_nothing(logic: Any, ct: Any, xray: Any) -> None:
    import slicer
    from XRayRegistrationSlicer.results import allResults

    register(logic, xray, ct)
    slicer.mrmlScene.Clear(False)
    assert allResults() == [] and not [name for name in node_names().values() if name.startswith("AP") or name == "bone"]


def test_several_bones_have_their_own_names_and_colors(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any) -> None:
    bones = pelvis.patient.bones
    halves = bones.labels.copy()
    halves[..., halves.shape[2] // 2 :] *= 2
    labels = {1: "left", 2: "right"}
    logic._patients = SharedPatient(prepare_patient(pelvis.patient.ct, BoneLabels(halves, bones.ijk_to_ras, labels)))
    model = Model(pelvis.model.network, replace(pelvis.model.description, labels=labels))
    logic._models.load = lambda path, device: model
    result = register(logic, xray, ct)
    assert [node.GetName() for node in result.boneModels] == ["left", "right"]
    assert [node.GetName() for node in result.outlines] == ["AP outline of left", "AP outline of right"]
    colors = [[node.GetDisplayNode().GetColor() for node in nodes] for nodes in (result.boneModels, result.outlines)]
    assert colors[0] == colors[1] and len(set(colors[0])) == 2


def test_the_xray_view_shows_the_outline_on_the_edge_of_the_bone(logic: Any, pelvis: PelvisCase, ct: Any, xray: Any, views: Any) -> None:
    """Yellow pixels of the rendered view, back on the detector."""
    import slicer

    result = logic.show(logic.prepare(xray, ct, refine=False)(ignore_progress), inViews=True)
    slicer.app.processEvents()
    picture = grab(views.sliceWidget("XRay1").sliceView())
    red, green, blue = picture.astype(int).transpose(2, 0, 1)
    row, column = np.nonzero((red > 180) & (green > 140) & (blue < 90))
    to_ras = slicer.util.arrayFromVTKMatrix(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeXRay1").GetXYToRAS())
    ras = np.stack([column, len(picture) - 1 - row, 0 * row, 0 * row + 1]).T @ to_ras[:3].T
    shown = CAMERA.project(transform_points(result.carms[0].pose(), ras))
    to_edge, to_shown = pelvis.distances_to_shadow(result.carms[0].pose(), shown[CAMERA.contains(shown)])
    assert len(shown) > 300
    assert np.quantile(to_edge, 0.95) < 2 and np.quantile(to_shown, 0.9) < 2


def grab(view: Any) -> Any:
    """Pixels of a view [row, column, channel], from the top."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    view.forceRender()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(view.renderWindow())
    grabber.ReadFrontBufferOff()
    grabber.Update()
    image = grabber.GetOutput()
    columns, rows, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3]
