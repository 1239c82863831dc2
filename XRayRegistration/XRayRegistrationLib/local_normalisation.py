"""Local normalisation of images: the mean and the contrast of a neighbourhood are taken out, and how that changes with the image.

Squared differences of images normalised so measure their local normalised correlation, which survives gain, gamma and a soft-tissue
background.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

NEIGHBOURHOOD = 0.05  # standard deviation of the local window, share of the image's longer side
CONTRAST_FLOOR = 0.03  # of the image's range; below it, an image counts as flat


class LocalNormalisation:
    """Normalises images of one size within one field."""

    def __init__(self, field: FloatImage) -> None:
        """Take the field [row, column], 1 where images show something and 0 elsewhere."""
        self.field = field
        self._sigma = NEIGHBOURHOOD * max(field.shape)
        self._inside = field > 0

    @cached_property
    def _weight(self) -> FloatImage:
        return np.maximum(self._smooth(self.field), np.float32(1e-3))

    def __call__(self, image: FloatImage) -> FloatImage:
        """Image [row, column] minus its local mean, over its local standard deviation, inside the field; 0 outside."""
        return self.with_derivatives(image, np.empty((0, *image.shape), dtype=np.float32))[0]

    def with_derivatives(self, image: FloatImage, derivatives: FloatImage) -> tuple[FloatImage, FloatImage]:
        """The normalised image, and its derivatives by the parameters that the image depends on.

        Args:
            image: [row, column].
            derivatives: of the image by each parameter (parameters, rows, columns).

        Returns:
            float32 (rows, columns) and (parameters, rows, columns). The contrast floor counts as constant.
        """
        if not self._inside.any():
            return np.zeros_like(image), np.zeros_like(derivatives)
        floor = CONTRAST_FLOOR * max(float(np.ptp(image[self._inside])), 1e-6)
        field, weight = self.field, self._weight
        above_mean = image - self._smooth(image * field) / weight
        deviation = np.sqrt(self._smooth(field * above_mean**2) / weight + np.float32(floor**2))
        normal = field * above_mean / deviation
        # n = a / d with a the image above its mean, d^2 = G(a^2) + floor^2: dn = (da - n G(a da) / d) / d.
        change = derivatives - self._smooth(derivatives * field) / weight
        covariance = self._smooth(field * above_mean * change) / weight
        return normal, field * (change - normal * covariance / deviation) / deviation

    def _smooth(self, images: FloatImage) -> FloatImage:
        """Gaussian neighbourhood of images (..., rows, columns)."""
        from scipy.ndimage import gaussian_filter

        smooth: FloatImage = gaussian_filter(images, self._sigma, axes=(-2, -1))
        return smooth
