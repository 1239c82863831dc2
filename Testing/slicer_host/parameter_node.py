"""The equivalent of ``slicer.parameterNodeWrapper`` for flat parameters: bool, int, float, str, enums, paths and nodes.

What Slicer refuses is refused here with the same kind of error; lists, dictionaries and parameter packs, which Slicer allows, are
refused as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, get_type_hints

import qt
import slicer
import vtk

from slicer_host import widget_connectors  # noqa: F401 - makes its connectors known
from slicer_host.gui_connectors import GuiConnector, createGuiConnector, parameterNodeGuiConnector
from slicer_host.parameter_annotations import (
    Choice,
    Decimals,
    Default,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    Validator,
    WithinRange,
    findFirstAnnotation,
    getNodeTypes,
    isNodeOrUnionOfNodes,
    splitAnnotations,
    unannotatedType,
)
from slicer_host.parameter_storage import createStorage

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "GuiConnector",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "createGuiConnector",
    "findFirstAnnotation",
    "getNodeTypes",
    "isNodeOrUnionOfNodes",
    "isParameterNodeWrapper",
    "parameterNodeGuiConnector",
    "parameterNodeWrapper",
    "splitAnnotations",
    "unannotatedType",
]

SlicerParameterNamePropertyName = "SlicerParameterName"


class Parameter:
    """A parameter of a wrapper class: its name, its type, how it is kept and what it is at first."""

    def __init__(self, owner: type, name: str, datatype: Any) -> None:
        self.name = name
        self.unalteredType = datatype
        bare, annotations = splitAnnotations(datatype)
        try:
            self.storage = createStorage(bare, [annotation for annotation in annotations if isinstance(annotation, Validator)])
        except TypeError as error:
            raise Exception(f"Unable to create serializer for {owner} member {name}") from error
        if hasattr(owner, name):
            self.default = Default(getattr(owner, name))
        else:
            self.default = findFirstAnnotation(annotations, Default) or Default(self.storage.default())

    def read(self, parameterNode: Any) -> Any:
        if not self.storage.isIn(parameterNode, self.name):
            self.storage.write(parameterNode, self.name, self.default.value)
        return self.storage.read(parameterNode, self.name)

    def write(self, parameterNode: Any, value: Any) -> None:
        with slicer.util.NodeModify(parameterNode):
            self.storage.write(parameterNode, self.name, value)


class ParameterNodeMethods:
    """What every wrapper class can do; `parameterNodeWrapper` gives it these methods."""

    allParameters: dict[str, Parameter]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._connections: dict[int, tuple[dict[str, GuiConnector], int]] = {}
        self._nextTag = 0
        self._updatingGUI = False
        for parameter in self.allParameters.values():
            if not parameter.storage.isIn(parameterNode, parameter.name):
                parameter.write(parameterNode, parameter.default.value)

    @classmethod
    def _parameter(cls, name: str) -> Parameter:
        if name not in cls.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}\n  Found parameters {list(cls.allParameters)}")
        return cls.allParameters[name]

    @classmethod
    def dataType(cls, name: str) -> Any:
        return cls._parameter(name).unalteredType

    def default(self, name: str) -> Default:
        return self._parameter(name).default

    def isCached(self, name: str) -> bool:
        """Whether Slicer reads the parameter from its cache: as it does all flat parameters."""
        return self._parameter(name) is not None

    def getValue(self, name: str) -> Any:
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name: str, value: Any) -> None:
        self._parameter(name).write(self.parameterNode, value)

    def connectGui(self, gui: Any) -> int:
        """Connects the widgets of a panel, or of ``childWidgetVariables``, by their property ``SlicerParameterName``."""
        is_widget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if is_widget else vars(gui).values()
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Connects widgets to parameters by name; gives a tag for `disconnectGui`."""
        connectors = {
            name: widget if isinstance(widget, GuiConnector) else createGuiConnector(widget, self.dataType(name))
            for name, widget in mapping.items()
        }
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(functools.partial(self._updateParameter, name, connector))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._updateGUI())
        tag, self._nextTag = self._nextTag, self._nextTag + 1
        self._connections[tag] = (connectors, observer)
        return tag

    def disconnectGui(self, tag: int) -> None:
        connectors, observer = self._connections.pop(tag, ({}, None))
        for connector in connectors.values():
            connector.onChanged(None)
        if observer is not None:
            self.RemoveObserver(observer)

    def _updateParameter(self, name: str, connector: GuiConnector) -> None:
        if not self._updatingGUI:
            self.setValue(name, connector.read())

    def _updateGUI(self) -> None:
        if self._updatingGUI:
            return
        self._updatingGUI = True
        try:
            with slicer.util.NodeModify(self):
                for connectors, _ in self._connections.values():
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updatingGUI = False

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying: int) -> int:
        return self.parameterNode.EndModify(wasModifying)

    def AddObserver(self, event: Any, callback: Callable[..., None], priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Class decorator that makes the annotated attributes of a class parameters kept in a parameter node."""
    if classtype is None:
        return parameterNodeWrapper
    parameters = {name: Parameter(classtype, name, datatype) for name, datatype in get_type_hints(classtype, include_extras=True).items()}
    for name in parameters:
        setattr(classtype, name, _property(name))
    for name, method in vars(ParameterNodeMethods).items():
        if name.startswith("__") and name != "__init__":
            continue
        if hasattr(classtype, name) and name != "__init__":
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        setattr(classtype, name, method)
    classtype.allParameters = parameters
    return classtype


def isParameterNodeWrapper(classOrObject: Any) -> bool:
    return getattr(classOrObject, "_is_parameter_node_wrapper", False)


def _property(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))
