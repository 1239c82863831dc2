"""Stand-ins of CTK's widgets for floating-point numbers."""

from __future__ import annotations

import math
from typing import Any

from PySide6 import QtCore, QtWidgets

from slicer_host.properties import qt_property, stored_property
from slicer_host.stand_in import StandIn, parent_of, row_layout

STEPS = 10000  # positions of the integer slider behind a floating-point one


class ctkDoubleSpinBox(StandIn, QtWidgets.QDoubleSpinBox):
    decimalsOption = stored_property(int, "decimalsOption", 0)
    decimalsChanged = QtCore.Signal(int)
    invertedControls = stored_property(bool, "invertedControls", False)


class ctkDoubleSlider(StandIn, QtWidgets.QWidget):
    valueChanged = QtCore.Signal(float)
    positionChanged = QtCore.Signal(float)
    sliderMoved = QtCore.Signal(float)
    sliderPressed = QtCore.Signal()
    sliderReleased = QtCore.Signal()
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._minimum, self._maximum, self._value = 0.0, 99.0, 0.0
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.maximum = STEPS
        row_layout(self, self._slider)
        self._slider.valueChanged.connect(self._onSlider)
        self._slider.sliderPressed.connect(self.sliderPressed.emit)
        self._slider.sliderReleased.connect(self.sliderReleased.emit)

    def setValue(self, value: float) -> None:
        value = min(max(float(value), self._minimum), self._maximum)
        changed = value != self._value
        self._value = value
        self._showValue()
        if changed:
            self.valueChanged.emit(value)

    def _setRange(self, minimum: float, maximum: float) -> None:
        self._minimum, self._maximum = float(minimum), float(maximum)
        self.rangeChanged.emit(self._minimum, self._maximum)
        self.setValue(self._value)

    def _setMinimum(self, minimum: float) -> None:
        self._setRange(minimum, max(minimum, self._maximum))

    def _setMaximum(self, maximum: float) -> None:
        self._setRange(min(maximum, self._minimum), maximum)

    value = qt_property(float, lambda self: self._value, setValue)
    minimum = qt_property(float, lambda self: self._minimum, _setMinimum)
    maximum = qt_property(float, lambda self: self._maximum, _setMaximum)
    singleStep = stored_property(float, "singleStep", 1.0)
    pageStep = stored_property(float, "pageStep", 10.0)
    tickInterval = stored_property(float, "tickInterval", 0.0)
    tracking = stored_property(bool, "tracking", True)

    def _onSlider(self, position: int) -> None:
        self.setValue(self._minimum + (self._maximum - self._minimum) * position / STEPS)

    def _showValue(self) -> None:
        width = self._maximum - self._minimum
        position = round(STEPS * (self._value - self._minimum) / width) if 0 < width < math.inf else 0
        self._slider.blockSignals(True)
        self._slider.value = position
        self._slider.blockSignals(False)


