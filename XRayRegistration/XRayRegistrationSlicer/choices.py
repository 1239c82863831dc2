"""What the user of the panel chooses between; the parameter node stores the names of these."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _


class Brightness(Enum):
    """Whether bone is dark or bright in an X-ray."""

    AUTOMATIC = "automatic"
    BONE_DARK = "intensity"
    BONE_BRIGHT = "attenuation"

    @property
    def polarity(self) -> str | None:
        """As the library names it; None to find it out."""
        return None if self is Brightness.AUTOMATIC else self.value

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {
            Brightness.AUTOMATIC: _("Find out"),
            Brightness.BONE_DARK: _("Bone is dark"),
            Brightness.BONE_BRIGHT: _("Bone is bright"),
        }[self]


class ModelSource(Enum):
    """Where the model comes from, or what a pose starts from without one."""

    SAMPLE = "sample"
    FILE = "file"
    SEARCH = "search"
    POSITION = "position"

    @property
    def start(self) -> str:
        """As `XRayRegistrationLogic.prepare` names it."""
        return self.value if self in (ModelSource.SEARCH, ModelSource.POSITION) else "model"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {
            ModelSource.SAMPLE: _("Model of the sample CT"),
            ModelSource.FILE: _("Model file"),
            ModelSource.SEARCH: _("None: search for the pose"),
            ModelSource.POSITION: _("None: start from the present position"),
        }[self]


class ComparisonMode(Enum):
    """How the X-ray and the DRR are laid over each other."""

    BLEND = "blend"
    CHECKERBOARD = "checkerboard"
    FLICKER = "flicker"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {
            ComparisonMode.BLEND: _("Blending"),
            ComparisonMode.CHECKERBOARD: _("Checkerboard"),
            ComparisonMode.FLICKER: _("Flicker"),
        }[self]
