"""Stand-ins of CTK's widgets for several floating-point numbers: the ends of a range, coordinates."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from slicer_host.properties import qt_property, stored_property
from slicer_host.signals import listen
from slicer_host.stand_in import StandIn, parent_of, row_layout


class ctkRangeWidget(StandIn, QtWidgets.QWidget):
    """Two spin boxes for the lower and the upper end of a range."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._lower, self._upper = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        self._upper.value = self._upper.maximum
        row_layout(self, self._lower, self._upper)
        listen(self._lower, "valueChanged", self._onLower)
        listen(self._upper, "valueChanged", self._onUpper)

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

    def setDecimals(self, decimals: int) -> None:
        self._setBoth("decimals", decimals)

    def _setBoth(self, name: str, value: Any) -> None:
        for box in (self._lower, self._upper):
            setattr(box, name, value)

    minimumValue = qt_property(float, lambda self: self._lower.value, setMinimumValue)
    maximumValue = qt_property(float, lambda self: self._upper.value, setMaximumValue)
    minimum = qt_property(float, lambda self: self._lower.minimum, lambda self, value: self._setBoth("minimum", value))
    maximum = qt_property(float, lambda self: self._lower.maximum, lambda self, value: self._setBoth("maximum", value))
    decimals = qt_property(int, lambda self: self._lower.decimals, setDecimals)
    singleStep = qt_property(float, lambda self: self._lower.singleStep, lambda self, value: self._setBoth("singleStep", value))
    prefix = qt_property(str, lambda self: self._lower.prefix, lambda self, value: self._setBoth("prefix", value))
    suffix = qt_property(str, lambda self: self._lower.suffix, lambda self, value: self._setBoth("suffix", value))
    tickInterval = stored_property(float, "tickInterval", 0.0)
    tracking = stored_property(bool, "tracking", True)
    symmetricMoves = stored_property(bool, "symmetricMoves", False)

    def _onLower(self, value: float) -> None:
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._upper.value)

    def _onUpper(self, value: float) -> None:
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._lower.value, value)


class ctkDoubleRangeSlider(ctkRangeWidget):
    pass


class ctkCoordinatesWidget(StandIn, QtWidgets.QWidget):
    """A spin box for every coordinate; `coordinates` is a text such as ``1,2,3``."""

    coordinatesChanged = QtCore.Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._boxes: list[QtWidgets.QDoubleSpinBox] = []
        row_layout(self)
        self._setDimension(3)

    def setCoordinates(self, *coordinates: Any) -> None:
        values = coordinates if len(coordinates) > 1 else [float(text) for text in coordinates[0].split(",")]
        for box, value in zip(self._boxes, values, strict=True):
            box.value = value

    def getCoordinate(self, index: int) -> float:
        return self._boxes[index].value

    def setDecimals(self, decimals: int) -> None:
        self._setEach("decimals", decimals)

    def _setDimension(self, dimension: int) -> None:
        for box in self._boxes:
            box.deleteLater()
        self._boxes = [QtWidgets.QDoubleSpinBox() for _ in range(dimension)]
        for box in self._boxes:
            box.setRange(-100000.0, 100000.0)
            listen(box, "valueChanged", self._onChanged)
            self.layout().addWidget(box)

    def _setEach(self, name: str, value: Any) -> None:
        for box in self._boxes:
            setattr(box, name, value)

    def _onChanged(self) -> None:
        self.coordinatesChanged.emit([box.value for box in self._boxes])

    coordinates = qt_property(str, lambda self: ",".join(f"{box.value:g}" for box in self._boxes), setCoordinates)
    dimension = qt_property(int, lambda self: len(self._boxes), _setDimension)
    decimals = qt_property(int, lambda self: self._boxes[0].decimals, setDecimals)
    minimum = qt_property(float, lambda self: self._boxes[0].minimum, lambda self, value: self._setEach("minimum", value))
    maximum = qt_property(float, lambda self: self._boxes[0].maximum, lambda self, value: self._setEach("maximum", value))
    singleStep = qt_property(float, lambda self: self._boxes[0].singleStep, lambda self, value: self._setEach("singleStep", value))
    readOnly = qt_property(bool, lambda self: self._boxes[0].readOnly, lambda self, value: self._setEach("readOnly", value))
