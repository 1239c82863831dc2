"""Pictures of the module DRR Simulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LONGEST_STEP = 240  # seconds; the first X-ray needs the ray caster compiled


def simulation(load_module: Any) -> Iterator[tuple[str, Any]]:
    """The sample CT with its bone, simulated live from an oblique direction."""
    from slicer_host.events import click, drag_slider, process_events, wait_until

    module = load_module("DRRSimulator")
    ui, panel = module.ui, module.panel
    click(ui.sampleButton)
    click(ui.segmentButton)
    wait_until(lambda: ui.statusLabel.text == "The bone is segmented.", LONGEST_STEP, "the segmentation")
    click(ui.previewButton)
    wait_until(lambda: panel.view.preview.running, LONGEST_STEP, "the CT to be prepared")
    drag_slider(ui.primarySlider, 25)
    drag_slider(ui.secondarySlider, 10)
    drag_slider(ui.offsetYSlider, -40)
    wait_until(lambda: panel.view.preview.idle, LONGEST_STEP, "the last frame")
    process_events(1.0)
    yield "simulation", module.parent


SCENES = (simulation,)
