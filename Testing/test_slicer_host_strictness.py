"""The test host notices what a real Slicer would only print."""

from __future__ import annotations

import sys
import threading
import types
from typing import Any

import pytest


def test_an_error_of_vtk_is_noticed(scene: Any, capfd: Any) -> None:
    import slicer
    from slicer_host import strictness

    node = scene.AddNewNodeByClass("vtkMRMLModelNode")
    slicer.mrmlScene.AddNode(node)
    (error,) = strictness.take_errors()
    assert "already added" in error


def test_a_node_that_is_removed_twice_is_noticed(scene: Any) -> None:
    from slicer_host import strictness

    node = scene.AddNewNodeByClass("vtkMRMLModelNode")
    scene.RemoveNode(node)
    assert strictness.take_errors() == []
    scene.RemoveNode(node)
    (error,) = strictness.take_errors()
    assert "not in the scene" in error


def test_an_exception_in_an_observer_is_noticed(scene: Any, capfd: Any) -> None:
    from slicer_host import strictness

    def observe(*_: Any) -> None:
        raise ZeroDivisionError("in an observer")

    node = scene.AddNewNodeByClass("vtkMRMLModelNode")
    node.AddObserver("ModifiedEvent", observe)
    node.SetName("changed")
    assert any("in an observer" in error for error in strictness.take_errors())


def test_an_exception_in_a_slot_is_noticed(scene: Any, capfd: Any) -> None:
    import qt
    from slicer_host import strictness

    def react(*_: Any) -> None:
        raise ZeroDivisionError("in a slot")

    button = qt.QPushButton("Go")
    button.connect("clicked()", react)
    button.click()
    assert any("in a slot" in error for error in strictness.take_errors())


def test_what_slicer_lacks_at_start_is_not_taken_for_an_error(scene: Any) -> None:
    from slicer_host import strictness

    with strictness.quiet():
        scene.AddNode(scene.AddNewNodeByClass("vtkMRMLModelNode"))
    assert strictness.take_errors() == []


def test_work_that_nobody_ended_is_noticed_and_work_that_ends_is_not(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from slicer_host import strictness

    background = types.ModuleType("DRRSimulatorSlicer.background")
    background._runs = ["training"]
    monkeypatch.setitem(sys.modules, background.__name__, background)
    assert strictness.background_runs_left(seconds=0.05) == ["training"]
    end = threading.Timer(0.05, background._runs.clear)
    end.start()
    assert strictness.background_runs_left(seconds=5) == []
    end.join()
