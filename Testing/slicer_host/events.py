"""What a user does at a panel: wait, click, drag, type and choose, with real events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtTest, QtWidgets

DRAG_STEPS = 10  # positions between the first and the last value of a dragged slider


def process_events(seconds: float = 0.0) -> None:
    """Lets Qt work through its events, at least once and for `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        QtWidgets.QApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        if time.monotonic() >= deadline:
            return
        time.sleep(0.005)


def wait_until(condition: Callable[[], bool], seconds: float = 10.0, message: str = "") -> None:
    """Lets Qt work until a condition holds.

    Raises:
        AssertionError: It does not hold within `seconds`; `message` says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {message or condition}"
        process_events(0.01)


def click(button: Any) -> None:
    """Presses and releases the left mouse button on a button, after showing its panel if no window shows it yet.

    Raises:
        AssertionError: A user could not click it: it is hidden or disabled.
    """
    _assert_usable(button)
    position = QtCore.QPoint(min(10, button.width // 2), min(10, button.height // 2))
    QtTest.QTest.mouseClick(button, QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier, position)
    process_events()


def drag_slider(slider: Any, value: float) -> None:
    """Drags a slider or slider widget to a value through values between, as a mouse does."""
    _assert_usable(slider)
    start = slider.value
    for step in range(1, DRAG_STEPS + 1):
        position = start + (value - start) * step / DRAG_STEPS
        slider.value = round(position) if isinstance(start, int) else position
        process_events()


def type_text(widget: Any, text: str) -> None:
    """Replaces the text of a line, an editable list or a spin box by typing."""
    _assert_usable(widget)
    line = widget if isinstance(widget, QtWidgets.QLineEdit) else widget.findChild(QtWidgets.QLineEdit)
    line.selectAll()
    QtTest.QTest.keyClicks(line, text)
    QtTest.QTest.keyClick(line, QtCore.Qt.Key.Key_Return)
    process_events()


def select_node(combo: Any, node: Any) -> None:
    """Chooses a node, or None, in a node selector.

    Raises:
        AssertionError: The selector does not offer it.
    """
    _assert_usable(combo)
    combo.setCurrentNode(node)
    assert combo.currentNode() is node, f"the selector does not offer {node.GetName() if node else 'None'}"
    process_events()


def choose(combo: Any, text: str) -> None:
    """Chooses an entry of a list by its text.

    Raises:
        AssertionError: There is no such entry.
    """
    _assert_usable(combo)
    index = combo.findText(text)
    assert index >= 0, f"there is no '{text}' among {[combo.itemText(i) for i in range(combo.count)]}"
    combo.currentIndex = index
    process_events()


def _assert_usable(widget: Any) -> None:
    window = widget.window()
    if not window.isVisible():
        window.show()
        process_events()
    assert widget.isVisible(), f"'{widget.objectName}' is hidden"
    assert widget.isEnabled(), f"'{widget.objectName}' is disabled"
