"""Stand-ins of CTK's collapsible containers, buttons, combo boxes and message boxes."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host.properties import qt_property, stored_property
from slicer_host.stand_in import StandIn, parent_of

HEADER_HEIGHT = 24  # of a collapsible button, pixels
UNLIMITED_HEIGHT = 16777215  # Qt's QWIDGETSIZE_MAX


class ctkCollapsibleButton(StandIn, QtWidgets.QAbstractButton):
    """A section of a panel: a header that folds what is below it."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._collapsed = False
        self._shown: list[QtWidgets.QWidget] = []
        if arguments and isinstance(arguments[0], str):
            self.text = arguments[0]
        self.checkable = True
        self.checked = True
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(4, HEADER_HEIGHT + 2, 4, 4)
        self.toggled.connect(self._onToggled)

    def _onToggled(self, expanded: bool) -> None:
        self._setCollapsed(not expanded)

    def _setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._shown = [child for child in self.children() if isinstance(child, QtWidgets.QWidget) and not child.isHidden()]
        for child in self._shown:
            child.visible = not collapsed
        self.maximumHeight = HEADER_HEIGHT if collapsed else UNLIMITED_HEIGHT
        self.checked = not collapsed
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    collapsed = qt_property(bool, lambda self: self._collapsed, _setCollapsed)
    collapsedHeight = stored_property(int, "collapsedHeight", 14)
    contentsFrameShape = stored_property(int, "contentsFrameShape", 6)
    contentsFrameShadow = stored_property(int, "contentsFrameShadow", 48)
    contentsLineWidth = stored_property(int, "contentsLineWidth", 1)
    contentsMidLineWidth = stored_property(int, "contentsMidLineWidth", 0)

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        if layout is None or self._collapsed:
            return QtCore.QSize(200, HEADER_HEIGHT)
        return layout.totalSizeHint()

    def minimumSizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        if layout is None or self._collapsed:
            return QtCore.QSize(60, HEADER_HEIGHT)
        return layout.totalMinimumSize()

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        child = event.child()
        if self._collapsed and event.added() and isinstance(child, QtWidgets.QWidget):
            self._shown.append(child)
            child.hide()
        super().childEvent(event)

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < HEADER_HEIGHT

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        colors = self.palette
        header = QtCore.QRect(0, 0, self.width, HEADER_HEIGHT)
        painter.fillRect(header, colors.button().color().darker(106))
        painter.setPen(colors.mid().color())
        painter.drawRect(QtCore.QRect(0, 0, self.width - 1, self.height - 1))
        painter.setPen(colors.buttonText().color())
        arrow = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}" if self._collapsed else "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
        painter.drawText(header.adjusted(6, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, f"{arrow}  {self.text}")
        painter.end()


class ctkCollapsibleGroupBox(StandIn, QtWidgets.QGroupBox):
    """A group box whose check mark folds it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._shown: list[QtWidgets.QWidget] = []
        self._collapsed = False
        self.checkable = True
        self.toggled.connect(self._onToggled)

    def _onToggled(self, expanded: bool) -> None:
        self._setCollapsed(not expanded)

    def _setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._shown = [child for child in self.children() if isinstance(child, QtWidgets.QWidget) and not child.isHidden()]
        for child in self._shown:
            child.visible = not collapsed
        self.checked = not collapsed

    collapsed = qt_property(bool, lambda self: self._collapsed, _setCollapsed)
    collapsedHeight = stored_property(int, "collapsedHeight", 14)


class ctkComboBox(StandIn, QtWidgets.QComboBox):
    defaultText = stored_property(str, "defaultText", "")
    forceDefault = stored_property(bool, "forceDefault", False)
    elideMode = stored_property(int, "elideMode", 3)
    scrollWheelEffect = stored_property(int, "scrollWheelEffect", 1)


class ctkCheckBox(StandIn, QtWidgets.QCheckBox):
    pass


class ctkPushButton(StandIn, QtWidgets.QPushButton):
    pass


class ctkMenuButton(StandIn, QtWidgets.QPushButton):
    pass


class ctkMessageBox(StandIn, QtWidgets.QMessageBox):
    dontShowAgain = stored_property(bool, "dontShowAgain", False)
    dontShowAgainSettingsKey = stored_property(str, "dontShowAgainSettingsKey", "")
    dontShowAgainVisible = stored_property(bool, "dontShowAgainVisible", False)
