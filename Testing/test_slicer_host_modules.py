"""Scripted modules are loaded, opened, reloaded and closed as in Slicer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MODULE = """
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *

from {name}Slicer import FACTOR


class {name}(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("A module")
        parent.categories = ["Registration"]


class {name}Widget(ScriptedLoadableModuleWidget):
    calls = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/{name}.ui"))
        self.layout.addWidget(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(panel)
        self.logic = {name}Logic()
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.calls.append("setup")

    def enter(self):
        self.calls.append("enter")

    def exit(self):
        self.calls.append("exit")

    def cleanup(self):
        self.calls.append("cleanup")

    def onApply(self):
        self.ui.resultLabel.text = FACTOR * self.ui.slider.value


class {name}Logic(ScriptedLoadableModuleLogic):
    pass


class {name}Test(ScriptedLoadableModuleTest):
    runs = []

    def setUp(self):
        self.runs.append("setUp")

    def test_something(self):
        self.runs.append("test")
"""

PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>{name}</class>
 <widget class="qMRMLWidget" name="{name}">
  <layout class="QFormLayout" name="layout">
   <item row="0" column="0"><widget class="QLabel" name="resultLabel"/></item>
   <item row="0" column="1">
    <widget class="qMRMLNodeComboBox" name="ctSelector">
     <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
     <property name="noneEnabled"><bool>true</bool></property>
     <property name="SlicerParameterName" stdset="0"><string>ct</string></property>
    </widget>
   </item>
   <item row="1" column="0" colspan="2">
    <widget class="ctkSliderWidget" name="slider">
     <property name="minimum"><double>-10</double></property>
     <property name="suffix"><string> mm</string></property>
     <property name="synchronizeSiblings"><set>ctkSliderWidget::NoSynchronize</set></property>
     {extra}
    </widget>
   </item>
   <item row="2" column="0"><widget class="QPushButton" name="applyButton"/></item>
  </layout>
 </widget>
 <connections>
  <connection>
   <sender>{name}</sender><signal>{signal}</signal>
   <receiver>ctSelector</receiver><slot>{slot}</slot>
  </connection>
 </connections>
</ui>
"""


def write_panel(
    path: Path, signal: str = "mrmlSceneChanged(vtkMRMLScene*)", slot: str = "setMRMLScene(vtkMRMLScene*)", extra: str = ""
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PANEL.format(name=path.stem, signal=signal, slot=slot, extra=extra), encoding="utf-8")
    return path


def write_module(folder: Path, name: str) -> Path:
    """A module with a panel and a package of its own beside it."""
    write_panel(folder / name / "Resources" / "UI" / f"{name}.ui")
    package = folder / name / f"{name}Slicer"
    package.mkdir()
    (package / "__init__.py").write_text("FACTOR = 2\n", encoding="utf-8")
    path = folder / name / f"{name}.py"
    path.write_text(MODULE.format(name=name), encoding="utf-8")
    return path


@pytest.fixture
def loader(scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from slicer_host.module_loader import ModuleLoader

    monkeypatch.setattr(sys, "path", [*sys.path])
    loader = ModuleLoader([write_module(tmp_path, name) for name in ("HostFirst", "HostSecond")])
    yield loader
    loader.unload()
    for name in ("HostFirstSlicer", "HostSecondSlicer"):
        sys.modules.pop(name, None)


def test_a_module_is_found_by_its_name_everywhere(loader: Any) -> None:
    import slicer

    widget = loader("HostFirst")
    module = slicer.modules.hostfirst
    assert module.title == "A module"
    assert module.categories == ["Registration"]
    assert slicer.modules.HostFirstWidget is widget
    assert module.widgetRepresentation().self() is widget
    assert slicer.util.getModule("HostFirst") is module
    assert slicer.util.getModuleWidget("HostFirst") is widget
    assert slicer.util.getModuleLogic("HostFirst") is widget.logic
    assert slicer.util.modulePath("HostFirst") == str(module.path)
    assert slicer.moduleNames.HostSecond == "HostSecond"


def test_all_folders_are_importable_before_any_module_runs(loader: Any) -> None:
    module = loader.module("HostSecond")
    assert module.FACTOR == 2
    folders = [Path(folder).name for folder in sys.path[-2:]]
    assert folders == ["HostFirst", "HostSecond"]


def test_the_panel_works(loader: Any, scene: Any) -> None:
    from slicer_host import events

    widget = loader("HostFirst")
    ct = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    events.select_node(widget.ui.ctSelector, ct)
    widget.ui.slider.value = 3
    events.click(widget.ui.applyButton)
    assert widget.ui.resultLabel.text == "6.0"
    assert widget.ui.slider.minimum == -10
    assert widget.ui.slider.suffix == " mm"
    assert widget.ui.ctSelector.property("SlicerParameterName") == "ct"


def test_the_panel_is_entered_left_and_cleaned_up_in_slicers_order(loader: Any) -> None:
    import slicer

    widget = loader("HostFirst")
    loader.unload()
    assert widget.calls == ["setup", "enter", "exit", "cleanup"]
    assert not hasattr(slicer.modules, "hostfirst")
    assert "HostFirst" not in sys.modules


def test_reloading_makes_a_new_panel_from_the_changed_file(loader: Any, tmp_path: Path) -> None:
    import slicer

    first = loader("HostFirst")
    file = tmp_path / "HostFirst" / "HostFirst.py"
    file.write_text(file.read_text(encoding="utf-8").replace("FACTOR * self", "10 * self"), encoding="utf-8")
    first.onReload()
    second = slicer.modules.HostFirstWidget
    assert second is not first
    assert first.calls[-1] == "cleanup"
    assert second.parent is first.parent
    second.ui.slider.value = 1
    second.ui.applyButton.click()
    assert second.ui.resultLabel.text == "10.0"


def test_a_singleton_parameter_node_is_made_once(loader: Any) -> None:
    logic = loader("HostFirst").logic
    node = logic.getParameterNode()
    assert logic.getParameterNode() is node
    assert node.GetAttribute("ModuleName") == "HostFirst"
    logic.isSingletonParameterNode = False
    assert logic.getAllParameterNodes() == [node]


def test_the_modules_own_test_runs(loader: Any) -> None:
    import slicer

    module = loader.module("HostFirst")
    slicer.selfTests["HostFirst"]()
    assert module.HostFirstTest.runs == ["setUp", "test"]


def test_a_base_class_has_neither_enter_nor_exit(scene: Any) -> None:
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget

    assert not hasattr(ScriptedLoadableModuleWidget, "enter")
    assert not hasattr(ScriptedLoadableModuleWidget, "exit")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"signal": "sceneChanged(vtkMRMLScene*)"}, "has no signal sceneChanged"),
        ({"slot": "setScene(vtkMRMLScene*)"}, "setScene"),
        ({"extra": '<property name="smallest"><double>1</double></property>'}, "no property 'smallest'"),
    ],
)
def test_a_panel_that_asks_for_what_does_not_exist_is_refused(scene: Any, tmp_path: Path, fault: dict[str, str], message: str) -> None:
    import slicer
    from slicer_host import strictness

    with pytest.raises(Exception, match=message):
        slicer.util.loadUI(str(write_panel(tmp_path / "Broken.ui", **fault)))
    strictness.take_errors()


def test_a_widget_that_the_host_does_not_know_is_named(scene: Any, tmp_path: Path) -> None:
    import slicer

    path = write_panel(tmp_path / "Unknown.ui")
    path.write_text(path.read_text(encoding="utf-8").replace("ctkSliderWidget", "ctkFancyWidget"), encoding="utf-8")
    with pytest.raises(Exception, match="ctkFancyWidget"):
        slicer.util.loadUI(str(path))


def test_a_panel_file_that_is_missing_is_named(scene: Any) -> None:
    import slicer

    with pytest.raises(RuntimeError, match="file not found"):
        slicer.util.loadUI("/no/such/panel.ui")
