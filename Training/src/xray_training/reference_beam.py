"""The X-ray beam of the test images: a tube's spectrum from physics, and what materials and the detector do to it.

Nothing here is taken from the simulator that models are trained with and poses are refined with (DRRSimulatorLib). Attenuation
comes from the package xraylib at run time (T. Schoonjans et al., Spectrochimica Acta B 66, 2011), for compounds as NIST lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from DRRSimulatorLib.camera import FloatArray

from .optional import optional_package

ENERGIES_KEV = np.arange(15, 120) + 0.5  # middles of bins of 1 keV; hardly anything softer passes 2.5 mm of aluminium
TISSUES = ("Adipose Tissue (ICRP)", "Muscle, Skeletal", "Bone, Cortical (ICRP)")
CT_KEV = 70.0  # effective energy of a CT at the usual 120 kVp
_ALUMINIUM, _COPPER, _TUNGSTEN = 13, 29, 74
_TARGET_MM = 0.01  # photons start some micrometres deep and leave the target at a shallow angle
_SCINTILLATOR, _SCINTILLATOR_MM = "Cesium Iodide", 0.45  # 0.6 mm of needles that fill three quarters of the space


@dataclass(frozen=True)
class Beam:
    """How a tube's photons are spread over the energies, and how many keV each leaves in the detector.

    Attributes:
        photons: share (energies,) of each bin in the open field; the sum is 1.
        signal_kev: mean energy (energies,) that an incident photon leaves in the scintillator, keV.
        noise_kev2: mean of the squared energy (energies,) that an incident photon leaves.
        tissues_per_mm: linear attenuation (energies, 3) of `TISSUES`, 1/mm.
    """

    photons: FloatArray
    signal_kev: FloatArray
    noise_kev2: FloatArray
    tissues_per_mm: FloatArray


@lru_cache
def tissue_attenuation(energies_kev: tuple[float, ...]) -> FloatArray:
    """Linear attenuation (energies, 3) of `TISSUES`, 1/mm.

    Raises:
        InputError: if xraylib is not installed.
    """
    return np.stack([_compound_per_mm(name, energies_kev) for name in TISSUES], axis=1)


def water_attenuation(kev: float) -> float:
    """Linear attenuation of water, 1/mm."""
    return float(_compound_per_mm("Water, Liquid", (kev,))[0])


def beam(kilovolts: float, aluminium_mm: float, copper_mm: float) -> Beam:
    """The beam of a tungsten tube.

    The photons of a thick target are (E0 - E) / E in number (H. A. Kramers, Philosophical Magazine 46, 1923), and the target itself and
    filters take their exponential share of each energy. The characteristic lines of tungsten, up to a tenth of the photons, are left
    out. A photon that the scintillator stops leaves all its energy there, and the detector adds up energies.

    Args:
        kilovolts: tube voltage, 40 to 120.
        aluminium_mm: filter of aluminium.
        copper_mm: filter of copper.

    Raises:
        InputError: if xraylib is not installed.
    """
    energies = tuple(ENERGIES_KEV[kilovolts > ENERGIES_KEV].tolist())
    energy = np.array(energies)
    thicknesses = {_TUNGSTEN: _TARGET_MM, _ALUMINIUM: aluminium_mm, _COPPER: copper_mm}
    filters = np.sum([thickness * _element_per_mm(element, energies) for element, thickness in thicknesses.items()], axis=0)
    photons = (kilovolts - energy) / energy * np.exp(-filters)
    stopped = 1 - np.exp(-_SCINTILLATOR_MM * _compound_per_mm(_SCINTILLATOR, energies))
    return Beam(photons / photons.sum(), stopped * energy, stopped * energy**2, tissue_attenuation(energies))


@lru_cache
def _element_per_mm(number: int, energies_kev: tuple[float, ...]) -> FloatArray:
    xraylib = optional_package("xraylib", "xraylib")
    return np.array([xraylib.CS_Total(number, energy) for energy in energies_kev]) * xraylib.ElementDensity(number) / 10


@lru_cache
def _compound_per_mm(name: str, energies_kev: tuple[float, ...]) -> FloatArray:
    xraylib = optional_package("xraylib", "xraylib")
    density: float = xraylib.GetCompoundDataNISTByName(name)["density"]
    return np.array([xraylib.CS_Total_CP(name, energy) for energy in energies_kev]) * density / 10
