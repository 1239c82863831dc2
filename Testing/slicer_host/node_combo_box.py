"""The stand-in of qMRMLNodeComboBox, which chooses a node of the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from slicer_host.mrml_widgets import KnowsScene
from slicer_host.properties import qt_property, stored_property
from slicer_host.stand_in import parent_of, row_layout


def _refreshing(type_: type, name: str, default: Any) -> QtCore.Property:
    """A property on which the list of nodes depends."""
    key = f"_{name}"

    def store(self: qMRMLNodeComboBox, value: Any) -> None:
        self.__dict__[key] = value
        self._refresh()

    return qt_property(type_, lambda self: self.__dict__.get(key, default), store)


class qMRMLNodeComboBox(KnowsScene, QtWidgets.QWidget):
    """Lists the nodes of some types, "None" and what can be done with them.

    A node that is there when the scene is set is selected, unless None is offered; nodes added later are not.
    """

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)
    cpp_signals: ClassVar[dict[str, Callable[[Any], Any] | None]] = {
        "currentNodeChanged(vtkMRMLNode*)": None,
        "currentNodeChanged(bool)": bool,
        "nodeActivated(vtkMRMLNode*)": None,
        "nodeAdded(vtkMRMLNode*)": None,
        "nodeAddedByUser(vtkMRMLNode*)": None,
        "nodeAboutToBeRemoved(vtkMRMLNode*)": None,
        "nodeAboutToBeEdited(vtkMRMLNode*)": None,
    }

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._list = QtWidgets.QComboBox()
        row_layout(self, self._list)
        self._types: list[str] = []
        self._attributes: list[tuple[str, str, Any]] = []
        self._current: str | None = None
        self._filled = False
        self._observations: list[tuple[Any, int]] = []
        self._node_observations: list[tuple[Any, int]] = []
        self._list.activated.connect(self._onActivated)

    def _setNodeTypes(self, types: list[str]) -> None:
        self._types = list(types)
        self._refresh()

    nodeTypes = qt_property(list, lambda self: self._types, _setNodeTypes)
    showHidden = _refreshing(bool, "showHidden", False)
    showChildNodeTypes = _refreshing(bool, "showChildNodeTypes", True)
    hideChildNodeTypes = _refreshing(list, "hideChildNodeTypes", [])
    noneEnabled = _refreshing(bool, "noneEnabled", False)
    noneDisplay = _refreshing(str, "noneDisplay", "None")
    addEnabled = _refreshing(bool, "addEnabled", True)
    removeEnabled = _refreshing(bool, "removeEnabled", True)
    editEnabled = _refreshing(bool, "editEnabled", False)
    renameEnabled = _refreshing(bool, "renameEnabled", False)
    selectNodeUponCreation = stored_property(bool, "selectNodeUponCreation", True)
    baseName = stored_property(str, "baseName", "")
    interactionNodeSingletonTag = stored_property(str, "interactionNodeSingletonTag", "Singleton")
    sizeAdjustPolicy = stored_property(int, "sizeAdjustPolicy", 0)

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        for caller, tag in self._observations:
            caller.RemoveObserver(tag)
        self._observations = []
        super().setMRMLScene(scene)
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent)
            self._observations = [(scene, scene.AddObserver(event, lambda *_: self._refresh())) for event in events]
        self._refresh()

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        self._attributes.append((nodeType, name, value))
        self._refresh()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._attributes = [attribute for attribute in self._attributes if attribute[:2] != (nodeType, name)]
        self._refresh()

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, nodeID: str) -> None:
        listed = nodeID and self._list.findData(nodeID) >= 0
        self._select(nodeID if listed else None)

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodeFromIndex(index))

    currentNodeID = qt_property(str, lambda self: self._current or "", setCurrentNodeID)

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def addNode(self, nodeType: str | None = None) -> Any:
        node = self._scene.CreateNodeByClass(nodeType or self._types[0])
        node.UnRegister(None)
        node.SetName(self._scene.GenerateUniqueName(self.baseName or node.GetNodeTagName()))
        for attributeType, name, value in self._attributes:
            if node.IsA(attributeType):
                node.SetAttribute(name, str(value or ""))
        node = self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node is not None:
            self.nodeAboutToBeRemoved.emit(node)
            self._scene.RemoveNode(node)

    def _nodes(self) -> list[Any]:
        scene = self._scene
        if scene is None:
            return []
        nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
        return [node for node in nodes if self._accepts(node)]

    def _accepts(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if not any(node.IsA(type_) if self.showChildNodeTypes else node.GetClassName() == type_ for type_ in self._types):
            return False
        return all(
            node.GetAttribute(name) is not None and (value is None or node.GetAttribute(name) == str(value))
            for type_, name, value in self._attributes
            if node.IsA(type_)
        )

    def _refresh(self) -> None:
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        nodes = self._nodes()
        ids = [node.GetID() for node in nodes]
        current = self._current if self._current in ids else None
        if current is None and not self._filled and not self.noneEnabled and ids:
            current = ids[0]
        self._filled = self._filled or self._scene is not None
        self._observe_names(nodes)
        self._list.clear()
        if self.noneEnabled or not nodes:
            self._list.addItem(self.noneDisplay, "")
        for node in nodes:
            self._list.addItem(node.GetName() or "", node.GetID())
        self._list_actions()
        self._select(current)

    def _list_actions(self) -> None:
        actions = []
        if self.addEnabled:
            actions += [(f"Create new {getattr(slicer, type_)().GetNodeTagName()}", f"add {type_}") for type_ in self._types]
        if self.removeEnabled:
            actions.append(("Delete current node", "remove"))
        if actions:
            self._list.insertSeparator(self._list.count)
        for text, action in actions:
            self._list.addItem(text, action)

    def _observe_names(self, nodes: list[Any]) -> None:
        for node, tag in self._node_observations:
            node.RemoveObserver(tag)
        self._node_observations = [(node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onNodeModified)) for node in nodes]

    def _onNodeModified(self, node: Any, event: str) -> None:
        index = self._list.findData(node.GetID())
        if index >= 0 and self._list.itemText(index) != node.GetName():
            self._list.setItemText(index, node.GetName() or "")

    def _select(self, nodeID: str | None) -> None:
        self._list.currentIndex = self._list.findData(nodeID or "")
        if nodeID != self._current:
            self._current = nodeID
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(nodeID or "")

    def _onActivated(self, index: int) -> None:
        chosen = self._list.itemData(index) or ""
        if chosen.startswith("add "):
            self.nodeAddedByUser.emit(self.addNode(chosen.removeprefix("add ")))
        elif chosen == "remove":
            self.removeCurrentNode()
        else:
            self._select(chosen or None)
            self.nodeActivated.emit(self.currentNode())
