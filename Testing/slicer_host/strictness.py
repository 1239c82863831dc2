"""What would go unnoticed in Slicer fails a test here: errors that VTK, an observer or a slot only print, and work that nobody ends."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import slicer
import slicer.util
import vtk

errors: list[str] = []

# Names that slicer-core leaves in the module ``slicer`` beyond those of ``slicer.util``.
LEFT_OVERS = ("me", "info", "module", "item_name", "import_module", "iter_modules", "extend_path")


def remember_exception(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """An exception hook: what reaches it was raised where nobody could catch it."""
    errors.append("".join(traceback.format_exception(kind, error, trace)))
    sys.__excepthook__(kind, error, trace)


def take_errors() -> list[str]:
    """The errors since the last call; forgets them."""
    taken = list(errors)
    errors.clear()
    return taken


def watch_vtk() -> None:
    """Collects the errors that VTK's and MRML's classes report, and prints its messages on the standard error stream."""
    window = vtk.vtkOutputWindow()
    window.SetDisplayModeToAlwaysStdErr()
    window.AddObserver(vtk.vtkCommand.ErrorEvent, _remember_vtk_error)
    vtk.vtkOutputWindow.SetInstance(window)


def watch_removals(scene: Any) -> None:
    """Collects removals of nodes that the scene does not hold, which Slicer's subject hierarchy complains about."""
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, _remember_stray_removal)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _remember_stray_removal(scene: Any, event: str, node: Any) -> None:
    if node.GetScene() is not scene:
        errors.append(f"a node was removed that is not in the scene: {node.GetClassName()} {node.GetName()}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences VTK where errors are to be expected: slicer-core lacks Slicer's resource files, which the logics look for."""
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()


def _remember_vtk_error(caller: Any, event: str, text: str) -> None:
    errors.append(text)


_remember_vtk_error.CallDataType = vtk.VTK_STRING  # type: ignore[attr-defined]


def background_runs_left(seconds: float = 5.0) -> list[Any]:
    """The runs of `DRRSimulatorSlicer.background` that go on although the test is over; those that are ending get the time for it."""
    background = sys.modules.get("DRRSimulatorSlicer.background")
    if background is None:
        return []
    deadline = time.monotonic() + seconds
    while background._runs and time.monotonic() < deadline:
        slicer.app.processEvents()
        time.sleep(0.01)
    return list(background._runs)


def hide_leaked_names() -> None:
    """Removes the names of ``slicer.util`` from ``slicer``, where only slicer-core has them: ``slicer.getNode`` fails in Slicer."""
    for name, value in list(vars(slicer).items()):
        if name in ("util", "app", "mrmlScene") or name.startswith(("_", "vtk")):
            continue
        if getattr(slicer.util, name, None) is value or name in LEFT_OVERS:
            delattr(slicer, name)
