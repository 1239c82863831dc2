"""What a user of the panel waits for and looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
from DRRSimulatorLib.camera import FloatArray


def start_preview(widget: Any) -> None:
    from slicer_host.events import click, wait_until

    click(widget.ui.previewButton)
    wait_until(lambda: widget.panel.view.preview.running, 60, "the CT is prepared")
    wait_for_frame(widget)


def wait_for_frame(widget: Any) -> None:
    from slicer_host.events import wait_until

    widget.panel.update()

    def shown() -> bool:
        carm = widget.panel.view.preview.carm
        return carm is not None and carm.node("drr") is not None and widget.panel.view.preview.idle

    wait_until(shown, 20, "the frame is shown")


def wait_for_work(widget: Any) -> None:
    from slicer_host.events import wait_until

    wait_until(lambda: not widget.panel.work.running and not widget.panel.output.generating, 60, "the work is done")
    widget.panel.update()


def parameters(widget: Any) -> Any:
    return widget._parameterNode


def pixels(node: Any) -> FloatArray:
    import slicer

    return np.array(slicer.util.arrayFromVolume(node)[0], dtype=float)


def nodes(class_name: str) -> list[Any]:
    import slicer

    return list(slicer.util.getNodesByClass(class_name))
