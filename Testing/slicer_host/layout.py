"""``slicer.app.layoutManager()``: the views that the layout node asks for, in their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from slicer_host.arrangement import Place, Rectangle, arrange
from slicer_host.chart_and_table import qMRMLPlotWidget, qMRMLTableWidget
from slicer_host.properties import qt_property
from slicer_host.stand_in import StandIn
from slicer_host.view_widgets import qMRMLSliceWidget, qMRMLThreeDWidget

BAR_HEIGHT = 20  # pixels of the controller bar above every view

WIDGETS = {
    "vtkMRMLSliceNode": qMRMLSliceWidget,
    "vtkMRMLViewNode": qMRMLThreeDWidget,
    "vtkMRMLPlotViewNode": qMRMLPlotWidget,
    "vtkMRMLTableViewNode": qMRMLTableWidget,
}


class Viewport(StandIn, QtWidgets.QWidget):
    """The area of all views.

    Args:
        width: In pixels.
        height: Likewise.
        on_resize: Called after the size changed.
    """

    def __init__(self, width: int, height: int, on_resize: Callable[[], None]) -> None:
        super().__init__()
        super().resize(width, height)
        self._on_resize = on_resize

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self._on_resize()


class qSlicerLayoutManager(StandIn, QtCore.QObject):
    """Slicer's layout manager. As there, every view node of the scene has its widget, seen in the current layout or not.

    Args:
        application: The application whose scene is shown.
        width: Of the area of all views, in pixels.
        height: Likewise.
    """

    layoutChanged = QtCore.Signal(int)

    def __init__(self, application: Any, width: int, height: int) -> None:
        super().__init__()
        self._application = application
        self._scene = application.mrmlScene()
        self._viewport = Viewport(width, height, self._arrange)
        self._widgets: dict[str, Any] = {}
        self._sized: set[str] = set()  # IDs of the nodes of views that were shown once
        self._is_open = False
        self._places: list[Place] = []
        self._pause_count = 0
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application.applicationLogic())
        self._logic.SetMRMLScene(self._scene)
        self._layout_node = self._logic.GetLayoutNode()
        self._observations = [
            (self._layout_node, self._layout_node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._arrange)),
            (self._scene, self._scene.AddObserver(self._scene.NodeAddedEvent, self._add_view)),
            (self._scene, self._scene.AddObserver(self._scene.NodeRemovedEvent, self._remove_view)),
            (self._scene, self._scene.AddObserver(self._scene.EndBatchProcessEvent, self._update)),
        ]
        self.setLayout(self._layout_node.SlicerLayoutFourUpView)
        self._update()
        self._is_open = True

    threeDViewCount = qt_property(int, lambda self: len(self._of_kind(qMRMLThreeDWidget)))
    plotViewCount = qt_property(int, lambda self: len(self._of_kind(qMRMLPlotWidget)))
    tableViewCount = qt_property(int, lambda self: len(self._of_kind(qMRMLTableWidget)))

    def mrmlScene(self) -> Any:
        return self._scene

    def viewport(self) -> Viewport:
        return self._viewport

    def layoutLogic(self) -> Any:
        return self._logic

    layout = qt_property(int, lambda self: self._layout_node.GetViewArrangement(), lambda self, layout: self.setLayout(layout))

    def setLayout(self, layout: int) -> None:
        """Shows a layout by its number; one that nobody described becomes the conventional one."""
        if layout == self.layout:
            return
        if not self._layout_node.IsLayoutDescription(layout):
            layout = self._layout_node.SlicerLayoutConventionalView
        self._layout_node.SetViewArrangement(layout)

    def mrmlSliceLogics(self) -> Any:
        return self._application.applicationLogic().GetSliceLogics()

    def mrmlViewLogics(self) -> Any:
        return self._application.applicationLogic().GetViewLogics()

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(widget.mrmlAbstractViewNode().GetName() for widget in self._of_kind(qMRMLSliceWidget))

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._widget(qMRMLSliceWidget, name)

    def threeDWidget(self, index_or_name: int | str) -> qMRMLThreeDWidget | None:
        return self._widget(qMRMLThreeDWidget, index_or_name)

    def plotWidget(self, index: int) -> qMRMLPlotWidget | None:
        return self._widget(qMRMLPlotWidget, index)

    def tableWidget(self, index: int) -> qMRMLTableWidget | None:
        return self._widget(qMRMLTableWidget, index)

    def viewWidget(self, viewNode: Any) -> Any:
        return self._widgets.get(viewNode.GetID()) if viewNode else None

    def activeMRMLThreeDViewNode(self) -> Any:
        widgets = self._of_kind(qMRMLThreeDWidget)
        return widgets[0].mrmlViewNode() if widgets else None

    def resetThreeDViews(self) -> None:
        for widget in self._of_kind(qMRMLThreeDWidget):
            widget.threeDView().resetFocalPoint()
            widget.threeDView().resetCamera()

    def resetSliceViews(self) -> None:
        for widget in self._of_kind(qMRMLSliceWidget):
            widget.sliceController().fitSliceToBackground()

    def pauseRender(self) -> None:
        self._pause_count += 1
        for widget in self._widgets.values():
            widget.pauseRender()

    def resumeRender(self) -> None:
        self._pause_count -= 1
        for widget in self._widgets.values():
            widget.resumeRender()

    def setRenderPaused(self, paused: bool) -> None:
        (self.pauseRender if paused else self.resumeRender)()

    def _of_kind(self, kind: type) -> list[Any]:
        return [widget for widget in self._widgets.values() if isinstance(widget, kind)]

    def _widget(self, kind: type, index_or_name: int | str) -> Any:
        widgets = self._of_kind(kind)
        if isinstance(index_or_name, int):
            return widgets[index_or_name] if 0 <= index_or_name < len(widgets) else None
        return next((widget for widget in widgets if widget.mrmlAbstractViewNode().GetName() == index_or_name), None)

    def _update(self, *_: Any) -> None:
        """Makes the widgets that are missing after many nodes came at once, with a scene that was loaded."""
        for node in slicer.util.getNodesByClass("vtkMRMLAbstractViewNode"):
            self._add_view(self._scene, "", node)
        self._arrange()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _add_view(self, scene: Any, event: str, node: Any) -> None:
        make = WIDGETS.get(node.GetClassName())
        if make is None or node.GetID() in self._widgets or scene.IsBatchProcessing():
            return
        widget = make(node, self._application)
        for _ in range(self._pause_count):
            widget.pauseRender()
        self._widgets[node.GetID()] = widget

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _remove_view(self, scene: Any, event: str, node: Any) -> None:
        if widget := self._widgets.pop(node.GetID(), None):
            self._sized.discard(node.GetID())
            widget.close()

    def _arrange(self, *_: Any) -> None:
        """Puts the views of the current layout in their places and tells so."""
        if self._scene.IsBatchProcessing():
            return
        self._places = arrange(self._layout_node.GetCurrentLayoutDescription(), self._viewport.width, self._viewport.height)
        shown = {node.GetID(): place.rectangle for place in self._places if (node := self._node(place))}
        for node_id, widget in self._widgets.items():
            widget.mrmlAbstractViewNode().SetMappedInLayout(node_id in shown)
            if node_id in shown and (node_id in self._sized or not self._is_open):
                self._give_size(node_id, shown[node_id])
            elif node_id in shown:
                QtCore.QTimer.singleShot(0, self, lambda node_id=node_id, rectangle=shown[node_id]: self._show(node_id, rectangle))
        self.layoutChanged.emit(self.layout)

    def _show(self, node_id: str, rectangle: Rectangle) -> None:
        """Gives a new view its first size, for which Slicer needs its event loop; a slice view then forgets its slice's position."""
        if node_id in self._widgets and node_id not in self._sized:
            self._give_size(node_id, rectangle)
            if isinstance(self._widgets[node_id], qMRMLSliceWidget):
                self._widgets[node_id].mrmlSliceNode().SetSliceOffset(0)

    def _give_size(self, node_id: str, rectangle: Rectangle) -> None:
        self._sized.add(node_id)
        self._widgets[node_id].resize(rectangle.width, rectangle.height - BAR_HEIGHT)

    def _node(self, place: Place) -> Any:
        return self._scene.GetSingletonNode(place.singleton_tag, place.class_name)


def shown_views(manager: qSlicerLayoutManager) -> list[tuple[Any, Rectangle]]:
    """The widgets of the views in the current layout, and where each of them stands, its bar included."""
    return [(manager.viewWidget(manager._node(place)), place.rectangle) for place in manager._places if manager._node(place)]


def close(manager: qSlicerLayoutManager) -> None:
    """Closes all views and takes their nodes, and the layout node, out of the scene."""
    for observed, observation in manager._observations:
        observed.RemoveObserver(observation)
    for widget in manager._widgets.values():
        widget.close()
    manager._widgets.clear()
    manager._logic.SetMRMLScene(None)
    manager._viewport.deleteLater()
    for class_name in ("AbstractView", "SliceComposite", "SliceDisplay", "Camera", "Layout"):
        for node in slicer.util.getNodesByClass(f"vtkMRML{class_name}Node"):
            manager._scene.RemoveNode(node)
