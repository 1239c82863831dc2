"""How long the panel of XRayRegistration keeps the application from answering, at each step from the sample data to the export.

    PYTHONPATH=Testing python Testing/benchmarks/panel_responsiveness.py [--views]

With --views the slice and 3D views are drawn as well, in software. Loading PyTorch for the first time holds Python's lock: that is
expected to take longer than the rest.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import slicer
from slicer_host import application, gl, main_window
from slicer_host.module_loader import ModuleLoader

Condition = Callable[[], bool]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", action="store_true", help="draw the views as well")
    options = parser.parse_args()
    app = application.start()
    if options.views:
        if reason := gl.why_no_views():
            parser.error(reason)
        main_window.open_main_window(app, width=1120, height=900)
    load_module = ModuleLoader()
    with tempfile.TemporaryDirectory() as folder:
        measure(load_module("XRayRegistration"), folder)
    load_module.unload()
    application.close(app)


def measure(widget: Any, folder: str) -> None:
    """Go through the panel as a user does."""
    ui = widget.ui

    def is_ready() -> bool:
        return ui.registerButton.enabled and ui.registerButton.text == "Register"

    def open_adjustment() -> None:
        ui.adjustCollapsibleButton.collapsed = False

    step("load the sample data", ui.sampleDataButton.click, is_ready)
    step("register, PyTorch being loaded", ui.registerButton.click, is_ready)
    step("register again", ui.registerButton.click, is_ready)
    step("make ready for moving the bone", open_adjustment, lambda: ui.rightSlider.enabled)
    drag(ui.rightSlider)
    step("checkerboard", lambda: ui.comparisonComboBox.setCurrentIndex(1), lambda: True)
    step("refine from here", ui.refineHereButton.click, is_ready)
    ui.exportDirectoryButton.directory = folder
    step("export", ui.exportButton.click, lambda: ui.exportLabel.text.startswith("Written"))


def step(name: str, action: Callable[[], Any], is_done: Condition) -> None:
    """Do something, wait until it is done, and print the longest time in which no event was answered."""
    start = time.perf_counter()
    action()
    rounds = [time.perf_counter() - start]
    started = time.perf_counter()
    quiet = 0
    while quiet < 20:  # what is shown at the end takes some rounds too
        rounds.append(answer())
        quiet = quiet + 1 if is_done() else 0
    print(f"{name}: {1000 * max(rounds):.0f} ms, in {time.perf_counter() - started:.1f} s")


def drag(slider: Any) -> None:
    """Drag a slider to and fro, as a mouse does, and let what is seen be drawn finely at the end."""
    rounds = []
    for position in [*range(0, 100), *range(100, -100, -1)]:
        slider.value = position / 10
        rounds += [answer(), answer()]
    end = time.perf_counter() + 2
    while time.perf_counter() < end:
        rounds.append(answer())
    print(f"drag the bone: {1000 * max(rounds):.0f} ms")


def answer() -> float:
    """One round of the event loop, seconds."""
    start = time.perf_counter()
    slicer.app.processEvents()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
