"""Simulate photon by photon how slabs of water scatter: where the numbers of DRRSimulatorLib/scatter.py come from.

Not needed to use the simulator. In the environment that Testing/xray_physics/make_xray_tables.py describes:

    tables/bin/python Testing/xray_physics/simulate_scatter.py

The slab is as wide as a trunk, its middle is 700 mm from the source and the detector is at 1020 mm. Photons of the 90 kV beam are
absorbed, or scattered by bound electrons without and with loss of energy (Rayleigh and Compton; form factors and scattering functions
of xraylib). Weights replace absorption. The grid's ratio is the height of its lamellae to their distance; they absorb fully.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xraylib

FloatArray = npt.NDArray[np.float64]

DATA = Path(__file__).resolve().parents[2] / "DRRSimulator" / "DRRSimulatorLib" / "data"
TABLES = json.loads((DATA / "xray_tables.json").read_text(encoding="utf-8"))
BEAM = TABLES["beams"]["90 kV"]
SPECTRUM_KEV, PHOTONS, ABSORBED_KEV = (np.array(BEAM[name]) for name in ("energies_kev", "photons", "absorbed_kev"))

MIDDLE_CM, DETECTOR_CM, HALF_DETECTOR_CM, HALF_SLAB_CM = 70.0, 102.0, 14.8, 20.0
ELECTRON_KEV, KEV_ANGSTROM = 510.999, 12.398
MOST_SCATTERINGS = 25

ENERGIES = np.arange(10.0, 91.0)
ANGLES = np.linspace(0, np.pi, 721)
COMPTON = np.array([xraylib.CS_Compt_CP("H2O", energy) for energy in ENERGIES])  # cm2/g
RAYLEIGH = np.array([xraylib.CS_Rayl_CP("H2O", energy) for energy in ENERGIES])
TOTAL = np.array([xraylib.CS_Total_CP("H2O", energy) for energy in ENERGIES])


def cumulative_angles(coherent: bool) -> FloatArray:
    """Cumulative distributions (energies, angles) of the scattering angle in water."""
    cosines = np.cos(ANGLES)
    rows = []
    for energy in ENERGIES:
        transfers = np.maximum(energy / KEV_ANGSTROM * np.sin(ANGLES / 2), 1e-3)  # 1/Angstrom
        if coherent:
            atoms = [2 * xraylib.FF_Rayl(1, x) ** 2 + xraylib.FF_Rayl(8, x) ** 2 for x in transfers]
            angular = (1 + cosines**2) * atoms  # Thomson
        else:
            atoms = [2 * xraylib.SF_Compt(1, x) + xraylib.SF_Compt(8, x) for x in transfers]
            kept = 1 / (1 + energy / ELECTRON_KEV * (1 - cosines))
            angular = kept**2 * (kept + 1 / kept - np.sin(ANGLES) ** 2) * atoms  # Klein and Nishina
        rows.append(np.cumsum(angular * np.sin(ANGLES)))
    return np.array([row / row[-1] for row in rows])


CUMULATIVE = {coherent: cumulative_angles(coherent) for coherent in (True, False)}


def sample_angles(energies: FloatArray, coherent: npt.NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    """Scattering angles of photons."""
    nearest = np.clip(np.rint(energies - ENERGIES[0]).astype(int), 0, len(ENERGIES) - 1)
    angles, draws = np.empty_like(energies), rng.uniform(size=energies.size)
    for kind, curves in CUMULATIVE.items():
        for index in np.unique(nearest):
            chosen = (nearest == index) & (coherent == kind)
            angles[chosen] = np.interp(draws[chosen], curves[index], ANGLES)
    return angles


def turned(directions: FloatArray, angles: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Unit directions (N, 3) after scattering by angles, at random round the old direction."""
    helpers = np.where(np.abs(directions[:, 2:]) < 0.9, [[0, 0, 1.0]], [[1.0, 0, 0]])
    across = np.cross(helpers, directions)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    azimuth = rng.uniform(0, 2 * np.pi, len(angles))[:, None]
    sideways = np.cos(azimuth) * across + np.sin(azimuth) * np.cross(directions, across)
    turned_: FloatArray = np.cos(angles)[:, None] * directions + np.sin(angles)[:, None] * sideways
    return turned_


def detected_kev(energies: FloatArray) -> FloatArray:
    """Mean energy that the detector keeps of photons."""
    return energies * np.interp(energies, SPECTRUM_KEV, ABSORBED_KEV / SPECTRUM_KEV)


