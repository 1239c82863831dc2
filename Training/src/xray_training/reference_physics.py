"""From rays to the test images: a polychromatic beam, scatter, a flat panel with automatic exposure, and what a console makes of it.

Like the rays, it shares nothing with the images that models are trained with and poses are refined with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray

from .reference_beam import Beam, beam

FloatImage = npt.NDArray[np.float32]
BoolImage = npt.NDArray[np.bool_]

FULL_SCALE = 4095  # 12 bits
# A needle of CsI gives about 55 photons of light for a keV, of which a photodiode turns about 0.4 into electrons.
ELECTRONS_PER_KEV = 22.0
Collimation = Literal["none", "round", "rectangular"]
Display = Literal["linear", "gamma", "log"]
_COLLIMATIONS: tuple[Collimation, ...] = ("none", "round", "rectangular")
_DISPLAYS: tuple[Display, ...] = ("linear", "gamma", "log")
_PIXELS_AT_ONCE = 1024  # whose energies stay within the processor's cache


@dataclass(frozen=True)
class Acquisition:
    """How one X-ray is taken and shown.

    Attributes:
        kilovolts: tube voltage.
        aluminium_mm: filter of aluminium.
        copper_mm: filter of copper.
        quanta: what the automatic exposure aims at, in photons for a pixel in the middle of the detector.
        electronic_noise: standard deviation of a pixel, electrons.
        scatter_to_primary: mean ratio over the field, behind the anti-scatter grid.
        scatter_range_mm: distance on the detector over which scatter falls to 1/e.
        blur_mm2: H in the scintillator's modulation transfer 1 / (1 + H f^2), f in line pairs per mm.
        exposure_level: share of the full scale that the exposed quanta fill; what is some times brighter is cut off.
        collimation: shape of the exposed field.
        collimation_mm: middle of the field (x, y) from the detector's middle, and its half width and half height, on the detector.
        shutter: whether the console blackens what lies outside the field.
        display: "linear" (the detector's values, bone dark), "gamma" (their power, bone dark) or "log" (attenuation, bone bright).
        gamma: exponent of the display "gamma".
        window_percent: percentiles that become black and white in the displays "gamma" and "log".
        edge_enhancement: weight of the unsharp mask in the displays "gamma" and "log"; 0 for none.
        edge_mm: width of the unsharp mask, standard deviation on the detector.
    """

    kilovolts: float
    aluminium_mm: float
    copper_mm: float
    quanta: float
    electronic_noise: float
    scatter_to_primary: float
    scatter_range_mm: float
    blur_mm2: float
    exposure_level: float
    collimation: Collimation
    collimation_mm: tuple[float, float, float, float]
    shutter: bool
    display: Display
    gamma: float
    window_percent: tuple[float, float]
    edge_enhancement: float
    edge_mm: float

    @classmethod
    def drawn(cls, camera: Camera, rng: np.random.Generator) -> Acquisition:
        """As C-arms take X-rays of a trunk: from a dim frame of fluoroscopy to a radiograph, with and without processing."""
        rows, columns = camera.image_size
        width, height = columns * camera.pixel_spacing[0] / 2, rows * camera.pixel_spacing[1] / 2
        collimation = _COLLIMATIONS[rng.choice(3, p=[0.6, 0.2, 0.2])]
        half_width, half_height = (width, height) * rng.uniform(0.65, 1.0, 2)
        if collimation == "round":
            half_width = half_height = min(width, height) * rng.uniform(0.85, 1.05)
        return cls(
            kilovolts=rng.uniform(70, 110),
            aluminium_mm=rng.uniform(2.5, 4.0),
            copper_mm=float(rng.choice([0.0, 0.1, 0.2, 0.3])),
            quanta=float(np.exp(rng.uniform(np.log(150), np.log(8000)))),
            electronic_noise=rng.uniform(500, 1500),
            scatter_to_primary=rng.uniform(0.1, 1.2),
            scatter_range_mm=rng.uniform(20, 80),
            blur_mm2=rng.uniform(0.4, 1.5),
            exposure_level=rng.uniform(0.08, 0.25),
            collimation=collimation,
            collimation_mm=(*(rng.uniform(-0.06, 0.06, 2) * (width, height)).tolist(), float(half_width), float(half_height)),
            shutter=bool(rng.random() < 0.5),
            display=_DISPLAYS[rng.integers(3)],
            gamma=rng.uniform(0.4, 0.7),
            window_percent=(rng.uniform(0.1, 1.0), rng.uniform(98.5, 99.9)),
            edge_enhancement=float(rng.uniform(0.3, 1.5) * (rng.random() < 0.4)),
            edge_mm=rng.uniform(1.0, 3.0),
        )

    @property
    def polarity(self) -> Literal["intensity", "attenuation"]:
        """Of the image."""
        return "attenuation" if self.display == "log" else "intensity"


def expose(lengths: FloatImage, camera: Camera, acquisition: Acquisition, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """The X-ray of rays.

    Args:
        lengths: millimetres of each tissue (3, rows, columns), as `ReferenceRenderer.lengths` gives them.
        camera: of the image.
        acquisition: how it is taken and shown.
        rng: source of the noise.

    Returns:
        Grey values 0 to 4095 (rows, columns).

    Raises:
        InputError: if xraylib is not installed.
    """
    field = exposed_field(camera, acquisition)
    signal, quantum = _transmitted(lengths, beam(acquisition.kilovolts, acquisition.aluminium_mm, acquisition.copper_mm))
    signal = signal * _penumbra(field)
    signal += scatter(signal, camera, acquisition)
    metered, kev = _metered(signal), _metered(quantum)
    measured = _measured(signal * (acquisition.quanta * kev / metered), quantum, camera, acquisition, rng)
    raw = np.rint(measured * (acquisition.exposure_level * FULL_SCALE / (acquisition.quanta * kev)))
    return _shown(np.clip(raw, 0, FULL_SCALE), field, camera, acquisition)


def exposed_field(camera: Camera, acquisition: Acquisition) -> BoolImage:
    """What the collimator leaves open, [row, column]."""
    rows, columns = camera.image_size
    middle_x, middle_y, half_width, half_height = acquisition.collimation_mm
    x = np.abs((np.arange(columns) - (columns - 1) / 2) * camera.pixel_spacing[0] - middle_x) / half_width
    y = np.abs((np.arange(rows) - (rows - 1) / 2)[:, None] * camera.pixel_spacing[1] - middle_y) / half_height
    if acquisition.collimation == "none":
        return np.ones(camera.image_size, dtype=np.bool_)
    return np.asarray(np.hypot(x, y) < 1 if acquisition.collimation == "round" else np.maximum(x, y) < 1)


def scatter(primary: FloatImage, camera: Camera, acquisition: Acquisition) -> FloatImage:
    """Scattered radiation that reaches the detector with an image of primary radiation.

    What a ray scatters grows with what it loses on its way and with what is left of it: -P log P (B. Ohnesorge et al., European
    Radiology 9, 1999). It spreads by an exponential of the distance, whose tails reach over the whole detector. Beyond the detector
    it goes on as at its edge.

    Args:
        primary: share of the open beam (rows, columns).
        camera: of the image.
        acquisition: ratio, which holds for the medians over the field, and range.

    Returns:
        float32 (rows, columns), share of the open beam.
    """
    from scipy.ndimage import zoom
    from scipy.signal import fftconvolve

    rows, columns = primary.shape
    step = max(1, min(rows, columns) // 64)
    coarse = primary[step // 2 :: step, step // 2 :: step].astype(np.float64)
    source = -coarse * np.log(np.maximum(coarse, 1e-6))
    x, y = (np.arange(1 - n, n) * step * spacing for n, spacing in zip(coarse.shape[::-1], camera.pixel_spacing, strict=True))
    kernel = np.exp(-np.hypot(x, y[:, None]) / acquisition.scatter_range_mm)
    spread = fftconvolve(source, kernel, mode="same") / fftconvolve(np.ones_like(source), kernel, mode="same")
    scattered: FloatImage = zoom(spread, (rows / coarse.shape[0], columns / coarse.shape[1]), order=1, mode="nearest", grid_mode=True)
    lit = coarse > 1e-3 * coarse.max()
    scale = acquisition.scatter_to_primary * np.median(coarse[lit]) / max(float(np.median(spread[lit])), 1e-12)
    return (scattered * scale).astype(np.float32)


def scintillator_blur(image: FloatImage, camera: Camera, blur_mm2: float) -> FloatImage:
    """Spread of light by the modulation transfer 1 / (1 + H f^2), a point spread with a sharp peak and exponential tails."""
    from scipy import fft

    margin = 16  # pixels; the light of a point does not reach as far, so that opposite edges do not mix
    padded = np.pad(image, margin, mode="reflect")
    across, down = fft.rfftfreq(padded.shape[1], camera.pixel_spacing[0]), fft.fftfreq(padded.shape[0], camera.pixel_spacing[1])
    transfer = 1 / (1 + blur_mm2 * (across**2 + down[:, None] ** 2))
    blurred = fft.irfft2(fft.rfft2(padded) * transfer.astype(np.float32), s=padded.shape)
    return np.asarray(blurred[margin:-margin, margin:-margin], dtype=np.float32)


def _transmitted(lengths: FloatImage, tube: Beam) -> tuple[FloatImage, FloatImage]:
    """Energy in the detector as a share of the open beam's, and the energy that a photon there counts as, keV.

    A sum of photons with the mean energy m and the mean square q has the relative noise of n m^2 / q equal ones, each of q / m.
    """
    tissues = tube.tissues_per_mm.astype(np.float32)
    weights = (tube.photons * np.stack([tube.signal_kev, tube.noise_kev2])).astype(np.float32)
    rays = lengths.reshape(len(lengths), -1)
    moments = np.empty((2, rays.shape[1]), dtype=np.float32)
    for first in range(0, rays.shape[1], _PIXELS_AT_ONCE):
        pixels = slice(first, first + _PIXELS_AT_ONCE)
        moments[:, pixels] = weights @ np.exp(-tissues @ rays[:, pixels])
    signal, squares = moments.reshape(2, *lengths.shape[1:])
    return signal / weights[0].sum(), squares / np.maximum(signal, np.float32(1e-30))


def _measured(signal: FloatImage, quantum: FloatImage, camera: Camera, acquisition: Acquisition, rng: np.random.Generator) -> FloatImage:
    """Energy that the panel reads, keV: photons are counted, their light spreads, electronics add noise."""
    noisy = (rng.poisson(signal / quantum) * quantum).astype(np.float32)
    blurred = scintillator_blur(noisy, camera, acquisition.blur_mm2)
    return blurred + rng.standard_normal(signal.shape, dtype=np.float32) * np.float32(acquisition.electronic_noise / ELECTRONS_PER_KEV)


def _penumbra(field: BoolImage) -> FloatImage:
    """The field with the soft edge that a focal spot of some size gives the collimator's blades."""
    from scipy.ndimage import uniform_filter

    return uniform_filter(field.astype(np.float32), 5, mode="nearest")


def _metered(image: FloatImage) -> float:
    """Mean over the middle of the detector, half as wide and as high, where the automatic exposure measures."""
    rows, columns = image.shape
    return float(image[rows // 4 : -rows // 4, columns // 4 : -columns // 4].mean())


def _shown(raw: FloatImage, field: BoolImage, camera: Camera, acquisition: Acquisition) -> npt.NDArray[np.uint16]:
    """What the console makes of the detector's values."""
    shown = raw.astype(np.float64)
    if acquisition.display != "linear":
        share = np.maximum(shown, 1) / FULL_SCALE
        shown = -np.log(share) if acquisition.display == "log" else share**acquisition.gamma
        shown = _edges_enhanced(shown, camera, acquisition)
        low, high = np.percentile(shown[field], acquisition.window_percent)
        shown = FULL_SCALE * (shown - low) / max(high - low, 1e-6)
    if acquisition.shutter:
        shown = np.where(field, shown, 0)
    return np.rint(np.clip(shown, 0, FULL_SCALE)).astype(np.uint16)


def _edges_enhanced(image: FloatArray, camera: Camera, acquisition: Acquisition) -> FloatArray:
    from scipy.ndimage import gaussian_filter

    if acquisition.edge_enhancement == 0:
        return image
    smooth = gaussian_filter(image, [acquisition.edge_mm / spacing for spacing in camera.pixel_spacing[::-1]])
    return image + acquisition.edge_enhancement * (image - smooth)
