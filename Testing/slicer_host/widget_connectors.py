"""Which widget can show a parameter of which type, and how it is read, written and listened to."""

from __future__ import annotations

import enum
from typing import Any

import ctk
import qt
import slicer

from slicer_host.gui_connectors import GuiConnector, parameterNodeGuiConnector
from slicer_host.parameter_annotations import (
    Choice,
    Decimals,
    Maximum,
    Minimum,
    SingleStep,
    WithinRange,
    findFirstAnnotation,
    getNodeTypes,
    isNodeOrUnionOfNodes,
)
from slicer_host.parameter_annotations import unannotatedType as _bare
from slicer_host.parameter_storage import PATH_TYPES


@parameterNodeGuiConnector
class CheckBoxConnector(GuiConnector):
    signal = "stateChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return _bare(datatype) is bool and type(widget) in (qt.QCheckBox, ctk.ctkCheckBox)

    def read(self) -> bool:
        return self._widget.checked

    def write(self, value: bool) -> None:
        self._widget.checked = value


@parameterNodeGuiConnector
class PushButtonConnector(CheckBoxConnector):
    signal = "toggled"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return _bare(datatype) is bool and type(widget) is qt.QPushButton

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        widget.checkable = True


class NumberConnector(GuiConnector):
    """Sets the widget's range, decimals and single step from the annotations of the type."""

    signal = "valueChanged"
    lowest: float
    highest: float
    sliders: tuple[type, ...]

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        decimals = self._decimals()
        if decimals is not None and not isinstance(widget, ctk.ctkDoubleSlider):
            widget.decimals = decimals.value
        step = self._annotation(SingleStep)
        if step is not None:
            widget.singleStep = step.value
        both, lower, upper = self._annotation(WithinRange), self._annotation(Minimum), self._annotation(Maximum)
        if type(widget) in self.sliders and both is None and (lower is None or upper is None):
            raise RuntimeError(f"Cannot have a connection to {type(widget).__name__} where the {self._type.__name__} type is unbounded.")
        lower, upper = both or lower, both or upper
        widget.minimum = lower.minimum if lower is not None else self.lowest
        widget.maximum = upper.maximum if upper is not None else self.highest

    def _decimals(self) -> Decimals | None:
        return self._annotation(Decimals)

    def _annotation(self, kind: type) -> Any:
        return findFirstAnnotation(self._annotations, kind)

    def read(self) -> float:
        return self._type(self._widget.value)

    def write(self, value: float) -> None:
        self._widget.value = self._type(value)


@parameterNodeGuiConnector
class IntConnector(NumberConnector):
    lowest, highest = -(2**31), 2**31 - 1
    sliders = (qt.QSlider,)

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return _bare(datatype) is int and type(widget) in (qt.QSlider, qt.QSpinBox)


@parameterNodeGuiConnector
class FloatConnector(NumberConnector):
    lowest, highest = float("-inf"), float("inf")
    sliders = (ctk.ctkSliderWidget, slicer.qMRMLSliderWidget)
    widgets = (qt.QDoubleSpinBox, *sliders, ctk.ctkDoubleSlider, ctk.ctkDoubleSpinBox, slicer.qMRMLSpinBox)

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return _bare(datatype) in (float, int) and type(widget) in FloatConnector.widgets

    def _decimals(self) -> Decimals | None:
        return Decimals(0) if self._type is int else super()._decimals()


class ListConnector(GuiConnector):
    """A list that shows one of several values."""

    signal = "currentIndexChanged"

    def _fill(self, values: list[Any], texts: list[str]) -> None:
        self._values = values
        self._widget.clear()
        for text in texts:
            self._widget.addItem(text)

    def read(self) -> Any:
        return self._values[self._widget.currentIndex]

    def write(self, value: Any) -> None:
        if value not in self._values:
            raise ValueError(f"Unable to find value {value} in choices {self._values}")
        self._widget.currentIndex = self._values.index(value)


@parameterNodeGuiConnector
class ChoiceConnector(ListConnector):
    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) in (qt.QComboBox, ctk.ctkComboBox) and _bare(datatype) in (int, float, str, bool)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        choice = findFirstAnnotation(self._annotations, Choice)
        if choice is None:
            raise RuntimeError("A combo box requires the Choice annotation to be used.")
        self._fill(list(choice.choices), [str(value) for value in choice.choices])


@parameterNodeGuiConnector
class EnumConnector(ListConnector):
    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        bare = _bare(datatype)
        return type(widget) in (qt.QComboBox, ctk.ctkComboBox) and isinstance(bare, type) and issubclass(bare, enum.Enum)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        label = getattr(self._type, "label", lambda member: member.name)
        selected = list(self._type)[widget.currentIndex]
        self._fill(list(self._type), [label(member) for member in self._type])
        self.write(selected)


@parameterNodeGuiConnector
class LineEditConnector(GuiConnector):
    signal = "textChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is qt.QLineEdit and _bare(datatype) is str

    def read(self) -> str:
        return self._widget.text

    def write(self, value: str) -> None:
        if value != self._widget.text:  # else the cursor would jump to the end while one types
            self._widget.text = value


@parameterNodeGuiConnector
class LabelConnector(LineEditConnector):
    signal = ""

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is qt.QLabel and _bare(datatype) is str


@parameterNodeGuiConnector
class TextEditConnector(GuiConnector):
    signal = "textChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is qt.QTextEdit and _bare(datatype) is str

    def read(self) -> str:
        return self._widget.toPlainText()

    def write(self, value: str) -> None:
        self._widget.setPlainText(value)


class PathConnector(GuiConnector):
    path = ""

    def read(self) -> Any:
        return self._type(getattr(self._widget, self.path))

    def write(self, value: Any) -> None:
        setattr(self._widget, self.path, str(value))


@parameterNodeGuiConnector
class PathLineEditConnector(PathConnector):
    signal, path = "currentPathChanged", "currentPath"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is ctk.ctkPathLineEdit and _bare(datatype) in PATH_TYPES


@parameterNodeGuiConnector
class DirectoryButtonConnector(PathConnector):
    signal, path = "directoryChanged", "directory"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is ctk.ctkDirectoryButton and _bare(datatype) in PATH_TYPES


@parameterNodeGuiConnector
class NodeConnector(GuiConnector):
    signal = "currentNodeChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is slicer.qMRMLNodeComboBox and isNodeOrUnionOfNodes(datatype)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        widget.nodeTypes = getNodeTypes(datatype)

    def read(self) -> Any:
        return self._widget.currentNode()

    def write(self, value: Any) -> None:
        self._widget.setCurrentNode(value)
