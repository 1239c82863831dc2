"""The scene-coordinate U-Net: for every bone, which 3D points a pixel's ray enters and leaves, and how sure that is.

After Shrestha et al., MICCAI 2023 (arXiv 2311.15087), with an explicit bone mask and a robust likelihood. This file needs torch
and monai; it is imported by the functions that need it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.networks.nets import UNet
from torch import nn

# A point error of density exp(-r / b) / (8 pi b^3) in 3D has variance E[r^2] / 3 = 4 b^2 along each axis.
SIGMA_PER_LAPLACE_SCALE = 2.0
CHANNELS_PER_LABEL = 9


@dataclass(frozen=True)
class SceneMaps:
    """What the network says of a batch, on its output grid of h x w pixels, for every label.

    Attributes:
        mask_logits: logit of the probability that the pixel's ray meets the bone, (B, L, h, w).
        coordinates: entry and exit points, (B, L, 2, 3, h, w), in the unit of the network: (RAS - centre) / scale.
        log_scale: logarithm of the Laplace scale b of each point's error, (B, L, 2, h, w), same unit.
    """

    mask_logits: torch.Tensor
    coordinates: torch.Tensor
    log_scale: torch.Tensor


class SceneCoordinateNetwork(nn.Module):
    """MONAI's residual U-Net on images whose blocks of `output_stride` pixels are folded into channels.

    Folding (pixel unshuffle) loses nothing of the image, and spares the convolutions at full resolution, where scene coordinates
    hardly change from pixel to pixel.
    """

    def __init__(self, label_count: int, channels: tuple[int, ...], output_stride: int) -> None:
        super().__init__()
        self.label_count = label_count
        self.output_stride = output_stride
        self.size_multiple = output_stride * 2 ** (len(channels) - 2)
        self.fold = nn.PixelUnshuffle(output_stride)
        self.unet = UNet(
            spatial_dims=2,
            in_channels=output_stride**2,
            out_channels=channels[0],
            channels=channels,
            strides=(1, *[2] * (len(channels) - 2)),
            num_res_units=2,
            norm="BATCH",
            act=("RELU", {"inplace": True}),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(channels[0], CHANNELS_PER_LABEL * label_count, kernel_size=1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Raw maps (B, 9 * L, h, w) of normalised images (B, 1, H, W); H and W are multiples of `size_multiple`."""
        maps: torch.Tensor = self.head(self.unet(self.fold(images)))
        return maps

    def scene_maps(self, images: torch.Tensor) -> SceneMaps:
        """The maps of normalised images (B, 1, H, W), named."""
        return self.named(self(images))

    def named(self, raw: torch.Tensor) -> SceneMaps:
        """Raw maps (B, 9 * L, h, w), named."""
        raw = raw.float()
        batch, _, rows, columns = raw.shape
        raw = raw.reshape(batch, self.label_count, CHANNELS_PER_LABEL, rows, columns)
        points = raw[:, :, 1:].reshape(batch, self.label_count, 2, 4, rows, columns)
        # The clamp keeps a confident error from an infinite loss; e^-6 of the scale is under half a millimetre.
        return SceneMaps(raw[:, :, 0], points[:, :, :, :3], points[:, :, :, 3].clamp(-6.0, 3.0))
