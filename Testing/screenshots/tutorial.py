"""The tutorial in Documentation/tutorial.md, followed click by click from an empty scene to the files of a result."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST_STEP = 240  # seconds; the first X-ray needs the ray caster compiled


def tutorial(load_module: Any) -> Iterator[tuple[str, Any]]:
    """Registers the sample X-ray, then one that the user simulates; after each step its picture's name and the panel to show."""
    from slicer_host.events import choose, click, drag_slider, process_events, wait_until

    module = load_module("XRayRegistration")
    ui, panel = module.ui, module.parent

    click(ui.sampleDataButton)
    wait_until(lambda: ui.registerButton.enabled, LONGEST_STEP, "Register to be enabled")
    wait_until(lambda: "Trained for this CT" in ui.modelLabel.text, LONGEST_STEP, "the model to be compared with the CT")
    yield "tutorial_1_load", panel

    click(ui.registerButton)
    wait_until(lambda: ui.registerButton.text == "Register", LONGEST_STEP, "the registration")
    yield "tutorial_2_register", panel

    for section in (ui.xrayCollapsibleButton, ui.ctCollapsibleButton, ui.modelCollapsibleButton):
        section.collapsed = True
    ui.adjustCollapsibleButton.collapsed = False
    wait_until(lambda: ui.rightSlider.enabled, LONGEST_STEP, "the bone to be ready for dragging")
    drag_slider(ui.rightSlider, 12.0)
    process_events(2.0)
    yield "tutorial_3_adjust", panel

    choose(ui.comparisonComboBox, "Checkerboard")
    process_events(2.0)
    yield "tutorial_4_compare", panel

    choose(ui.comparisonComboBox, "Blending")
    click(ui.resetButton)
    process_events(2.0)
    ui.adjustCollapsibleButton.collapsed = True
    ui.exportCollapsibleButton.collapsed = False
    process_events(0.5)
    with tempfile.TemporaryDirectory() as folder:
        ui.exportDirectoryButton.directory = folder
        click(ui.exportButton)
        wait_until(lambda: ui.exportLabel.text.startswith("Written"), LONGEST_STEP, "the files of the result")
        assert Path(folder, "scene.mrb").is_file()


SCENES = (tutorial,)
