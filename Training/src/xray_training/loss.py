"""The loss: bone mask and robust likelihood of the scene coordinates."""

from __future__ import annotations

import torch
from torch.nn import functional
from XRayRegistrationLib.network import SceneMaps


def bone_in_field(targets: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Where rays meet bone inside the exposed field, (B, L, h, w), bool.

    Args:
        targets: true coordinates (B, 6 * L, h, w), NaN off bone.
        field: the exposed field (B, 1, h, w), bool.
    """
    return ~torch.isnan(targets[:, ::6]) & field


def scene_coordinate_loss(maps: SceneMaps, targets: torch.Tensor, bone: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mask loss, coordinate loss and their sum.

    A point's error r has the density exp(-r / b) / (8 pi b^3), an isotropic Laplace distribution in 3D whose scale b the network
    predicts: its negative log-likelihood is r / b + 3 log b. Heavy tails keep silhouettes, where the target jumps, from
    dominating (heteroscedastic regression after Kendall and Gal, NeurIPS 2017).

    Args:
        maps: what the network says.
        targets: true coordinates (B, 6 * L, h, w) in the network's unit, finite; off bone they do not count.
        bone: the true mask, (B, L, h, w), bool.

    Returns:
        "loss", "mask_loss", "coordinate_loss" and "coordinate_error" (mean r on bone, network's unit), scalars.
    """
    mask_loss = functional.binary_cross_entropy_with_logits(maps.mask_logits, bone.float())
    error = (maps.coordinates - targets.reshape(maps.coordinates.shape)).square().sum(dim=3).add(1e-8).sqrt()
    likelihood = error * torch.exp(-maps.log_scale) + 3 * maps.log_scale
    weight = bone[:, :, None].expand_as(error)
    count = weight.sum().clamp_min(1)
    coordinate_loss = (likelihood * weight).sum() / count
    return {
        # Per point both terms are of order one; the coordinates decide the pose, the mask only chooses among them.
        "loss": mask_loss + 0.5 * coordinate_loss,
        "mask_loss": mask_loss,
        "coordinate_loss": coordinate_loss,
        "coordinate_error": (error * weight).sum() / count,
    }
