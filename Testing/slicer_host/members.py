"""Which members of a Qt, CTK or qMRML class Python sees in a real Slicer.

``pythonqt_members.txt`` has one class a line: its name and what it shows beyond QWidget's (or, if it is no widget, QObject's)
members, as a real Slicer 5.13 listed them. A helper that is public in C++ or PySide6 but hidden there must not pass a test here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

# Virtual methods which PySide6 looks up on an object to see whether Python overrides them.
_LOOKED_UP_BY_QT = (
    *("connectNotify", "disconnectNotify", "initStyleOption", "skipData"),
    *("clear", "fixup", "interpretText", "stepBy", "stepEnabled", "textFromValue", "validate", "valueFromText"),
    *("closeEditor", "commitData", "currentChanged", "dataChanged", "editorDestroyed", "selectionChanged", "updateGeometries"),
    *("horizontalScrollbarAction", "horizontalScrollbarValueChanged", "verticalScrollbarAction", "verticalScrollbarValueChanged"),
    *("initViewItemOption", "itemDelegateForIndex", "rowsAboutToBeRemoved", "rowsInserted", "updateEditorData", "updateEditorGeometries"),
)

# PythonQt answers these, though it does not list them.
_NOT_LISTED = ("name",)


@cache
def shown_members(class_name: str, is_widget: bool) -> frozenset[str] | None:
    """The members that Slicer's Python sees on an instance of a class; None if the class was not listed there."""
    listed = _listed()
    if class_name not in listed:
        return None
    inherited = listed["QObject"] | (listed["QWidget"] if is_widget else frozenset())
    return listed[class_name] | inherited | frozenset(_NOT_LISTED) | frozenset(_LOOKED_UP_BY_QT)


@cache
def _listed() -> dict[str, frozenset[str]]:
    lines = Path(__file__).with_name("pythonqt_members.txt").read_text(encoding="utf-8").splitlines()
    return {name: frozenset(members.split()) for name, members in (line.split(":") for line in lines)}
