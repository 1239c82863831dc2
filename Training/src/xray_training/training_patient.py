"""A patient to train on: its X-rays as the network gets them, their scene coordinates, and the frame that these are told in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic

import numpy as np
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray, sample_poses
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import bone_surface
from torch.profiler import record_function
from XRayRegistrationLib.model import ModelDescription

from .lone_bones import holds_lone_bones, with_continued_shafts
from .pose_loss import PoseLoss
from .randomise import RandomisationRanges, Randomiser
from .settings import TrainingSettings
from .views import RenderedViews, ViewPool, Views, render


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

    def __init__(self, ct_fingerprint: str, labels: dict[int, str], points: FloatArray, settings: TrainingSettings, device: str) -> None:
        """Find the frame.

        Args:
            ct_fingerprint: of the CT.
            labels: name of each bone, by its label; every one gets maps of its own.
            points: (N, 3) points spread evenly over the surface of the bones, RAS mm.
            settings: of the training.
            device: torch device of the images.
        """
        self.points = points
        centre = points.mean(axis=0)
        self.description = ModelDescription(
            ct_fingerprint=ct_fingerprint,
            labels=labels,
            centre_ras=(float(centre[0]), float(centre[1]), float(centre[2])),
            scale_mm=float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean())),
            camera=settings.camera,
        )
        self.pose_loss = PoseLoss(self.description, points, device)
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


class PoolsOfParts(Generic[Views]):
    """The views of one patient for every part of the batches, which have pools of their own: no process needs to know the others'."""

    def __init__(self, new_views: Callable[[int, np.random.Generator], Views], settings: TrainingSettings, patients: int) -> None:
        """Start without views.

        Args:
            new_views: makes so many views, drawn by a generator.
            settings: of the training.
            patients: how many share the space that there is for views.
        """
        self._new_pool = partial(
            ViewPool,
            new_views,
            batch_size=settings.batch_size // settings.parts,
            new_views_per_step=max(1, settings.new_views_per_step // settings.parts),
            capacity=settings.pool_size // (settings.parts * patients),
        )
        self._seed = settings.seed
        self._pools: dict[int, ViewPool[Views]] = {}

    def of(self, part: int) -> ViewPool[Views]:
        """The pool of a part, made when it is first asked for."""
        if part not in self._pools:
            self._pools[part] = self._new_pool(seed=(self._seed, part))
        return self._pools[part]


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
        points = bone_surface(bones).sample(4000, np.random.default_rng(settings.seed)).astype(np.float64)
        super().__init__(ct.fingerprint, dict(bones.names), points, settings, device)
        lone_bones = holds_lone_bones(ct, bones)
        self._generator = torch.Generator(device=device)
        self._randomiser = Randomiser(self._generator, lone_bones)
        self._projector = Projector.from_ct(*(with_continued_shafts(ct, bones) if lone_bones else (ct, bones)), device)
        self._settings, self._pools = settings, PoolsOfParts(self._render, settings, patients)

    def images(self, part: int, visit: int, seed: int, ranges: RandomisationRanges) -> TrainingImages:
        """X-rays with random views, acquisitions and displays."""
        self._generator.manual_seed(seed)
        with record_function("views"):
            views = self._pools.of(part).batch(visit, self._generator)
        with record_function("randomise"):
            images, exposed = self._randomiser(views.integrals, ranges)
        return TrainingImages(images, exposed, views.coordinates, views.ras_to_camera)

    def _render(self, count: int, rng: np.random.Generator) -> RenderedViews:
        poses = sample_poses(count, self._settings.camera, self.points, self._settings.view_range, rng)
        return render(self._projector, self._settings.camera, self.description.output_stride, poses)
