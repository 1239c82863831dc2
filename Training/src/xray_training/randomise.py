"""Domain randomisation: from line integrals to the images that the network learns on.

Everything works on torch batches on the device of the input, with a generator for repeatable draws. The steps follow the physics of
an acquisition (`structures`, `acquisition`) and then the processing that a displayed X-ray has gone through.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .acquisition import Beams, sharpened, vignetted, with_noise, with_scatter
from .draws import Bounds, Draws
from .structures import bones_beside, markers, other_bones, soft_tissue, tools


@dataclass(frozen=True)
class RandomisationRanges:
    """Ranges of the random draws; (low, high) is uniform, "log" uniform in the logarithm, and a single number is a probability."""

    soft_contrast: Bounds = (0.4, 1.2)
    bone_contrast: Bounds = (0.7, 1.8)
    background_clutter: Bounds = (0.0, 0.5)
    polyenergetic: float = 0.9
    photons_log: Bounds = (300.0, 30000.0)
    electronics: Bounds = (0.0, 0.005)
    scatter: Bounds = (0.0, 1.0)
    vignetting: Bounds = (0.0, 0.4)
    sharpness: Bounds = (-0.7, 1.0)
    local_contrast: Bounds = (0.0, 0.6)
    gamma_log: Bounds = (0.6, 1.7)
    brightness: Bounds = (-0.1, 0.1)
    contrast_log: Bounds = (0.8, 1.25)
    other_bones: float = 0.1
    tools: float = 0.3
    markers: float = 0.25
    overexposure: float = 0.2
    collimation: float = 0.4
    inversion: float = 0.1
    erasing: float = 0.3

    def at_strength(self, strength: float) -> RandomisationRanges:
        """These ranges drawn together towards the plain image: 1 leaves them as they are, 0 leaves nothing random."""

        def between(plain: float, bounds: Bounds) -> Bounds:
            return plain + strength * (bounds[0] - plain), plain + strength * (bounds[1] - plain)

        def between_log(plain: float, bounds: Bounds) -> Bounds:
            return plain * (bounds[0] / plain) ** strength, plain * (bounds[1] / plain) ** strength

        return RandomisationRanges(
            soft_contrast=between(1.0, self.soft_contrast),
            bone_contrast=between(1.0, self.bone_contrast),
            background_clutter=between(0.0, self.background_clutter),
            polyenergetic=strength * self.polyenergetic,
            photons_log=between_log(self.photons_log[1], self.photons_log),
            electronics=between(0.0, self.electronics),
            scatter=between(0.0, self.scatter),
            vignetting=between(0.0, self.vignetting),
            sharpness=between(0.0, self.sharpness),
            local_contrast=between(0.0, self.local_contrast),
            gamma_log=between_log(1.0, self.gamma_log),
            brightness=between(0.0, self.brightness),
            contrast_log=between_log(1.0, self.contrast_log),
            other_bones=strength * self.other_bones,
            tools=strength * self.tools,
            markers=strength * self.markers,
            overexposure=strength * self.overexposure,
            collimation=strength * self.collimation,
            inversion=strength * self.inversion,
            erasing=strength * self.erasing,
        )


# For bones that were cut out of their CT: all other bones of the limb are missing in it.
OTHER_BONES_OF_LONE_BONES = 0.5


class Randomiser:
    """Turns line integrals into normalised training images, each with its own random acquisition and processing."""

    def __init__(self, generator: torch.Generator, lone_bones: bool = False) -> None:
        """Prepare for a CT.

        Args:
            generator: of all draws, on the device of the images.
            lone_bones: whether the CT holds nothing but bones that were cut out: soft tissue and other bones are then made up.
        """
        self.generator, self.lone_bones = generator, lone_bones
        self.beams = Beams(generator.device)

    def __call__(self, integrals: torch.Tensor, ranges: RandomisationRanges) -> tuple[torch.Tensor, torch.Tensor]:
        """Simulate the X-rays of line integrals.

        Args:
            integrals: (B, 2, H, W) as `Projector.line_integrals` gives them, dimensionless.
            ranges: of the random draws.

        Returns:
            images (B, 1, H, W) as `normalise` gives them, and the exposed field (B, 1, H, W), bool.
        """
        draws = Draws(self.generator, len(integrals), (integrals.shape[-2], integrals.shape[-1]))
        return displayed(draws, self._detected(draws, integrals, ranges), ranges)

    def _detected(self, draws: Draws, integrals: torch.Tensor, ranges: RandomisationRanges) -> torch.Tensor:
        """What the detector measures (B, 1, H, W), in shares of the open field."""
        soft, bone = integrals[:, :1], integrals[:, 1:]
        # A coarse random field stands for soft tissue, clothes and tables that the CT does not hold.
        surroundings = draws.smooth() * draws.uniform(ranges.background_clutter)
        others = other_bones(draws, bone, OTHER_BONES_OF_LONE_BONES if self.lone_bones else ranges.other_bones)
        if self.lone_bones:
            surroundings = surroundings + soft_tissue(draws, soft + bone)
            others = others + bones_beside(draws, bone, OTHER_BONES_OF_LONE_BONES)
        soft = soft * draws.uniform(ranges.soft_contrast) + surroundings
        bone = (bone + others) * draws.uniform(ranges.bone_contrast) + tools(draws, ranges.tools) + markers(draws, ranges.markers)
        primary = self.beams.transmitted(draws, soft, bone, ranges.polyenergetic)
        intensity = with_scatter(draws, primary, ranges.scatter)
        intensity = with_noise(draws, vignetted(draws, intensity, ranges.vignetting), ranges.photons_log, ranges.electronics)
        brightest = torch.where(draws.happens(ranges.overexposure), draws.uniform((1.0, 2.5)), torch.inf)
        return torch.minimum(intensity, brightest * intensity.mean(dim=(-2, -1), keepdim=True))


def displayed(
    draws: Draws, intensity: torch.Tensor, ranges: RandomisationRanges, field: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images that are shown of what a detector measured: collimated, sharpened, normalised, and with other grey values.

    Args:
        draws: of the images.
        intensity: (B, 1, H, W), at least 0 but for noise, in any unit.
        ranges: of the random draws.
        field: what is exposed before the collimation that is drawn here, (B, 1, H, W), bool; None: everything.

    Returns:
        images (B, 1, H, W) as `normalise` gives them, and the exposed field (B, 1, H, W), bool.
    """
    exposed, found = _collimated(draws, ranges.collimation)
    if field is not None:
        found = found & field
    # What the collimator's blades let through is about the least that a detector tells from nothing.
    darkest = 1e-3 * intensity.mean(dim=(-2, -1), keepdim=True)
    attenuation = -torch.log(torch.maximum(torch.where(exposed, intensity, darkest), darkest))
    attenuation = sharpened(draws, attenuation, ranges.sharpness, ranges.local_contrast)
    return _processed(draws, normalise(attenuation, found), ranges) * found, found