def simulate(
    thickness_cm: float, directions: FloatArray, grid_ratio: float, rng: np.random.Generator
) -> tuple[float, FloatArray, FloatArray]:
    """Mean primary signal of a photon, and the detector positions (N, 2) and signals (N,) of what is scattered onto its plane."""
    energies = rng.choice(SPECTRUM_KEV, size=len(directions), p=PHOTONS / PHOTONS.sum())
    first, last = MIDDLE_CM - thickness_cm / 2, MIDDLE_CM + thickness_cm / 2
    positions = directions * (first / directions[:, 2:])
    straight = np.exp(-np.interp(energies, ENERGIES, TOTAL) * thickness_cm / directions[:, 2])
    primary = float((detected_kev(energies) * straight).mean())
    weights, landed = np.ones(len(directions)), []
    for scatterings in range(MOST_SCATTERINGS):
        total = np.interp(energies, ENERGIES, TOTAL)
        following = positions + directions * (-np.log(rng.uniform(size=len(energies))) / total)[:, None]
        inside = (following[:, 2] > first) & (following[:, 2] < last) & (np.abs(following[:, :2]) < HALF_SLAB_CM).all(axis=1)
        if scatterings:
            out = ~inside & (directions[:, 2] > 0)
            exits = positions[out] + directions[out] * ((last - positions[out, 2]) / directions[out, 2])[:, None]
            ends = positions[out] + directions[out] * ((DETECTOR_CM - positions[out, 2]) / directions[out, 2])[:, None]
            oblique = np.abs(directions[out, 0] / directions[out, 2] - ends[:, 0] / DETECTOR_CM)  # to the lamellae, which are focused
            passed = np.maximum(1 - grid_ratio * oblique, 0) * (np.abs(exits[:, :2]) < HALF_SLAB_CM).all(axis=1)
            landed.append((ends[:, :2], weights[out] * detected_kev(energies[out]) * passed))
        positions, directions, energies, weights = following[inside], directions[inside], energies[inside], weights[inside]
        compton, rayleigh = np.interp(energies, ENERGIES, COMPTON), np.interp(energies, ENERGIES, RAYLEIGH)
        weights = weights * (compton + rayleigh) / total[inside]
        coherent = rng.uniform(size=len(energies)) < rayleigh / (compton + rayleigh)
        angles = sample_angles(energies, coherent, rng)
        directions = turned(directions, angles, rng)
        energies = np.where(coherent, energies, energies / (1 + energies / ELECTRON_KEV * (1 - np.cos(angles))))
    return primary, np.concatenate([place for place, _ in landed]), np.concatenate([signal for _, signal in landed])


def main() -> None:
    """Print the scatter of slabs: in all of a field as large as the detector, and the spread of a pencil beam's."""
    rng = np.random.default_rng(0)
    count = 500_000
    field = np.column_stack([rng.uniform(-HALF_DETECTOR_CM, HALF_DETECTOR_CM, (count, 2)), np.full(count, DETECTOR_CM)])
    field /= np.linalg.norm(field, axis=1, keepdims=True)
    pencil = np.tile([0.0, 0.0, 1.0], (count, 1))
    open_field = float((detected_kev(SPECTRUM_KEV) * PHOTONS).sum())
    quantiles = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    for grid_ratio in (0.0, 8.0):
        for thickness_cm in (10.0, 20.0, 30.0):
            primary, places, signals = simulate(thickness_cm, field, grid_ratio, rng)
            ratio = signals[(np.abs(places) < HALF_DETECTOR_CM).all(axis=1)].sum() / count / primary
            primary, places, signals = simulate(thickness_cm, pencil, grid_ratio, rng)
            radii = np.hypot(*places.T)
            order = np.argsort(radii)
            spread = np.interp(quantiles, np.cumsum(signals[order]) / signals.sum(), radii[order])
            print(
                f"grid {grid_ratio:g}, {thickness_cm:g} cm of water, -log T = {-np.log(primary / open_field):.2f}: scatter to primary "
                f"{ratio:.2f} over the detector, {signals.sum() / count / primary:.2f} of a pencil beam, of which "
                + ", ".join(f"{share:.0%} within {radius:.1f} cm" for share, radius in zip(quantiles, spread, strict=True))
            )


if __name__ == "__main__":
    main()
