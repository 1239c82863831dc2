"""Stand-ins of CTK's sections of a panel, which fold."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host.properties import qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import StandIn, parent_of

HEADER_HEIGHT = 24  # pixels
UNLIMITED_HEIGHT = 16777215  # Qt's QWIDGETSIZE_MAX


class Folding(StandIn):
    """Mixed into a checkable container: unchecked it is folded, its children are hidden."""

    _collapsed = False
    _hidden: tuple[QtWidgets.QWidget, ...] = ()

    def _foldByCheckMark(self) -> None:
        self.checkable = True
        self.checked = True
        listen(self, "toggled", self._onToggled)

    def _onToggled(self, expanded: bool) -> None:
        self._setCollapsed(not expanded)

    def _setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            widgets = (child for child in self.children() if isinstance(child, QtWidgets.QWidget))
            self._hidden = tuple(widget for widget in widgets if not widget.isHidden())
        for widget in self._hidden:
            widget.visible = not collapsed
        self.maximumHeight = HEADER_HEIGHT if collapsed else UNLIMITED_HEIGHT
        self.checked = not collapsed
        self.updateGeometry()

    collapsed = qt_property(bool, lambda self: self._collapsed, lambda self, collapsed: self._setCollapsed(collapsed))
    collapsedHeight = stored_property(int, "collapsedHeight", 14)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        # Not when it is added: a child that is still being constructed would be taken for a plain QWidget ever after.
        if self._collapsed and event.polished() and isinstance(event.child(), QtWidgets.QWidget):
            self._hidden = (*self._hidden, event.child())
            event.child().hide()
        super().childEvent(event)


class ctkCollapsibleButton(Folding, QtWidgets.QAbstractButton):
    """A section with a header that one clicks to fold what is below."""

    contentsCollapsed = QtCore.Signal(bool)
    buttonTextAlignment = stored_property(int, "buttonTextAlignment", 0)
    indicatorAlignment = stored_property(int, "indicatorAlignment", 0)
    contentsFrameShape = stored_property(int, "contentsFrameShape", 6)
    contentsFrameShadow = stored_property(int, "contentsFrameShadow", 48)
    contentsLineWidth = stored_property(int, "contentsLineWidth", 1)
    contentsMidLineWidth = stored_property(int, "contentsMidLineWidth", 0)
    flat = stored_property(bool, "flat", False)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        if arguments and isinstance(arguments[0], str):
            self.text = arguments[0]
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(4, HEADER_HEIGHT + 2, 4, 4)
        self._foldByCheckMark()

    def _setCollapsed(self, collapsed: bool) -> None:
        changed = collapsed != self._collapsed
        super()._setCollapsed(collapsed)
        if changed:
            self.contentsCollapsed.emit(collapsed)

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        return QtCore.QSize(200, HEADER_HEIGHT) if layout is None or self._collapsed else layout.totalSizeHint()

    def minimumSizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        return QtCore.QSize(60, HEADER_HEIGHT) if layout is None or self._collapsed else layout.totalMinimumSize()

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


class ctkCollapsibleGroupBox(Folding, QtWidgets.QGroupBox):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._foldByCheckMark()
