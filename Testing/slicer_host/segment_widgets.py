"""Stand-ins of the widgets that list the segments of a segmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import slicer
from PySide6 import QtCore, QtWidgets

from slicer_host.mrml_widgets import qMRMLWidget
from slicer_host.node_combo_box import qMRMLNodeComboBox
from slicer_host.properties import forwarded_property, qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import Observations, row_layout

SEGMENT_ID = QtCore.Qt.ItemDataRole.UserRole
SEGMENTATION_CHANGES = ("SegmentAdded", "SegmentRemoved", "SegmentModified")


def _segments(node: Any) -> dict[str, str]:
    """The names of a segmentation's segments by ID."""
    if node is None:
        return {}
    segmentation = node.GetSegmentation()
    return {segment_id: segmentation.GetSegment(segment_id).GetName() for segment_id in segmentation.GetSegmentIDs()}


def _observe(observations: Observations, node: Any, method: Callable[[Any, str], None]) -> None:
    observations.clear()
    if node is not None:
        for change in SEGMENTATION_CHANGES:
            observations.add(node.GetSegmentation(), getattr(slicer.vtkSegmentation, change), method)


class qMRMLSegmentsTableView(qMRMLWidget):
    """A list of all segments' names."""

    selectionChanged = QtCore.Signal(object, object)
    segmentAboutToBeModified = QtCore.Signal(str)
    cpp_signals: ClassVar[dict[str, Callable[[Any], Any] | None]] = {
        "selectionChanged(QItemSelection,QItemSelection)": None,
        "mrmlSceneChanged(vtkMRMLScene*)": None,
    }

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._list = QtWidgets.QListWidget()
        self._list.selectionMode = QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection
        row_layout(self, self._list)
        self._node: Any = None
        self._observations = Observations(self)
        listen(self._list, "itemSelectionChanged", self._onSelectionChanged)

    def setSegmentationNode(self, node: Any) -> None:
        self._node = node
        _observe(self._observations, node, self._onSegmentsChanged)
        self._show()

    def segmentationNode(self) -> Any:
        return self._node

    def displayedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(self._list.item(row).data(SEGMENT_ID) for row in range(self._list.count))

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(item.data(SEGMENT_ID) for item in self._list.selectedItems())

    def setSelectedSegmentIDs(self, segmentIDs: list[str]) -> None:
        for row in range(self._list.count):
            item = self._list.item(row)
            item.setSelected(item.data(SEGMENT_ID) in segmentIDs)

    def clearSelection(self) -> None:
        self._list.clearSelection()

    def setSelectionMode(self, mode: int) -> None:
        self._list.selectionMode = mode

    segmentCount = qt_property(int, lambda self: self._list.count)
    selectionMode = forwarded_property(int, "_list", "selectionMode")
    headerVisible = stored_property(bool, "headerVisible", True)
    visibilityColumnVisible = stored_property(bool, "visibilityColumnVisible", True)
    colorColumnVisible = stored_property(bool, "colorColumnVisible", True)
    opacityColumnVisible = stored_property(bool, "opacityColumnVisible", True)
    statusColumnVisible = stored_property(bool, "statusColumnVisible", False)
    layerColumnVisible = stored_property(bool, "layerColumnVisible", False)
    filterBarVisible = stored_property(bool, "filterBarVisible", False)
    readOnly = stored_property(bool, "readOnly", False)

    def _onSegmentsChanged(self, segmentation: Any, event: str) -> None:
        self._show()

    def _onSelectionChanged(self) -> None:
        self.selectionChanged.emit(None, None)

    def _show(self) -> None:
        selected = self.selectedSegmentIDs()
        self._list.blockSignals(True)
        self._list.clear()
        for segment_id, name in _segments(self._node).items():
            item = QtWidgets.QListWidgetItem(name, self._list)
            item.setData(SEGMENT_ID, segment_id)
        self.setSelectedSegmentIDs(selected)
        self._list.blockSignals(False)


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation selector and a list of its segments."""

    currentNodeChanged = QtCore.Signal(object)
    currentSegmentChanged = QtCore.Signal(str)
    segmentSelectionChanged = QtCore.Signal(list)
    cpp_signals: ClassVar[dict[str, Callable[[Any], Any] | None]] = {
        "currentNodeChanged(vtkMRMLNode*)": None,
        "mrmlSceneChanged(vtkMRMLScene*)": None,
    }

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._nodes = qMRMLNodeComboBox()
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.addEnabled = self._nodes.removeEnabled = False
        self._segmentList = QtWidgets.QComboBox()
        self._observations = Observations(self)
        row_layout(self, self._nodes, self._segmentList)
        listen(self._nodes, "currentNodeChanged", self._onNodeChanged)
        listen(self._segmentList, "currentIndexChanged", self._onSegmentChanged)

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._nodes.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._nodes.currentNode()

    def currentNodeID(self) -> str:
        return self._nodes.currentNodeID

    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, nodeID: str) -> None:
        self._nodes.setCurrentNodeID(nodeID)

    def currentSegmentID(self) -> str:
        return self._segmentList.currentData or ""

    def setCurrentSegmentID(self, segmentID: str) -> None:
        self._segmentList.currentIndex = self._segmentList.findData(segmentID)

    def segmentIDs(self) -> tuple[str, ...]:
        return tuple(_segments(self.currentNode()))

    noneEnabled = forwarded_property(bool, "_nodes", "noneEnabled")
    editEnabled = forwarded_property(bool, "_nodes", "editEnabled")
    selectNodeUponCreation = forwarded_property(bool, "_nodes", "selectNodeUponCreation")
    segmentationNodeSelectorVisible = qt_property(
        bool, lambda self: not self._nodes.isHidden(), lambda self, shown: setattr(self._nodes, "visible", shown)
    )
    multiSelection = stored_property(bool, "multiSelection", False)

    def _onNodeChanged(self, node: Any) -> None:
        _observe(self._observations, node, self._onSegmentsChanged)
        self._show()
        self.currentNodeChanged.emit(node)

    def _onSegmentsChanged(self, segmentation: Any, event: str) -> None:
        self._show()

    def _onSegmentChanged(self, index: int) -> None:
        self.currentSegmentChanged.emit(self.currentSegmentID())

    def _show(self) -> None:
        current = self.currentSegmentID()
        self._segmentList.clear()
        for segment_id, name in _segments(self.currentNode()).items():
            self._segmentList.addItem(name, segment_id)
        if self._segmentList.findData(current) >= 0:
            self.setCurrentSegmentID(current)
