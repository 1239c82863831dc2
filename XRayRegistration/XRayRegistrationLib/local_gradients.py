"""Gradients of images over their local size, and how they change with the image: the most exact comparison of images that fit already.

Squared differences of them measure local gradient correlation (after Penney et al., A comparison of similarity measures for use in
2-D-3-D medical image registration, IEEE TMI 17(4), 1998), in which edges count and slow changes of brightness do not: scatter, beam
hardening, and soft tissue.
"""

from __future__ import annotations

import numpy as np

from .local_normalisation import FloatImage, LocalNormalisation

GRADIENT_FLOOR = 0.01  # of the image's range, a pixel; below it, an image counts as flat


class LocalGradients(LocalNormalisation):
    """The gradients along columns and rows, one above the other: as for an image of twice as many rows, which `field` is of."""

    def __init__(self, field: FloatImage, neighbourhood: float) -> None:
        """Take what all images share, as `LocalNormalisation` does; pixels beside the field's edge are left out."""
        inner = field.copy()
        for axis in (0, 1):
            edge = np.zeros_like(field)
            for step in (-1, 1):
                inner = np.minimum(inner, np.roll(field, step, axis))
            np.moveaxis(edge, axis, 0)[1:-1] = 1  # neighbours beyond the image come from its other side
            inner *= edge
        super().__init__(inner, neighbourhood)
        self._inner = inner
        self.field = np.concatenate([inner, inner])

    def __call__(self, images: FloatImage) -> FloatImage:
        """Gradients (..., 2 * rows, columns) of images (..., rows, columns)."""
        gradients = _gradients(images)
        size = self._size(images, gradients)
        normal: FloatImage = np.concatenate([self._inner * gradient / size for gradient in gradients], axis=-2)
        return normal

    def with_derivatives(self, image: FloatImage, derivatives: FloatImage) -> tuple[FloatImage, FloatImage]:
        """The gradients of an image [row, column], and their derivatives by its parameters; see `LocalNormalisation`."""
        gradients, changes = _gradients(image), _gradients(derivatives)
        size = self._size(image, gradients)
        # n = g / s with s^2 = G(g_x^2 + g_y^2) / 2 + floor^2: dn = (dg - n ds) / s, and ds = G(g_x dg_x + g_y dg_y) / (2 s).
        change_of_size = self._mean(gradients[0] * changes[0] + gradients[1] * changes[1]) / (2 * size)
        normal = [self._inner * gradient / size for gradient in gradients]
        change = [self._inner * (own - part * change_of_size) / size for own, part in zip(changes, normal, strict=True)]
        return np.concatenate(normal), np.concatenate(change, axis=-2)

    def _size(self, images: FloatImage, gradients: list[FloatImage]) -> FloatImage:
        """Local root mean square of the gradients, never below the floor."""
        floor = np.float32(GRADIENT_FLOOR) * self._range(images, self._inner)
        squares: FloatImage = self._mean(gradients[0] ** 2 + gradients[1] ** 2) / 2 + floor**2
        return np.sqrt(squares)

    def _mean(self, images: FloatImage) -> FloatImage:
        """Local mean inside the field."""
        mean: FloatImage = self._smooth(self._inner * images) / np.maximum(self._smooth(self._inner), np.float32(1e-3))
        return mean


def _gradients(images: FloatImage) -> list[FloatImage]:
    """Central differences along columns and along rows of images (..., rows, columns)."""
    return [np.gradient(images, axis=axis) for axis in (-1, -2)] if images.size else [images, images]
