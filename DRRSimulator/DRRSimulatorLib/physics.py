"""From line integrals to the image of an X-ray detector: attenuation, quantum noise, detector blur, and what displays make of it.

The beam has one energy: there is no beam hardening, no scatter and no energy response of the detector. The field is flat, as after
a detector's gain correction. Intensity is in units of the open field's mean, so 1 is an unattenuated ray.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .camera import Camera

FloatImage = npt.NDArray[np.float32]

# In the standard beam RQA5 one uGy is 30174 photons per mm2 (IEC 62220-1:2003, table 2): in a pixel of 0.58 mm, 10 uGy are about this
# many. Behind a pelvis one in a hundred of them is left.
OPEN_FIELD_PHOTONS = 1e5

# Standard deviation at which a Gaussian's modulation transfer exp(-2 (pi sigma f)^2) is 0.5 at f = 1.2 line pairs per mm, where it
# is about 0.5 for the caesium iodide of a flat panel.
DETECTOR_BLUR_MM = 0.156


def transmitted(integrals: npt.ArrayLike) -> FloatImage:
    """Share of the photons that pass, by the Beer-Lambert law: I / I0 = exp(-sum of the line integrals).

    Args:
        integrals: line integrals of the materials (materials, rows, columns), as `Projector.line_integrals` gives for one view.

    Returns:
        float32 (rows, columns), 0 to 1.
    """
    return np.exp(-np.sum(np.asarray(integrals, dtype=np.float32), axis=0))


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


def simulate_xray(
    integrals: npt.ArrayLike,
    camera: Camera,
    rng: np.random.Generator,
    photons: float | None = OPEN_FIELD_PHOTONS,
    blur_mm: float = DETECTOR_BLUR_MM,
) -> FloatImage:
    """The X-ray that a detector measures, bone dark.

    Args:
        integrals: line integrals of the materials (materials, rows, columns).
        camera: of the view; the blur needs its pixel spacing.
        rng: source of the noise.
        photons: mean number that a pixel absorbs in the open field; None for an image without noise.
        blur_mm: standard deviation of the detector's blur, mm; 0 for none.

    Returns:
        Intensity, float32 (rows, columns), 1 = mean of the open field.
    """
    intensity = transmitted(integrals)
    if photons is not None:
        intensity = quantum_noise(intensity, photons, rng)
    return detector_blur(intensity, camera.pixel_spacing, blur_mm) if blur_mm > 0 else intensity


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


def window_to_16_bit(image: npt.ArrayLike, low: float, high: float) -> npt.NDArray[np.uint16]:
    """Grey values 0 to 65535 of the values from low to high, linear between, clipped outside.

    It is DICOM's window function LINEAR_EXACT with its centre at (low + high) / 2 and its width high - low (PS3.3 C.11.2.1.3.2).
    """
    share = (np.asarray(image, dtype=np.float64) - low) / (high - low)
    return np.rint(65535 * np.clip(share, 0, 1)).astype(np.uint16)


def inverted(image: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Dark for bright and bright for dark, as DICOM's presentation LUT shape INVERSE (PS3.3 C.11.6)."""
    return np.uint16(65535) - image


def _shares_of_neighbours(sigma: float) -> npt.NDArray[np.float64]:
    """Shares of a pixel's light that its neighbours along one axis collect, for a blur in pixels; they sum to 1."""
    from scipy.stats import norm

    reach = int(np.ceil(5 * sigma)) + 1
    edges = np.arange(-reach - 1, reach + 2) / sigma
    twice_integrated = sigma * (edges * norm.cdf(edges) + norm.pdf(edges))
    shares: npt.NDArray[np.float64] = np.maximum(np.diff(twice_integrated, n=2), 0)  # rounding may give -1e-16
    return shares / shares.sum()
