"""The data card: what a data set is, how it was made, from which CTs, how to read it, and what it cannot tell."""

from __future__ import annotations

from typing import Any

from .layout import CONVENTIONS, GREY_VALUES_PER_UNIT, VERSION, VIEWS_PER_SHARD
from .plan import COLLIMATED, EXTREME, LEAST_VISIBLE, LOW_DOSE, TRUNCATED, UNIFORM, USUAL_DOSE, VIGNETTED

_READING = f"""```python
import numpy as np, zarr

patient = zarr.open_group("data.zarr", mode="r")["{{patient}}"]
image = patient["image"][0] / {GREY_VALUES_PER_UNIT}  # intensity of view 0, bone dark
depth = patient["depth"][0, 0, 0] * 0.05  # of the first bone's entry surface, mm
row, column = np.nonzero(depth)
pixels = np.stack([column, row, np.ones_like(row)])
camera_points = np.linalg.inv(patient["camera_matrix"][0]) @ pixels * depth[row, column]
to_ras = np.linalg.inv(patient["ras_to_camera"][0])
points_ras = to_ras[:3, :3] @ camera_points + to_ras[:3, 3:]  # scene coordinates (3, points), mm
```"""

_STRATA = {
    "uniform": f"LAO/RAO within {UNIFORM.primary_deg:g}, CRAN/CAUD within {UNIFORM.secondary_deg:g}, roll within {UNIFORM.roll_deg:g} "
    f"degrees, up to {UNIFORM.in_plane_mm:g} mm beside the central ray, {UNIFORM.source_to_bone_mm[0]:g} to "
    f"{UNIFORM.source_to_bone_mm[1]:g} mm from the source, all uniform; at least {LEAST_VISIBLE:.0%} of the bone on the detector",
    "clinical": "anteroposterior, both 45-degree obliques, lateral, inlet (CRAN 25), outlet (CAUD 35), each up to 5 degrees and 15 mm off",
    "extreme_angles": f"LAO/RAO within {EXTREME.primary_deg:g} and CRAN/CAUD within {EXTREME.secondary_deg:g} degrees, outside the "
    "uniform range in one of them at least",
    "truncation": f"only {TRUNCATED[0]:.0%} to {TRUNCATED[1]:.0%} of the bone's surface on the detector",
    "tools": "two to six wires, screws or plates with screws in the beam",
    "low_dose": f"1/{1 / LOW_DOSE[1]:.0f} to 1/{1 / LOW_DOSE[0]:.0f} of the usual photons",
}


def data_card(description: dict[str, Any], counts: dict[str, dict[str, int]]) -> str:
    """The data card in Markdown.

    Args:
        description: the content of dataset.json.
        counts: views of each split and of each stratum.
    """
    settings, patients = description["settings"], description["patients"]
    camera = settings["camera"]
    rows, columns = camera["image_size"]
    views = sum(patient["views"] for patient in patients)
    lines = [
        "# Simulated X-rays with scene coordinates",
        "",
        f"{views} X-rays of {len(patients)} CT{'s' * (len(patients) != 1)}, simulated, {rows} x {columns} pixels, each with its camera, "
        "its pose, and for every pixel and bone the points where the pixel's ray enters and leaves the bone. For training and comparing "
        "methods of 2D/3D registration. Research use only.",
        "",
        "## CTs",
        "",
        "| patient | views | bones | source | licence | fingerprint (SHA-256 of voxels and place) |",
        "|---|---|---|---|---|---|",
        *(_patient_row(patient) for patient in patients),
        "",
        "The X-rays are derived from the CTs, which lie beside them: the CTs' licences hold for both.",
        *_failures(description["failures"]),
        "",
        "## Views",
        "",
        "| stratum | views | what it is |",
        "|---|---|---|",
        *(f"| {name} | {counts['stratum'][name]} | {text} |" for name, text in _STRATA.items()),
        "",
        f"Sampling: {settings['sampling']}; seed {settings['seed']}. Angles and offsets are about the middle of the bones' surface. In "
        f"every view: a tube voltage of 60, 90 or 120 kV; photons within a factor of {USUAL_DOSE[1]:g} of a usual dose, uniform in the "
        f"logarithm; a collimator with a probability of {COLLIMATED:.0%}, vignetting with {VIGNETTED:.0%}. Around bones that were cut out "
        "of their CT a limb is made up.",
        "",
        f"Camera: source to detector {camera['source_to_detector_distance']:g} mm, pixels of {camera['pixel_spacing'][0]:.6g} mm.",
        "",
        f"Split by {settings['split']}: " + ", ".join(f"{number} {name}" for name, number in counts["split"].items()) + ". "
        + ("Views of one CT are in all three: it measures what a method knows of patients it has seen."
           if settings["split"] == "view" else "No patient is in two of them."),
        "",
        "## How to read it",
        "",
        f"`data.zarr` is Zarr version 3 (format version {VERSION} of ours); a patient is a group, and a file of images, depths or masks "
        f"holds {VIEWS_PER_SHARD} views. `views.csv` lists all views, `dataset.json` says what was asked for. Without our code:",
        "",
        _READING.format(patient=patients[0]["name"] if patients else "patient"),
        "",
        *(f"- {sentence}" for sentence in CONVENTIONS),
        "- mask: the ray meets the bone. stratum, split and collimation are numbers of the names in the array's attribute `names`.",
        "- surface_points: points of the bones' surface, RAS mm, over which errors may be averaged (mTRE); ct and labels: the CT in HU and "
        "its bones [k, j, i], placed by the attribute ijk_to_ras.",
        "",
        "`sha256sum -c checksums.txt` checks the files, and so does `scr-generate --verify FOLDER`, which names damaged views.",
        "",
        "## Limits",
        "",
        "- The X-rays are simulated from the CTs' densities: success on them says little about real X-rays, least of all after "
        "intensity-based refinement against DRRs of the same CT.",
        "- Where no label map was given, all bone is one label, found by thresholds and connectivity; its errors are in the truth.",
        "- Scene coordinates are as exact as the CT's voxels allow, and depths are rounded to 0.05 mm.",
        "- Patients hold still as they lay in the CT, and bones keep their places to each other.",
        "- The same command gives the same bytes on the same kind of machine; other processors may change pixels by their last bit.",
        "",
        "Made by " + ", ".join(f"{package} {number}" for package, number in description["made_by"].items()) + ".",
    ]  # fmt: skip
    return "\n".join(lines)


def _patient_row(patient: dict[str, Any]) -> str:
    bones = ", ".join(patient["bones"].values())
    cells = [patient["name"], str(patient["views"]), bones, patient["source"], patient["licence"], f"`{patient['ct_fingerprint'][:16]}`"]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _failures(failures: list[dict[str, Any]]) -> list[str]:
    """What is missing, in sentences."""
    if not failures:
        return []
    whole = [str(failure["ct"]) for failure in failures if not failure["patient"]]
    parts = [f"{failure['patient']}: views {failure['views'][0]} to {failure['views'][1]}" for failure in failures if failure["patient"]]
    return [
        "",
        "**Incomplete.** "
        + (f"CTs that could not be used, by their place in the command: {', '.join(whole)}. " if whole else "")
        + (f"Views that could not be simulated and are empty: {'; '.join(parts)}." if parts else ""),
    ]
