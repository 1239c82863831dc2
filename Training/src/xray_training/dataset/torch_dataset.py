"""A data set of X-rays for PyTorch: random access to single views, with workers, as a network is trained on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from torch.nn import functional
from torch.utils.data import Dataset
from XRayRegistrationLib.xray import XRay, as_in_xray, normalised

from .coarse_coordinates import coarse_coordinates
from .selection import choose_views
from .stored import StoredPatient, XRayDataset
from .xrays import stored_xray

# Makes new images of X-rays: of intensities (B, 1, H, W), their exposed field (B, 1, H, W) and a generator normalised images (B, 1, H, W).
Augmentation = Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]


class TorchViews(Dataset[dict[str, torch.Tensor]]):
    """Views of a data set as tensors.

    Attributes:
        patients: names of the patients that have views in it.
        bones: of each of them the names of its bones by label, in the order of the axis L.
        index: place of the patient and number of the view of each item.
        camera: of the images.

    An item has, for L bones, images of H x W pixels and an output grid of h x w = H / stride x W / stride pixels:

        image          (1, H, W) float32, as `XRayRegistrationLib.correspondences.network_image` gives it: bone bright, about 0 to 1
                       inside the exposed field, 0 outside
        coordinates    (L, 2, 3, h, w) float32: where the output pixels' rays enter and leave each bone, RAS mm; NaN off bone
        mask           (L, h, w) bool: whether they meet it
        camera_matrix  (3, 3) float64 of the image's pixels; that of the output grid is `camera.resized`'s
        ras_to_camera  (4, 4) float64
        patient        () int64, place in `patients`
        view           () int64, number of the view of that patient

    Views of patients with different numbers of bones do not fit into one batch of DataLoader's own making. Every process opens the files
    for itself, so both ways of starting workers, fork and spawn, are safe.
    """

    def __init__(
        self,
        folder: Path,
        split: str | None = None,
        patients: Sequence[str] | None = None,
        image_size: int | None = None,
        output_stride: int = 4,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        """Choose the views.

        Args:
            folder: of the data set.
            split: "train", "validation" or "test"; None for all views.
            patients: names; None for all.
            image_size: rows and columns of the images, a whole fraction of those stored; None for those.
            output_stride: pixels of an image in one of the output grid, as of `SceneCoordinateNetwork`.
            augmentation: makes a new image of the X-ray, such as `StoredXRayAugmentation`; None leaves it as it is.
            seed: of the augmentation, whose draws depend on it, the epoch and the item alone, not on the workers.

        Raises:
            InputError: if there is no such data set or patient, no view is left, or the size is no whole fraction.
        """
        self.folder, self.output_stride, self.augmentation, self.seed = Path(folder), output_stride, augmentation, seed
        chosen = choose_views(XRayDataset(self.folder), patients, split)
        self.patients = [views.patient.name for views in chosen]
        self.bones = [views.patient.bones for views in chosen]
        self.index = [(place, number) for place, views in enumerate(chosen) for number in views.numbers]
        self.camera = _common_camera([views.patient for views in chosen], image_size, output_stride)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # also in workers that outlive an epoch
        self._opened: dict[int, StoredPatient] = {}
        self._process = os.getpid()

    def __len__(self) -> int:
        """Number of views."""
        return len(self.index)

    def __getstate__(self) -> dict[str, Any]:
        """All but the open files."""
        return self.__dict__ | {"_opened": {}}

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the views comes next: the augmentation then draws anew."""
        self._epoch.fill_(epoch)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        """A view.

        Raises:
            InputError: if its files are damaged.
        """
        return {"image": self._image(item), **self.truth(item)}

    def truth(self, item: int) -> dict[str, torch.Tensor]:
        """All of a view but its image.

        Raises:
            InputError: if its files are damaged.
        """
        place, number = self.index[item]
        patient = self._patient(place)
        pose = patient.ras_to_camera[number]
        factor = patient.camera.image_size[0] * self.output_stride // self.camera.image_size[0]
        coordinates = torch.from_numpy(coarse_coordinates(patient.read("depth", number), patient.camera, pose, factor))
        return {
            "coordinates": coordinates,
            "mask": coordinates[:, 0, 0].isfinite(),
            "camera_matrix": torch.from_numpy(self.camera.matrix),
            "ras_to_camera": torch.tensor(pose),
            "patient": torch.tensor(place),
            "view": torch.tensor(number),
        }

    def measured(self, item: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The X-ray of a view as an augmentation takes it: intensity (1, 1, H, W), float32, and exposed field (1, 1, H, W), bool.

        Raises:
            InputError: if its files are damaged.
        """
        place, number = self.index[item]
        xray = stored_xray(self._patient(place), number)
        exposed = -functional.adaptive_max_pool2d(-torch.from_numpy(xray.field)[None, None].float(), self.camera.image_size) > 0
        return torch.from_numpy(as_in_xray(self._resampled(xray).numpy(), xray)), exposed

    def _image(self, item: int) -> torch.Tensor:
        """The X-ray in the network's pixels, augmented."""
        if self.augmentation is None:
            place, number = self.index[item]
            return self._resampled(stored_xray(self._patient(place), number))[0]
        generator = torch.Generator().manual_seed(_seed_of(self.seed, int(self._epoch), item))
        return self.augmentation(*self.measured(item), generator)[0]

    def _resampled(self, xray: XRay) -> torch.Tensor:
        """An X-ray (1, 1, H, W) normalised and resampled as `network_image` does it: logarithms are taken before pixels are averaged."""
        image = torch.from_numpy(normalised(xray))[None, None]
        return functional.interpolate(image, self.camera.image_size, mode="bilinear", antialias=True, align_corners=False)

    def _patient(self, place: int) -> StoredPatient:
        """A patient, opened by this process."""
        if self._process != os.getpid():
            self._process, self._opened = os.getpid(), {}
        if place not in self._opened:
            self._opened[place] = XRayDataset(self.folder).patient(self.patients[place])
        return self._opened[place]


def _common_camera(patients: Sequence[StoredPatient], image_size: int | None, output_stride: int) -> Camera:
    """The camera of the images in the chosen size.

    Raises:
        InputError: if patients have different cameras, or the sizes do not divide each other.
    """
    camera = patients[0].camera
    if any(patient.camera != camera for patient in patients):
        raise InputError("These patients' X-rays were taken with different cameras; choose those of one.")
    rows, columns = camera.image_size
    size = image_size or rows
    if rows != columns or rows % size or size % output_stride:
        raise InputError(
            f"Images of {rows} x {columns} pixels cannot be made {size} x {size} with a network's stride of {output_stride}; "
            f"choose a size that divides {rows}, and a stride that divides the size."
        )
    return camera.resized((size, size))


def _seed_of(*numbers: int) -> int:
    """A seed for torch from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
