"""From line integrals to the image of an X-ray detector: how one X-ray is taken, and what comes of it.

Intensity is in units of the open field's signal, so 1 is an unattenuated ray. Documentation/physics.md says what is modelled and what
is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .camera import Camera, FloatImage
from .detector import DETECTOR_BLUR_MM, OPEN_FIELD_PHOTONS, detector_blur, electronic_noise, quantum_noise
from .errors import InputError
from .exposed_field import Collimation, exposure, vignetting
from .scatter import BEHIND_GRID, Scatter, scattered
from .soft_tissue import SoftTissue, soft_tissue_integral
from .spectrum import Beam, read_beams, single_energy
from .tools import Tool, thicknesses_mm

_PIXELS_AT_ONCE = 8192  # keeps their exponentials for all energies within the processor's cache


@dataclass(frozen=True)
class Acquisition:
    """How an X-ray is taken. The defaults are an ideal acquisition: rays of one energy, no scatter, nothing in the way, a flat field.

    Attributes:
        beam: energies of the rays.
        photons: mean number that a pixel absorbs in the open field; None for an image without any noise.
        electronic_noise: standard deviation of the detector's own noise, in photons a pixel.
        blur_mm: standard deviation of the light's spread in the scintillator, mm; 0 for none.
        scatter: of the patient; None for none.
        vignetting: share of the brightness lost at half the image's shorter side, as in `exposed_field.vignetting`.
        collimation: the opening of the collimator; None for one that leaves the whole detector open.
        tools: metal in the beam, in camera coordinates.
        soft_tissue: made up around the bones, for volumes that hold bone only; None for none.

    Raises:
        InputError: if a number is outside its range.
    """

    beam: Beam = field(default_factory=single_energy)
    photons: float | None = OPEN_FIELD_PHOTONS
    electronic_noise: float = 0.0
    blur_mm: float = DETECTOR_BLUR_MM
    scatter: Scatter | None = None
    vignetting: float = 0.0
    collimation: Collimation | None = None
    tools: tuple[Tool, ...] = ()
    soft_tissue: SoftTissue | None = None

    def __post_init__(self) -> None:
        if self.photons is not None and not 0 < self.photons <= 1e15:
            raise InputError(f"The number of photons in a pixel must be positive and at most 1e15, but is {self.photons:g}.")
        if not all(math.isfinite(value) and value >= 0 for value in (self.electronic_noise, self.blur_mm)):
            raise InputError(f"Noise and blur of a detector must be 0 or more, but this was given: {self}.")
        if not 0 <= self.vignetting < 1:
            raise InputError(f"The loss by vignetting must be at least 0 and below 1, but is {self.vignetting:g}.")


def realistic(kilovolts: int = 90) -> Acquisition:
    """A C-arm with a flat panel: the spectrum of a tube, scatter behind a grid, and electronic noise of 3 photons.

    Raises:
        InputError: if there is no beam of the tube voltage.
    """
    beams = read_beams()
    if f"{kilovolts} kV" not in beams:
        raise InputError(f"There is no beam of {kilovolts} kV; the beams are {', '.join(beams)}.")
    return Acquisition(beams[f"{kilovolts} kV"], electronic_noise=3.0, scatter=BEHIND_GRID)


def transmitted(integrals: npt.ArrayLike, beam: Beam | None = None, metals_mm: Mapping[str, FloatImage] | None = None) -> FloatImage:
    """Share of the open field's signal that rays leave: the Beer-Lambert law for each energy, summed as the detector weighs them.

    Args:
        integrals: line integrals of soft tissue and cortical bone (2, rows, columns), as `Projector.line_integrals` gives for one view.
        beam: energies of the rays; None for the one that the line integrals are of.
        metals_mm: millimetres of metals on each ray (rows, columns), by their names in `spectrum.METALS`.

    Returns:
        float32 (rows, columns), 0 to 1.
    """
    beam = beam or single_energy()
    paths, coefficients = [*np.asarray(integrals, dtype=np.float32)], [beam.soft, beam.bone]
    for metal, thickness in (metals_mm or {}).items():
        paths.append(thickness)
        coefficients.append(beam.metals[metal])
    rays = np.stack(paths).reshape(len(paths), -1)
    by_energy = -np.stack(coefficients, axis=1)
    passed = np.empty(rays.shape[1], dtype=np.float32)
    for start in range(0, rays.shape[1], _PIXELS_AT_ONCE):
        part = slice(start, start + _PIXELS_AT_ONCE)
        passed[part] = beam.weights @ np.exp(by_energy @ rays[:, part])
    return passed.reshape(paths[0].shape)


def simulate_xray(integrals: npt.ArrayLike, camera: Camera, rng: np.random.Generator, acquisition: Acquisition | None = None) -> FloatImage:
    """The X-ray that a detector measures, bone dark.

    Args:
        integrals: line integrals of soft tissue and cortical bone (2, rows, columns), as `Projector.line_integrals` gives for one view.
        camera: of the view.
        rng: source of all that is random; equal states give equal images.
        acquisition: how the X-ray is taken; None for the ideal one.

    Returns:
        Intensity, float32 (rows, columns), 1 = signal of the open field.
    """
    taken = acquisition or Acquisition()
    soft, bone = np.asarray(integrals, dtype=np.float32)
    if taken.soft_tissue is not None:
        soft = soft + soft_tissue_integral(bone, camera, taken.soft_tissue, rng)
    intensity = _exposed(transmitted([soft, bone], taken.beam, thicknesses_mm(taken.tools, camera)), camera, taken)
    if taken.photons is not None:
        intensity = quantum_noise(intensity, taken.photons, rng)
    if taken.blur_mm > 0:
        intensity = detector_blur(intensity, camera.pixel_spacing, taken.blur_mm)
    if taken.photons is not None and taken.electronic_noise > 0:
        intensity = electronic_noise(intensity, taken.electronic_noise / taken.photons, rng)
    return intensity


def _exposed(transmission: FloatImage, camera: Camera, acquisition: Acquisition) -> FloatImage:
    """Expected signal of the detector: primary radiation within the collimator's opening, scatter everywhere, all of it vignetted."""
    opened = exposure(acquisition.collimation, camera) if acquisition.collimation else np.ones_like(transmission)
    signal = transmission * opened
    if acquisition.scatter:
        signal += scattered(transmission, opened, camera, acquisition.scatter)
    return signal * vignetting(camera, acquisition.vignetting) if acquisition.vignetting > 0 else signal
