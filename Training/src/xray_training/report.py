"""The report of an evaluation: one HTML file with tables, plots and pictures inside it."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from DRRSimulatorLib.files import atomic_path
from XRayRegistrationLib.overlay import write_overlay

from .case_result import CaseResult
from .measures import STATISTICS, rows, sentence
from .suites import Patient, Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORST = 12  # pictures in the report of a large suite

FINAL_COLOUR, BEFORE_COLOUR = "#1d4ed8", "#9ca3af"


@dataclass(frozen=True)
class Picture:
    """A PNG image with its caption."""

    caption: str
    png: bytes

    @property
    def base64(self) -> str:
        """The image as text for a data URI."""
        return base64.b64encode(self.png).decode()


def write_report(path: Path, summary: dict[str, Any], pictures: Sequence[Picture]) -> None:
    """Write the report of an evaluation, atomically.

    Args:
        path: HTML file.
        summary: as `evaluate.summary` makes it.
        pictures: overlays to show; they bear their captions.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FileSystemLoader(Path(__file__).parent / "templates")
    template = Environment(loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True).get_template("report.html")
    tables = {"Errors": rows(summary)}
    if summary["refined"]:
        tables["Errors before refinement"] = rows(summary["before_refinement"])
    html = template.render(
        summary=summary,
        sentence=sentence(summary),
        statistics=list(STATISTICS.values()),
        tables=tables,
        plots=[
            _picture(_distributions(summary), "Share of all X-rays with an error up to the value, on a logarithmic scale."),
            _picture(_errors_by_view(summary), "mTRE of every X-ray by how it was taken, on a logarithmic scale."),
        ],
        pictures=pictures,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def worst_overlays(suite: Suite, patient: Patient, results: Sequence[CaseResult]) -> list[Picture]:
    """Overlays of the X-rays with the largest mTRE, worst first; each is simulated once more. Those without a pose have none."""
    found = [(result.error.mtre_mm, result) for result in results if result.error is not None]
    worst = [result for _, result in sorted(found, key=lambda pair: -pair[0])[:WORST]]
    return [_overlay(suite, patient, result) for result in worst]


def overlay_caption(result: CaseResult) -> str:
    """The X-ray's number and its errors."""
    assert result.error is not None
    return (
        f"X-ray {result.number}: mTRE {result.error.mtre_mm:.2f} mm, rotation {result.error.rotation_deg:.2f} deg, "
        f"in plane {result.error.in_plane_mm:.2f} mm, depth {result.error.depth_mm:.2f} mm"
    )


def _overlay(suite: Suite, patient: Patient, result: CaseResult) -> Picture:
    assert result.pose is not None
    case = suite.case(result.number, patient)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overlay.png"
        write_overlay(file, case.view, patient.projector, result.pose, overlay_caption(result), case.ras_to_camera)
        return Picture(overlay_caption(result), file.read_bytes())


def _picture(figure: Figure, caption: str) -> Picture:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return Picture(caption, buffer.getvalue())


def _errors(cases: Sequence[dict[str, Any]], measure: str) -> list[float]:
    """One measure of all cases; infinite where there is none."""
    return [np.inf if case[measure] is None else case[measure] for case in cases]


def _distributions(summary: dict[str, Any]) -> Figure:
    """Empirical distribution functions of the errors."""
    from matplotlib.figure import Figure

    figure = Figure((11, 3), layout="constrained")
    measures = {"mtre_mm": "mTRE (mm)", "rotation_deg": "Rotation (deg)", "in_plane_mm": "In plane (mm)", "depth_mm": "Depth (mm)"}
    for axes, (measure, label) in zip(figure.subplots(1, 4, sharey=True), measures.items(), strict=True):
        if summary["refined"]:
            before = [case["before_refinement"] for case in summary["cases"]]
            _distribution(axes, _errors(before, measure), BEFORE_COLOUR, "before refinement")
        _distribution(axes, _errors(summary["cases"], measure), FINAL_COLOUR, "result")
        axes.set(xlabel=label, xscale="log", ylim=(0, 1.02))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("Share of all X-rays")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    return figure


def _distribution(axes: Axes, errors: list[float], colour: str, label: str) -> None:
    """Steps up to the share of the X-rays that have a finite error."""
    finite = np.sort([error for error in errors if np.isfinite(error)])
    axes.step(finite, np.arange(1, len(finite) + 1) / len(errors), where="post", color=colour, label=label)


def _errors_by_view(summary: dict[str, Any]) -> Figure:
    """mTRE against the parameters of the view."""
    from matplotlib.figure import Figure

    figure = Figure((11, 3), layout="constrained")
    parameters = {
        "primary_deg": "LAO + / RAO - (deg)",
        "secondary_deg": "CRAN + / CAUD - (deg)",
        "roll_deg": "Roll (deg)",
        "source_to_bone_mm": "Source to bone (mm)",
    }
    cases = [case for case in summary["cases"] if case["mtre_mm"] is not None]
    for axes, (parameter, label) in zip(figure.subplots(1, 4, sharey=True), parameters.items(), strict=True):
        axes.plot([case[parameter] for case in cases], [case["mtre_mm"] for case in cases], ".", color=FINAL_COLOUR, alpha=0.6)
        axes.set(xlabel=label, yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("mTRE (mm)")
    return figure
