"""The stand-in of qMRMLNodeComboBox, which chooses a node of the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import vtk
from PySide6 import QtCore, QtWidgets

from slicer_host.mrml_widgets import KnowsScene
from slicer_host.properties import qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import Observations, parent_of, row_layout

NODE_ID, ACTION = QtCore.Qt.ItemDataRole.UserRole, QtCore.Qt.ItemDataRole.UserRole + 1


def _listing_property(type_: type, name: str, default: Any) -> QtCore.Property:
    """A property on which it depends what is listed."""
    key = f"_{name}"

    def change(self: qMRMLNodeComboBox, value: Any) -> None:
        vars(self)[key] = value
        self._listExtras()
        self._listNodes()

    return qt_property(type_, lambda self: vars(self).get(key, default), change)


class qMRMLNodeComboBox(KnowsScene, QtWidgets.QWidget):
    """A list of None (if enabled), the scene's nodes of some types, and what can be done with them.

    It is built on a QComboBox as in Slicer, so that its surprises come about in the same way: it is disabled without a scene; what
    is selected when a node appears or goes is up to QComboBox; renaming the selected node is announced as a change.
    """

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)
    cpp_signals: ClassVar[dict[str, Callable[[Any], Any] | None]] = {
        "currentNodeChanged(vtkMRMLNode*)": None,
        "currentNodeChanged(bool)": bool,
        "nodeActivated(vtkMRMLNode*)": None,
        "nodeAdded(vtkMRMLNode*)": None,
        "nodeAddedByUser(vtkMRMLNode*)": None,
        "nodeAddedByUserAction(vtkMRMLNode*)": None,
        "nodeAboutToBeRemoved(vtkMRMLNode*)": None,
        "nodeAboutToBeEdited(vtkMRMLNode*)": None,
    }

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._list = QtWidgets.QComboBox()
        row_layout(self, self._list)
        self._types: list[str] = []
        self._labels: dict[str, str] = {}
        self._attributes: dict[tuple[str, str], Any] = {}
        self._menuActions: list[Any] = []
        self._requestedID = ""
        self._silent = False
        self._observations = Observations(self)
        self._listed: dict[str, Any] = {}
        listen(self._list, "currentTextChanged", self._onTextChanged)
        listen(self._list, "activated", self._onActivated)
        self.enabled = False

    def _setNodeTypes(self, types: list[str]) -> None:
        self._types = [type_ for type_ in types if type_]
        self._listExtras()
        self._listNodes()

    nodeTypes = qt_property(list, lambda self: self._types, _setNodeTypes)
    showHidden = _listing_property(bool, "showHidden", False)
    showChildNodeTypes = _listing_property(bool, "showChildNodeTypes", True)
    hideChildNodeTypes = _listing_property(list, "hideChildNodeTypes", [])
    noneEnabled = _listing_property(bool, "noneEnabled", False)
    noneDisplay = _listing_property(str, "noneDisplay", "None")
    addEnabled = _listing_property(bool, "addEnabled", True)
    removeEnabled = _listing_property(bool, "removeEnabled", True)
    editEnabled = _listing_property(bool, "editEnabled", False)
    renameEnabled = _listing_property(bool, "renameEnabled", False)
    selectNodeUponCreation = stored_property(bool, "selectNodeUponCreation", True)
    baseName = stored_property(str, "baseName", "")
    interactionNodeSingletonTag = stored_property(str, "interactionNodeSingletonTag", "")
    sizeAdjustPolicy = stored_property(int, "sizeAdjustPolicy", 0)

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        requested_id = self._requestedID
        self._silent = True
        self._observations.clear()
        super().setMRMLScene(scene)
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
                self._observations.add(scene, event, self._onSceneChanged)
        self._listExtras()
        self._listNodes()
        first = self._list.itemData(0, NODE_ID) or ""  # None, where it is offered, comes before the nodes
        self._list.currentIndex = -1
        self._silent = False
        self.setCurrentNodeID(requested_id or first)
        self.enabled = scene is not None

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        self._attributes[nodeType, name] = value
        self._listNodes()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._attributes.pop((nodeType, name), None)
        self._listNodes()

    def addMenuAction(self, action: Any) -> None:
        self._menuActions.append(action)
        self._listExtras()

    def nodeTypeLabel(self, nodeType: str) -> str:
        label = self._labels.get(nodeType) or (self._scene.GetTypeDisplayNameByClassName(nodeType) if self._scene else "")
        return label or "node"

    def setNodeTypeLabel(self, label: str, nodeType: str) -> None:
        self._labels[nodeType] = label
        self._listExtras()

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self.currentNodeID) if self._scene is not None else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, nodeID: str) -> None:
        self._requestedID = nodeID if self._scene is None else ""
        index = self._list.findData(nodeID, NODE_ID) if nodeID else -1
        self._list.currentIndex = index if index >= 0 or not self._offersNone() else 0

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodeFromIndex(index))

    currentNodeID = qt_property(str, lambda self: self._list.itemData(self._list.currentIndex, NODE_ID) or "", setCurrentNodeID)

    def nodeCount(self) -> int:
        return len(self._listed)

    def nodeFromIndex(self, index: int) -> Any:
        nodes = list(self._listed.values())
        return nodes[index] if 0 <= index < len(nodes) else None

    def addNode(self, nodeType: str | None = None) -> Any:
        nodeType = nodeType or self._types[0]
        if nodeType not in self._types:
            return None
        node = self._scene.CreateNodeByClass(nodeType)
        node.UnRegister(None)
        node.SetName(self._scene.GenerateUniqueName(self.baseName or node.GetNodeTagName()))
        for (_, name), value in self._attributes.items():
            node.SetAttribute(name, str(value if value is not None else ""))
        node = self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        self._scene.RemoveNode(self.currentNode())

    def renameCurrentNode(self) -> None:
        name = QtWidgets.QInputDialog.getText(self, "Rename", "New name:")
        if name:
            self.currentNode().SetName(name)
            self.currentNodeRenamed.emit(name)

    def editCurrentNode(self) -> None:
        self.nodeAboutToBeEdited.emit(self.currentNode())

    def _offersNone(self) -> bool:
        return self.noneEnabled and self._scene is not None

    def _accepts(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if any(node.IsA(type_) and node.GetClassName() != type_ for type_ in self.hideChildNodeTypes):
            return False
        if not any(node.IsA(type_) if self.showChildNodeTypes else node.GetClassName() == type_ for type_ in self._types):
            return False
        return all(
            node.GetAttribute(name) is not None and (value is None or node.GetAttribute(name) == str(value))
            for (type_, name), value in self._attributes.items()
            if node.IsA(type_)
        )

    def _listNodes(self) -> None:
        """Adds and removes one row after the other, so that QComboBox moves the selection as it does in Slicer."""
        scene = self._scene
        nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())] if scene is not None else []
        accepted = {node.GetID(): node for node in nodes if self._accepts(node)}
        for nodeID in [nodeID for nodeID in self._listed if nodeID not in accepted]:
            self._removeRow(nodeID)
        before, self._listed = self._listed, accepted
        for position, (nodeID, node) in enumerate(accepted.items()):
            if nodeID not in before:
                self._list.insertItem(position + self._offersNone(), node.GetName() or "", nodeID)
                self._observations.add(node, vtk.vtkCommand.ModifiedEvent, self._onNodeModified)
                self.nodeAdded.emit(node)

    def _removeRow(self, nodeID: str) -> None:
        node = self._listed.pop(nodeID)
        self._observations.remove(node)
        self.nodeAboutToBeRemoved.emit(node)
        self._list.removeItem(self._list.findData(nodeID, NODE_ID))
        if self.currentNode() is None:
            self.setCurrentNode(None)

    def _listExtras(self) -> None:
        """Lists None before the nodes and the actions after them."""
        nodeID = self.currentNodeID
        was_silent, self._silent = self._silent, True
        for index in reversed(range(self._list.count)):
            if not self._list.itemData(index, NODE_ID):
                self._list.removeItem(index)
        if self._offersNone():
            self._list.insertItem(0, self.noneDisplay)
        if self._scene is not None:
            actions = self._actions()
            if actions:
                self._list.insertSeparator(self._list.count)
            for action, text in actions.items():
                self._list.addItem(text)
                self._list.setItemData(self._list.count - 1, action, ACTION)
        self.setCurrentNodeID(nodeID or self._requestedID)
        self._silent = was_silent

    def _actions(self) -> dict[str, str]:
        """What can be done with nodes: a key and the text that the list shows."""
        label = self.nodeTypeLabel(self._types[0]) if len(self._types) == 1 else "node"
        actions = {}
        if self.renameEnabled:
            actions["rename"] = f"Rename current {label}"
        if self.editEnabled:
            actions["edit"] = f"Edit current {label}"
        if self.addEnabled:
            actions |= {f"create {type_}": f"Create new {self.nodeTypeLabel(type_)}" for type_ in self._types}
        if self.removeEnabled:
            actions["remove"] = f"Delete current {label}"
        return actions | {f"menu {index}": action.text for index, action in enumerate(self._menuActions)}

    def _onSceneChanged(self, scene: Any, event: str) -> None:
        self._listNodes()

    def _onNodeModified(self, node: Any, event: str) -> None:
        index = self._list.findData(node.GetID(), NODE_ID)
        if index >= 0 and self._list.itemText(index) != (node.GetName() or ""):
            self._list.setItemText(index, node.GetName() or "")
        if not self._accepts(node):
            self._listNodes()

    def _onTextChanged(self, text: str) -> None:
        if self._silent:
            return
        node = self.currentNode()
        if node is None and self._list.currentIndex != (0 if self._offersNone() else -1):  # QComboBox moved on to an action
            if self._listed:
                self.setCurrentNodeID(list(self._listed)[-1])
            return
        self.currentNodeChanged.emit(node)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def _onActivated(self, index: int) -> None:
        kind, _, which = (self._list.itemData(index, ACTION) or "").partition(" ")
        if kind == "create":
            self.nodeAddedByUserAction.emit(self.addNode(which))
        elif kind == "remove":
            self.removeCurrentNode()
        elif kind == "rename":
            self.renameCurrentNode()
        elif kind == "edit":
            self.editCurrentNode()
        elif kind == "menu":
            self._menuActions[int(which)].trigger()
        else:
            self._list.currentIndex = index
            self.nodeActivated.emit(self.currentNode())
