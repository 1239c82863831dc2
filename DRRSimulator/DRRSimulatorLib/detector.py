"""What a flat panel makes of the radiation that reaches it: it counts quanta, spreads their light, and adds noise of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .camera import FloatImage

# In the standard beam RQA5 one uGy is 30174 photons per mm2 (IEC 62220-1:2003, table 2): in a pixel of 0.58 mm, 10 uGy are about this
# many. Behind a pelvis one in a hundred of them is left.
OPEN_FIELD_PHOTONS = 1e5

# Standard deviation at which a Gaussian's modulation transfer exp(-2 (pi sigma f)^2) is 0.5 at f = 1.2 line pairs per mm, where it
# is about 0.5 for the caesium iodide of a flat panel.
DETECTOR_BLUR_MM = 0.156


def quantum_noise(intensity: npt.ArrayLike, photons: float, rng: np.random.Generator) -> FloatImage:
    """Intensity as a detector of single photons counts it, with a gain of 1 / photons, so that the mean stays.

    Counts are Poisson distributed: the variance of the result is intensity / photons (H. H. Barrett and W. Swindell, Radiological
    Imaging, 1981, section 3.2).

    Args:
        intensity: expected image (rows, columns), 1 = open field.
        photons: mean number that a pixel absorbs in the open field.
        rng: source of the noise.

    Returns:
        float32 (rows, columns).
    """
    return (rng.poisson(np.asarray(intensity, dtype=np.float64) * photons) / photons).astype(np.float32)


def electronic_noise(intensity: FloatImage, deviation: float, rng: np.random.Generator) -> FloatImage:
    """Intensity with the noise of the detector's amplifiers: normal, the same in every pixel, whatever it was exposed to.

    Args:
        intensity: image (rows, columns), 1 = open field.
        deviation: standard deviation, as a share of the open field.
        rng: source of the noise.

    Returns:
        float32 (rows, columns); negative where hardly any photon arrived, as a detector's values are once its offset is taken off.
    """
    return intensity + rng.standard_normal(intensity.shape, dtype=np.float32) * np.float32(deviation)


def detector_blur(intensity: npt.ArrayLike, pixel_spacing: tuple[float, float], blur_mm: float) -> FloatImage:
    """Spread of the light in the detector's scintillator by a Gaussian, collected by pixels.

    Photons are absorbed anywhere in a pixel; their light is collected over whole pixels. So the share that reaches the n-th
    neighbour is the Gaussian averaged over both pixels, a second difference of the twice integrated Gaussian

        F(x) = x Phi(x / sigma) + sigma phi(x / sigma)

    which is right for a blur much smaller than a pixel as well. Applied after the absorption of quanta it correlates their noise.
    Light neither leaves nor enters at the image's edge.

    Args:
        intensity: image (rows, columns).
        pixel_spacing: mm, (along a row: x, along a column: y).
        blur_mm: standard deviation of the Gaussian on the detector.

    Returns:
        float32 (rows, columns) of the same sum.
    """
    from scipy import ndimage

    blurred = np.asarray(intensity, dtype=np.float32)
    for axis, spacing in ((0, pixel_spacing[1]), (1, pixel_spacing[0])):
        blurred = ndimage.correlate1d(blurred, _shares_of_neighbours(blur_mm / spacing), axis=axis, mode="reflect")
    return blurred


def _shares_of_neighbours(sigma: float) -> npt.NDArray[np.float64]:
    """Shares of a pixel's light that its neighbours along one axis collect, for a blur in pixels; they sum to 1."""
    from scipy.stats import norm

    reach = int(np.ceil(5 * sigma)) + 1
    edges = np.arange(-reach - 1, reach + 2) / sigma
    twice_integrated = sigma * (edges * norm.cdf(edges) + norm.pdf(edges))
    shares: npt.NDArray[np.float64] = np.maximum(np.diff(twice_integrated, n=2), 0)  # rounding may give -1e-16
    return shares / shares.sum()
