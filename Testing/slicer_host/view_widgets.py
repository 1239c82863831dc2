"""The widgets of the layout: a view each, with its node, its logic and the bar that controls it."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtWidgets

from slicer_host.properties import qt_property
from slicer_host.stand_in import StandIn
from slicer_host.views import close, qMRMLSliceView, qMRMLThreeDView


class ViewWidget(StandIn, QtWidgets.QWidget):
    """What the widgets of all kinds of views share.

    Args:
        node: The view node.
        view: What is drawn.
    """

    def __init__(self, node: Any, view: QtWidgets.QWidget) -> None:
        super().__init__()
        self._node = node
        self._view = view

    def mrmlAbstractViewNode(self) -> Any:
        return self._node

    def mrmlScene(self) -> Any:
        return self._node.GetScene()

    def viewWidget(self) -> Any:
        return self._view

    def pauseRender(self) -> None:
        self._view.pauseRender()

    def resumeRender(self) -> None:
        self._view.resumeRender()

    def setRenderPaused(self, paused: bool) -> None:
        self._view.setRenderPaused(paused)

    viewLabel = qt_property(str, lambda self: self._node.GetLayoutLabel())

    def resize(self, width: int, height: int) -> None:
        self._view.resize(width, height)


class ControllerBar(StandIn, QtWidgets.QWidget):
    """The bar above a view."""


class qMRMLSliceWidget(ViewWidget):
    """A slice view with its bar.

    Args:
        node: The slice node.
        application: The application, whose slice logics the new one joins.
    """

    def __init__(self, node: Any, application: Any) -> None:
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logics = application.applicationLogic().GetSliceLogics()
        self._logic.SetMRMLApplicationLogic(application.applicationLogic())
        self._logics.AddItem(self._logic)
        self._logic.SetMRMLScene(application.mrmlScene())
        self._logic.SetSliceNode(node)
        super().__init__(node, qMRMLSliceView(self._logic))
        self._logic.SetDisplayableManagerGroup(self._view._managers)
        self._view.setMRMLSliceNode(node)
        self._observation = self._logic.AddObserver("ModifiedEvent", self._show_image)
        self._show_image()
        self._controller = qMRMLSliceControllerWidget(self._logic)

    def sliceView(self) -> qMRMLSliceView:
        return self._view

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return self._controller

    def controllerWidget(self) -> qMRMLSliceControllerWidget:
        return self._controller

    def sliceLogic(self) -> Any:
        return self._logic

    def logic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._node

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def interactorStyle(self) -> Any:
        return self._view.interactorStyle()

    def fitSliceToBackground(self) -> None:
        self._controller.fitSliceToBackground()

    sliceViewName = qt_property(str, lambda self: self._node.GetLayoutName())
    sliceViewLabel = qt_property(str, lambda self: self._node.GetLayoutLabel())
    sliceOrientation = qt_property(str, lambda self: self._node.GetOrientation(), lambda self, name: self.setSliceOrientation(name))

    def setSliceOrientation(self, orientation: str) -> None:
        self._node.SetOrientation(orientation)

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self._logic.ResizeSliceNode(width, height)

    def _show_image(self, *_: Any) -> None:
        self._view.setImageDataConnection(self._logic.GetImageDataConnection())

    def close(self) -> None:
        self._logic.RemoveObserver(self._observation)
        self._logics.RemoveItem(self._logic)
        close(self._view)
        self._logic.SetMRMLScene(None)


class qMRMLSliceControllerWidget(ControllerBar):
    """The bar of a slice view, as far as it acts on the slice node.

    Args:
        slice_logic: Logic of the slice node.
    """

    def __init__(self, slice_logic: Any) -> None:
        super().__init__()
        self._logic = slice_logic

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.StartSliceNodeInteraction(slicer.vtkMRMLSliceNode.ResetFieldOfViewFlag)
        self._logic.FitSliceToBackground()
        self._logic.GetSliceNode().UpdateMatrices()
        self._logic.EndSliceNodeInteraction()

    def setSliceOffsetValue(self, offset: float) -> None:
        self._logic.SetSliceOffset(offset)

    def setSliceVisible(self, visible: bool) -> None:
        self._logic.GetSliceNode().SetSliceVisible(visible)

    def setSliceLink(self, linked: bool) -> None:
        self._logic.GetSliceCompositeNode().SetLinkedControl(linked)

    def setForegroundOpacity(self, opacity: float) -> None:
        self._logic.GetSliceCompositeNode().SetForegroundOpacity(opacity)


class qMRMLThreeDWidget(ViewWidget):
    """A 3D view with its bar.

    Args:
        node: The 3D view node.
        application: The application, whose view logics the new one joins.
    """

    def __init__(self, node: Any, application: Any) -> None:
        super().__init__(node, qMRMLThreeDView())
        self._logics = application.applicationLogic().GetViewLogics()
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(application.applicationLogic())
        self._logic.SetName(node.GetLayoutName())
        self._logic.SetMRMLScene(application.mrmlScene())
        self._logic.SetDisplayableManagerGroup(self._view._managers)
        self._logics.AddItem(self._logic)
        self._view.setMRMLViewNode(node)
        self._controller = qMRMLThreeDViewControllerWidget(self._view)

    def threeDView(self) -> qMRMLThreeDView:
        return self._view

    def threeDController(self) -> qMRMLThreeDViewControllerWidget:
        return self._controller

    def controllerWidget(self) -> qMRMLThreeDViewControllerWidget:
        return self._controller

    def mrmlViewNode(self) -> Any:
        return self._node

    def viewLogic(self) -> Any:
        return self._logic

    def logic(self) -> Any:
        return self._logic

    def getDisplayableManagers(self, displayableManagers: Any) -> None:
        self._view.getDisplayableManagers(displayableManagers)

    def close(self) -> None:
        self._logics.RemoveItem(self._logic)
        close(self._view)
        self._logic.SetMRMLScene(None)


class qMRMLThreeDViewControllerWidget(ControllerBar):
    """The bar of a 3D view, as far as it acts on the view.

    Args:
        view: The 3D view.
    """

    def __init__(self, view: qMRMLThreeDView) -> None:
        super().__init__()
        self._view = view

    def mrmlThreeDViewNode(self) -> Any:
        return self._view.mrmlViewNode()

    def resetFocalPoint(self) -> None:
        self._view.resetFocalPoint()

    def setBlackBackground(self) -> None:
        self._set_background((0, 0, 0), (0, 0, 0))

    def setWhiteBackground(self) -> None:
        self._set_background((1, 1, 1), (1, 1, 1))

    def set3DAxisVisible(self, visible: bool) -> None:
        self._view.mrmlViewNode().SetBoxVisible(visible)

    def set3DAxisLabelVisible(self, visible: bool) -> None:
        self._view.mrmlViewNode().SetAxisLabelsVisible(visible)

    def _set_background(self, bottom: tuple[int, int, int], top: tuple[int, int, int]) -> None:
        self._view.mrmlViewNode().SetBackgroundColor(*bottom)
        self._view.mrmlViewNode().SetBackgroundColor2(*top)
