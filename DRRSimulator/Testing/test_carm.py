"""X-ray cameras in the scene: their parts lie where the camera's geometry says, and all survives saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, transform_points
from DRRSimulatorLib.errors import InputError
from scene_nodes import add_transform, add_volume, rigid, to_world

CAMERA = Camera(1020.0, (0.8, 0.7), (300, 400), (120.5, 170.25))
OTHER_CAMERA = Camera.centred(900.0, 0.5, (512, 512))
POSE = CArmView(30, -10, 5, (4, -7), 650).ras_to_camera(np.array([10.0, 20.0, 30.0]))
CT_TO_WORLD = rigid((10, 20, 30), (40, 50, 60))


@pytest.fixture
def ct_node(scene: Any) -> Any:
    node = add_volume(np.zeros((4, 5, 6), np.int16))
    node.SetAndObserveTransformNodeID(add_transform(CT_TO_WORLD).GetID())
    return node


@pytest.fixture
def carm(ct_node: Any) -> Any:
    from DRRSimulatorSlicer.carm import createCArm

    carm = createCArm("ap", ct_node, CAMERA)
    carm.setPose(POSE)
    return carm


def beam(carm: Any) -> npt.NDArray[np.float64]:
    """Ends of the beam (2, 3) in RAS."""
    import slicer

    return np.array(slicer.util.arrayFromMarkupsControlPoints(carm.node("beam"), world=True))


def detector(carm: Any) -> npt.NDArray[np.float64]:
    """Points of the detector's drawing (N, 3) in RAS."""
    import slicer

    return transform_points(to_world(carm.node("detector")), slicer.util.arrayFromModelPoints(carm.node("detector")))


def seen(camera: Camera, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Pixels (column, row) of RAS points by the pose and the CT's place."""
    return camera.project(transform_points(POSE @ np.linalg.inv(CT_TO_WORLD), points))


def test_the_beam_runs_from_the_source_to_the_principal_point(carm: Any) -> None:
    source, principal_point = beam(carm)
    np.testing.assert_allclose(transform_points(POSE @ np.linalg.inv(CT_TO_WORLD), source[None]), [[0, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(seen(CAMERA, principal_point[None]), [CAMERA.principal_point])
    assert np.linalg.norm(principal_point - source) == pytest.approx(1020.0)


def test_the_detector_is_drawn_round_its_pixels_with_rays_from_the_source(carm: Any) -> None:
    points = detector(carm)
    corners, source = points[:4], points[4]
    expected = [(-0.5, -0.5), (399.5, -0.5), (399.5, 299.5), (-0.5, 299.5)]
    np.testing.assert_allclose(seen(CAMERA, corners), expected, atol=1e-3)  # a model's points are float32
    np.testing.assert_allclose(source, beam(carm)[0], atol=1e-4)
    depths = transform_points(POSE @ np.linalg.inv(CT_TO_WORLD), corners)[:, 2]
    np.testing.assert_allclose(depths, 1020.0, atol=1e-3)
    assert carm.node("detector").GetPolyData().GetNumberOfLines() == 5


def test_pose_and_camera_are_read_back(carm: Any) -> None:
    np.testing.assert_allclose(carm.pose(), POSE, atol=1e-12)
    assert carm.camera() == CAMERA


def test_another_camera_is_drawn_in_the_same_nodes(carm: Any) -> None:
    parts = carm.node("beam"), carm.node("detector")
    carm.setCamera(OTHER_CAMERA)
    assert (carm.node("beam"), carm.node("detector")) == parts
    assert carm.camera() == OTHER_CAMERA
    np.testing.assert_allclose(carm.pose(), POSE, atol=1e-12)
    assert np.linalg.norm(np.diff(beam(carm), axis=0)) == pytest.approx(900.0)
    np.testing.assert_allclose(seen(OTHER_CAMERA, detector(carm)[[0, 2]]), [(-0.5, -0.5), (511.5, 511.5)], atol=1e-3)


def test_it_goes_with_the_ct(carm: Any, ct_node: Any) -> None:
    import slicer

    move = rigid((0, 0, 45), (5, 6, 7))
    before = beam(carm)
    ct_node.GetParentTransformNode().SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(move @ CT_TO_WORLD))
    np.testing.assert_allclose(beam(carm), transform_points(move, before), atol=1e-9)
    np.testing.assert_allclose(carm.pose(), POSE, atol=1e-12)


def test_it_can_be_placed_relative_to_another_ct(carm: Any) -> None:
    other = add_volume(np.zeros((4, 5, 6), np.int16))
    carm.setCT(other)
    assert carm.node("ct") is other
    np.testing.assert_allclose(transform_points(POSE, beam(carm)[:1]), [[0, 0, 0]], atol=1e-9)


def test_all_survives_saving_and_opening_the_scene(carm: Any, scene: Any, tmp_path: Path) -> None:
    import slicer
    from DRRSimulatorSlicer.carm import CArm

    expected = beam(carm), detector(carm)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    opened = CArm.find(slicer.util.getNode("ap camera"))
    assert opened.camera() == CAMERA
    np.testing.assert_allclose(opened.pose(), POSE, atol=1e-12)
    assert opened.node("ct").GetName() == "image"
    np.testing.assert_allclose(beam(opened), expected[0], atol=1e-6)
    np.testing.assert_allclose(detector(opened), expected[1], atol=1e-3)
    opened.setCamera(OTHER_CAMERA)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 1


def test_only_its_own_transform_makes_a_camera(carm: Any, ct_node: Any) -> None:
    from DRRSimulatorSlicer.carm import CArm

    assert CArm.find(None) is None
    assert CArm.find(ct_node.GetParentTransformNode()) is None
    assert CArm.find(carm.transformNode).transformNode is carm.transformNode


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"image_size": [1e999, 2]}', "[" * 100_000])
def test_a_camera_that_a_scene_holds_damaged_is_refused(carm: Any, text: str) -> None:
    from DRRSimulatorSlicer.carm import CAMERA_ATTRIBUTE

    carm.transformNode.SetAttribute(CAMERA_ATTRIBUTE, text)
    with pytest.raises(InputError):
        carm.camera()


def test_a_pose_that_was_made_to_scale_is_refused(carm: Any) -> None:
    import slicer

    carm.transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([2.0, 1, 1, 1])))
    with pytest.raises(InputError, match="ap camera does more than move and turn"):
        carm.pose()


