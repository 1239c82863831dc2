"""What the user of the panel chooses between; the parameter node stores the names of these."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _


class Polarity(Enum):
    """What a simulated X-ray shows."""

    INTENSITY = "intensity"
    ATTENUATION = "attenuation"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {Polarity.INTENSITY: _("Intensity (bone dark)"), Polarity.ATTENUATION: _("Attenuation (bone bright)")}[self]
