"""Evaluation suites: named, repeatable lists of X-rays whose true poses are known and which no training has seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import DRRSimulatorLib
import numpy as np
from DRRSimulatorLib.bone import BoneLabels, segment_bone
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
        bones: its bones, all of which count together.
        surface: of the bones.
        projector: of the CT and its bone.
        surface_points: (2000, 3) fixed random points of the surface, RAS mm, over which errors are averaged.
    """

    ct: CTVolume
    bones: BoneLabels
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
        return cls.of(ct, segment_bone(ct), device)

    @classmethod
    def of(cls, ct: CTVolume, bones: BoneLabels, device: str = "cpu") -> Patient:
        """Prepare a CT with its bones."""
        surface = bone_surface(bones)
        return cls(ct, bones, surface, Projector.from_ct(ct, bones, device), surface.sample(SURFACE_POINTS, np.random.default_rng(0)))

    @property
    def centroid(self) -> FloatArray:
        """Middle (3,) of the bone's surface, RAS mm."""
        return self.surface_points.mean(axis=0)


@dataclass(frozen=True)
class Case:
    """What is registered at once, one X-ray or several of known geometry, and the true pose.

    Attributes:
        number: place in the suite, from 1.
        views: the X-rays as a registration gets them.
        ras_to_rig: 4x4 true pose in the frame common to the X-rays.
        notes: what is known of the case besides, by name: values for JSON.
    """

    number: int
    views: tuple[View, ...]
    ras_to_rig: FloatArray
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def view(self) -> View:
        """The first X-ray; errors are measured in its camera."""
        return self.views[0]

    @property
    def ras_to_camera(self) -> FloatArray:
        """4x4 true pose of the first X-ray's camera."""
        pose: FloatArray = self.view.rig_to_camera @ self.ras_to_rig
        return pose


@dataclass(frozen=True)
class Suite(ABC):
    """Cases of one patient. The same name and number always mean the same case, whatever the limit.

    Attributes:
        name: of the suite.
        count: how many cases it has.
    """

    name: str
    count: int

    @property
    @abstractmethod
    def description(self) -> str:
        """What its X-rays are and what success on them tells, in a sentence or two for a report."""

    @property
    def seed(self) -> int:
        """Of everything random in it."""
        return 0

    def identity(self, patient: Patient) -> dict[str, Any]:
        """All that its cases depend on, values for JSON: two evaluations of equal identity meet the same X-rays."""
        return {"name": self.name, "seed": self.seed, "ct_fingerprint": patient.ct.fingerprint}

    @abstractmethod
    def patient(self, device: str = "cpu") -> Patient:
        """The patient, with the ray caster on a device.

        Raises:
            InputError: if the suite's data or packages are missing.
        """

    @abstractmethod
    def case(self, number: int, patient: Patient) -> Case:
        """Case `number`, from 1."""

    def cases(self, patient: Patient, limit: int | None = None) -> Iterator[Case]:
        """The first cases (all for None), each made when it is asked for."""
        for number in range(1, self.size(limit) + 1):
            yield self.case(number, patient)

    def size(self, limit: int | None) -> int:
        """How many cases a limit leaves."""
        return self.count if limit is None else min(limit, self.count)


@dataclass(frozen=True)
class SimulatedSuite(Suite):
    """X-rays simulated from one CT by DRRSimulatorLib. Number n depends on the suite's name, its seed and n alone.

    Attributes:
        ct_file: the patient.
        camera: of every X-ray.
        view_range: the views are drawn uniformly from it, with the bone in view as `sample_poses` says.
        random_seed: of everything random.
    """

    ct_file: Path = PELVIS_CT
    # The field of view of a mobile C-arm's flat panel, 297 mm.
    camera: Camera = field(default_factory=lambda: Camera.centred(1020.0, 0.58, (512, 512)))
    view_range: ViewRange = field(default_factory=ViewRange)
    random_seed: int = 0

    @property
    def description(self) -> str:
        """A simulator's own X-rays."""
        return (
            "Simulated X-rays with known poses. Success on them says little about real ones, least of all after refinement: it compares "
            "these X-rays with others from the same CT and simulator."
        )

    @property
    def seed(self) -> int:
        """Of everything random in it."""
        return self.random_seed

    def patient(self, device: str = "cpu") -> Patient:
        """The CT and the bone that is found in it."""
        return Patient.load(self.ct_file, device)

    def case(self, number: int, patient: Patient) -> Case:
        """Simulate X-ray `number` of the suite, from 1."""
        rng = self.rng(number)
        pose = sample_poses(1, self.camera, patient.surface_points, self.view_range, rng)[0]
        integrals = patient.projector.line_integrals(self.camera, pose[None]).numpy()[0]
        xray = XRay.from_pixels(simulate_xray(integrals, self.camera, rng), "intensity", self.camera)
        return Case(number, (View(xray, self.camera),), pose)

    def rng(self, number: int) -> np.random.Generator:
        """Source of everything random in a case."""
        # Training draws from SeedSequence((seed, 0 or 1, step)); with the suite's name in it, no stream of numbers is ever shared.
        return np.random.default_rng([*self.name.encode(), self.seed, number])


DEMO = SimulatedSuite("demo", 20)
PELVIS_200 = SimulatedSuite("pelvis-200", 200)
