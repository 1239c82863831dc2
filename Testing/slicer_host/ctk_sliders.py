"""Stand-ins of CTK's widgets for one floating-point number."""

from __future__ import annotations

import math
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host.properties import forwarded_property, qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import StandIn, parent_of, row_layout


class ctkDoubleSpinBox(StandIn, QtWidgets.QDoubleSpinBox):
    decimalsChanged = QtCore.Signal(int)
    decimalsOption = stored_property(int, "decimalsOption", 0)
    invertedControls = stored_property(bool, "invertedControls", False)

    def setDecimals(self, decimals: int) -> None:
        super().setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    decimals = qt_property(int, QtWidgets.QDoubleSpinBox.decimals, setDecimals)


class ctkDoubleSlider(StandIn, QtWidgets.QWidget):
    """A slider whose handle moves by single steps."""

    valueChanged = QtCore.Signal(float)
    sliderMoved = QtCore.Signal(float)
    sliderPressed = QtCore.Signal()
    sliderReleased = QtCore.Signal()
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._minimum, self._maximum, self._singleStep, self._value = 0.0, 99.0, 1.0, 0.0
        self._handle = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        row_layout(self, self._handle)
        self._moveHandle()
        listen(self._handle, "valueChanged", self._onHandle)
        listen(self._handle, "sliderPressed", self._onPressed)
        listen(self._handle, "sliderReleased", self._onReleased)

    def setValue(self, value: float) -> None:
        value = min(max(float(value), self._minimum), self._maximum)
        changed = value != self._value
        self._value = value
        self._moveHandle()
        if changed:
            self.valueChanged.emit(value)

    def _setRange(self, minimum: float, maximum: float) -> None:
        self._minimum, self._maximum = minimum, maximum
        self.rangeChanged.emit(minimum, maximum)
        self.setValue(self._value)

    def _setMinimum(self, minimum: float) -> None:
        self._setRange(minimum, max(minimum, self._maximum))

    def _setMaximum(self, maximum: float) -> None:
        self._setRange(min(maximum, self._minimum), maximum)

    def _setSingleStep(self, step: float) -> None:
        self._singleStep = step
        self._moveHandle()

    value = qt_property(float, lambda self: self._value, setValue)
    minimum = qt_property(float, lambda self: self._minimum, _setMinimum)
    maximum = qt_property(float, lambda self: self._maximum, _setMaximum)
    singleStep = qt_property(float, lambda self: self._singleStep, _setSingleStep)
    pageStep = stored_property(float, "pageStep", 10.0)
    tickInterval = stored_property(float, "tickInterval", 0.0)
    tracking = stored_property(bool, "tracking", True)
    orientation = forwarded_property(int, "_handle", "orientation")

    def _onPressed(self) -> None:
        self.sliderPressed.emit()

    def _onReleased(self) -> None:
        self.sliderReleased.emit()

    def _onHandle(self, position: int) -> None:
        self.setValue(self._minimum + position * self._singleStep)
        self.sliderMoved.emit(self._value)

    def _moveHandle(self) -> None:
        steps = (self._maximum - self._minimum) / self._singleStep
        self._handle.blockSignals(True)
        self._handle.maximum = steps if math.isfinite(steps) else 0
        self._handle.value = round((self._value - self._minimum) / self._singleStep) if math.isfinite(steps) else 0
        self._handle.blockSignals(False)


