"""A user of the panel of XRayRegistration."""

from __future__ import annotations

from typing import Any

from pelvis_case import CAMERA, PelvisCase
from registration_scene import SharedPatient, add_ct, add_xray


class PanelUser:
    """Works with the panel as a person does, by its widgets.

    Args:
        widget: of the module, its panel entered.
        pelvis: the CT and the model; both are ready already.
    """

    def __init__(self, widget: Any, pelvis: PelvisCase) -> None:
        self.widget, self.ui, self.pelvis = widget, widget.ui, pelvis
        widget.logic._patients = SharedPatient(pelvis.patient)
        widget.logic._models.load = lambda path, device: pelvis.model

    @property
    def parameters(self) -> Any:
        return self.widget._parameterNode

    @property
    def status(self) -> str:
        """What stands below the button Register."""
        self.wait(0.05)
        return self.ui.statusLabel.text

    def load(self, view: int = 0, name: str = "AP", geometry: bool = True) -> Any:
        """An X-ray of the scene."""
        node = add_xray(self.pelvis.pixels(view), name)
        if geometry:
            self.widget.logic.setGeometry(node, CAMERA)
        return node

    def load_ct(self) -> Any:
        return add_ct(self.pelvis.patient.ct)

    def choose(self, xray: Any, ct: Any) -> None:
        """Choose an X-ray and a CT, and wait until they have been looked at."""
        from slicer_host import events

        events.select_node(self.ui.xraySelector, xray)
        events.select_node(self.ui.ctSelector, ct)
        self.wait_until(lambda: not self.status.startswith("Checking"), "the model is compared with the CT")

    def register(self) -> Any:
        """Click Register and wait for the result."""
        self.click(self.ui.registerButton)
        self.wait_until(lambda: self.ui.registerButton.text == "Register", "the registration ends", seconds=60)
        self.wait(0.05)
        return self.widget.logic.result(self.parameters.xray)

    def click(self, button: Any) -> None:
        from slicer_host import events

        events.click(button)

    def wait(self, seconds: float) -> None:
        from slicer_host import events

        events.process_events(seconds)

    def wait_until(self, condition: Any, message: str, seconds: float = 20) -> None:
        from slicer_host import events

        events.wait_until(condition, seconds, message)
