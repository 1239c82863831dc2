"""Stand-ins of CTK's sections of a panel, which fold."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host.properties import qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import StandIn, parent_of

HEADER_HEIGHT = 24  # pixels
UNLIMITED_HEIGHT = 16777215  # Qt's QWIDGETSIZE_MAX
WANTED = "visibilityToParent"  # CTK's property of a child: whether it is to be seen once the container is unfolded


class Folding(StandIn):
    """Mixed into a checkable container: unchecked it is folded and its children are hidden.

    A child that is hidden or shown while its container is folded keeps that for later, as in CTK. Children are looked at when
    they are complete and the container is shown: before, PySide6 would take them for bare widgets for ever.
    """

    _collapsed = False
    _isFolding = False

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
        if self.testAttribute(QtCore.Qt.WidgetAttribute.WA_WState_Created):
            self._foldChildren()
        self.maximumHeight = HEADER_HEIGHT if collapsed else UNLIMITED_HEIGHT
        self.checked = not collapsed
        self.updateGeometry()

    collapsed = qt_property(bool, lambda self: self._collapsed, lambda self, collapsed: self._setCollapsed(collapsed))
    collapsedHeight = stored_property(int, "collapsedHeight", 14)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        self._foldChildren()
        super().showEvent(event)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        if event.polished():
            self._fold(event.child())
        super().childEvent(event)

    def eventFilter(self, child: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if not self._isFolding and event.type() == QtCore.QEvent.Type.ShowToParent:
            child.setProperty(WANTED, True)
            self._fold(child)
        elif not self._isFolding and event.type() == QtCore.QEvent.Type.HideToParent:
            child.setProperty(WANTED, False)
        return super().eventFilter(child, event)

    def _foldChildren(self) -> None:
        for child in self.children():
            self._fold(child)

    def _fold(self, child: QtCore.QObject) -> None:
        if not isinstance(child, QtWidgets.QWidget):
            return
        if child.property(WANTED) is None:
            child.setProperty(WANTED, not child.isHidden())
            child.installEventFilter(self)
        wanted = child.property(WANTED)
        self._isFolding = True
        child.visible = wanted and not self._collapsed
        if wanted:  # the module has not asked for what was done here: hiding the hidden child must still be an event
            child.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
        self._isFolding = False


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
