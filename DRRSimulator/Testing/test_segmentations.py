"""Segmentations as bones and back: balls of known place, drawn on grids of all kinds, against the voxels that lie in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from scene_nodes import add_transform, add_volume, rigid, to_world

SHAPE = (30, 32, 36)  # of the CT [k, j, i]
IJK_TO_RAS = rigid((8, -5, 20), (-40, 30, 60)) @ np.diag([-2.0, 2.0, 2.5, 1.0])
MIDDLE = transform_points(IJK_TO_RAS, np.array([[17.5, 15.5, 14.5]]))[0]
LEFT, RIGHT = MIDDLE - np.array([16, 0, 0]), MIDDLE + np.array([16, 4, 0])
RADIUS_MM = 12.0


@pytest.fixture
def ct() -> CTVolume:
    return CTVolume(np.zeros(SHAPE, np.float32), IJK_TO_RAS)


@pytest.fixture
def ct_node(scene: Any) -> Any:
    return add_volume(np.zeros(SHAPE, np.int16), ijk_to_ras=IJK_TO_RAS)


@pytest.fixture
def segmentation(scene: Any) -> Any:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bones of the CT")
    node.CreateDefaultDisplayNodes()
    return node


def read(segmentation: Any, ct_node: Any, ct: CTVolume, *segment_ids: str) -> BoneLabels:
    from DRRSimulatorSlicer.nodes import readBones

    return readBones(segmentation, ct_node, segment_ids or None)(ct)


def from_centre(centre: npt.ArrayLike, ijk_to_ras: npt.ArrayLike = IJK_TO_RAS, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[Any]:
    """Distance of each voxel [k, j, i] from a point, mm."""
    k, j, i = np.indices(shape)
    return np.linalg.norm(transform_points(np.asarray(ijk_to_ras), np.stack([i, j, k], axis=-1)) - centre, axis=-1)


def add_segment(segmentation: Any, name: str, mask: npt.NDArray[Any], ijk_to_ras: npt.ArrayLike = IJK_TO_RAS) -> str:
    """A segment with a labelmap of its own, which Slicer crops to what is drawn."""
    import slicer
    from vtk.util.numpy_support import numpy_to_vtk

    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetDimensions(mask.shape[::-1])
    labelmap.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(np.asarray(ijk_to_ras)))
    return str(segmentation.AddSegmentFromBinaryLabelmapRepresentation(labelmap, name))


def draw_shared(segmentation: Any, labels: npt.NDArray[Any], reference: Any) -> None:
    """Segments of one shared labelmap, as the Segment Editor makes them, from a label volume."""
    import slicer

    volume = add_volume(labels.astype(np.uint8), "vtkMRMLLabelMapVolumeNode", IJK_TO_RAS)
    volume.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    assert slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(volume, segmentation)
    slicer.mrmlScene.RemoveNode(volume)


def test_what_is_written_is_read_back(ct_node: Any, ct: CTVolume) -> None:
    from DRRSimulatorSlicer.nodes import writeSegmentation

    labels = (from_centre(LEFT) < RADIUS_MM) * 1 + (from_centre(RIGHT) < RADIUS_MM) * 7
    bones = BoneLabels(labels.astype(np.uint8), IJK_TO_RAS, {1: "left", 7: "right"})
    read_back = read(writeSegmentation(bones, ct_node), ct_node, ct)
    assert list(read_back.names.values()) == ["left", "right"]
    np.testing.assert_array_equal(read_back.labels, (labels == 1) + 2 * (labels == 7))


def test_surfaces_are_shown_where_the_ct_is(ct_node: Any) -> None:
    import vtk
    from DRRSimulatorSlicer.nodes import writeSegmentation
    from vtk.util.numpy_support import vtk_to_numpy

    matrix = rigid((10, 20, 30), (100, 0, 0))
    ct_node.SetAndObserveTransformNodeID(add_transform(matrix).GetID())
    bones = BoneLabels((from_centre(LEFT) < RADIUS_MM).astype(np.uint8), IJK_TO_RAS, {1: "bone"})
    node = writeSegmentation(bones, ct_node)
    surface = vtk.vtkPolyData()
    assert node.GetClosedSurfaceRepresentation(node.GetSegmentation().GetNthSegmentID(0), surface)
    points = transform_points(to_world(node), vtk_to_numpy(surface.GetPoints().GetData()))
    distances = np.linalg.norm(points - transform_points(matrix, LEFT[None])[0], axis=1)
    assert np.abs(distances - RADIUS_MM).max() < 2.5


def test_writing_again_replaces_the_segments_of_the_node(ct_node: Any, ct: CTVolume) -> None:
    from DRRSimulatorSlicer.nodes import writeSegmentation

    both = BoneLabels((from_centre(LEFT) < RADIUS_MM) + np.uint8(2) * (from_centre(RIGHT) < RADIUS_MM), IJK_TO_RAS, {1: "a", 2: "b"})
    one = BoneLabels((from_centre(RIGHT) < RADIUS_MM).astype(np.uint8), IJK_TO_RAS, {1: "c"})
    node = writeSegmentation(both, ct_node)
    assert writeSegmentation(one, ct_node, node) is node
    bones = read(node, ct_node, ct)
    assert bones.names == {1: "c"}
    np.testing.assert_array_equal(bones.labels, one.labels)


def test_segments_that_share_a_labelmap_are_told_apart(segmentation: Any, ct_node: Any, ct: CTVolume) -> None:
    labels = 3 * (from_centre(LEFT) < RADIUS_MM) + 5 * (from_centre(RIGHT) < RADIUS_MM)
    draw_shared(segmentation, labels, ct_node)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
    bones = read(segmentation, ct_node, ct)
    assert len(bones.names) == 2
    np.testing.assert_array_equal(bones.labels, 1 * (labels == 3) + 2 * (labels == 5))


def test_any_grid_under_any_transform_lands_in_the_ct(segmentation: Any, ct_node: Any, ct: CTVolume) -> None:
    table = add_transform(rigid((5, 0, 90), (10, 20, 30)))
    ct_node.SetAndObserveTransformNodeID(add_transform(rigid((40, -30, 20), (300, 0, 0)), table).GetID())
    segmentation.SetAndObserveTransformNodeID(add_transform(rigid((-15, 25, 5), (0, -200, 50))).GetID())
    ct_to_segmentation = np.linalg.inv(to_world(segmentation)) @ to_world(ct_node)
    centre = transform_points(ct_to_segmentation, LEFT[None])[0]
    finer = rigid((33, 44, 55), (0, 0, 0)) @ np.diag([1.0, 1.0, -1.0, 1.0])
    finer[:3, 3] = centre - transform_points(finer, np.array([[20.0, 20.0, 20.0]]))[0]
    add_segment(segmentation, "left", from_centre(centre, finer, (40, 40, 40)) < RADIUS_MM, finer)
    distances, found = from_centre(LEFT), read(segmentation, ct_node, ct).labels == 1
    # A voxel takes the label of the nearest one of the finer grid, which is at most half that grid's diagonal away.
    reach = np.sqrt(3) / 2
    assert found[distances < RADIUS_MM - reach].all()
    assert not found[distances > RADIUS_MM + reach].any()


def test_where_segments_overlap_the_later_wins(segmentation: Any, ct_node: Any, ct: CTVolume) -> None:
    first, second = from_centre(MIDDLE) < 20, from_centre(MIDDLE) < 10
    add_segment(segmentation, "first", first)
    add_segment(segmentation, "second", second)
    np.testing.assert_array_equal(read(segmentation, ct_node, ct).labels, np.where(second, 2, first))


def test_hidden_segments_count_and_chosen_ones_only_if_asked(segmentation: Any, ct_node: Any, ct: CTVolume) -> None:
    left = add_segment(segmentation, "left", from_centre(LEFT) < RADIUS_MM)
    right = add_segment(segmentation, "right", from_centre(RIGHT) < RADIUS_MM)
    segmentation.GetDisplayNode().SetSegmentVisibility(left, False)
    assert read(segmentation, ct_node, ct).names == {1: "left", 2: "right"}
    chosen = read(segmentation, ct_node, ct, right)
    assert chosen.names == {1: "right"}
    np.testing.assert_array_equal(chosen.labels, from_centre(RIGHT) < RADIUS_MM)


def test_segments_that_have_only_a_surface_are_filled_without_changing_them(segmentation: Any, ct_node: Any, ct: CTVolume) -> None:
    import vtk

    segmentation.SetAndObserveTransformNodeID(add_transform(rigid((0, 0, 90), (10, 20, 30))).GetID())
    centre = transform_points(np.linalg.inv(to_world(segmentation)), LEFT[None])[0]
    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(*centre)
    sphere.SetRadius(RADIUS_MM)
    sphere.SetThetaResolution(60)
    sphere.SetPhiResolution(60)
    sphere.Update()
    segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    segmentation.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "left")
    assert not segmentation.GetSegmentation().ContainsRepresentation("Binary labelmap")
    distances, found = from_centre(LEFT), read(segmentation, ct_node, ct).labels == 1
    reach = np.linalg.norm((2.0, 2.0, 2.5)) / 2  # half a voxel's diagonal
    assert found[distances < RADIUS_MM - reach].all()
    assert not found[distances > RADIUS_MM + reach].any()
    assert not segmentation.GetSegmentation().ContainsRepresentation("Binary labelmap")


def test_segments_without_voxels_of_their_own_in_the_ct_are_named(segmentation: Any, ct_node: Any, ct: CTVolume) -> None:
    ball = from_centre(LEFT) < RADIUS_MM
    add_segment(segmentation, "covered", ball)
    add_segment(segmentation, "left", ball)
    segmentation.GetSegmentation().AddEmptySegment("empty", "empty")
    elsewhere = rigid((0, 0, 0), (1000, 0, 0)) @ IJK_TO_RAS
    add_segment(segmentation, "elsewhere", ball, elsewhere)
    with pytest.raises(InputError, match="covered, empty, elsewhere"):
        read(segmentation, ct_node, ct)


def test_segmentations_that_are_no_bones_are_refused(segmentation: Any, ct_node: Any, ct: CTVolume) -> None:
    with pytest.raises(InputError, match="no segmentation"):
        read(None, ct_node, ct)
    with pytest.raises(InputError, match="bones of the CT has no segments"):
        read(segmentation, ct_node, ct)
    for number in range(256):
        segmentation.GetSegmentation().AddEmptySegment(f"s{number}", f"bone {number}")
    with pytest.raises(InputError, match="256 segments"):
        read(segmentation, ct_node, ct)
    for number in range(200):
        segmentation.GetSegmentation().RemoveSegment(f"s{number}")
    segmentation.GetSegmentation().GetSegment("s201").SetName("bone 202")
    with pytest.raises(InputError, match='Several segments are named "bone 202"'):
        read(segmentation, ct_node, ct)