class ctkSliderWidget(StandIn, QtWidgets.QWidget):
    """A slider and a spin box that show the same number."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)
    NoSynchronize, SynchronizeWidth, SynchronizeDecimals, SynchronizeSiblings = 0, 1, 2, 3

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._slider = ctkDoubleSlider()
        self._spinBox = ctkDoubleSpinBox()
        row_layout(self, self._slider, self._spinBox)
        self._slider.valueChanged.connect(self._onSlider)
        self._spinBox.valueChanged.connect(self._onSpinBox)
        self._slider.sliderReleased.connect(self._onReleased)
        self._sent = 0.0

    def setValue(self, value: float) -> None:
        self._spinBox.value = value

    def setDecimals(self, decimals: int) -> None:
        self._spinBox.decimals = decimals
        self.decimalsChanged.emit(decimals)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spinBox.visible = visible

    def reset(self) -> None:
        self.setValue(0.0)

    def _setMinimum(self, minimum: float) -> None:
        self._setRange(minimum, max(minimum, self._spinBox.maximum))

    def _setMaximum(self, maximum: float) -> None:
        self._setRange(min(maximum, self._spinBox.minimum), maximum)

    def _setRange(self, minimum: float, maximum: float) -> None:
        self._slider._setRange(minimum, maximum)
        QtWidgets.QDoubleSpinBox.setRange(self._spinBox, minimum, maximum)

    def _setSingleStep(self, step: float) -> None:
        self._spinBox.singleStep = step
        self._slider.singleStep = step

    value = qt_property(float, lambda self: self._spinBox.value, setValue)
    minimum = qt_property(float, lambda self: self._spinBox.minimum, _setMinimum)
    maximum = qt_property(float, lambda self: self._spinBox.maximum, _setMaximum)
    singleStep = qt_property(float, lambda self: self._spinBox.singleStep, _setSingleStep)
    decimals = qt_property(int, lambda self: self._spinBox.decimals, setDecimals)
    prefix = qt_property(str, lambda self: self._spinBox.prefix, lambda self, text: setattr(self._spinBox, "prefix", text))
    suffix = qt_property(str, lambda self: self._spinBox.suffix, lambda self, text: setattr(self._spinBox, "suffix", text))
    spinBoxVisible = qt_property(bool, lambda self: not self._spinBox.isHidden(), setSpinBoxVisible)
    pageStep = stored_property(float, "pageStep", 10.0)
    tickInterval = stored_property(float, "tickInterval", 0.1)
    tracking = stored_property(bool, "tracking", True)
    popupSlider = stored_property(bool, "popupSlider", False)
    invertedAppearance = stored_property(bool, "invertedAppearance", False)
    invertedControls = stored_property(bool, "invertedControls", False)
    synchronizeSiblings = stored_property(int, "synchronizeSiblings", 0)

    def _onSlider(self, value: float) -> None:
        self._spinBox.value = value

    def _onSpinBox(self, value: float) -> None:
        self._slider.setValue(value)
        if not self.tracking and self._slider._slider.isSliderDown():
            self.valueIsChanging.emit(value)
        else:
            self._sent = value
            self.valueChanged.emit(value)

    def _onReleased(self) -> None:
        if self._sent != self.value:
            self._sent = self.value
            self.valueChanged.emit(self.value)


class ctkRangeWidget(StandIn, QtWidgets.QWidget):
    """Two spin boxes for the lower and the upper end of a range."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._lower, self._upper = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        self._upper.value = 99.0
        row_layout(self, self._lower, self._upper)
        self._lower.valueChanged.connect(self._onLower)
        self._upper.valueChanged.connect(self._onUpper)

    def setRange(self, minimum: float, maximum: float) -> None:
        for box in (self._lower, self._upper):
            box.setRange(minimum, maximum)
        self.rangeChanged.emit(minimum, maximum)

    def setValues(self, lower: float, upper: float) -> None:
        before = (self._lower.value, self._upper.value)
        for box, value in ((self._lower, lower), (self._upper, upper)):
            box.blockSignals(True)
            box.value = value
            box.blockSignals(False)
        if (self._lower.value, self._upper.value) != before:
            self.valuesChanged.emit(self._lower.value, self._upper.value)

    def setMinimumValue(self, value: float) -> None:
        self._lower.value = value

    def setMaximumValue(self, value: float) -> None:
        self._upper.value = value

    def _setEach(self, name: str, value: Any) -> None:
        for box in (self._lower, self._upper):
            setattr(box, name, value)

    minimumValue = qt_property(float, lambda self: self._lower.value, setMinimumValue)
    maximumValue = qt_property(float, lambda self: self._upper.value, setMaximumValue)
    minimum = qt_property(float, lambda self: self._lower.minimum, lambda self, value: self._setEach("minimum", value))
    maximum = qt_property(float, lambda self: self._lower.maximum, lambda self, value: self._setEach("maximum", value))
    decimals = qt_property(int, lambda self: self._lower.decimals, lambda self, value: self._setEach("decimals", value))
    singleStep = qt_property(float, lambda self: self._lower.singleStep, lambda self, value: self._setEach("singleStep", value))
    suffix = qt_property(str, lambda self: self._lower.suffix, lambda self, value: self._setEach("suffix", value))

    def _onLower(self, value: float) -> None:
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._upper.value)

    def _onUpper(self, value: float) -> None:
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._lower.value, value)