def normalise(attenuation: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Scale images (B, 1, H, W) so that the 2nd and 98th percentile inside the field are 0 and 1; 0 outside.

    The twin of `XRayRegistrationLib.xray.normalised`, on every fourth pixel of every fourth row, which is enough for percentiles.
    """
    sample = torch.where(field, attenuation, torch.inf)[..., ::4, ::4].flatten(1).sort(dim=1).values  # what is outside comes last
    last = field[..., ::4, ::4].flatten(1).sum(dim=1, keepdim=True) - 1
    low, high = (sample.gather(1, (share * last).round().long().clamp_min(0))[..., None, None] for share in (0.02, 0.98))
    return ((attenuation - low) / (high - low).clamp_min(1e-6)).clamp(-0.5, 1.5) * field


def _collimated(draws: Draws, probability: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What is exposed, and the field that is found: everything, or a round or rectangular part; (B, 1, H, W), bool.

    The found field is now and then a little too large, so that its rim is dark.
    """
    x, y = draws.grid()
    dx, dy = x - draws.uniform((-0.1, 0.1)), y - draws.uniform((-0.1, 0.1))
    radius, width, height = draws.uniform((0.8, 1.1)), draws.uniform((0.6, 1.1)), draws.uniform((0.6, 1.1))
    distance = torch.where(
        draws.happens(0.5), (dx.square() + dy.square()).sqrt() / radius, torch.maximum(dx.abs() / width, dy.abs() / height)
    )
    open_field = ~draws.happens(probability)
    return (distance < 1) | open_field, (distance < draws.uniform((0.95, 1.01))) | open_field


def _processed(draws: Draws, images: torch.Tensor, ranges: RandomisationRanges) -> torch.Tensor:
    """Normalised images after gamma, another choice of black and white, inversion, and erasing of rectangles."""
    images = images.sign() * images.abs() ** draws.log_uniform(ranges.gamma_log)
    images = (images * draws.log_uniform(ranges.contrast_log) + draws.uniform(ranges.brightness)).clamp(-0.5, 1.5)
    images = torch.where(draws.happens(ranges.inversion), 1 - images, images)
    erased = draws.boxes((0.05, 0.25), (0.05, 0.25)) & draws.happens(ranges.erasing)
    return torch.where(erased, draws.uniform((-0.2, 1.2)), images)
