"""X-rays in Slicer's views: upright in slice views, and bones where the X-ray source sees them; checked in rendered pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, transform_points
from scene_nodes import add_transform, add_volume, rigid
from scipy import ndimage

CAMERA = Camera(1000.0, (1.0, 1.0), (300, 400), (150.0, 180.0))  # the principal point is off the middle
CENTRE = np.array([10.0, 20.0, 30.0])
FIRST_POSE = CArmView(30, -10, 5, (4, -7), 650).ras_to_camera(CENTRE)
SECOND_POSE = CArmView(-70, 15, -20, (-10, 9), 700).ras_to_camera(CENTRE)
CT_TO_WORLD = rigid((10, 20, 30), (40, 50, 60))
BALLS = CENTRE + np.array([[0, 0, 0], [60, 0, 10], [-50, 30, 20], [10, -40, -50], [-20, 10, 60]])


@pytest.fixture
def ct_node(scene: Any) -> Any:
    node = add_volume(np.zeros((40, 50, 60), np.int16), ijk_to_ras=np.diag([4.0, 4.0, 4.0, 1.0]))
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(add_transform(CT_TO_WORLD).GetID())
    return node


@pytest.fixture
def carm(ct_node: Any) -> Any:
    from DRRSimulatorSlicer.carm import createCArm

    carm = createCArm("ap", ct_node, CAMERA)
    carm.setPose(FIRST_POSE)
    return carm


@pytest.fixture
def picture(views: Any) -> Callable[[str], npt.NDArray[np.uint8]]:
    """What a view shows [row, column, red green blue], by its tag."""
    import slicer
    from slicer_host.rendered import pixels

    def take(tag: str) -> npt.NDArray[np.uint8]:
        slicer.app.processEvents()  # as before a user sees it
        node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceNode")
        if node is not None:
            return np.asarray(pixels(views.sliceWidget(tag).sliceView()))
        return np.asarray(pixels(views.viewWidget(slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLViewNode")).threeDView()))

    return take


def xray_on_detector(carm: Any, pixels: npt.NDArray[Any]) -> Any:
    from DRRSimulatorSlicer.nodes import updateImage

    node = updateImage(None, "xray", pixels, CAMERA, carm.transformNode, "xray")
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(1.0, 0.5)
    return node


def quadrants() -> npt.NDArray[np.float32]:
    """An image that looks different however it is turned or mirrored: brightness grows from the first pixel's quarter on, by rows."""
    image = np.zeros((300, 400), np.float32)
    image[:150, :200], image[:150, 200:], image[150:, :200], image[150:, 200:] = 1.0, 0.75, 0.5, 0.25
    return image


def shown_quadrants(shown: npt.NDArray[np.uint8]) -> list[float]:
    """Brightness of the quarters of what is not black, by rows."""
    grey = shown.max(axis=-1)
    (top, bottom), (left, right) = ((np.flatnonzero((grey > 30).any(axis=axis))[[0, -1]]) for axis in (1, 0))
    row, column = (bottom - top) // 4, (right - left) // 4
    centres = [(top + r * row, left + c * column) for r in (1, 3) for c in (1, 3)]
    return [float(grey[centre]) / 255 for centre in centres]


def show_balls(carm: Any) -> None:
    """Small red balls in the patient, under the CT's transform."""
    import slicer
    import vtk

    for centre in BALLS:
        sphere = vtk.vtkSphereSource()
        sphere.SetCenter(*centre)
        sphere.SetRadius(3.0)
        sphere.SetThetaResolution(32)
        sphere.SetPhiResolution(32)
        node = slicer.modules.models.logic().AddModel(sphere.GetOutputPort())
        node.SetAndObserveTransformNodeID(carm.transformNode.GetTransformNodeID())
        node.GetDisplayNode().SetColor(1, 0, 0)
        node.GetDisplayNode().SetLighting(False)


