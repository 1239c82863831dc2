"""X-ray beams: which energies make up the detector's signal, and how tissue and metal attenuate each.

The numbers come from data/xray_tables.json, which says where they are from; Testing/xray_physics/make_xray_tables.py makes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .ct import EFFECTIVE_KEV

METALS = ("steel", "titanium", "cobalt chromium")

_TABLES = Path(__file__).parent / "data" / "xray_tables.json"


@dataclass(frozen=True, eq=False)
class Beam:
    """Energies of an X-ray tube as a detector weighs them; all arrays float32 (E,).

    With the line integrals of `Projector.line_integrals`, the share of the open field's signal that passes is

        sum over e of weights[e] * exp(-(soft[e] * soft_integral + bone[e] * bone_integral))

    Attributes:
        name: tube voltage, such as "90 kV".
        energies_kev: mean energy of each bin.
        weights: share of the detector's signal in the open field; they sum to 1. The detector integrates energy.
        soft: attenuation of soft tissue relative to that at `ct.EFFECTIVE_KEV`, the energy of the line integrals.
        bone: the same of cortical bone; the marrow in a bone is part of the soft tissue.
        metals: linear attenuation, 1/mm, of each of `METALS`.
    """

    name: str
    energies_kev: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    soft: npt.NDArray[np.float32]
    bone: npt.NDArray[np.float32]
    metals: dict[str, npt.NDArray[np.float32]]


@cache
def read_beams() -> dict[str, Beam]:
    """The beams that come with the simulator: "60 kV", "90 kV" and "120 kV"; read once."""
    tables = json.loads(_TABLES.read_text(encoding="utf-8"))
    return {name: _beam(name, values, tables["materials"]) for name, values in tables["beams"].items()}


@cache
def single_energy() -> Beam:
    """Rays of the one energy that line integrals are of, `ct.EFFECTIVE_KEV`."""
    tables = json.loads(_TABLES.read_text(encoding="utf-8"))
    values = {"energies_kev": [EFFECTIVE_KEV], "photons": [1.0], "absorbed_kev": [1.0]}
    return _beam(f"{EFFECTIVE_KEV:g} keV", values, tables["materials"])


def _beam(name: str, values: dict[str, Any], materials: dict[str, Any]) -> Beam:
    energies = np.array(values["energies_kev"])
    signal = np.array(values["photons"]) * np.array(values["absorbed_kev"])

    def attenuation(material: str, energies_kev: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Linear, 1/mm; between the table's energies its logarithm is linear in the energy's."""
        table = materials["of"][material]
        cm2_per_g = np.exp(np.interp(np.log(energies_kev), np.log(materials["energies_kev"]), np.log(table["cm2_per_g"])))
        return cm2_per_g * table["density_g_per_cm3"] / 10

    def relative(material: str) -> npt.NDArray[np.float32]:
        return (attenuation(material, energies) / attenuation(material, EFFECTIVE_KEV)).astype(np.float32)

    return Beam(
        name,
        energies.astype(np.float32),
        (signal / signal.sum()).astype(np.float32),
        relative("soft tissue"),
        relative("cortical bone"),
        {metal: attenuation(metal, energies).astype(np.float32) for metal in METALS},
    )