class ctkSliderWidget(StandIn, QtWidgets.QWidget):
    """A slider and a spin box that show the same number; a number that is set is rounded to the spin box's decimals.

    Without `tracking` a drag is announced by `valueIsChanging`; `value` stays what it was until the handle is released. Unless
    `synchronizeSiblings` says otherwise, the sliders of one section share width and decimals: the last one that is set counts.
    """

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)
    NoSynchronize, SynchronizeWidth, SynchronizeDecimals = 0, 1, 2

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._slider = ctkDoubleSlider()
        self._spinBox = ctkDoubleSpinBox()
        self._slider.maximum = self._spinBox.maximum
        self._valueBeforeDrag: float | None = None
        row_layout(self, self._slider, self._spinBox)
        listen(self._slider, "valueChanged", self._onSlider)
        listen(self._slider, "sliderPressed", self._onPressed)
        listen(self._slider, "sliderReleased", self._onReleased)
        listen(self._spinBox, "valueChanged", self._onSpinBox)

    def setValue(self, value: float) -> None:
        self._spinBox.value = value

    def setDecimals(self, decimals: int) -> None:
        self._spinBox.decimals = decimals
        self._slider._setRange(self._spinBox.minimum, self._spinBox.maximum)
        self.decimalsChanged.emit(decimals)
        for sibling in self._siblings(self.SynchronizeDecimals):
            if sibling.decimals != decimals:
                sibling.setDecimals(decimals)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spinBox.visible = visible

    def reset(self) -> None:
        self.setValue(0.0)

    def _setMinimum(self, minimum: float) -> None:
        self._setBound("minimum", minimum)

    def _setMaximum(self, maximum: float) -> None:
        self._setBound("maximum", maximum)

    def _setBound(self, name: str, bound: float) -> None:
        """The spin box rounds the bound to its decimals; the slider, whose signals count, gets the rounded one."""
        self._spinBox.blockSignals(True)
        setattr(self._spinBox, name, bound)
        self._spinBox.blockSignals(False)
        setattr(self._slider, name, getattr(self._spinBox, name))

    def _setSingleStep(self, step: float) -> None:
        self._spinBox.singleStep = step
        self._slider.singleStep = step

    value = qt_property(float, lambda self: self._slider.value if self._valueBeforeDrag is None else self._valueBeforeDrag, setValue)
    minimum = qt_property(float, lambda self: self._slider.minimum, _setMinimum)
    maximum = qt_property(float, lambda self: self._slider.maximum, _setMaximum)
    singleStep = qt_property(float, lambda self: self._spinBox.singleStep, _setSingleStep)
    decimals = qt_property(int, lambda self: self._spinBox.decimals, setDecimals)
    prefix = forwarded_property(str, "_spinBox", "prefix")
    suffix = forwarded_property(str, "_spinBox", "suffix")
    spinBoxAlignment = stored_property(int, "spinBoxAlignment", 0)
    spinBoxVisible = qt_property(bool, lambda self: not self._spinBox.isHidden(), setSpinBoxVisible)
    pageStep = forwarded_property(float, "_slider", "pageStep")
    tickInterval = forwarded_property(float, "_slider", "tickInterval")
    tickPosition = stored_property(int, "tickPosition", 0)
    tracking = stored_property(bool, "tracking", True)
    popupSlider = stored_property(bool, "popupSlider", False)
    invertedAppearance = stored_property(bool, "invertedAppearance", False)
    invertedControls = stored_property(bool, "invertedControls", False)
    synchronizeSiblings = stored_property(int, "synchronizeSiblings", SynchronizeWidth | SynchronizeDecimals)

    def _siblings(self, mode: int) -> list[ctkSliderWidget]:
        """The other sliders of the section, if they and this one share what `mode` says."""
        parent = self.parent()
        if parent is None or not self.synchronizeSiblings & mode:
            return []
        return [other for other in parent.findChildren(ctkSliderWidget) if other is not self and other.synchronizeSiblings & mode]

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        boxes = [self._spinBox, *(sibling._spinBox for sibling in self._siblings(self.SynchronizeWidth))]
        self._spinBox.minimumWidth = max(box.sizeHint.width() for box in boxes)
        super().showEvent(event)

    def _onPressed(self) -> None:
        if not self.tracking:
            self._valueBeforeDrag = self._slider.value

    def _onReleased(self) -> None:
        before, self._valueBeforeDrag = self._valueBeforeDrag, None
        if before is not None and self._slider.value != before:
            self.valueChanged.emit(self._slider.value)

    def _onSpinBox(self, value: float) -> None:
        self._slider.setValue(value)

    def _onSlider(self, value: float) -> None:
        self._spinBox.blockSignals(True)
        self._spinBox.value = value
        self._spinBox.blockSignals(False)
        if not self.tracking:
            self.valueIsChanging.emit(value)
        if self._valueBeforeDrag is None:
            self.valueChanged.emit(value)
