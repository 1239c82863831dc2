"""What a user does at a panel: wait, click, drag, type and choose, with real events where Qt's test module is there.

An action that a user could not do, because the widget is hidden or disabled, fails the test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
import slicer

try:
    from PySide6.QtTest import QTest
except ImportError:  # in a real Slicer, whose PythonQt has no such module
    QTest = None

DRAG_STEPS = 10  # positions between the first and the last of a dragged slider


def process_events(seconds: float = 0.0) -> None:
    """Lets Qt work through its events, at least once and for `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        slicer.app.processEvents()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete)
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
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {message or 'the condition'}"
        process_events(0.01)


def click(button: Any) -> None:
    """Clicks a button with the left mouse button."""
    assert_usable(button)
    if QTest is not None:
        inside = qt.QPoint(min(10, button.width // 2), min(10, button.height // 2))
        QTest.mouseClick(button, qt.Qt.LeftButton, qt.Qt.NoModifier, inside)
    else:
        button.click()
    process_events()


def drag_slider(slider: Any, value: float) -> None:
    """Drags the handle of a slider, or of a widget that has one, through many positions to the one nearest to a value."""
    assert_usable(slider)
    handle = slider if isinstance(slider, qt.QSlider) else slider.findChild(qt.QSlider)
    first = handle.value
    share = (value - slider.minimum) / (slider.maximum - slider.minimum)
    last = handle.minimum + round(share * (handle.maximum - handle.minimum))
    handle.setSliderDown(True)
    for step in range(1, DRAG_STEPS + 1):
        handle.setSliderPosition(first + round((last - first) * step / DRAG_STEPS))
        process_events()
    handle.setSliderDown(False)
    process_events()


def type_text(widget: Any, text: str) -> None:
    """Replaces the text of a line, an editable list, a path or a spin box and presses Enter."""
    assert_usable(widget)
    line = widget if isinstance(widget, qt.QLineEdit) else widget.findChild(qt.QLineEdit)
    line.selectAll()
    if QTest is not None:
        QTest.keyClicks(line, text)
        QTest.keyClick(line, qt.Qt.Key_Return)
    else:
        line.text = text
    process_events()


def select_node(combo: Any, node: Any) -> None:
    """Chooses a node in a node selector, or None.

    Raises:
        AssertionError: The selector does not offer it.
    """
    assert_usable(combo)
    combo.setCurrentNode(node)
    assert combo.currentNode() is node, f"the selector does not offer {node.GetName()}"
    assert node is not None or combo.noneEnabled, "the selector does not offer None"
    process_events()


def choose(combo: Any, text: str) -> None:
    """Chooses an entry of a list by its text; of a node selector also what can be done, such as "Create new Volume".

    Raises:
        AssertionError: There is no such entry.
    """
    assert_usable(combo)
    entries = combo if isinstance(combo, qt.QComboBox) else combo.findChild(qt.QComboBox)
    index = entries.findText(text)
    assert index >= 0, f"there is no '{text}' among {[entries.itemText(row) for row in range(entries.count)]}"
    if entries is combo:
        entries.currentIndex = index
    entries.activated.emit(index)
    process_events()


def assert_usable(widget: Any) -> None:
    """Shows the widget's window if nothing shows it yet.

    Raises:
        AssertionError: The widget is hidden or disabled.
    """
    window = widget.window()
    if not window.isVisible():
        window.show()
        process_events()
    assert widget.isVisible(), f"'{widget.objectName}' is hidden"
    assert widget.isEnabled(), f"'{widget.objectName}' is disabled"
