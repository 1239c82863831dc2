"""Suites whose X-rays are made by another renderer and other physics than those that models are trained with and poses refined with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import FloatArray, invert_pose, sample_poses
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

from .image_cache import cached_image
from .reference_physics import Acquisition, expose
from .reference_renderer import renderer_of
from .suites import Case, Patient, SimulatedSuite

# Counts up whenever the images change, so that no older ones are taken from a cache.
PHYSICS_VERSION = 1

TRIES = 1000  # for the second view of a pair, before the first is drawn again


@dataclass(frozen=True)
class ReferenceSuite(SimulatedSuite):
    """X-rays of one CT as a C-arm would take them, each with its own settings.

    Attributes:
        views: X-rays of each case.
        angle_between_deg: smallest and largest angle between the beams of two views.
        cache: folder where images are kept between evaluations; None: they are made each time.
    """

    views: int = 1
    angle_between_deg: tuple[float, float] = (60.0, 90.0)
    cache: Path | None = None

    @property
    def description(self) -> str:
        """Test physics."""
        return (
            "Simulated X-rays with known poses. Their rays (RTK), spectrum, scatter, detector and display differ from those that models "
            "are trained with and poses refined with, but they are of the very CT that the model knows: real X-rays are harder."
        )

    def identity(self, patient: Patient) -> dict[str, Any]:
        """As every suite's, and the physics."""
        return super().identity(patient) | {"physics_version": PHYSICS_VERSION}

    def case(self, number: int, patient: Patient) -> Case:
        """Simulate the X-rays of case `number`, from 1, or take them from the cache."""
        rng = self.rng(number)
        poses = self._poses(patient, rng)
        acquisitions, views = [], []
        for place, (pose, own_rng) in enumerate(zip(poses, rng.spawn(self.views), strict=True), 1):
            acquisition = Acquisition.drawn(self.camera, own_rng)
            pixels = self._pixels(f"{number:05}_{place}", patient, pose, acquisition, own_rng)
            xray = XRay.from_pixels(pixels, acquisition.polarity, self.camera)
            views.append(View(xray, self.camera, pose @ invert_pose(poses[0])))
            acquisitions.append(asdict(acquisition))
        return Case(number, tuple(views), poses[0], {"acquisitions": acquisitions})

    def _pixels(
        self, name: str, patient: Patient, pose: FloatArray, acquisition: Acquisition, rng: np.random.Generator
    ) -> npt.NDArray[np.uint16]:
        """The image at a pose, from the cache where it is there."""

        def make() -> npt.NDArray[np.uint16]:
            return expose(renderer_of(patient.ct).lengths(self.camera, pose), self.camera, acquisition, rng)

        if self.cache is None:
            return make()
        record = {
            "camera": self.camera.to_dict(),
            "ras_to_camera": pose.tolist(),
            "polarity": acquisition.polarity,
            "acquisition": asdict(acquisition),
            "ct_fingerprint": patient.ct.fingerprint,
            "physics_version": PHYSICS_VERSION,
        }
        return cached_image(self.cache / self.name, name, record, make)

    def _poses(self, patient: Patient, rng: np.random.Generator) -> list[FloatArray]:
        """Poses of the case's views; a second is drawn again until the angle between the beams is right."""

        def drawn() -> FloatArray:
            pose: FloatArray = sample_poses(1, self.camera, patient.surface_points, self.view_range, rng)[0]
            return pose

        poses = [drawn()]
        tries = 0
        while len(poses) < self.views:
            tries += 1
            if tries % TRIES == 0:  # no view of the range may be far enough from one in its middle
                poses = [drawn()]
            pose = drawn()
            angle = np.degrees(np.arccos(np.clip(pose[2, :3] @ poses[0][2, :3], -1, 1)))
            if self.angle_between_deg[0] <= angle <= self.angle_between_deg[1]:
                poses.append(pose)
        return poses


PELVIS_2700 = ReferenceSuite("pelvis-2700", 2700)
PELVIS_TWO_VIEW = ReferenceSuite("pelvis-two-view", 300, views=2)
