"""What all stand-ins of C++ widgets have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from PySide6 import QtWidgets


class StandIn:
    """Mixed into a stand-in; from outside it looks like the C++ class of its name.

    Private names (``_text``) are the stand-in's own; public names must be the C++ class's. Signals whose C++ type Python does not
    know, such as ``vtkMRMLNode*``, stand in `cpp_signals`: signature to the conversion of the argument, None for none.
    """

    cpp_class = True
    cpp_signals: ClassVar[dict[str, Callable[[Any], Any] | None]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("slicer_host."):
            cls.cpp_class = True


def parent_of(arguments: tuple[Any, ...]) -> QtWidgets.QWidget | None:
    """The parent among the arguments of a constructor, where it always stands last."""
    return arguments[-1] if arguments and isinstance(arguments[-1], QtWidgets.QWidget) else None


def row_layout(widget: QtWidgets.QWidget, *children: QtWidgets.QWidget) -> None:
    """Lays children out in a row without margins; the first takes the room that is left."""
    layout = QtWidgets.QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for index, child in enumerate(children):
        layout.addWidget(child, 1 if index == 0 else 0)
