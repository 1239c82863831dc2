"""How live the live preview of DRR Simulator is: frames a second, and the longest time that the application does not answer.

The angle of the C-arm is dragged over the sample CT for some seconds, as a mouse does; the image has 256 x 256 pixels.

    PYTHONPATH=Testing python Testing/benchmarks/drr_preview.py [--seconds 5] [--views]

With --views the slice and 3D views are drawn as well, in software.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import Any

from slicer_host import application, gl, main_window
from slicer_host.module_loader import ModuleLoader

SECONDS_BETWEEN_MOUSE_MOVES = 0.008  # of a mouse that reports 125 times a second


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to drag")
    parser.add_argument("--views", action="store_true", help="draw the views as well")
    options = parser.parse_args()
    app = application.start()
    if options.views:
        if reason := gl.why_no_views():
            parser.error(reason)
        main_window.open_main_window(app, width=1120, height=900)
    from slicer_host.events import click, process_events, wait_until  # they need the application

    load_module = ModuleLoader()
    panel = load_module("DRRSimulator").panel
    click(panel.ct.ui.sampleButton)
    click(panel.view.ui.previewButton)
    wait_until(lambda: panel.view.preview.running, 60, "the CT is prepared")
    process_events(1.0)
    frames, gaps = drag(panel, options.seconds)
    print(f"{len(frames) / options.seconds:.1f} frames a second; a frame took {1000 * statistics.median(frames):.0f} ms (median)")
    print(f"longest time without an answer: {1000 * max(gaps):.0f} ms (median {1000 * statistics.median(gaps):.0f} ms)")
    load_module.unload()
    application.close(app)


def drag(panel: Any, seconds: float) -> tuple[list[float], list[float]]:
    """Drag the angle to and fro.

    Returns:
        The seconds that each frame took to compute, and the seconds of each round of the event loop.
    """
    from DRRSimulatorSlicer import preview
    from slicer_host.events import process_events

    frames: list[float] = []
    timed = preview.timed

    def recorded(*arguments: Any) -> Any:
        pixels, duration = timed(*arguments)
        frames.append(duration)
        return pixels, duration

    preview.timed = recorded
    gaps = []
    start = now = time.perf_counter()
    while now - start < seconds:
        panel.view.ui.primarySlider.value = 45 * math.sin(2 * (now - start))
        process_events()
        gaps.append(time.perf_counter() - now)
        time.sleep(max(0.0, SECONDS_BETWEEN_MOUSE_MOVES - gaps[-1]))
        now = time.perf_counter()
    preview.timed = timed
    return frames, gaps


if __name__ == "__main__":
    main()
