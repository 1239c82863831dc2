"""A patient to train on: its X-rays as the network gets them, their scene coordinates, and the frame that these are told in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import bone_surface
from XRayRegistrationLib.model import ModelDescription

from .lone_bones import holds_lone_bones, with_continued_shafts
from .pose_loss import PoseLoss
from .randomise import RandomisationRanges, Randomiser
from .settings import TrainingSettings
from .views import ViewPool


@dataclass(frozen=True)
class TrainingImages:
    """What the network learns from in one part of a batch, on its device.

    Attributes:
        images: normalised X-rays (B, 1, H, W).
        exposed: their exposed fields (B, 1, H, W), bool.
        coordinates: scene coordinates (B, 6 * L, h, w), RAS mm, NaN off bone.
        ras_to_camera: poses (B, 4, 4), float32, mm.
    """

    images: torch.Tensor
    exposed: torch.Tensor
    coordinates: torch.Tensor
    ras_to_camera: torch.Tensor


class TrainingPatient(ABC):
    """A patient with a frame of its own: the origin is the middle of its bones, and the unit their size.

    In this frame patients look alike, so that one network can learn several, and a network that knows some learns another sooner.
    """

    def __init__(self, ct: CTVolume, bones: BoneLabels, settings: TrainingSettings, device: str) -> None:
        """Find the frame.

        Args:
            ct: the CT.
            bones: its bones; every label gets maps of its own.
            settings: of the training.
            device: torch device of the images.
        """
        self.points = bone_surface(bones).sample(4000, np.random.default_rng(settings.seed)).astype(np.float64)
        centre = self.points.mean(axis=0)
        self.description = ModelDescription(
            ct_fingerprint=ct.fingerprint,
            labels=dict(bones.names),
            centre_ras=(float(centre[0]), float(centre[1]), float(centre[2])),
            scale_mm=float(np.sqrt(((self.points - centre) ** 2).sum(axis=1).mean())),
            camera=settings.camera,
        )
        self.pose_loss = PoseLoss(self.description, self.points, device)
        self._centre = torch.tensor(self.description.centre_ras, device=device).view(1, 1, 3, 1, 1)

    @abstractmethod
    def images(self, part: int, visit: int, seed: int, ranges: RandomisationRanges) -> TrainingImages:
        """X-rays for a part of a batch; they depend on the arguments and the training's seed alone.

        Args:
            part: number of the part of the batch.
            visit: how often parts of batches were of this patient before; it grows with every call for a part.
            seed: of the choice of views and of their randomisation.
            ranges: of the randomisation.
        """

    def targets(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Scene coordinates (B, 6 * L, h, w), RAS mm, in the patient's own frame."""
        return ((coordinates.unflatten(1, (-1, 3)) - self._centre) / self.description.scale_mm).flatten(1, 2)


class SimulatedPatient(TrainingPatient):
    """A patient whose X-rays are simulated while the training goes on."""

    def __init__(self, ct: CTVolume, bones: BoneLabels, settings: TrainingSettings, device: str, patients: int = 1) -> None:
        """Load the CT into the ray caster.

        Args:
            ct: the CT.
            bones: its bones; every label gets maps of its own.
            settings: of the training.
            device: where rays are cast, "cpu" or "cuda".
            patients: how many share the space that there is for rendered views.
        """
        super().__init__(ct, bones, settings, device)
        lone_bones = holds_lone_bones(ct, bones)
        self._generator = torch.Generator(device=device)
        self._randomiser = Randomiser(self._generator, lone_bones)
        self._projector = Projector.from_ct(*(with_continued_shafts(ct, bones) if lone_bones else (ct, bones)), device)
        self._settings, self._capacity = settings, settings.pool_size // (settings.parts * patients)
        self._pools: dict[int, ViewPool] = {}

    def images(self, part: int, visit: int, seed: int, ranges: RandomisationRanges) -> TrainingImages:
        """X-rays with random views, acquisitions and displays."""
        if part not in self._pools:
            self._pools[part] = self._new_pool(part, self.points)
        self._generator.manual_seed(seed)
        with torch.profiler.record_function("views"):
            views = self._pools[part].batch(visit, self._generator)
        with torch.profiler.record_function("randomise"):
            images, exposed = self._randomiser(views.integrals, ranges)
        return TrainingImages(images, exposed, views.coordinates, views.ras_to_camera)

    def _new_pool(self, part: int, points: FloatArray) -> ViewPool:
        settings = self._settings
        return ViewPool(
            self._projector,
            settings.camera,
            self.description.output_stride,
            points,
            settings.view_range,
            (settings.seed, part),
            settings.batch_size // settings.parts,
            max(1, settings.new_views_per_step // settings.parts),
            self._capacity,
        )
