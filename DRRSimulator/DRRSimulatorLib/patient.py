"""All that the simulator and the registration need of one patient, made once: the CT, its bones and the ray caster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .bone import BoneLabels, segment_bone
from .camera import Camera, FloatArray
from .ct import CTVolume
from .progress import Report, ignore_progress
from .projector import Projector
from .surface import Surface, bone_surface


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT with its bones, ready for casting rays.

    Attributes:
        ct: the CT.
        bones: its bones, on the CT's grid.
        projector: casts rays through both.
        centre_ras: (3,) middle of the bones' surface, RAS mm: the point that C-arm views turn about.
    """

    ct: CTVolume
    bones: BoneLabels
    projector: Projector
    centre_ras: FloatArray

    @cached_property
    def surfaces(self) -> dict[str, Surface]:
        """The surface of each bone, by its name."""
        return {name: bone_surface(self.bones, label) for label, name in self.bones.names.items()}


def surface_points(bones: BoneLabels) -> FloatArray:
    """Points (4000, 3) spread evenly over the surface of all bones, RAS mm, the same each time; their mean is the bones' middle."""
    return bone_surface(bones).sample(4000, np.random.default_rng(0))


def prepare_patient(ct: CTVolume, bones: BoneLabels | None = None, device: str = "cpu", report: Report = ignore_progress) -> Patient:
    """Make ready to cast rays through a patient; the first time on a machine this compiles the ray caster, for some seconds.

    Args:
        ct: the CT.
        bones: its bones on the CT's grid; None: found by `segment_bone`.
        device: where rays are cast: "cpu", "cuda" or "cuda:1".
        report: is told of each step, and may cancel between them.

    Raises:
        InputError: if the CT has no bone.
    """
    if bones is None:
        report(0.0, "Finding the bone in the CT")
        bones = segment_bone(ct)
    report(0.5, "Finding the surface of the bones")
    centre = surface_points(bones).mean(axis=0)
    report(0.7, "Loading the CT into the ray caster")
    projector = Projector.from_ct(ct, bones, device)
    report(0.9, "Starting the ray caster; the first time on a machine it is compiled, for some seconds")
    for cast in (projector.line_integrals, projector.scene_coordinates):
        cast(Camera.centred(1000.0, 1.0, (1, 1)), np.eye(4)[None])
    report(1.0, "Ready")
    return Patient(ct, bones, projector, centre)
