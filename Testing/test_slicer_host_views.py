"""The test host's views: layouts, pictures, mouse; and what Slicer's functions do where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

LAYOUT = """
<layout type="horizontal" split="true">
  <item splitSize="600"><view class="vtkMRMLSliceNode" singletontag="XRay1">
    <property name="orientation" action="default">Coronal</property><property name="viewlabel" action="default">X</property>
  </view></item>
  <item splitSize="200"><layout type="vertical">
    <item><view class="vtkMRMLViewNode" singletontag="XRaySource"/></item>
    <item><view class="vtkMRMLPlotViewNode" singletontag="Plot"/></item>
    <item><view class="vtkMRMLTableViewNode" singletontag="Table"/></item>
  </layout></item>
</layout>
"""


@pytest.fixture
def bright_cube(scene: Any) -> Any:
    """A volume of 40 mm, black, with a white cube of 20 mm about the origin."""
    import slicer

    voxels = np.zeros((40, 40, 40), dtype=np.uint8)
    voxels[10:30, 10:30, 10:30] = 255
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, 3] = -19.5
    volume = slicer.util.addVolumeFromArray(voxels, ijk_to_ras, "cube")
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    return volume


def show_custom_layout(views: Any) -> None:
    import slicer

    node = views.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(23999, LAYOUT)
    views.setLayout(23999)
    slicer.app.processEvents()


def test_without_views_the_functions_of_slicer_util_fail_as_without_a_main_window(scene: Any) -> None:
    import slicer

    assert slicer.app.layoutManager() is None
    assert slicer.util.mainWindow() is None
    slicer.util.setSliceViewerLayers(background=None)
    for function in (slicer.util.resetThreeDViews, slicer.util.resetSliceViews, slicer.util.forceRenderAllViews):
        with pytest.raises(AttributeError):
            function()


def test_with_views_there_is_a_main_window_that_selects_modules(views: Any) -> None:
    import slicer

    slicer.util.selectModule("DICOM")
    assert slicer.util.selectedModule() == "DICOM"
    assert not slicer.app.commandOptions().noMainWindow


def test_a_slice_view_shows_the_volume(views: Any, bright_cube: Any) -> None:
    import slicer
    from slicer_host.rendered import pixels

    slicer.util.setSliceViewerLayers(background=bright_cube, fit=True)
    red = views.sliceWidget("Red")
    red.sliceLogic().SetSliceOffset(0)
    width_mm, height_mm = red.mrmlSliceNode().GetFieldOfView()[:2]
    white = (pixels(red.sliceView()).min(axis=-1) > 200).mean()
    assert white == pytest.approx(20 * 20 / (width_mm * height_mm), rel=0.1)


def test_the_3d_view_looks_from_where_the_camera_node_stands(views: Any) -> None:
    import slicer
    import vtk
    from slicer_host.rendered import pixels

    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(0, 50, 0)
    sphere.SetRadius(10)
    sphere.Update()
    model = slicer.modules.models.logic().AddModel(sphere.GetOutput())
    model.GetDisplayNode().SetColor(1, 0, 0)
    view = views.threeDWidget(0).threeDView()
    views.threeDWidget(0).mrmlViewNode().SetBoxVisible(False)
    views.threeDWidget(0).mrmlViewNode().SetAxisLabelsVisible(False)
    camera = view.cameraNode()
    camera.SetPosition(0, -200, 0)
    camera.SetViewUp(0, 0, 1)

    def red_pixels() -> int:
        picture = pixels(view).astype(int)
        return int((picture[..., 0] > picture[..., 2] + 50).sum())

    camera.SetFocalPoint(0, 0, 0)
    assert red_pixels() > 100
    camera.SetFocalPoint(0, -400, 0)
    assert red_pixels() == 0


def test_the_corner_of_a_view_can_hold_a_text(views: Any) -> None:
    from slicer_host.rendered import pixels

    view = views.sliceWidget("Red").sliceView()
    assert pixels(view).max() == 0
    view.cornerAnnotation().SetText(0, "Research use only")
    assert pixels(view)[view.height // 2 :, : view.width // 2].max() > 200  # at the bottom, on the left


def test_a_custom_layout_makes_its_views_and_hides_the_others(views: Any) -> None:
    show_custom_layout(views)
    assert views.layout == 23999
    assert set(views.sliceViewNames()) == {"Red", "Green", "Yellow", "XRay1"}
    assert views.sliceWidget("XRay1").sliceOrientation == "Coronal"
    assert views.threeDWidget("ViewXRaySource").mrmlViewNode().GetSingletonTag() == "XRaySource"
    assert (views.threeDViewCount, views.plotViewCount, views.tableViewCount) == (2, 1, 1)
    assert views.sliceWidget("XRay1").sliceView().width == 600
    assert views.sliceWidget("XRay1").mrmlSliceNode().IsMappedInLayout()
    assert not views.sliceWidget("Red").mrmlSliceNode().IsMappedInLayout()
    views.viewport().resize(400, 300)
    assert views.sliceWidget("XRay1").sliceView().width == 300
    assert views.sliceWidget("XRay1").mrmlSliceNode().GetDimensions()[0] == 300


def test_a_new_view_gets_its_size_with_the_next_events_and_its_slice_is_moved_by_it(views: Any) -> None:
    import slicer

    node = views.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(23999, LAYOUT)
    views.setLayout(23999)
    slice_node = views.sliceWidget("XRay1").mrmlSliceNode()
    slice_node.SetSliceOffset(12)
    assert views.sliceWidget("XRay1").sliceView().width != 600
    slicer.app.processEvents()
    assert slice_node.GetSliceOffset() == 0
    assert views.sliceWidget("XRay1").sliceView().width == 600
    slice_node.SetSliceOffset(12)
    views.viewport().resize(400, 300)
    slicer.app.processEvents()
    assert slice_node.GetSliceOffset() == 12


def test_an_unknown_layout_becomes_the_conventional_one(views: Any) -> None:
    views.setLayout(98765)
    assert views.layout == views.layoutLogic().GetLayoutNode().SlicerLayoutConventionalView


def test_the_views_outlive_the_scene(views: Any, bright_cube: Any) -> None:
    import slicer

    show_custom_layout(views)
    slicer.mrmlScene.Clear(False)
    assert views.layout == 23999
    assert views.sliceWidget("XRay1").mrmlSliceNode().GetScene() is slicer.mrmlScene
    slicer.util.forceRenderAllViews()


def test_views_come_back_with_a_saved_scene(views: Any, bright_cube: Any, tmp_path: Path) -> None:
    import slicer

    show_custom_layout(views)
    slicer.util.setSliceViewerLayers(background=bright_cube)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    views.setLayout(3)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    volume = slicer.util.getNode("cube")
    assert views.sliceWidget("XRay1").mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()


def test_a_control_point_can_be_dragged_with_the_mouse(views: Any, bright_cube: Any) -> None:
    import slicer
    from slicer_host import mouse

    slicer.util.setSliceViewerLayers(background=bright_cube, fit=True)
    widget = views.sliceWidget("Red")
    widget.sliceLogic().SetSliceOffset(0)
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.CreateDefaultDisplayNodes()
    points.AddControlPoint(0, 0, 0)
    view = widget.sliceView()
    goal = (5.0, 3.0, 0.0)
    mouse.drag(view, view.convertRASToXYZ((0, 0, 0))[:2], view.convertRASToXYZ(goal)[:2])
    size_of_a_pixel = widget.mrmlSliceNode().GetFieldOfView()[0] / view.width
    np.testing.assert_allclose(points.GetNthControlPointPosition(0), goal, atol=size_of_a_pixel)


def test_dragging_turns_the_camera_of_a_3d_view(views: Any) -> None:
    from slicer_host import mouse

    view = views.threeDWidget(0).threeDView()
    before = view.cameraNode().GetPosition()
    mouse.drag(view, (100, 100), (180, 100))
    assert np.linalg.norm(np.subtract(view.cameraNode().GetPosition(), before)) > 10


def test_the_wheel_steps_through_the_slices(views: Any, bright_cube: Any) -> None:
    import slicer
    from slicer_host import mouse

    slicer.util.setSliceViewerLayers(background=bright_cube, fit=True)
    logic = views.sliceWidget("Red").sliceLogic()
    logic.SetSliceOffset(0.5)
    mouse.wheel(views.sliceWidget("Red").sliceView(), (50, 50), clicks=3)
    assert abs(logic.GetSliceOffset() - 0.5) == pytest.approx(3)


def test_the_picture_of_the_application_holds_the_panel_and_every_view(views: Any, bright_cube: Any, tmp_path: Path) -> None:
    import slicer
    from matplotlib.image import imread
    from PySide6 import QtWidgets
    from slicer_host import pictures

    show_custom_layout(views)
    slicer.util.setSliceViewerLayers(background=bright_cube)
    views.sliceWidget("XRay1").sliceLogic().SetSliceOffset(0)
    panel = QtWidgets.QWidget()
    panel.setStyleSheet("background: #00ff00")
    picture = imread(pictures.grab_application(panel, tmp_path / "pictures" / "application.png", size=(1280, 600)))
    assert picture.shape[:2] == (600, 1280)
    np.testing.assert_allclose(picture[300, 100, :3], (0, 1, 0), atol=0.01)
    xray = picture[50:550, pictures.PANEL_WIDTH + 50 : pictures.PANEL_WIDTH + 550, :3]
    assert xray[250, 250].min() > 0.8  # the white cube in the middle
    assert xray[0, 0].max() < 0.2
    panel.deleteLater()


def test_slicers_python_sees_no_more_of_a_view_than_there_is(views: Any) -> None:
    from slicer_host.members import shown_members

    widgets = [views.sliceWidget("Red"), views.threeDWidget(0)]
    shown = [views, *widgets, *(widget.viewWidget() for widget in widgets), *(widget.controllerWidget() for widget in widgets)]
    for stand_in in shown:
        name = type(stand_in).__name__
        own = {member for owner in type(stand_in).__mro__ if owner.__module__.startswith("slicer_host.") for member in vars(owner)}
        public = {member for member in own if not member.startswith("_")} - {"cpp_class", "cpp_signals", "staticMetaObject"}
        assert public <= shown_members(name, is_widget=stand_in is not views), name
        with pytest.raises(AttributeError):
            stand_in.anAttribute = 1


def test_without_a_usable_egl_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from slicer_host import gl

    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/nowhere.json")
    assert "EGL" in gl.why_no_views.__wrapped__()
