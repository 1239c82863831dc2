"""Slice and 3D views that render without a screen, through the displayable managers that Slicer itself uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets

from slicer_host.stand_in import StandIn

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLLinearTransformsDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLLinearTransformsDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
)


class OffscreenView(StandIn, QtWidgets.QWidget):
    """What slice and 3D views share: a render window without a screen and the displayable managers that fill it.

    Slicer's views render when the event loop is idle. These render only when they are asked to, by ``forceRender`` or by
    taking a picture.

    Args:
        factory: The factory that knows the displayable managers.
        managers: Their class names.
    """

    def __init__(self, factory: Any, managers: Sequence[str]) -> None:
        super().__init__()
        self._renderer = vtk.vtkRenderer()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetMultiSamples(0)
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.Initialize()
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.Initialize(factory, self._renderer)
        self._pause_count = 0
        self._corners = vtk.vtkCornerAnnotation()
        self._corners.SetMaximumLineHeight(0.07)
        self._corners.GetTextProperty().ShadowOn()
        self._renderer.AddViewProp(self._corners)

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self._window.SetSize(width, height)
        self._interactor.UpdateSize(width, height)

    def renderWindow(self) -> Any:
        return self._window

    def interactor(self) -> Any:
        return self._interactor

    def interactorStyle(self) -> Any:
        return self._interactor.GetInteractorStyle()

    def cornerAnnotation(self) -> Any:
        return self._corners

    def displayableManagerByClassName(self, className: str) -> Any:
        return self._managers.GetDisplayableManagerByClassName(className)

    def getDisplayableManagers(self, displayableManagers: Any) -> None:
        for index in range(self._managers.GetDisplayableManagerCount()):
            displayableManagers.AddItem(self._managers.GetNthDisplayableManager(index))

    def scheduleRender(self) -> None:
        """Slicer renders at the next idle moment; here the next picture shows the change anyway."""

    def forceRender(self) -> None:
        if self._pause_count == 0:
            self._window.Render()

    def pauseRender(self) -> None:
        self._pause_count += 1

    def resumeRender(self) -> None:
        self._pause_count -= 1

    def setRenderPaused(self, paused: bool) -> None:
        (self.pauseRender if paused else self.resumeRender)()


class qMRMLSliceView(OffscreenView):
    """A slice view.

    Args:
        slice_logic: Logic of the slice node, which makes the image of its volumes.
    """

    def __init__(self, slice_logic: Any) -> None:
        super().__init__(slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE_MANAGERS)
        self._node: Any = None
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetDisplayableManagers(self._managers)
        self._style.SetSliceLogic(slice_logic)
        self._style.SetInteractor(self._interactor)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()

    def mrmlSliceNode(self) -> Any:
        return self._node

    def setMRMLSliceNode(self, newSliceNode: Any) -> None:
        self._node = newSliceNode
        self._managers.SetMRMLDisplayableNode(newSliceNode)

    def setImageDataConnection(self, imageDataConnection: Any) -> None:
        self._image.GetMapper().SetInputConnection(imageDataConnection)
        if imageDataConnection is None:
            self._renderer.RemoveViewProp(self._image)
        elif not self._renderer.HasViewProp(self._image):
            self._renderer.AddViewProp(self._image)

    def interactorObserver(self) -> Any:
        return self._style

    def convertDeviceToXYZ(self, xy: Sequence[int]) -> tuple[float, ...]:
        return self._converted("ConvertDeviceToXYZ", *xy)

    def convertRASToXYZ(self, ras: Sequence[float]) -> tuple[float, ...]:
        return self._converted("ConvertRASToXYZ", list(ras))

    def convertXYZToRAS(self, xyz: Sequence[float]) -> tuple[float, ...]:
        return self._converted("ConvertXYZToRAS", list(xyz))

    def _converted(self, method: str, *arguments: Any) -> tuple[float, ...]:
        point = [0.0, 0.0, 0.0]
        getattr(self.displayableManagerByClassName("vtkMRMLCrosshairDisplayableManager"), method)(*arguments, point)
        return tuple(point)


class qMRMLThreeDView(OffscreenView):
    """A 3D view."""

    def __init__(self) -> None:
        super().__init__(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREE_D_MANAGERS)
        self._node: Any = None
        self._renderer.GradientBackgroundOn()
        self._renderer.SetUseDepthPeeling(True)
        self._renderer.SetUseDepthPeelingForVolumes(True)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self._style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._style.SetDisplayableManagers(self._managers)
        self._style.SetInteractor(self._interactor)

    def mrmlViewNode(self) -> Any:
        return self._node

    def setMRMLViewNode(self, newViewNode: Any) -> None:
        self._node = newViewNode
        self._managers.SetMRMLDisplayableNode(newViewNode)

    def interactorObserver(self) -> Any:
        return self._style

    def cameraNode(self) -> Any:
        return self.displayableManagerByClassName("vtkMRMLCameraDisplayableManager").GetCameraNode()

    def resetCamera(self, resetRotation: bool = True, resetTranslation: bool = True, resetDistance: bool = True) -> None:
        self.cameraNode().Reset(resetRotation, resetTranslation, resetDistance, self._renderer)

    def resetFocalPoint(self) -> None:
        """Looks at the centre of what is shown; the box and the labels of the axes do not count."""
        shown = self._node.GetBoxVisible(), self._node.GetAxisLabelsVisible()
        self._show_box_and_labels(False, False)
        bounds = [0.0] * 6
        self._renderer.ComputeVisiblePropBounds(bounds)
        self.setFocalPoint(*((bounds[axis] + bounds[axis + 1]) / 2 for axis in (0, 2, 4)))
        self._show_box_and_labels(*shown)
        self._node.InvokeEvent(slicer.vtkMRMLViewNode.ResetFocalPointRequestedEvent)
        self._renderer.ResetCameraClippingRange()

    def setFocalPoint(self, x: float, y: float, z: float) -> None:
        """Turns the camera, where it is, to a point in RAS mm."""
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(x, y, z)
        camera.ComputeViewPlaneNormal()
        camera.OrthogonalizeViewUp()
        self._renderer.ResetCameraClippingRange()

    def rotateToViewAxis(self, axisId: int) -> None:
        node = slicer.vtkMRMLCameraNode
        directions = (node.Left, node.Right, node.Posterior, node.Anterior, node.Inferior, node.Superior)
        self.cameraNode().RotateTo(directions[axisId])

    def _show_box_and_labels(self, box: bool, labels: bool) -> None:
        with slicer.util.NodeModify(self._node):
            self._node.SetBoxVisible(box)
            self._node.SetAxisLabelsVisible(labels)


def close(view: Any) -> None:
    """Releases a view's node and its render window."""
    view._managers.SetMRMLDisplayableNode(None)
    view._window.Finalize()
    view.deleteLater()
