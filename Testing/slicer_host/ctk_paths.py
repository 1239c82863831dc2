"""Stand-ins of CTK's widgets that choose files and folders."""

from __future__ import annotations

import os
import re
from typing import Any

import qt
from PySide6 import QtCore, QtWidgets

from slicer_host.properties import forwarded_property, qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import StandIn, parent_of, row_layout

HISTORY_LENGTH = 5


class ctkPathLineEdit(StandIn, QtWidgets.QWidget):
    """A line for a path, with a browse button and the paths used before.

    As in CTK a path is announced only if it suits the name filters, an empty one never; and a widget that is empty when it gets its
    setting key takes over the last path of its history.
    """

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    Dirs, Files, Drives, NoSymLinks = 0x001, 0x002, 0x004, 0x008
    Readable, Writable, Executable = 0x010, 0x020, 0x040
    NoDot, NoDotDot, NoDotAndDotDot = 0x2000, 0x4000, 0x6000
    NoFilter = -1

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._isValid = False
        self._line = QtWidgets.QComboBox()
        self._line.editable = True
        self._button = QtWidgets.QToolButton()
        self._button.text = "..."
        row_layout(self, self._line, self._button)
        listen(self._line, "editTextChanged", self._onTextChanged)
        listen(self._button, "clicked", self.browse)

    def setCurrentPath(self, path: str) -> None:
        self._line.setEditText(path)

    def retrieveHistory(self) -> None:
        path = self.currentPath
        self._line.blockSignals(True)
        self._line.clear()
        self._line.addItems(list(self._history())[:HISTORY_LENGTH])
        self._line.currentIndex = -1
        self._line.blockSignals(False)
        if path:
            self.setCurrentPath(path)
        else:
            self._line.currentIndex = 0

    def addCurrentPathToHistory(self) -> None:
        path = self.currentPath
        if path:
            history = [path, *(other for other in self._history() if other != path)]
            qt.QSettings().setValue(self._historyKey(), history)
            self.retrieveHistory()

    def comboBox(self) -> QtWidgets.QComboBox:
        return self._line

    def browse(self) -> None:
        if not self.filters & self.Files:
            path = qt.QFileDialog.getExistingDirectory(self, "Select a directory...", self.currentPath)
        elif self.filters & self.Writable:
            path = qt.QFileDialog.getSaveFileName(self, "Select a file to save ", self.currentPath, ";;".join(self.nameFilters))
        else:
            path = qt.QFileDialog.getOpenFileName(self, "Open a file", self.currentPath, ";;".join(self.nameFilters))
        if path:
            self.setCurrentPath(path)

    def _setSettingKey(self, key: str) -> None:
        self._settingKey = key
        self.retrieveHistory()

    currentPath = qt_property(str, lambda self: self._line.currentText, setCurrentPath)
    filters = stored_property(int, "filters", Dirs | Files | Drives | NoDotAndDotDot | Readable | Executable)
    options = stored_property(int, "options", 0)
    nameFilters = stored_property(list, "nameFilters", [])
    settingKey = qt_property(str, lambda self: vars(self).get("_settingKey", ""), _setSettingKey)
    label = stored_property(str, "label", "")
    showHistoryButton = stored_property(bool, "showHistoryButton", True)
    showBrowseButton = qt_property(
        bool, lambda self: not self._button.isHidden(), lambda self, shown: setattr(self._button, "visible", shown)
    )
    minimumContentsLength = forwarded_property(int, "_line", "minimumContentsLength")
    sizeAdjustPolicy = forwarded_property(int, "_line", "sizeAdjustPolicy")

    def _historyKey(self) -> str:
        return f"ctkPathLineEdit/{self.settingKey or self.objectName}"

    def _history(self) -> list[str]:
        history = qt.QSettings().value(self._historyKey()) or []
        return [history] if isinstance(history, str) else history

    def _onTextChanged(self, path: str) -> None:
        was_valid, self._isValid = self._isValid, suits_name_filters(path, self.nameFilters)
        if self._isValid:
            self.currentPathChanged.emit(path)
        if self._isValid != was_valid:
            self.validInputChanged.emit(self._isValid)


def suits_name_filters(path: str, nameFilters: list[str]) -> bool:
    """Whether CTK accepts a path: of an extension such as ``*.nii.gz`` it looks at the first part alone, and wants it at the end."""
    extensions = re.findall(r"\*\.(\w+)", " ".join(nameFilters))
    patterns = [rf".*\.{extension}?" for extension in extensions] or [".+"]
    return any(re.fullmatch(pattern, path) for pattern in patterns)


class ctkDirectoryButton(StandIn, QtWidgets.QWidget):
    """A button that shows a folder and asks for another one."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._directory = "."
        self._button = QtWidgets.QPushButton(os.getcwd())
        row_layout(self, self._button)
        listen(self._button, "clicked", self.browse)

    def browse(self) -> None:
        directory = qt.QFileDialog.getExistingDirectory(self, self.caption or self.toolTip, self._directory)
        if directory:
            self._setDirectory(directory)

    def _setDirectory(self, directory: str) -> None:
        directory = os.path.abspath(directory)
        is_other = directory != os.path.abspath(self._directory)
        if is_other:
            self._directory = directory
            self._button.text = directory
        self.directorySelected.emit(directory)
        if is_other:
            self.directoryChanged.emit(directory)

    directory = qt_property(str, lambda self: self._directory, _setDirectory)
    text = forwarded_property(str, "_button", "text")
    caption = stored_property(str, "caption", "")
    acceptMode = stored_property(int, "acceptMode", 0)
    options = stored_property(int, "options", 0)
