"""Pictures of the module DRR Simulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def drr_simulator(load_module: Any) -> Iterator[tuple[str, Any]]:
    """The panel with the sample CT."""
    import slicer

    panel = load_module("DRRSimulator").parent
    ct = load_module.module("DRRSimulator").__file__.replace("DRRSimulator.py", "DRRSimulatorLib/data/pelvis_ct.nii.gz")
    slicer.util.setSliceViewerLayers(background=slicer.util.loadVolume(ct), fit=True)
    slicer.util.resetThreeDViews()
    yield "simulation", panel


SCENES = (drr_simulator,)