def test_its_drawing_is_for_the_free_view_only_and_out_of_the_mouses_way(carm: Any, scene: Any) -> None:
    for role in ("beam", "detector"):
        node = carm.node(role)
        display = node.GetDisplayNode()
        assert not node.GetSelectable()
        assert display.IsDisplayableInView("vtkMRMLViewNode1")
        assert not display.IsDisplayableInView("vtkMRMLViewNodeXRaySource")
        assert not any(display.IsDisplayableInView(f"vtkMRMLSliceNode{tag}") for tag in ("Red", "Green", "Yellow", "XRay1"))
    assert carm.node("beam").GetLocked()
    assert not carm.node("beam").GetDisplayNode().GetPointLabelsVisibility()
    assert not carm.node("beam").GetDisplayNode().GetPropertiesLabelVisibility()


def test_removing_it_leaves_the_ct_and_what_others_put_there(carm: Any, ct_node: Any, scene: Any) -> None:
    from DRRSimulatorSlicer.nodes import updateImage

    image = updateImage(None, "DRR", np.zeros(CAMERA.image_size, np.float32), CAMERA, carm.transformNode, "drr")
    mine = add_volume(np.zeros((4, 5, 6), np.int16))
    mine.SetAndObserveTransformNodeID(carm.transformNode.GetID())
    parts = [carm.transformNode, carm.node("beam"), carm.node("detector"), image]
    parts += [part.GetDisplayNode() for part in parts[1:]]
    carm.remove()
    assert [part.GetName() for part in parts if part.GetScene() is not None] == []
    assert ct_node.GetScene() is scene and ct_node.GetParentTransformNode() is not None
    assert mine.GetScene() is scene and mine.GetParentTransformNode() is None
