"""The stand-in of qMRMLTableView, which shows a table node."""

from __future__ import annotations

from typing import Any, ClassVar

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host.mrml_widgets import KnowsScene
from slicer_host.stand_in import Observations, parent_of


class qMRMLTableView(KnowsScene, QtWidgets.QTableView):
    mrmlSceneChanged = QtCore.Signal(object)
    cpp_signals: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": None}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._node: Any = None
        self._observations = Observations(self)
        self.setModel(QtGui.QStandardItemModel(self))

    def setMRMLTableNode(self, node: Any) -> None:
        self._observations.clear()
        self._node = node
        if node is not None:
            self._observations.add(node, vtk.vtkCommand.ModifiedEvent, self._onNodeModified)
        self._show()

    def mrmlTableNode(self) -> Any:
        return self._node

    def _onNodeModified(self, node: Any, event: str) -> None:
        self._show()

    def _show(self) -> None:
        model = self.model()
        model.clear()
        if self._node is None:
            return
        table = self._node.GetTable()
        columns = range(table.GetNumberOfColumns())
        names = [table.GetColumnName(column) or "" for column in columns]
        titles = [self._node.GetColumnTitle(name) or name for name in names]
        rows = [[table.GetValue(row, column).ToString() for column in columns] for row in range(table.GetNumberOfRows())]
        if not self._node.GetUseColumnTitleAsColumnHeader():  # as Slicer does by default
            rows.insert(0, titles)
            titles = [chr(ord("A") + column) for column in columns]
        model.setHorizontalHeaderLabels(titles)
        for row in rows:
            model.appendRow([QtGui.QStandardItem(text) for text in row])
