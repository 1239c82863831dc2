"""Training on the stored X-rays of a data set."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.launch import available_cpus
from torch.profiler import record_function

from .dataset.augmentation import StoredXRayAugmentation
from .dataset.stored import XRayDataset
from .dataset.torch_dataset import TorchViews
from .randomise import RandomisationRanges
from .settings import TrainingSettings
from .training_patient import PoolsOfParts, TrainingImages, TrainingPatient


@dataclass(frozen=True)
class ReadViews:
    """A batch of stored views, on one device.

    Attributes:
        intensity: X-rays (B, 1, H, W), bone dark.
        exposed: their exposed fields (B, 1, H, W), bool.
        coordinates: scene coordinates (B, 6 * L, h, w), RAS mm, NaN off bone.
        ras_to_camera: poses (B, 4, 4), float32, mm.
    """

    intensity: torch.Tensor
    exposed: torch.Tensor
    coordinates: torch.Tensor
    ras_to_camera: torch.Tensor


class StoredTrainingPatient(TrainingPatient):
    """A patient of a data set, whose X-rays of the split "train" are read while the training goes on."""

    def __init__(self, folder: Path, name: str, settings: TrainingSettings, device: str, patients: int = 1) -> None:
        """Open the data set.

        Args:
            folder: of the data set.
            name: of the patient.
            settings: of the training; its camera is that of the data set, see `stored_camera`.
            device: torch device of the images.
            patients: how many share the space that there is for views.

        Raises:
            InputError: if there is no such data set or patient, it is damaged, or it has no view to train on.
        """
        patient = XRayDataset(folder).patient(name)
        super().__init__(patient.ct_fingerprint, patient.bones, patient.read("surface_points"), settings, device)
        size = settings.camera.image_size[0]
        self._views = TorchViews(folder, "train", [name], size, self.description.output_stride)
        self._generator, self._device = torch.Generator(device=device), device
        self._pools = PoolsOfParts(self._read, settings, patients)

    def images(self, part: int, visit: int, seed: int, ranges: RandomisationRanges) -> TrainingImages:
        """Stored X-rays with random displays; metal and noise are added."""
        self._generator.manual_seed(seed)
        with record_function("views"):
            views = self._pools.of(part).batch(visit, self._generator)
        with record_function("randomise"):
            images, exposed = StoredXRayAugmentation(ranges).draw(views.intensity, views.exposed, self._generator)
        return TrainingImages(images, exposed, views.coordinates, views.ras_to_camera)

    def _read(self, count: int, rng: np.random.Generator) -> ReadViews:
        numbers = rng.integers(len(self._views), size=count).tolist()
        with ThreadPoolExecutor(available_cpus()) as pool:  # most of the time goes to decompression, beside Python's lock
            views = list(pool.map(self._read_one, numbers))
        intensity, exposed, coordinates, poses = (torch.cat(part).to(self._device) for part in zip(*views, strict=True))
        return ReadViews(intensity, exposed, coordinates, poses)

    def _read_one(self, number: int) -> tuple[torch.Tensor, ...]:
        view = self._views.truth(number)
        return *self._views.measured(number), view["coordinates"].flatten(0, 2)[None], view["ras_to_camera"][None].float()


def stored_camera(folder: Path, image_size: int) -> Camera:
    """The camera of a data set's X-rays with another number of rows and columns.

    Raises:
        InputError: if the data set is damaged, or the size is no whole fraction of that of its X-rays.
    """
    return TorchViews(folder, image_size=image_size).camera
