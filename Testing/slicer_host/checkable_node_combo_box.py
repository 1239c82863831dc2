"""The stand-in of qMRMLCheckableNodeComboBox, a node selector with a check mark beside every node."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore

from slicer_host.node_combo_box import NODE_ID, qMRMLNodeComboBox

CHECKED, UNCHECKED = QtCore.Qt.CheckState.Checked, QtCore.Qt.CheckState.Unchecked


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    checkedNodesChanged = QtCore.Signal()

    def checkedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._listed.values() if self.checkState(node) == CHECKED)

    def uncheckedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._listed.values() if self.checkState(node) == UNCHECKED)

    def allChecked(self) -> bool:
        return not self.uncheckedNodes()

    def noneChecked(self) -> bool:
        return not self.checkedNodes()

    def checkState(self, node: Any) -> QtCore.Qt.CheckState:
        state = self._list.itemData(self._row(node), QtCore.Qt.ItemDataRole.CheckStateRole)
        return CHECKED if state == int(CHECKED) else UNCHECKED

    def setCheckState(self, node: Any, state: QtCore.Qt.CheckState) -> None:
        if state != self.checkState(node):
            self._list.setItemData(self._row(node), int(state), QtCore.Qt.ItemDataRole.CheckStateRole)
            self.checkedNodesChanged.emit()

    def check(self, node: Any) -> None:
        self.setCheckState(node, CHECKED)

    def uncheck(self, node: Any) -> None:
        self.setCheckState(node, UNCHECKED)

    def _row(self, node: Any) -> int:
        return self._list.findData(node.GetID(), NODE_ID)
