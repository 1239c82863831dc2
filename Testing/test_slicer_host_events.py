"""Tests act at a panel as a user does, and cannot do what a user could not."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_hidden_or_disabled_button_cannot_be_clicked(scene: Any) -> None:
    import qt
    from slicer_host import events

    panel = qt.QWidget()
    layout = qt.QVBoxLayout(panel)
    hidden, disabled = qt.QPushButton("hidden"), qt.QPushButton("disabled")
    for button in (hidden, disabled):
        layout.addWidget(button)
    hidden.visible = False
    disabled.enabled = False
    hidden.name, disabled.name = "first", "second"
    with pytest.raises(AssertionError, match="'first' is hidden"):
        events.click(hidden)
    with pytest.raises(AssertionError, match="'second' is disabled"):
        events.click(disabled)


def test_a_click_presses_and_releases_the_button(scene: Any) -> None:
    import qt
    from slicer_host import events

    log: list[str] = []
    button = qt.QPushButton("Register")
    for signal in ("pressed", "released", "clicked"):
        button.connect(f"{signal}()", lambda signal=signal: log.append(signal))
    events.click(button)
    assert log == ["pressed", "released", "clicked"]


def test_waiting_ends_when_the_condition_holds_and_fails_with_what_was_waited_for(scene: Any) -> None:
    import qt
    from slicer_host import events

    done: list[bool] = []
    qt.QTimer.singleShot(20, lambda: done.append(True))
    events.wait_until(lambda: bool(done), 5, "the timer")
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: the end of time"):
        events.wait_until(lambda: False, 0.01, "the end of time")


def test_a_slider_is_dragged_through_many_values(scene: Any) -> None:
    import qt
    from slicer_host import events

    slider = qt.QSlider(qt.Qt.Horizontal)
    slider.maximum = 200
    values: list[int] = []
    ends: list[bool] = []
    slider.connect("valueChanged(int)", values.append)
    slider.connect("sliderReleased()", lambda: ends.append(True))
    events.drag_slider(slider, 150)
    assert values[-1] == 150
    assert len(values) > 5
    assert ends == [True]


@pytest.mark.parametrize(("class_name", "text", "value"), [("QLineEdit", "hip", "hip"), ("QDoubleSpinBox", "12.5", 12.5)])
def test_text_is_typed_in_place_of_what_was_there(scene: Any, class_name: str, text: str, value: Any) -> None:
    import qt
    from slicer_host import events

    widget = getattr(qt, class_name)()
    events.type_text(widget, text)
    assert (widget.text if class_name == "QLineEdit" else widget.value) == value


def test_an_entry_is_chosen_by_its_text(scene: Any) -> None:
    import qt
    from slicer_host import events

    combo = qt.QComboBox()
    combo.addItems(["DRR", "outline"])
    events.choose(combo, "outline")
    assert combo.currentIndex == 1
    with pytest.raises(AssertionError, match="no 'checkerboard'"):
        events.choose(combo, "checkerboard")


def test_a_node_that_the_selector_does_not_offer_cannot_be_chosen(scene: Any) -> None:
    import slicer
    from slicer_host import events

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLModelNode"]
    selector.setMRMLScene(scene)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    with pytest.raises(AssertionError, match="does not offer CT"):
        events.select_node(selector, volume)
    with pytest.raises(AssertionError, match="does not offer None"):
        events.select_node(selector, None)
