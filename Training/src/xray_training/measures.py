"""The measures of an evaluation in plain words, and as a table on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from XRayRegistrationLib.metrics import GROSS_FAILURE_MM

from .reliability import ACCEPTABLE_MM, BAD_MM, GOOD_MM

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
    "seconds_per_image": ("Time for a case", "s", "from the images to the pose, with everything loaded"),
}
STATISTICS = {"mean": "mean", "std": "std", "median": "median", "p90": "90 %", "p95": "95 %"}
STEPS = {"normalise": "Preparing the image", "network": "Network", "pose": "Pose from the network", "refine": "Refinement"}


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        name: what the values are, with the unit.
        meaning: in plain words.
        values: formatted; what does not exist is a dash.
        intervals: formatted 95 % confidence intervals of the values, empty where there are none.
    """

    name: str
    meaning: str
    values: list[str]
    intervals: list[str]


def rows(summary: dict[str, Any]) -> list[Row]:
    """The statistics of every measure of a summary."""
    lines = []
    for key, (name, unit, meaning) in MEASURES.items():
        limits = summary.get("confidence_95", {}).get(key, {})
        values = [_text(summary[key][statistic]) for statistic in STATISTICS]
        lines.append(Row(f"{name} ({unit})", meaning, values, [_interval(limits.get(statistic)) for statistic in STATISTICS]))
    return lines


def success_rows(summary: dict[str, Any]) -> list[Row]:
    """The shares of cases that are good enough, and of those that failed; after refinement also before it."""
    columns = [summary, summary["before_refinement"]] if summary["refined"] else [summary]
    lines = []
    for key in summary["success_rate"]:
        measure = "rotation" if "deg" in key else "mTRE"
        values = [f"{column['success_rate'][key]:.1%}" for column in columns]
        intervals = [_percent(column["confidence_95"]["success_rate"][key]) for column in columns]
        lines.append(Row(f"Within {key}", f"{measure} up to it", values, intervals))
    values = [f"{column['gross_failure_rate']:.1%}" for column in columns]
    intervals = [_percent(column["confidence_95"]["gross_failure_rate"]) for column in columns]
    lines.append(Row("Failed", f"no pose, or mTRE over {GROSS_FAILURE_MM:g} mm", values, intervals))
    return lines


def time_rows(summary: dict[str, Any]) -> list[Row]:
    """How long the steps of a registration take, where a pose was found."""
    return [
        Row(STEPS.get(step, step.capitalize()), "", [_text(times["mean"]), _text(times["median"]), _text(times["p95"])], [""] * 3)
        for step, times in summary["seconds_of_steps"].items()
    ]


def trust_rows(summary: dict[str, Any]) -> list[Row]:
    """How well the verdicts tell good poses from bad ones."""
    trust = summary["trust"]

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.1%}"

    levels = ", ".join(f"{count} {level}" for level, count in trust["levels"].items())
    return [
        Row("Verdicts", "of the poses found", [levels], [""]),
        Row(f"Over {BAD_MM:g} mm called reliable", f"of {trust['n_bad']} poses", [share(trust["bad_called_reliable"])], [""]),
        Row(f"Under {GOOD_MM:g} mm called reliable", f"of {trust['n_good']} poses", [share(trust["good_called_reliable"])], [""]),
        Row(
            f"AUROC for over {ACCEPTABLE_MM:g} mm",
            f"chance that the {trust['score']} is higher for a pose that is worse than this than for one that is better",
            [_text(trust["auroc_over_2_mm"])],
            [""],
        ),
    ]


def table(summary: dict[str, Any], title: str) -> Table:
    """The statistics of a summary for the terminal."""
    from rich.table import Table

    printed = Table(title=title)
    printed.add_column("Error")
    for name in STATISTICS.values():
        printed.add_column(name, justify="right")
    for row in rows(summary):
        printed.add_row(row.name, *row.values)
    return printed


def sentence(summary: dict[str, Any]) -> str:
    """The result in a sentence."""
    n, gross, success = summary["n"], summary["gross_failure_rate"], summary["success_rate"]
    return (
        f"Of {n} cases, {success['2 mm']:.0%} were placed within 2 mm (mTRE), {success['5 mm']:.0%} within 5 mm, and {gross:.1%} failed: "
        f"{summary['n_failed']} without a pose, {round(gross * n) - summary['n_failed']} off by more than {GROSS_FAILURE_MM:g} mm."
    )


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(limits: list[float | None] | None) -> str:
    return "" if limits is None else f"{_text(limits[0])} to {_text(limits[1])}"


def _percent(limits: list[float]) -> str:
    return f"{limits[0]:.1%} to {limits[1]:.1%}"
