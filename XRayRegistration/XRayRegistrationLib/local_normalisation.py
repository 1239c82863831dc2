"""Local normalisation of images: the mean and the contrast of a neighbourhood are taken out, and how that changes with the image.

Squared differences of images normalised so measure their local normalised correlation, which survives gain, gamma and a soft-tissue
background.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

CONTRAST_FLOOR = 0.03  # of the image's range; below it, an image counts as flat


class LocalNormalisation:
    """Normalises images of one size within one field."""

    def __init__(self, field: FloatImage, neighbourhood: float) -> None:
        """Take what all images share.

        Args:
            field: (..., rows, columns), 1 where images show something and 0 elsewhere; one for all images, or one for each.
            neighbourhood: standard deviation of the local window, share of the image's longer side.
        """
        self.field = field
        self._sigma = neighbourhood * max(field.shape[-2:])

    @cached_property
    def _weight(self) -> FloatImage:
        return np.maximum(self._smooth(self.field), np.float32(1e-3))

    def __call__(self, images: FloatImage) -> FloatImage:
        """Images (..., rows, columns), each minus its local mean, over its local standard deviation, inside the field; 0 outside."""
        if not self.field.any():
            return np.zeros_like(images)
        above_mean, deviation = self._above_mean_and_deviation(images)
        normal: FloatImage = self.field * above_mean / deviation
        return normal

    def with_derivatives(self, image: FloatImage, derivatives: FloatImage) -> tuple[FloatImage, FloatImage]:
        """The normalised image, and its derivatives by the parameters that the image depends on.

        Args:
            image: [row, column].
            derivatives: of the image by each parameter (parameters, rows, columns).

        Returns:
            float32 (rows, columns) and (parameters, rows, columns). The contrast floor counts as constant.
        """
        if not self.field.any():
            return np.zeros_like(image), np.zeros_like(derivatives)
        field, weight = self.field, self._weight
        above_mean, deviation = self._above_mean_and_deviation(image)
        normal: FloatImage = field * above_mean / deviation
        # n = a / d with a the image above its mean, d^2 = G(a^2) + floor^2: dn = (da - n G(a da) / d) / d.
        change = derivatives - self._smooth(derivatives * field) / weight
        covariance = self._smooth(field * above_mean * change) / weight
        change -= normal * covariance / deviation
        normal_change: FloatImage = field * change / deviation
        return normal, normal_change

    def _above_mean_and_deviation(self, images: FloatImage) -> tuple[FloatImage, FloatImage]:
        """What images (..., rows, columns) are above their local mean, and their local standard deviation, never below the floor."""
        field, weight = self.field, self._weight
        inside, axes = field > 0, (-2, -1)
        highest = np.max(images, axis=axes, keepdims=True, where=inside, initial=-np.inf)
        range_of_values = highest - np.min(images, axis=axes, keepdims=True, where=inside, initial=np.inf)
        floor = np.float32(CONTRAST_FLOOR) * np.maximum(range_of_values, np.float32(1e-6))
        above_mean = images - self._smooth(images * field) / weight
        variance: FloatImage = self._smooth(field * above_mean**2) / weight + floor**2
        return above_mean, np.sqrt(variance)

    def _smooth(self, images: FloatImage) -> FloatImage:
        """Gaussian neighbourhood of images (..., rows, columns)."""
        from scipy.ndimage import gaussian_filter

        smooth: FloatImage = gaussian_filter(images, self._sigma, axes=(-2, -1))
        return smooth
