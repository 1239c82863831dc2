"""Random changes of X-rays that are stored, as far as they can be made without simulating them again."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ..acquisition import with_noise
from ..draws import Draws
from ..randomise import RandomisationRanges, displayed
from ..structures import tools


@dataclass(frozen=True)
class StoredXRayAugmentation:
    """More metal, more noise, another collimation and another processing for every X-ray, drawn as `Randomiser` draws them.

    What the anatomy, the beam and the scatter do to an image was settled when it was simulated and stays.

    Attributes:
        ranges: of the random draws; those of beam, anatomy, scatter and vignetting are not used.
    """

    ranges: RandomisationRanges = field(default_factory=RandomisationRanges)

    def __call__(self, intensity: torch.Tensor, exposed: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The images that `draw` gives, without their exposed field."""
        return self.draw(intensity, exposed, generator)[0]

    def draw(self, intensity: torch.Tensor, exposed: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw new images.

        Args:
            intensity: X-rays (B, 1, H, W), bone dark, in any unit.
            exposed: their exposed field (B, 1, H, W), bool.
            generator: of all draws, on the device of the images.

        Returns:
            Images (B, 1, H, W) as `normalise` of `xray_training.randomise` gives them, and their exposed field (B, 1, H, W), bool.
        """
        draws = Draws(generator, len(intensity), (intensity.shape[-2], intensity.shape[-1]))
        metal = tools(draws, self.ranges.tools)
        changed = with_noise(draws, intensity * torch.exp(-metal), self.ranges.photons_log, self.ranges.electronics)
        return displayed(draws, changed, self.ranges, exposed)
