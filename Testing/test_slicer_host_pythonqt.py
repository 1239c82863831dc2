"""Qt in the test host behaves as PythonQt does in Slicer: what was tried in a real one, row by row."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _booted(scene: Any) -> None:
    """Every test here needs the application, and fails on what it only prints."""


def make(class_name: str) -> Any:
    module, name = class_name.split(".")
    return getattr(importlib.import_module(module), name)()


def test_a_property_is_an_attribute_and_no_method() -> None:
    import qt

    button = qt.QPushButton("Apply")
    assert button.text == "Apply"
    button.text = "Cancel"
    assert button.text == "Cancel"
    with pytest.raises(TypeError, match="'str' object is not callable"):
        button.text()


def test_the_size_hint_is_a_value() -> None:
    import qt

    label = qt.QLabel("some text")
    assert label.sizeHint.width() > 0
    assert isinstance(label.minimumSizeHint, qt.QSize)
    with pytest.raises(TypeError):
        label.sizeHint()


@pytest.mark.parametrize("class_name", ["qt.QPushButton", "ctk.ctkSliderWidget", "slicer.qMRMLNodeComboBox"])
def test_an_unknown_attribute_is_neither_set_nor_got(class_name: str) -> None:
    widget = make(class_name)
    with pytest.raises(AttributeError):
        widget.nosuch = 1
    with pytest.raises(AttributeError):
        _ = widget.nosuch
    assert not hasattr(widget, "nosuch")


def test_connecting_an_unknown_signal_raises_and_fails_the_test_where_slicer_only_prints() -> None:
    import ctk
    import qt
    from slicer_host import strictness

    with pytest.raises(ValueError, match="QPushButton has no signal"):
        qt.QPushButton().connect("nosuch(bool)", print)
    with pytest.raises(ValueError, match="ctkSliderWidget has no signal"):
        ctk.ctkSliderWidget().connect("valueChanged(int)", print)
    assert len(strictness.take_errors()) == 2


def test_a_signal_is_connected_by_its_signature_or_as_an_attribute() -> None:
    import qt

    clicks = []
    button = qt.QPushButton()
    assert button.connect("clicked(bool)", lambda: clicks.append("signature"))
    assert button.clicked.connect(lambda: clicks.append("attribute"))
    button.click()
    assert clicks == ["signature", "attribute"]


def test_a_slot_gets_as_many_arguments_as_it_takes() -> None:
    import qt

    received: list[Any] = []

    class Panel:
        def nothing(self) -> None:
            received.append("nothing")

        def checked(self, checked: bool) -> None:
            received.append(checked)

        def everything(self, *arguments: Any) -> None:
            received.append(arguments)

    panel = Panel()
    button = qt.QPushButton()
    for slot in (panel.nothing, panel.checked, panel.everything):
        button.connect("clicked(bool)", slot)
    button.click()
    assert received == ["nothing", False, (False,)]


def test_a_default_argument_of_a_slot_is_overwritten_by_the_signal() -> None:
    import qt

    received = []
    button = qt.QPushButton()
    button.connect("clicked(bool)", lambda name="mine": received.append(name))
    button.click()
    assert received == [False]


def test_a_slot_is_disconnected_once_for_every_time_it_was_connected() -> None:
    import qt

    clicks = []

    def slot() -> None:
        clicks.append(1)

    button = qt.QPushButton()
    button.connect("clicked()", slot)
    button.clicked.connect(slot)
    assert button.disconnect("clicked()", slot)
    button.click()
    assert len(clicks) == 1
    assert button.clicked.disconnect()
    assert not button.clicked.disconnect(slot)
    button.click()
    assert len(clicks) == 1


def test_a_signal_can_be_connected_to_the_slot_of_an_object_and_emitted() -> None:
    import qt

    box, label = qt.QLineEdit(), qt.QLabel()
    box.connect("textChanged(QString)", label, "setText(QString)")
    box.text = "typed"
    assert label.text == "typed"
    box.textChanged.emit("emitted")
    assert label.text == "emitted"


def test_an_exception_in_a_slot_ends_no_other_slot_and_fails_the_test() -> None:
    import qt
    from slicer_host import strictness

    clicks = []
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.connect("clicked()", lambda: clicks.append(1))
    button.click()
    assert clicks == [1]
    (error,) = strictness.take_errors()
    assert "ZeroDivisionError" in error


def test_enums_behave_as_ints() -> None:
    import qt

    assert qt.Qt.Checked == 2
    assert int(qt.Qt.Checked) == 2
    assert qt.QCheckBox().checkState() == 0
    assert int(qt.Qt.AlignLeft | qt.Qt.AlignTop) == 0x21
    label = qt.QLabel()
    label.alignment = 0x84
    assert label.alignment == qt.Qt.AlignCenter


def test_anything_becomes_a_text() -> None:
    import qt

    label = qt.QLabel(5)
    assert label.text == "5"
    label.setText(None)
    assert label.text == "None"
    label.text = 2.5
    assert label.text == "2.5"


def test_a_number_is_rounded_down_and_a_text_is_no_number() -> None:
    import numpy as np
    import qt

    box = qt.QSpinBox()
    box.value = 2.7
    assert box.value == 2
    box.setValue(np.int64(5))
    assert box.value == 5
    with pytest.raises(AttributeError):
        qt.QProgressBar().value = "3"


def test_a_read_only_property_cannot_be_set() -> None:
    import qt

    with pytest.raises(AttributeError, match="not writable"):
        qt.QComboBox().count = 3


def test_lists_come_as_tuples() -> None:
    import qt
    import slicer

    parent = qt.QWidget()
    label = qt.QLabel("child", parent)
    assert parent.children() == (label,)
    assert parent.findChildren(qt.QLabel) == (label,)
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLModelNode"]
    assert selector.nodeTypes == ("vtkMRMLModelNode",)


def test_a_child_and_a_dynamic_property_are_attributes() -> None:
    import qt

    parent = qt.QWidget()
    label = qt.QLabel("inside", parent)
    label.name = "answer"
    assert parent.answer is label
    assert label.objectName == "answer"
    parent.setProperty("SlicerParameterName", "ct")
    assert parent.SlicerParameterName == "ct"


@pytest.mark.parametrize(
    ("class_name", "member"),
    [
        ("ctk.ctkSliderWidget", "setRange"),  # C++ or PySide6 has them all
        ("ctk.ctkSliderWidget", "spinBox"),
        ("ctk.ctkPathLineEdit", "validInput"),
        ("ctk.ctkDoubleSpinBox", "setRange"),
        ("qt.QPushButton", "topLevelWidget"),
        ("qt.QProcess", "startCommand"),
        ("qt.QImage", "convertedTo"),
    ],
)
def test_a_member_that_slicers_python_does_not_see_raises(class_name: str, member: str) -> None:
    widget = make(class_name)
    with pytest.raises(AttributeError):
        getattr(widget, member)


def test_a_member_of_a_listed_class_that_slicers_python_sees_works() -> None:
    import qt

    assert qt.QPixmap().isNull()
    assert qt.QSizePolicy(qt.QSizePolicy.Fixed, qt.QSizePolicy.Preferred).horizontalPolicy() == qt.QSizePolicy.Fixed


def test_a_class_of_the_modules_own_keeps_its_attributes() -> None:
    import qt

    class Filter(qt.QObject):
        def __init__(self) -> None:
            super().__init__()
            self.events = 0

        def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
            self.events += event.type() == qt.QEvent.EnabledChange
            return False

    watch, button = Filter(), qt.QPushButton()
    button.installEventFilter(watch)
    button.enabled = False
    assert watch.events == 1


def test_a_name_that_python_keeps_for_itself_ends_in_an_underscore() -> None:
    import qt

    widget = qt.QWidget()
    widget.raise_()
    assert callable(qt.QDialog().exec_)


def test_a_timer_and_a_single_shot_run() -> None:
    import qt
    from slicer_host import events

    ticks = []
    timer = qt.QTimer()
    timer.interval = 1
    timer.connect("timeout()", lambda: ticks.append("timer"))
    timer.start()
    qt.QTimer.singleShot(0, lambda: ticks.append("shot"))
    events.wait_until(lambda: {"timer", "shot"} <= set(ticks), 5)
    timer.stop()
    assert not timer.isActive()


def test_a_process_runs_and_tells_its_output_and_end() -> None:
    import sys

    import qt
    from slicer_host import events

    lines, ends = [], []
    process = qt.QProcess()
    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert("GREETING", "hello")
    process.setProcessEnvironment(environment)
    process.connect("readyReadStandardOutput()", lambda: lines.append(process.readAllStandardOutput().data().decode()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ends.append((code, int(status))))
    process.start(sys.executable, ["-c", "import os, sys; print(os.environ['GREETING']); sys.exit(3)"])
    events.wait_until(lambda: bool(ends), 30)
    assert "".join(lines).strip() == "hello"
    assert ends == [(3, int(qt.QProcess.NormalExit))]
    assert process.state() == qt.QProcess.NotRunning


def test_a_process_that_cannot_start_says_so() -> None:
    import qt
    from slicer_host import events

    errors = []
    process = qt.QProcess()
    process.connect("errorOccurred(QProcess::ProcessError)", errors.append)
    process.start("/no/such/program", [])
    events.wait_until(lambda: bool(errors), 10)
    assert errors == [qt.QProcess.FailedToStart]


def test_settings_do_not_touch_those_of_the_user(slicer_app: Any) -> None:
    import qt

    qt.QSettings().setValue("XRayRegistration/folder", "somewhere")
    assert slicer_app.settings().value("XRayRegistration/folder") == "somewhere"
    assert qt.QSettings().fileName().startswith(slicer_app.temporaryPath)
