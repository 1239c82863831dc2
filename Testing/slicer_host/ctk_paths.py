"""Stand-ins of CTK's widgets that choose files and folders."""

from __future__ import annotations

import os
from typing import Any

import qt
from PySide6 import QtCore, QtWidgets

from slicer_host.properties import forwarded_property, qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import StandIn, parent_of, row_layout


class ctkPathLineEdit(StandIn, QtWidgets.QWidget):
    """A line for a path, with a browse button and the paths used before."""

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    Dirs, Files, Drives, NoSymLinks = 0x001, 0x002, 0x004, 0x008
    Readable, Writable, Executable = 0x010, 0x020, 0x040
    NoDot, NoDotDot, NoDotAndDotDot = 0x2000, 0x4000, 0x6000
    NoFilter = -1

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._line = QtWidgets.QComboBox()
        self._line.editable = True
        self._button = QtWidgets.QToolButton()
        self._button.text = "..."
        row_layout(self, self._line, self._button)
        listen(self._line, "editTextChanged", self._onTextChanged)
        listen(self._button, "clicked", self.browse)

    def setCurrentPath(self, path: str) -> None:
        self._line.setEditText(str(path))

    def addCurrentPathToHistory(self) -> None:
        path = self.currentPath
        if path and self._line.findText(path) < 0:
            self._line.addItem(path)

    def comboBox(self) -> QtWidgets.QComboBox:
        return self._line

    def browse(self) -> None:
        caption = self.label or "Select a file to save"
        if self.filters & self.Dirs and not self.filters & self.Files:
            path = qt.QFileDialog.getExistingDirectory(self, "Select a directory...", self.currentPath)
        elif self.filters & self.Writable:
            path = qt.QFileDialog.getSaveFileName(self, caption, self.currentPath, ";;".join(self.nameFilters))
        else:
            path = qt.QFileDialog.getOpenFileName(self, "Open a file", self.currentPath, ";;".join(self.nameFilters))
        if path:
            self.setCurrentPath(path)

    def _onTextChanged(self, text: str) -> None:
        self.currentPathChanged.emit(text)

    currentPath = qt_property(str, lambda self: self._line.currentText, setCurrentPath)
    filters = stored_property(int, "filters", Files | Dirs)
    options = stored_property(int, "options", 0)
    nameFilters = stored_property(list, "nameFilters", [])
    settingKey = stored_property(str, "settingKey", "")
    label = stored_property(str, "label", "")
    showHistoryButton = stored_property(bool, "showHistoryButton", True)
    showBrowseButton = qt_property(
        bool, lambda self: not self._button.isHidden(), lambda self, shown: setattr(self._button, "visible", shown)
    )
    minimumContentsLength = forwarded_property(int, "_line", "minimumContentsLength")
    sizeAdjustPolicy = forwarded_property(int, "_line", "sizeAdjustPolicy")


class ctkDirectoryButton(StandIn, QtWidgets.QWidget):
    """A button that shows a folder and asks for another one."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._directory = os.getcwd()
        self._button = QtWidgets.QPushButton(self._directory)
        row_layout(self, self._button)
        listen(self._button, "clicked", self.browse)

    def browse(self) -> None:
        directory = qt.QFileDialog.getExistingDirectory(self, self.caption, self._directory)
        if directory:
            self._setDirectory(directory)
            self.directorySelected.emit(self._directory)

    def _setDirectory(self, directory: str) -> None:
        directory = os.path.abspath(directory)
        if directory != self._directory:
            self._directory = directory
            self._button.text = directory
            self.directoryChanged.emit(directory)

    directory = qt_property(str, lambda self: self._directory, _setDirectory)
    text = forwarded_property(str, "_button", "text")
    caption = stored_property(str, "caption", "")
    acceptMode = stored_property(int, "acceptMode", 0)
    options = stored_property(int, "options", 0)
