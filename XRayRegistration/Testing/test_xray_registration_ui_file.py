"""The file of the panel's widgets is complete: every control does something, every parameter has one, and the scene reaches all."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[1]
UI = ElementTree.parse(MODULE / "Resources" / "UI" / "XRayRegistration.ui").getroot()
WIDGETS = {widget.get("name"): widget for widget in UI.iter("widget")}
CODE = "\n".join(file.read_text(encoding="utf-8") for file in sorted((MODULE / "XRayRegistrationSlicer").glob("*panel.py")))


def property_of(widget: ElementTree.Element, name: str) -> str | None:
    found = next((element for element in widget.findall("property") if element.get("name") == name), None)
    return None if found is None else "".join(found.itertext()).strip()


def test_every_control_is_used_by_the_code_or_bound_to_a_parameter() -> None:
    containers = ("qMRMLWidget", "ctkCollapsibleButton", "ctkCollapsibleGroupBox", "QLabel")
    bound = {name for name, widget in WIDGETS.items() if property_of(widget, "SlicerParameterName")}
    controls = {name for name, widget in WIDGETS.items() if widget.get("class") not in containers}
    assert controls - bound <= set(re.findall(r"\bui\.(\w+)", CODE))


def test_every_parameter_is_bound_once_or_handled_by_the_code(load_module: Any) -> None:
    parameters = load_module.module("XRayRegistration").XRayRegistrationParameterNode.allParameters
    bound = [name for widget in WIDGETS.values() if (name := property_of(widget, "SlicerParameterName"))]
    assert len(set(bound)) == len(bound)
    assert set(bound) <= set(parameters)
    assert set(parameters) - set(bound) == {"modelPath"}


@pytest.mark.parametrize("name", [name for name, widget in WIDGETS.items() if str(widget.get("class")).startswith("qMRML")][1:])
def test_every_widget_that_needs_the_scene_is_given_it(name: str) -> None:
    connections = {(c.findtext("sender"), c.findtext("signal"), c.findtext("receiver"), c.findtext("slot")) for c in UI.iter("connection")}
    assert ("XRayRegistration", "mrmlSceneChanged(vtkMRMLScene*)", name, "setMRMLScene(vtkMRMLScene*)") in connections
