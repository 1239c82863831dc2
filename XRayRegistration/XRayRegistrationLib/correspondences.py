"""From an X-ray to 2D-3D correspondences: resample to the network's pixels, ask the network, keep what it calls bone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.errors import InputError

from .model import Model
from .pose import Correspondences

if TYPE_CHECKING:
    import torch


def network_image(image: npt.NDArray[np.float32], camera: Camera, model: Model) -> tuple[torch.Tensor, Camera]:
    """An X-ray in the network's pixels: resampled to the focal length (in pixels) that the network knows, padded with zeros.

    Args:
        image: normalised X-ray [row, column], as `xray.normalised` gives it.
        camera: its camera.
        model: the model that will see it.

    Returns:
        float32 tensor (1, 1, H, W), and the camera of its pixels.

    Raises:
        InputError: if the X-ray covers too small a field for the network.
    """
    import torch
    from torch.nn import functional

    wanted, present = model.description.camera.focal_lengths, camera.focal_lengths
    rows, columns = (max(1, round(size * wanted[1 - axis] / present[1 - axis])) for axis, size in enumerate(image.shape))
    multiple = model.network.size_multiple
    if min(rows, columns) < multiple:
        raise InputError(
            f"The X-ray is only {rows} x {columns} pixels at the model's resolution, and at least {multiple} are needed; "
            "check the pixel spacing and the source-to-detector distance."
        )
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
    tensor = functional.interpolate(tensor, (rows, columns), mode="bilinear", antialias=True, align_corners=False)
    padded = tuple(-(-size // multiple) * multiple for size in (rows, columns))
    top, left = (padded[0] - rows) // 2, (padded[1] - columns) // 2
    tensor = functional.pad(tensor, (left, padded[1] - columns - left, top, padded[0] - rows - top))
    return tensor, camera.resized((rows, columns)).cropped(-top, -left, (padded[0], padded[1]))


def find_correspondences(
    images: Sequence[torch.Tensor], cameras: Sequence[Camera], rig_to_camera: Sequence[FloatArray], model: Model
) -> list[Correspondences]:
    """The entry and exit points of every pixel that the network takes for bone, one set per view.

    Args:
        images: network images (1, 1, H, W) of `network_image`.
        cameras: the cameras of their pixels.
        rig_to_camera: 4x4 transform of each view; identity for a single one.
        model: the model of the patient's CT.

    Returns:
        Correspondences in pixels of the network's output grid.
    """
    return [joined(bones) for bones in find_correspondences_of_bones(images, cameras, rig_to_camera, model)]


def joined(parts: Sequence[Correspondences]) -> Correspondences:
    """The correspondences of several bones in one X-ray as those of one."""
    points_image, points_ras = (np.concatenate([getattr(part, name) for part in parts]) for name in ("points_image", "points_ras"))
    return replace(parts[0], points_image=points_image, points_ras=points_ras, sigma_mm=np.concatenate([part.sigma_mm for part in parts]))


def find_correspondences_of_bones(
    images: Sequence[torch.Tensor], cameras: Sequence[Camera], rig_to_camera: Sequence[FloatArray], model: Model
) -> list[list[Correspondences]]:
    """As `find_correspondences`, but for each view a list with one set for each bone, in the order of the model's labels."""
    import torch

    description, device = model.description, next(model.network.parameters()).device
    found = []
    for image, camera, to_camera in zip(images, cameras, rig_to_camera, strict=True):
        with torch.inference_mode():
            maps = model.network.scene_maps(image.to(device, memory_format=torch.channels_last))
        masks = maps.mask_logits[0].cpu().numpy() > 0
        coordinates, log_scales = maps.coordinates[0].cpu().numpy(), maps.log_scale[0].cpu().numpy()
        bones = zip(masks, coordinates, log_scales, strict=True)
        found.append([_correspondences(*bone, camera, to_camera, description.centre_ras, description.scale_mm) for bone in bones])
    return found


def _correspondences(
    bone: npt.NDArray[np.bool_],
    coordinates: npt.NDArray[np.float32],
    log_scale: npt.NDArray[np.float32],
    camera: Camera,
    rig_to_camera: FloatArray,
    centre_ras: tuple[float, float, float],
    scale_mm: float,
) -> Correspondences:
    from .network import SIGMA_PER_LAPLACE_SCALE

    row, column = np.nonzero(bone)
    points = coordinates.astype(np.float64).transpose(2, 3, 0, 1)[row, column]
    scales = log_scale.astype(np.float64).transpose(1, 2, 0)[row, column]
    return Correspondences(
        points_image=np.repeat(np.stack([column, row], axis=1).astype(np.float64), 2, axis=0),
        points_ras=points.reshape(-1, 3) * scale_mm + np.asarray(centre_ras),
        sigma_mm=SIGMA_PER_LAPLACE_SCALE * np.exp(scales.reshape(-1)) * scale_mm,
        camera=camera.resized((bone.shape[0], bone.shape[1])),
        rig_to_camera=rig_to_camera,
    )
