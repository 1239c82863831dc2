"""What displays make of a detector's image: logarithm, window, local equalisation, enhanced edges, gamma and polarity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .camera import FloatImage
from .errors import InputError

_BINS = 256
_LEAST_SHARE = 1e-4  # of the open field, for a logarithm: fewer grey values are left to it in a picture of 16 bits


@dataclass(frozen=True)
class Display:
    """Processing of an X-ray between the detector and the screen.

    Attributes:
        logarithm: show attenuation, bone bright; else intensity, bone dark.
        window_percent: percentiles of the image that become black and white.
        contrast_limit: of the local equalisation, see `equalised`; 1 for none.
        edge_gain: weight of the enhanced edges; 0 for none.
        edge_mm: width of the edges that are enhanced, standard deviation on the detector.
        gamma: exponent of the grey values.
        inverted: dark for bright and bright for dark.

    Raises:
        InputError: if a number is outside its range.
    """

    logarithm: bool = True
    window_percent: tuple[float, float] = (0.5, 99.5)
    contrast_limit: float = 2.0
    edge_gain: float = 0.6
    edge_mm: float = 2.0
    gamma: float = 1.0
    inverted: bool = False

    def __post_init__(self) -> None:
        low, high = self.window_percent
        if not 0 <= low < high <= 100:
            raise InputError(f"A window needs two percentiles between 0 and 100, the lower first, but they are {self.window_percent}.")
        if not (1 <= self.contrast_limit < math.inf and 0 <= self.edge_gain < math.inf):
            raise InputError(f"The contrast limit must be 1 or more and the gain of edges 0 or more, but this was given: {self}.")
        if not all(math.isfinite(value) and value > 0 for value in (self.edge_mm, self.gamma)):
            raise InputError(f"The width of edges and the gamma must be positive, but this was given: {self}.")

    def apply(
        self, intensity: npt.ArrayLike, pixel_spacing: tuple[float, float], field: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.uint16]:
        """Grey values as shown.

        Args:
            intensity: image (rows, columns), 1 = open field.
            pixel_spacing: mm, (along a row: x, along a column: y).
            field: where the collimator was open (rows, columns); what lies outside is shown black, as by an electronic shutter, and
                does not count for the window. None for everywhere.
        """
        image = log_transform(intensity, least=_LEAST_SHARE) if self.logarithm else np.asarray(intensity, dtype=np.float32)
        if field is None or not field.any():
            field = np.ones(image.shape, dtype=np.bool_)
        low, high = np.percentile(image[field], self.window_percent)
        image = np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
        if self.contrast_limit > 1:
            image = equalised(image, self.contrast_limit)
        if self.edge_gain > 0:
            image = edges_enhanced(image, pixel_spacing, self.edge_mm, self.edge_gain)
        shown = window_to_16_bit(gamma_transform(image, self.gamma), 0, 1)
        return np.where(field, inverted(shown) if self.inverted else shown, np.uint16(0))


def log_transform(intensity: npt.ArrayLike, open_field: float = 1.0, least: float = 1e-6) -> FloatImage:
    """Attenuation -log(I / I0), bone bright: the inverse of the Beer-Lambert law.

    Args:
        intensity: image of any shape.
        open_field: I0, the intensity of an unattenuated ray.
        least: share of the open field below which the intensity counts as this share: zero photons have no logarithm.

    Returns:
        float32 of the same shape.
    """
    return -np.log(np.maximum(np.asarray(intensity, dtype=np.float32) / np.float32(open_field), np.float32(least)))


def gamma_transform(image: npt.ArrayLike, gamma: float) -> FloatImage:
    """Power law image^gamma of values 0 to 1 (R. C. Gonzalez and R. E. Woods, Digital Image Processing, section 3.2).

    Values outside are clipped; gamma below 1 brightens the dark parts.
    """
    return np.clip(np.asarray(image, dtype=np.float32), 0, 1) ** np.float32(gamma)


def equalised(image: npt.ArrayLike, contrast_limit: float, tiles: int = 8) -> FloatImage:
    """Contrast-limited adaptive histogram equalisation (CLAHE; K. Zuiderveld, Graphics Gems IV, 1994, pages 474-485).

    Each of tiles x tiles parts of the image has its own curve, the cumulative histogram of its grey values. Bins of the histogram above
    the limit are cut, and what is cut is spread over all. That bounds the slope of the curve, and with it how noise is amplified, by the
    limit and 1 for what was spread. Between the middles of the parts their curves are interpolated.

    Args:
        image: values 0 to 1 (rows, columns).
        contrast_limit: largest height of a bin, in units of its height where all grey values are equally frequent; at least 1.
        tiles: parts along each axis.

    Returns:
        float32 (rows, columns), 0 to 1.
    """
    from scipy import ndimage

    values = np.clip(np.asarray(image, dtype=np.float32), 0, 1)
    size = [max(1, -(-length // tiles)) for length in values.shape]  # of a part, rounded up
    missing = [(0, tiles * part - length) for part, length in zip(size, values.shape, strict=True)]
    padded = np.pad(values, missing, mode="symmetric")
    parts = padded.reshape(tiles, size[0], tiles, size[1]).transpose(0, 2, 1, 3).reshape(tiles**2, -1)
    bins = np.minimum((parts * _BINS).astype(np.intp), _BINS - 1)
    histograms = np.bincount((bins + _BINS * np.arange(tiles**2)[:, None]).ravel(), minlength=tiles**2 * _BINS).reshape(tiles, tiles, _BINS)
    shares = histograms / parts.shape[1]
    cut = np.minimum(shares, contrast_limit / _BINS)
    curves = np.zeros((tiles, tiles, _BINS + 1), dtype=np.float32)  # at the edges of the bins
    curves[..., 1:] = np.cumsum(cut + (1 - cut.sum(axis=-1, keepdims=True)) / _BINS, axis=-1)
    row, column = ((np.arange(length) + 0.5) / part - 0.5 for length, part in zip(values.shape, size, strict=True))
    places = np.stack(np.broadcast_arrays(row[:, None], column[None], _BINS * values))
    return np.asarray(ndimage.map_coordinates(curves, places, order=1, mode="nearest"), dtype=np.float32)


def edges_enhanced(image: npt.ArrayLike, pixel_spacing: tuple[float, float], width_mm: float, gain: float) -> FloatImage:
    """Unsharp masking: image + gain * (image - smooth image) (Gonzalez and Woods, Digital Image Processing, section 3.6).

    Args:
        image: values (rows, columns).
        pixel_spacing: mm, (along a row: x, along a column: y).
        width_mm: standard deviation of the Gaussian that smooths, on the detector.
        gain: weight of what the smooth image lacks.

    Returns:
        float32 (rows, columns); it overshoots at edges, so values may leave the range of the image.
    """
    from scipy import ndimage

    values = np.asarray(image, dtype=np.float32)
    smooth = ndimage.gaussian_filter(values, [width_mm / spacing for spacing in pixel_spacing[::-1]])
    return values + np.float32(gain) * (values - smooth)


def window_to_16_bit(image: npt.ArrayLike, low: float, high: float) -> npt.NDArray[np.uint16]:
    """Grey values 0 to 65535 of the values from low to high, linear between, clipped outside.

    It is DICOM's window function LINEAR_EXACT with its centre at (low + high) / 2 and its width high - low (PS3.3 C.11.2.1.3.2).
    """
    share = (np.asarray(image, dtype=np.float64) - low) / (high - low)
    return np.rint(65535 * np.clip(share, 0, 1)).astype(np.uint16)


def inverted(image: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Dark for bright and bright for dark, as DICOM's presentation LUT shape INVERSE (PS3.3 C.11.6)."""
    return np.uint16(65535) - image
