"""How a parameter is kept in the parameter node: as text, or as a reference to a node."""

from __future__ import annotations

import enum
import pathlib
from typing import Any

from slicer_host.parameter_annotations import IsInstance, NotNone, Validator, getNodeTypes, isNodeOrUnionOfNodes

PATH_TYPES = (
    *(pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath),
    *(pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath),
)


class Storage:
    """A parameter kept as the text of its value.

    Args:
        datatype: Its bare type.
        validators: What every value must pass, first of all that it has the type.
    """

    def __init__(self, datatype: type, validators: list[Validator]) -> None:
        self.datatype = datatype
        self.validators = validators

    def default(self) -> Any:
        return self.datatype()

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return parameterNode.HasParameter(name)

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)
        parameterNode.SetParameter(name, str(value))

    def read(self, parameterNode: Any, name: str) -> Any:
        return self.datatype(parameterNode.GetParameter(name))


class BoolStorage(Storage):
    def read(self, parameterNode: Any, name: str) -> bool:
        return parameterNode.GetParameter(name) == "True"


class EnumStorage(Storage):
    """An enum kept as the name of its member, so that the values may change."""

    def default(self) -> enum.Enum:
        return next(iter(self.datatype))

    def write(self, parameterNode: Any, name: str, value: enum.Enum) -> None:
        for validator in self.validators:
            validator.validate(value)
        parameterNode.SetParameter(name, value.name)

    def read(self, parameterNode: Any, name: str) -> enum.Enum:
        return self.datatype[parameterNode.GetParameter(name)]


class NodeStorage(Storage):
    def default(self) -> None:
        return None

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)
        parameterNode.SetParameter(name, "")  # says that the parameter has a value, which may be no node
        parameterNode.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, parameterNode: Any, name: str) -> Any:
        return parameterNode.GetNodeReference(name)


def createStorage(datatype: Any, validators: list[Validator]) -> Storage:
    """Finds out how to keep a parameter of a type.

    Raises:
        TypeError: Slicer or this equivalent, which knows flat parameters only, cannot keep such a type.
    """
    if isNodeOrUnionOfNodes(datatype):
        import slicer

        classes = tuple(getattr(slicer, name) for name in getNodeTypes(datatype))
        return NodeStorage(datatype, [IsInstance(classes), *validators])
    if datatype is bool:
        return BoolStorage(bool, [NotNone(), IsInstance(bool), *validators])
    if datatype is float:
        return Storage(float, [NotNone(), IsInstance((int, float)), *validators])
    if datatype in (int, str, *PATH_TYPES):
        return Storage(datatype, [NotNone(), IsInstance(datatype), *validators])
    if isinstance(datatype, type) and issubclass(datatype, enum.Enum):
        return EnumStorage(datatype, [NotNone(), IsInstance(datatype), *validators])
    raise TypeError(f"Unable to create serializer for type: {datatype}")
