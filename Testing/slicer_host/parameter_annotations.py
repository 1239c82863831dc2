"""What may annotate a parameter's type: ``Annotated[float, WithinRange(-180, 180), Decimals(1), Default(90.0)]``."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

import slicer


@dataclasses.dataclass
class Decimals:
    value: int


@dataclasses.dataclass
class SingleStep:
    value: float


class Default:
    """The first value of a parameter, or a function that makes it."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value = value
        self._generator = generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator is not None else self._value


class Validator:
    """Says whether a parameter may have a value."""

    def validate(self, value: Any) -> None:
        """Raises an error if the parameter may not."""
        raise NotImplementedError


class NotNone(Validator):
    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


class IsInstance(Validator):
    def __init__(self, classtype: type | tuple[type, ...]) -> None:
        self.classtype = classtype

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"Value must be of type '{self.classtype}', is type '{type(value)}' value '{value}'")


class WithinRange(Validator):
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Minimum(Validator):
    def __init__(self, minimum: float) -> None:
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must be greater than {self.minimum}, is {value}")


class Maximum(Validator):
    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must be less than {self.maximum}, is {value}")


class Choice(Validator):
    def __init__(self, choices: Sequence[Any]) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


class Exclude(Validator):
    def __init__(self, excludedValues: Sequence[Any]) -> None:
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value is {value}, but must not be in the following: {self.excludedValues}")


def splitAnnotations(datatype: Any) -> tuple[Any, tuple[Any, ...]]:
    """Splits ``Annotated[type, annotations]``; a bare type has no annotations."""
    if get_origin(datatype) is Annotated:
        bare, *annotations = get_args(datatype)
        return bare, tuple(annotations)
    return datatype, ()


def unannotatedType(datatype: Any) -> Any:
    return splitAnnotations(datatype)[0]


def findFirstAnnotation(annotations: Sequence[Any], kind: type) -> Any:
    return next((annotation for annotation in annotations if isinstance(annotation, kind)), None)


def isNodeOrUnionOfNodes(datatype: Any) -> bool:
    """Whether a type is a node class, or a union of node classes and None."""
    members = _members(unannotatedType(datatype))
    nodes = [member for member in members if member is not type(None)]
    return bool(nodes) and all(isinstance(node, type) and issubclass(node, slicer.vtkMRMLNode) for node in nodes)


def getNodeTypes(datatype: Any) -> tuple[str, ...]:
    """The class names of `isNodeOrUnionOfNodes`, as a node selector wants them."""
    return tuple(member.__name__ for member in _members(unannotatedType(datatype)) if member is not type(None))


def _members(datatype: Any) -> tuple[Any, ...]:
    is_union = get_origin(datatype) is Union or isinstance(datatype, types.UnionType)
    return get_args(datatype) if is_union else (datatype,)
