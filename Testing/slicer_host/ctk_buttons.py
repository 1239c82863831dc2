"""Stand-ins of CTK's buttons, lists and message boxes, which differ from Qt's in details only."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host.properties import qt_property, stored_property
from slicer_host.stand_in import StandIn


class ctkComboBox(StandIn, QtWidgets.QComboBox):
    defaultText = stored_property(str, "defaultText", "")
    forceDefault = stored_property(bool, "forceDefault", False)
    elideMode = stored_property(int, "elideMode", 3)
    scrollWheelEffect = stored_property(int, "scrollWheelEffect", 1)


class ctkCheckBox(StandIn, QtWidgets.QCheckBox):
    pass


class ctkPushButton(StandIn, QtWidgets.QPushButton):
    buttonTextAlignment = stored_property(int, "buttonTextAlignment", 0)
    iconAlignment = stored_property(int, "iconAlignment", 0)


class ctkMenuButton(StandIn, QtWidgets.QPushButton):
    pass


class ctkSearchBox(StandIn, QtWidgets.QLineEdit):
    showSearchIcon = stored_property(bool, "showSearchIcon", False)


class ctkCheckablePushButton(StandIn, QtWidgets.QPushButton):
    checkBoxToggled = QtCore.Signal(bool)
    checkBoxControlsButtonToggleState = stored_property(bool, "checkBoxControlsButtonToggleState", True)
    checkBoxUserCheckable = stored_property(bool, "checkBoxUserCheckable", True)
    checkState = stored_property(int, "checkState", 0)


class ctkColorPickerButton(StandIn, QtWidgets.QPushButton):
    colorChanged = QtCore.Signal(QtGui.QColor)
    displayColorName = stored_property(bool, "displayColorName", True)
    _color = QtGui.QColor("black")

    def setColor(self, color: QtGui.QColor) -> None:
        if color != self._color:
            self._color = color
            self.colorChanged.emit(color)

    color = qt_property(QtGui.QColor, lambda self: self._color, setColor)


class ctkFittedTextBrowser(StandIn, QtWidgets.QTextBrowser):
    collapsed = stored_property(bool, "collapsed", False)


class ctkMessageBox(StandIn, QtWidgets.QMessageBox):
    dontShowAgain = stored_property(bool, "dontShowAgain", False)
    dontShowAgainSettingsKey = stored_property(str, "dontShowAgainSettingsKey", "")
    dontShowAgainVisible = stored_property(bool, "dontShowAgainVisible", False)
