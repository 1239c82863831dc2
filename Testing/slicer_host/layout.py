"""``slicer.app.layoutManager()``: the views that the layout node asks for, in their places."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from slicer_host.arrangement import Place, Rectangle, arrange
from slicer_host.chart_and_table import PlotWidget, TableWidget
from slicer_host.view_widgets import SliceWidget, ThreeDWidget

BAR_HEIGHT = 20  # pixels of the controller bar above every view

WIDGETS = {
    "vtkMRMLSliceNode": SliceWidget,
    "vtkMRMLViewNode": ThreeDWidget,
    "vtkMRMLPlotViewNode": PlotWidget,
    "vtkMRMLTableViewNode": TableWidget,
}


class LayoutManager:
    """qSlicerLayoutManager. As in Slicer, every view node of the scene has its widget, seen in the current layout or not.

    Args:
        application: The application whose scene is shown.
        width: Of the area of all views, in pixels.
        height: Likewise.
    """

    def __init__(self, application: Any, width: int, height: int) -> None:
        self._application = application
        self._scene = application.mrmlScene()
        self._size = (width, height)
        self._widgets: dict[str, Any] = {}
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

    def mrmlScene(self) -> Any:
        return self._scene

    def layoutLogic(self) -> Any:
        return self._logic

    @property
    def layout(self) -> int:
        return self._layout_node.GetViewArrangement()

    @layout.setter
    def layout(self, layout: int) -> None:
        self.setLayout(layout)

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
        return tuple(widget.mrmlAbstractViewNode().GetName() for widget in self._of_kind(SliceWidget))

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._widget(SliceWidget, name)

    @property
    def threeDViewCount(self) -> int:
        return len(self._of_kind(ThreeDWidget))

    def threeDWidget(self, index_or_name: int | str) -> ThreeDWidget | None:
        return self._widget(ThreeDWidget, index_or_name)

    @property
    def plotViewCount(self) -> int:
        return len(self._of_kind(PlotWidget))

    def plotWidget(self, index: int) -> PlotWidget | None:
        return self._widget(PlotWidget, index)

    @property
    def tableViewCount(self) -> int:
        return len(self._of_kind(TableWidget))

    def tableWidget(self, index: int) -> TableWidget | None:
        return self._widget(TableWidget, index)

    def viewWidget(self, viewNode: Any) -> Any:
        return self._widgets.get(viewNode.GetID()) if viewNode else None

    def activeMRMLThreeDViewNode(self) -> Any:
        widgets = self._of_kind(ThreeDWidget)
        return widgets[0].mrmlViewNode() if widgets else None

    def resetThreeDViews(self) -> None:
        for widget in self._of_kind(ThreeDWidget):
            widget.threeDView().resetFocalPoint()
            widget.threeDView().resetCamera()

    def resetSliceViews(self) -> None:
        for widget in self._of_kind(SliceWidget):
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
            widget.close()

    def _arrange(self, *_: Any) -> None:
        """Puts the views of the current layout in their places."""
        if self._scene.IsBatchProcessing():
            return
        self._places = arrange(self._layout_node.GetCurrentLayoutDescription(), *self._size)
        shown = {node.GetID(): place.rectangle for place in self._places if (node := self._node(place))}
        for node_id, widget in self._widgets.items():
            widget.mrmlAbstractViewNode().SetMappedInLayout(node_id in shown)
            if node_id in shown:
                rectangle = shown[node_id]
                widget.resize(rectangle.width, rectangle.height - BAR_HEIGHT)

    def _node(self, place: Place) -> Any:
        return self._scene.GetSingletonNode(place.singleton_tag, place.class_name)


def shown_views(manager: LayoutManager) -> list[tuple[Any, Rectangle]]:
    """The widgets of the views in the current layout, and where each of them stands, its bar included."""
    return [(manager.viewWidget(manager._node(place)), place.rectangle) for place in manager._places if manager._node(place)]


def resize(manager: LayoutManager, width: int, height: int) -> None:
    """Gives the area of all views another size in pixels."""
    manager._size = (width, height)
    manager._update()


def close(manager: LayoutManager) -> None:
    """Closes all views and takes their nodes, and the layout node, out of the scene."""
    for observed, observation in manager._observations:
        observed.RemoveObserver(observation)
    for widget in manager._widgets.values():
        widget.close()
    manager._logic.SetMRMLScene(None)
    for class_name in ("AbstractView", "SliceComposite", "SliceDisplay", "Camera", "Layout"):
        for node in slicer.util.getNodesByClass(f"vtkMRML{class_name}Node"):
            manager._scene.RemoveNode(node)
