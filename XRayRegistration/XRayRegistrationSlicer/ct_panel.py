"""Section "CT and bones"."""

from __future__ import annotations

from slicer.i18n import tr as _

from .section import Section
from .xray_panel import selectedXRays


class CTPanel(Section):
    """The patient's CT and the bones in it; the choices are parameters, so that only their sense is to be checked."""

    def problem(self) -> str:
        """Whether what is chosen can be a CT."""
        ctNode = self.parameterNode.ct
        if ctNode is None:
            return _("Choose the patient's CT.")
        if ctNode in selectedXRays(self.parameterNode) or ctNode.GetImageData() is None or min(ctNode.GetImageData().GetDimensions()) < 2:
            return _("{name} is not a volume of several slices; choose a CT.").format(name=ctNode.GetName())
        return ""
