"""A stand-in for the network that knows the truth."""

from __future__ import annotations

import torch
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.projector import Projector
from torch import nn
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.network import SceneMaps

STRIDE = 4


class OracleNetwork(nn.Module):
    """Says of every X-ray what the projector knows to be true, given the pose; of a blank image that there is no bone."""

    size_multiple = 16

    def __init__(self, projector: Projector, description: ModelDescription, expected: list[tuple[Camera, FloatArray]]) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.projector, self.description, self.expected = projector, description, expected

    def scene_maps(self, images: torch.Tensor) -> SceneMaps:
        camera, pose = self.expected.pop(0)
        size = (images.shape[2] // STRIDE, images.shape[3] // STRIDE)
        hits = torch.from_numpy(self.projector.scene_coordinates(camera.resized(size), pose[None]).numpy().copy())
        centre = torch.tensor(self.description.centre_ras).view(1, 1, 3, 1, 1)
        coordinates = (hits.view(1, 2, 3, *size) - centre) / self.description.scale_mm
        bone = torch.isfinite(hits[:, :1]) & bool(images.std() > 0)
        return SceneMaps(bone.float() * 20 - 10, torch.nan_to_num(coordinates)[:, None], torch.full((1, 1, 2, *size), -4.0))