def seen_balls(shown: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Centres (column, row) of the red spots in a picture."""
    red = (shown[..., 0] > 150) & (shown[..., 1] < 100)
    spots, count = ndimage.label(red)
    return np.array(ndimage.center_of_mass(red, spots, range(1, count + 1)))[:, ::-1].reshape(-1, 2)


def expected_balls(shape: tuple[int, ...], pose: npt.NDArray[np.float64], camera: Camera = CAMERA) -> npt.NDArray[np.float64]:
    """Where the balls are in a picture that the detector fills in one direction, and in whose middle it lies."""
    height, width = shape[:2]
    rows, columns = camera.image_size
    (sx, sy), zoom = camera.pixel_spacing, min(height / (rows * camera.pixel_spacing[1]), width / (columns * camera.pixel_spacing[0]))
    from_middle = (camera.project(transform_points(pose, BALLS)) - ((columns - 1) / 2, (rows - 1) / 2)) * (sx, sy) * zoom
    return np.asarray(from_middle + np.array([width - 1, height - 1]) / 2)


def assert_same_places(found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> None:
    """Each expected place is found within a pixel: the centre of a few red pixels is no more exact, and neither is a ball's projection."""
    assert len(found) == len(expected)
    distances = np.linalg.norm(found[:, None] - expected, axis=-1).min(axis=0)
    assert distances.max() < 1.0, distances


@pytest.mark.parametrize("third_axis", [1.0, -1.0])
@pytest.mark.parametrize("turn", [(0, 0, 0), (0, 0, 90), (110, 20, -35), (0, 180, 0)])
def test_an_xray_is_upright_in_its_view_however_its_volume_lies(
    views: Any, picture: Any, scene: Any, third_axis: float, turn: tuple[float, float, float]
) -> None:
    from DRRSimulatorSlicer.views import showLayout, showXRay

    node = add_volume(quadrants()[None], ijk_to_ras=rigid(turn, (5, 6, 7)) @ np.diag([0.5, 0.5, third_axis, 1.0]))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(1.0, 0.5)
    node.SetAndObserveTransformNodeID(add_transform(CT_TO_WORLD).GetID())
    showLayout()
    showXRay("XRay1", node)
    np.testing.assert_allclose(shown_quadrants(picture("XRay1")), [1.0, 0.75, 0.5, 0.25], atol=0.02)


def test_an_xray_stays_in_its_view_when_the_camera_moves(views: Any, picture: Any, carm: Any) -> None:
    from DRRSimulatorSlicer.views import showLayout, showXRay

    showLayout()
    showXRay("XRay1", xray_on_detector(carm, quadrants()))
    before = picture("XRay1")
    assert before.max() == 255
    carm.setPose(SECOND_POSE)
    # Rounding of the slice's place may move an edge between the quarters by a pixel.
    assert np.mean(picture("XRay1") != before) < 0.02
    assert shown_quadrants(picture("XRay1")) == shown_quadrants(before)


def test_zoom_is_kept_while_the_same_xray_is_shown(views: Any, carm: Any) -> None:
    from DRRSimulatorSlicer.views import showLayout, showXRay

    node = xray_on_detector(carm, quadrants())
    showLayout()
    showXRay("XRay1", node)
    slice_node = views.sliceWidget("XRay1").mrmlSliceNode()
    slice_node.SetFieldOfView(100, 100, 1)
    carm.setPose(SECOND_POSE)
    showXRay("XRay1", node)
    assert slice_node.GetFieldOfView()[0] == 100
    showXRay("XRay1", add_volume(quadrants()[None]))
    assert slice_node.GetFieldOfView()[0] > 300


@pytest.mark.parametrize("layout_size", [(1200, 700), (800, 1100)])
def test_bones_are_seen_where_the_source_projects_them(views: Any, picture: Any, carm: Any, layout_size: tuple[int, int]) -> None:
    from DRRSimulatorSlicer.views import lookFromSource, showLayout

    show_balls(carm)
    showLayout()
    views.viewport().resize(*layout_size)
    lookFromSource(carm)
    shown = picture("XRaySource")
    assert_same_places(seen_balls(shown), expected_balls(shown.shape, FIRST_POSE))
    carm.setPose(SECOND_POSE)
    assert_same_places(seen_balls(picture("XRaySource")), expected_balls(shown.shape, SECOND_POSE))
    views.viewport().resize(1000, 600)
    shown = picture("XRaySource")
    assert_same_places(seen_balls(shown), expected_balls(shown.shape, SECOND_POSE))


def test_what_the_source_sees_lies_over_the_xray(views: Any, picture: Any, carm: Any) -> None:
    """The X-ray itself, drawn on the detector in 3D, fills the source view as it fills its slice view."""
    from DRRSimulatorSlicer.views import lookFromSource, showLayout, showXRay

    showLayout()
    showXRay("XRay1", xray_on_detector(carm, quadrants()))
    lookFromSource(carm)
    np.testing.assert_allclose(shown_quadrants(picture("XRaySource")), [1.0, 0.75, 0.5, 0.25], atol=0.02)


def test_of_two_xrays_the_source_view_shows_its_own(views: Any, picture: Any, carm: Any, ct_node: Any) -> None:
    from DRRSimulatorSlicer.carm import createCArm
    from DRRSimulatorSlicer.views import lookFromSource, showLayout, showXRay

    other = createCArm("lateral", ct_node, CAMERA)
    other.setPose(FIRST_POSE)  # at the same place, so that both would be seen
    showLayout(2)
    showXRay("XRay1", xray_on_detector(carm, np.zeros((300, 400), np.float32)))
    showXRay("XRay2", xray_on_detector(other, quadrants()))
    lookFromSource(carm)
    assert picture("XRaySource").max() < 10
    lookFromSource(other)
    np.testing.assert_allclose(shown_quadrants(picture("XRaySource")), [1.0, 0.75, 0.5, 0.25], atol=0.02)


def test_a_volume_loaded_later_does_not_replace_the_xray(views: Any, picture: Any, carm: Any, scene: Any) -> None:
    import slicer
    from DRRSimulatorSlicer.views import showLayout, showXRay

    showLayout()
    showXRay("XRay1", xray_on_detector(carm, quadrants()))
    before = picture("XRay1")
    loaded = add_volume(np.full((5, 50, 60), 300, np.int16))
    slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(loaded.GetID())
    slicer.app.applicationLogic().PropagateVolumeSelection()
    np.testing.assert_array_equal(picture("XRay1"), before)


def test_a_drr_fades_in_over_the_xray(views: Any, picture: Any, carm: Any) -> None:
    from DRRSimulatorSlicer.nodes import updateImage
    from DRRSimulatorSlicer.views import showLayout, showXRay

    xray = xray_on_detector(carm, np.ones((300, 400), np.float32))
    drr = updateImage(None, "drr", np.zeros((300, 400), np.float32), CAMERA, carm.transformNode, "drr")
    drr.GetDisplayNode().AutoWindowLevelOff()
    drr.GetDisplayNode().SetWindowLevel(1.0, 0.5)
    showLayout()
    for opacity in (0.0, 0.5, 1.0):
        showXRay("XRay1", xray, drr, opacity)
        shown = picture("XRay1")
        assert shown[shown.shape[0] // 2, shown.shape[1] // 2, 0] == pytest.approx(255 * (1 - opacity), abs=2)


def test_the_ct_is_shown_in_the_middle_and_as_a_whole(views: Any, ct_node: Any) -> None:
    from DRRSimulatorSlicer.views import showCT, showLayout

    showLayout()
    showCT(ct_node)
    bounds = np.zeros(6)
    ct_node.GetRASBounds(bounds)
    middle = bounds.reshape(3, 2).mean(axis=1)
    for tag, axis in (("Red", 2), ("Green", 1), ("Yellow", 0)):
        widget = views.sliceWidget(tag)
        assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() == ct_node.GetID()
        assert abs(widget.sliceLogic().GetSliceOffset()) == pytest.approx(abs(middle[axis]))
        assert max(widget.mrmlSliceNode().GetFieldOfView()[:2]) >= np.delete(np.ptp(bounds.reshape(3, 2), axis=1), axis).max()


def test_layouts_have_their_views(views: Any, scene: Any) -> None:
    from DRRSimulatorSlicer.views import showLayout

    def shown() -> set[str]:
        import slicer

        nodes = slicer.util.getNodesByClass("vtkMRMLAbstractViewNode")
        return {node.GetLayoutName() for node in nodes if node.IsMappedInLayout()}

    common = {"XRay1", "XRaySource", "1", "Red", "Green", "Yellow"}
    showLayout(1)
    assert shown() == common
    showLayout(2)
    assert shown() == common | {"XRay2"}
    showLayout(1, plot=True)
    assert shown() >= common | {"PlotView1"}


def test_without_views_nothing_happens(scene: Any, carm: Any, ct_node: Any) -> None:
    import slicer
    from DRRSimulatorSlicer import views

    if slicer.app.layoutManager() is not None:
        pytest.skip("3D Slicer runs with a main window")
    nodes = scene.GetNumberOfNodes()
    xray = add_volume(quadrants()[None])
    views.showLayout(2)
    views.showCT(ct_node)
    views.showXRay("XRay1", xray)
    views.lookFromSource(carm)
    views.resetFreeView()
    assert scene.GetNumberOfNodes() == nodes + 1
