"""Make DRRSimulatorLib/data/xray_tables.json: spectra of X-ray tubes, the detector's response, and attenuation of materials.

Not needed to use the simulator: the table ships. To make it anew:

    python -m venv tables && tables/bin/pip install "spekpy>=2.5" "xraylib>=4.1"
    tables/bin/python Testing/xray_physics/make_xray_tables.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import spekpy
import xraylib

TABLES = Path(__file__).resolve().parents[2] / "DRRSimulator" / "DRRSimulatorLib" / "data" / "xray_tables.json"

SOURCES = (
    "Spectra: SpekPy (G. Poludniowski et al., Med Phys 2021;48:3630-3637), tungsten anode. Mass attenuation with coherent scattering: "
    "xraylib (T. Schoonjans et al., Spectrochim Acta B 2011;66:776-784). Water, air, soft tissue (ICRU-44) and cortical bone (ICRU-44): "
    "composition and density of NIST's tables (J. H. Hubbell and S. M. Seltzer, NISTIR 5632). Metals: nominal compositions of stainless "
    "steel 316L for implants (ASTM F138), Ti-6Al-4V (ASTM F136) and Co-28Cr-6Mo (ASTM F75). Response: a photon that interacts in the "
    "caesium iodide leaves all its energy there."
)

# Name: density in g/cm3, and mass fractions of the elements.
MATERIALS: dict[str, tuple[float, dict[str, float]]] = {
    "air": (1.205e-3, {"C": 0.000124, "N": 0.755268, "O": 0.231781, "Ar": 0.012827}),
    "water": (1.0, {"H": 0.111898, "O": 0.888102}),
    "soft tissue": (1.06, {
        "H": 0.102, "C": 0.143, "N": 0.034, "O": 0.708, "Na": 0.002, "P": 0.003, "S": 0.003, "Cl": 0.002, "K": 0.003,
    }),
    "cortical bone": (1.92, {
        "H": 0.034, "C": 0.155, "N": 0.042, "O": 0.435, "Na": 0.001, "Mg": 0.002, "P": 0.103, "S": 0.003, "Ca": 0.225,
    }),
    "steel": (7.95, {"Fe": 0.64, "Cr": 0.18, "Ni": 0.14, "Mo": 0.025, "Mn": 0.015}),
    "titanium": (4.43, {"Ti": 0.90, "Al": 0.06, "V": 0.04}),
    "cobalt chromium": (8.3, {"Co": 0.66, "Cr": 0.28, "Mo": 0.06}),
}  # fmt: skip
ENERGIES_KEV = np.arange(15, 121)

ANODE_ANGLE_DEG = 12.0
AIR_MM = 1000.0  # from the focal spot to the detector
# The tube's own filtration and what interventional C-arms add, mm.
FILTERS: dict[int, dict[str, float]] = {60: {"Al": 3.0}, 90: {"Al": 3.0, "Cu": 0.1}, 120: {"Al": 3.0, "Cu": 0.1}}
BINS = 16
LOWEST_KEV = 15.0  # behind 3 mm of aluminium less than a thousandth of the signal lies below

CSI_DENSITY, CSI_CM = 4.51, 0.06  # g/cm3; flat panels have 0.5 to 0.6 mm


def mass_attenuation(composition: dict[str, float], energy_kev: float) -> float:
    """cm2/g, of a mixture of elements."""
    return sum(share * xraylib.CS_Total(xraylib.SymbolToAtomicNumber(symbol), energy_kev) for symbol, share in composition.items())


def absorbed_kev(energies_kev: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean energy that the detector's scintillator keeps of a photon, if each one that interacts leaves all its energy."""
    attenuation = np.array([xraylib.CS_Total_CP("CsI", float(energy)) for energy in energies_kev])
    return energies_kev * (1 - np.exp(-attenuation * CSI_DENSITY * CSI_CM))


def beam(kv: int) -> dict[str, Any]:
    """A tube's spectrum in bins of equal width: photons (they sum to 1), and the mean energy that the detector keeps of each."""
    spectrum = spekpy.Spek(kvp=kv, th=ANODE_ANGLE_DEG, dk=0.25)
    spectrum.multi_filter([*FILTERS[kv].items(), ("Air", AIR_MM)])
    energies, fluence = spectrum.get_spectrum(edges=False)
    energies, fluence = energies[energies > LOWEST_KEV], fluence[energies > LOWEST_KEV]
    signal = fluence * absorbed_kev(energies)
    bins = np.digitize(energies, np.linspace(LOWEST_KEV, kv, BINS + 1)[1:-1])
    photons, signals = np.bincount(bins, fluence), np.bincount(bins, signal)
    return {
        "tube": f"tungsten, anode angle {ANODE_ANGLE_DEG:g} degrees",
        "filters_mm": FILTERS[kv] | {"air": AIR_MM},
        "energies_kev": np.round(np.bincount(bins, signal * energies) / signals, 2).tolist(),
        "photons": np.round(photons / photons.sum(), 6).tolist(),
        "detector": f"{10 * CSI_CM:g} mm caesium iodide",
        "absorbed_kev": np.round(signals / photons, 3).tolist(),
    }


def main() -> None:
    """Write the tables, each array on one line."""
    materials = {
        name: {
            "density_g_per_cm3": density,
            "mass_fractions": composition,
            "cm2_per_g": [float(f"{mass_attenuation(composition, float(energy)):.4g}") for energy in ENERGIES_KEV],
        }
        for name, (density, composition) in MATERIALS.items()
    }
    tables = {
        "sources": SOURCES,
        "materials": {"energies_kev": ENERGIES_KEV.tolist(), "of": materials},
        "beams": {f"{kv} kV": beam(kv) for kv in FILTERS},
    }
    text = json.dumps(tables, indent=1)
    flat = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda match: re.sub(r"\s+", " ", match[0]), text)
    TABLES.write_text(flat + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
