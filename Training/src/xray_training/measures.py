"""The measures of an evaluation in plain words, and as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from XRayRegistrationLib.metrics import GROSS_FAILURE_MM

if TYPE_CHECKING:
    from rich.table import Table

# Key in the summary: name, unit, and what it means.
MEASURES = {
    "mtre_mm": ("mTRE", "mm", "how far the bone's surface is from where it truly is, on average over the surface"),
    "rotation_deg": ("Rotation", "deg", "the angle by which the bone is turned from its true orientation"),
    "translation_mm": ("Translation", "mm", "how far the middle of the bone is from where it truly is"),
    "in_plane_mm": ("Translation in plane", "mm", "the part of it along the detector, which the picture shows"),
    "depth_mm": ("Translation in depth", "mm", "the part of it along the beam, which a single X-ray hardly shows"),
    "projection_mm": ("Projection", "mm", "how far the bone's picture is from its true place on the detector, on average"),
    "reprojection_mm": ("Reprojection", "mm", "how far the bone's surface is from the ray on which it was placed, on average"),
    "seconds_per_image": ("Time for an X-ray", "s", "from the image to the pose, with everything loaded"),
}
STATISTICS = {"mean": "mean", "std": "std", "median": "median", "p90": "90 %", "p95": "95 %"}


def rows(summary: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Name with unit, meaning and formatted statistics of every measure of a summary; a value that does not exist is a dash."""

    def text(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    return [
        (f"{name} ({unit})", meaning, [text(summary[key][statistic]) for statistic in STATISTICS])
        for key, (name, unit, meaning) in MEASURES.items()
    ]


def table(summary: dict[str, Any], title: str) -> Table:
    """The statistics of a summary for the terminal."""
    from rich.table import Table

    printed = Table(title=title)
    printed.add_column("Error")
    for name in STATISTICS.values():
        printed.add_column(name, justify="right")
    for name, _, values in rows(summary):
        printed.add_row(name, *values)
    return printed


def sentence(summary: dict[str, Any]) -> str:
    """The result in a sentence."""
    n, gross, success = summary["n"], summary["gross_failure_rate"], summary["success_rate"]
    return (
        f"Of {n} X-rays, {success['2 mm']:.0%} were placed within 2 mm (mTRE), {success['5 mm']:.0%} within 5 mm, and {gross:.1%} failed: "
        f"{summary['n_failed']} without a pose, {round(gross * n) - summary['n_failed']} off by more than {GROSS_FAILURE_MM:g} mm."
    )
