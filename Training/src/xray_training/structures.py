"""What stands in an X-ray beside the bones that the network looks for: soft tissue, other bones, tools and markers, as line integrals.

Shapes are drawn straight onto the image, not in 3D: the network shall learn to see past them, not to understand them.
"""

from __future__ import annotations

import torch

from .draws import Draws, blurred, enlarged, shrunk

COARSE = 4  # what is smooth is made of every fourth pixel
LIMBS, OTHER_BONES, BONES_BESIDE, MARKERS = 2, 5, 2, 8  # at most, in an image


def soft_tissue(draws: Draws, bones: torch.Tensor) -> torch.Tensor:
    """Soft tissue around bones that were cut out of their CT, (B, 1, H, W): a layer that follows the bones, and limbs across them.

    Args:
        bones: line integrals of the bones (B, 1, H, W).
    """
    silhouette = (shrunk(bones, COARSE) > 0.03).float()
    # As thick as a round limb where it is near bone, and thinning out to its edge like a circle's chord.
    near = blurred(silhouette, draws.uniform((1.5, 6.0)))
    layer = (near / near.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-6) - draws.uniform((0.02, 0.3))).clamp(0, 1).sqrt()
    along, across = draws.frames(LIMBS, COARSE, spread=0.6)
    radius = draws.uniform((0.15, 0.8), LIMBS)
    limb = (1 - (across / radius).square()).clamp_min(0).sqrt() * torch.sigmoid((along + draws.uniform((-0.5, 1.5), LIMBS)) * 20)
    limbs = (limb * draws.uniform((0.0, 1.2), LIMBS) * draws.happens(0.5, LIMBS)).sum(dim=1, keepdim=True)
    return enlarged(layer * draws.uniform((0.2, 1.5)) + limbs, draws.size).clamp_min(0) * (1 + 0.1 * draws.smooth(9))


def other_bones(draws: Draws, bones: torch.Tensor, probability: float) -> torch.Tensor:
    """Bones of the same body that overlap those looked for, (B, 1, H, W): hollow ellipsoids, as long bones and small ones appear.

    Args:
        draws: of the bones.
        bones: line integrals of the bones looked for (B, 1, H, W); the others are about as dense.
        probability: that each of the `OTHER_BONES` is there.
    """
    along, across = draws.frames(OTHER_BONES, 2)
    half_width = draws.log_uniform((0.04, 0.25), OTHER_BONES)
    return _hollow(draws, along, across, half_width, half_width * draws.log_uniform((1.0, 8.0), OTHER_BONES), bones, probability)


def bones_beside(draws: Draws, bones: torch.Tensor, probability: float) -> torch.Tensor:
    """Long bones about parallel to the one looked for, (B, 1, H, W), as the ulna is to the radius and the fibula to the tibia.

    Args:
        draws: of the bones.
        bones: line integrals of the bone looked for (B, 1, H, W).
        probability: that each of the `BONES_BESIDE` is there.
    """
    silhouette = (shrunk(bones, 2) > 0.05).float()
    area = silhouette.sum(dim=(-2, -1), keepdim=True).clamp_min(1)
    x, y = draws.grid(2)
    dx, dy = (place - (silhouette * place).sum(dim=(-2, -1), keepdim=True) / area for place in (x, y))
    # The axis of largest second moment.
    xx, yy, xy = ((silhouette * product).sum(dim=(-2, -1), keepdim=True) for product in (dx * dx, dy * dy, dx * dy))
    angle = torch.atan2(2 * xy, xx - yy) / 2 + draws.uniform((-0.3, 0.3), BONES_BESIDE)
    along = dx * angle.cos() + dy * angle.sin() - draws.uniform((-1.2, 1.2), BONES_BESIDE)
    across = dy * angle.cos() - dx * angle.sin() - draws.uniform((-0.6, 0.6), BONES_BESIDE)
    half_width = draws.log_uniform((0.05, 0.2), BONES_BESIDE)
    return _hollow(draws, along, across, half_width, draws.uniform((0.8, 3.0), BONES_BESIDE), bones, probability)


def _hollow(
    draws: Draws,
    along: torch.Tensor,
    across: torch.Tensor,
    half_width: torch.Tensor,
    half_length: torch.Tensor,
    bones: torch.Tensor,
    probability: float,
) -> torch.Tensor:
    """Sum of hollow ellipsoids (B, 1, H, W) with the coordinates (B, N, H / 2, W / 2) of every second pixel in their axes.

    The chord through a shell is that of the outer ellipsoid less that of the cavity, which holds some trabecular bone.
    """
    each = along.shape[1]
    squared = (across / half_width).square() + (along / half_length).square()
    cavity = draws.uniform((0.6, 0.95), each)
    shell = (1 - squared).clamp_min(0).sqrt() - (cavity.square() - squared).clamp_min(0).sqrt() * draws.uniform((0.5, 1.0), each)
    density = draws.uniform((0.3, 1.5), each) * draws.happens(probability, each)
    typical = bones.sum(dim=(-2, -1), keepdim=True) / (bones > 0.05).sum(dim=(-2, -1), keepdim=True).clamp_min(1)
    return enlarged((shell * density).sum(dim=1, keepdim=True), draws.size).clamp_min(0) * 1.5 * typical


def tools(draws: Draws, probability: float) -> torch.Tensor:
    """Metal rods, wires and plates, (B, 1, H, W)."""
    rods = draws.boxes((0.01, 0.06), (0.2, 1.2)) & draws.happens(probability)
    return rods * draws.uniform((0.5, 4.0))


def markers(draws: Draws, probability: float) -> torch.Tensor:
    """Beads and discs such as skin markers, (B, 1, H, W); in a share `probability` of the images, the first of the batch."""
    images = torch.zeros(draws.count, 1, *draws.size, device=draws.device)
    some = Draws(draws.generator, round(probability * draws.count), draws.size)
    if some.count:
        x, y = some.grid()
        dx, dy = x - some.uniform((-1, 1), MARKERS), y - some.uniform((-1, 1), MARKERS)
        radius = some.log_uniform((0.008, 0.07), MARKERS)
        # Small ones are of metal, large ones of plastic.
        density = some.uniform((0.1, 0.5), MARKERS) * (0.03 / radius).clamp(0.5, 5.0) * some.happens(0.7, MARKERS)
        images[: some.count] = ((dx.square() + dy.square() < radius.square()) * density).sum(dim=1, keepdim=True)
    return images
