"""Evaluation suites: named, repeatable lists of simulated X-rays whose true poses are known and which no training has seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import DRRSimulatorLib
import numpy as np
from DRRSimulatorLib.bone import segment_bone
from DRRSimulatorLib.camera import Camera, FloatArray, ViewRange, sample_poses
from DRRSimulatorLib.ct import CTVolume, read_ct
from DRRSimulatorLib.physics import simulate_xray
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import Surface, bone_surface
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

PELVIS_CT = Path(DRRSimulatorLib.__file__).parent / "data" / "pelvis_ct.nii.gz"
SURFACE_POINTS = 2000


@dataclass(frozen=True)
class Patient:
    """A CT prepared for simulating X-rays and measuring poses.

    Attributes:
        ct: the CT.
        surface: its bone's surface.
        projector: of the CT and its bone.
        surface_points: (2000, 3) fixed random points of the surface, RAS mm, over which errors are averaged.
    """

    ct: CTVolume
    surface: Surface
    projector: Projector
    surface_points: FloatArray

    @classmethod
    def load(cls, ct_file: Path, device: str = "cpu") -> Patient:
        """Read a CT and find its bone, as scr-train does.

        Raises:
            InputError: if the file is not a CT with bone.
        """
        ct = read_ct(ct_file)
        bones = segment_bone(ct)
        surface = bone_surface(bones)
        return cls(ct, surface, Projector.from_ct(ct, bones, device), surface.sample(SURFACE_POINTS, np.random.default_rng(0)))

    @property
    def centroid(self) -> FloatArray:
        """Middle (3,) of the bone's surface, RAS mm."""
        return self.surface_points.mean(axis=0)


@dataclass(frozen=True)
class Case:
    """One X-ray of a suite, and its true pose.

    Attributes:
        number: place in the suite, from 1.
        view: the X-ray as a registration gets it.
        ras_to_camera: 4x4 true pose.
    """

    number: int
    view: View
    ras_to_camera: FloatArray


@dataclass(frozen=True)
class Suite:
    """Simulated X-rays of one CT. Number n depends on the suite's name, its seed and n alone, so that the first few are always the same.

    Attributes:
        name: of the suite; part of the seed.
        count: how many X-rays it has.
        ct_file: the patient.
        camera: of every X-ray.
        view_range: the views are drawn uniformly from it, with the bone in view as `sample_poses` says.
        seed: of everything random.
    """

    name: str
    count: int
    ct_file: Path = PELVIS_CT
    # The field of view of a mobile C-arm's flat panel, 297 mm.
    camera: Camera = field(default_factory=lambda: Camera.centred(1020.0, 0.58, (512, 512)))
    view_range: ViewRange = field(default_factory=ViewRange)
    seed: int = 0

    def case(self, number: int, patient: Patient) -> Case:
        """Simulate X-ray `number` of the suite, from 1."""
        # Training draws from SeedSequence((seed, 0 or 1, step)); with the suite's name in it, no stream of numbers is ever shared.
        rng = np.random.default_rng([*self.name.encode(), self.seed, number])
        pose = sample_poses(1, self.camera, patient.surface_points, self.view_range, rng)[0]
        integrals = patient.projector.line_integrals(self.camera, pose[None]).numpy()[0]
        xray = XRay.from_pixels(simulate_xray(integrals, self.camera, rng), "intensity", self.camera)
        return Case(number, View(xray, self.camera), pose)

    def cases(self, patient: Patient, limit: int | None = None) -> Iterator[Case]:
        """The first X-rays of the suite (all for None), simulated one at a time as they are asked for."""
        for number in range(1, self.size(limit) + 1):
            yield self.case(number, patient)

    def size(self, limit: int | None) -> int:
        """How many X-rays a limit leaves."""
        return self.count if limit is None else min(limit, self.count)


DEMO = Suite("demo", 20)
SUITES = {suite.name: suite for suite in (Suite("pelvis-200", 200), DEMO)}
