"""Beams against published figures: NIST's attenuation of tissue and water, half-value layers, the mean of a spectrum."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib import spectrum
from DRRSimulatorLib.ct import CORTICAL_BONE_ATTENUATION_PER_MM, SOFT_TISSUE_ATTENUATION_PER_MM, WATER_ATTENUATION_PER_MM
from DRRSimulatorLib.spectrum import METALS, read_beams

TABLES = json.loads((Path(spectrum.__file__).parent / "data" / "xray_tables.json").read_text(encoding="utf-8"))
BEAMS = list(read_beams())

# J. H. Hubbell and S. M. Seltzer, NISTIR 5632, tables 3 and 4: cm2/g.
NIST = {
    "air": {20: 0.7779, 30: 0.3538, 40: 0.2485, 50: 0.2080, 60: 0.1875, 80: 0.1662, 100: 0.1541, 150: 0.1356},
    "water": {20: 0.8096, 30: 0.3756, 40: 0.2683, 50: 0.2269, 60: 0.2059, 80: 0.1837, 100: 0.1707, 150: 0.1505},
    "soft tissue": {30: 0.3790, 40: 0.2688, 50: 0.2264, 60: 0.2048, 80: 0.1823, 100: 0.1693, 150: 0.1492},
    "cortical bone": {20: 4.001, 30: 1.331, 40: 0.6655, 50: 0.4242, 60: 0.3148, 80: 0.2229, 100: 0.1855, 150: 0.1480},
}
NIST_ELEMENTS = {
    "Fe": {20: 25.68, 30: 8.176, 40: 3.629, 50: 1.958, 60: 1.205, 80: 0.5952, 100: 0.3717, 150: 0.1964},
    "Ti": {20: 15.85, 30: 4.972, 40: 2.214, 50: 1.213, 60: 0.7661, 80: 0.4052, 100: 0.2721, 150: 0.1649},
}
ALUMINIUM = {15: 7.955, 20: 3.441, 30: 1.128, 40: 0.5685, 50: 0.3681, 60: 0.2778, 80: 0.2018, 100: 0.1704, 150: 0.1378}
AIR_ENERGY_ABSORPTION = {15: 1.334, 20: 0.5389, 30: 0.1537, 40: 0.06833, 50: 0.04098, 60: 0.03041, 80: 0.02407, 100: 0.02325, 150: 0.02496}


def interpolated(table: dict[int, float], energies: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.exp(np.interp(np.log(energies), np.log(list(table)), np.log(list(table.values()))))


@pytest.mark.parametrize("material", NIST)
def test_attenuation_is_that_of_the_tables_of_nist(material: str) -> None:
    energies = TABLES["materials"]["energies_kev"]
    ours = dict(zip(energies, TABLES["materials"]["of"][material]["cm2_per_g"], strict=True))
    common = [energy for energy in NIST[material] if energy in ours]
    assert len(common) >= 6
    np.testing.assert_allclose([ours[energy] for energy in common], [NIST[material][energy] for energy in common], rtol=0.002)


@pytest.mark.parametrize("material", TABLES["materials"]["of"])
def test_mass_fractions_sum_to_one(material: str) -> None:
    assert sum(TABLES["materials"]["of"][material]["mass_fractions"].values()) == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize(
    ("material", "per_mm"),
    [
        ("water", WATER_ATTENUATION_PER_MM),
        ("soft tissue", SOFT_TISSUE_ATTENUATION_PER_MM),
        ("cortical bone", CORTICAL_BONE_ATTENUATION_PER_MM),
    ],
)
def test_the_attenuation_that_cts_are_read_with_is_that_of_the_tables(material: str, per_mm: float) -> None:
    table = TABLES["materials"]["of"][material]
    index = TABLES["materials"]["energies_kev"].index(70)
    assert table["cm2_per_g"][index] * table["density_g_per_cm3"] / 10 == pytest.approx(per_mm, rel=0.001)


# IEC 61267:2005: the radiation qualities RQR 4, 7 and 9 are beams of tubes with about 2.5 mm of aluminium, RQA 4, 7 and 9 the same
# behind as much aluminium as a patient attenuates. A tube with 3 mm of aluminium and 0.1 mm of copper lies between.
@pytest.mark.parametrize(("name", "tube_mm", "patient_mm"), [("60 kV", 2.19, 5.4), ("90 kV", 3.48, 9.2), ("120 kV", 5.0, 11.6)])
def test_half_value_layers_are_those_of_medical_tubes(name: str, tube_mm: float, patient_mm: float) -> None:
    beam = TABLES["beams"][name]
    energies, photons = np.array(beam["energies_kev"]), np.array(beam["photons"])
    kerma = photons * energies * interpolated(AIR_ENERGY_ABSORPTION, energies)
    thickness_mm = np.linspace(0, 15, 1501)
    passed = np.exp(-np.outer(thickness_mm / 10 * 2.699, interpolated(ALUMINIUM, energies))) @ kerma / kerma.sum()
    half_value_layer = np.interp(-0.5, -passed, thickness_mm)
    assert tube_mm < half_value_layer < patient_mm


@pytest.mark.parametrize("name", BEAMS)
def test_a_beam_has_shares_of_the_signal_that_sum_to_one(name: str) -> None:
    beam = read_beams()[name]
    assert beam.name == name
    arrays = (beam.energies_kev, beam.weights, beam.soft, beam.bone, *beam.metals.values())
    assert all(array.dtype == np.float32 and array.shape == beam.energies_kev.shape for array in arrays)
    assert beam.weights.sum() == pytest.approx(1, abs=1e-6) and beam.weights.min() >= 0
    assert (np.diff(beam.energies_kev) > 0).all() and beam.energies_kev[-1] < float(name.removesuffix(" kV"))
    assert tuple(beam.metals) == METALS


def test_more_voltage_makes_a_harder_beam() -> None:
    means = [beam.weights @ beam.energies_kev for beam in read_beams().values()]
    assert means == sorted(means)
    # Mean photon energies of diagnostic beams lie between a third and two thirds of the tube voltage.
    assert all(1 / 3 < mean / kv < 2 / 3 for mean, kv in zip(means, (60, 90, 120), strict=True))


@pytest.mark.parametrize("name", BEAMS)
def test_the_ratios_lead_from_70_kev_to_the_attenuation_of_nist(name: str) -> None:
    beam = read_beams()[name]
    within = beam.energies_kev >= 30
    for ratio, material in ((beam.soft, "soft tissue"), (beam.bone, "cortical bone")):
        table = NIST[material]
        expected = interpolated(table, beam.energies_kev) / interpolated(table, 70)
        # NIST's energies lie 10 and 20 keV apart; between them the straight line in logarithms errs by up to 2 %.
        np.testing.assert_allclose(ratio[within], expected[within], rtol=0.03)


@pytest.mark.parametrize("name", BEAMS)
def test_an_alloy_attenuates_nearly_as_its_main_element_of_the_same_density(name: str) -> None:
    metals, energies = read_beams()[name].metals, read_beams()[name].energies_kev
    known = energies >= 20
    steel = metals["steel"] / (0.795 * interpolated(NIST_ELEMENTS["Fe"], energies))
    titanium = metals["titanium"] / (0.443 * interpolated(NIST_ELEMENTS["Ti"], energies))
    # A seventh of nickel and 2.5 % of molybdenum, more opaque, in the one; 6 % of aluminium, more transparent, in the other.
    assert ((steel[known] > 0.98) & (steel[known] < 1.12)).all()
    assert ((titanium[known] > 0.92) & (titanium[known] < 1)).all()
    assert (metals["cobalt chromium"] > metals["steel"])[known].all()


def test_beams_are_read_once() -> None:
    assert read_beams() is read_beams()
