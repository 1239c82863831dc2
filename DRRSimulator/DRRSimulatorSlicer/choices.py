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


class Tube(Enum):
    """How an X-ray is simulated: ideally, or as with a tube of a voltage in kV."""

    IDEAL = None
    KV_60 = 60
    KV_90 = 90
    KV_120 = 120

    def label(self) -> str:
        """Text of the choice in the panel."""
        if self is Tube.IDEAL:
            return _("Ideal (one energy, no scatter)")
        return _("Tube of {kilovolts} kV, with scatter").format(kilovolts=self.value)
