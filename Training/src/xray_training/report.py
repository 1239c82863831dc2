"""The report of an evaluation: one HTML file with tables, plots and pictures inside it."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.camera import invert_pose
from DRRSimulatorLib.files import atomic_path
from XRayRegistrationLib.overlay import write_overlay

from . import plots
from .case_result import CaseResult
from .measures import STATISTICS, rows, sentence, success_rows, time_rows, trust_rows
from .suites import Patient, Suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 12  # cases whose pictures are in the report of a large suite


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
        success=success_rows(summary),
        trust=trust_rows(summary),
        trust_plots=_trust_plots(summary),
        times=time_rows(summary),
        plots=_plots(summary),
        pictures=pictures,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def worst_overlays(suite: Suite, patient: Patient, results: Sequence[CaseResult]) -> list[Picture]:
    """Overlays of the cases with the largest mTRE, worst first; each is made once more. Those without a pose have none."""
    found = [(result.error.mtre_mm, result) for result in results if result.error is not None]
    worst = [result for _, result in sorted(found, key=lambda pair: -pair[0])[:WORST]]
    return [picture for result in worst for picture in _overlays(suite, patient, result)]


def overlay_caption(result: CaseResult) -> str:
    """The case's number and its errors."""
    assert result.error is not None
    return (
        f"X-ray {result.number}: mTRE {result.error.mtre_mm:.2f} mm, rotation {result.error.rotation_deg:.2f} deg, "
        f"in plane {result.error.in_plane_mm:.2f} mm, depth {result.error.depth_mm:.2f} mm"
    )


def _overlays(suite: Suite, patient: Patient, result: CaseResult) -> list[Picture]:
    """A picture of each view of a case."""
    assert result.pose is not None
    case = suite.case(result.number, patient)
    pictures = []
    for place, view in enumerate(case.views, 1):
        from_first = view.rig_to_camera @ invert_pose(case.view.rig_to_camera)
        caption = overlay_caption(result) + (f"; view {place} of {len(case.views)}" if len(case.views) > 1 else "")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "overlay.png"
            write_overlay(file, view, patient.projector, from_first @ result.pose, caption, from_first @ case.ras_to_camera)
            pictures.append(Picture(caption, file.read_bytes()))
    return pictures


def _trust_plots(summary: dict[str, Any]) -> list[Picture]:
    """None where no pose was found, as for the other plots."""
    if summary["n"] == summary["n_failed"]:
        return []
    caption = "Left: the errors of the cases that are kept when the least trusted are left out. Right: every pose, by its verdict."
    return [_picture(plots.trust(summary), caption)]


def _plots(summary: dict[str, Any]) -> list[Picture]:
    if summary["n"] == summary["n_failed"]:
        return []
    made = [
        _picture(plots.distributions(summary), "Share of all cases with an error up to the value, on a logarithmic scale."),
        _picture(plots.errors_by_view(summary), "mTRE of every case by how its first X-ray was taken, on a logarithmic scale."),
    ]
    if all("acquisitions" in case["notes"] for case in summary["cases"]):
        caption = "mTRE by exposure and display of the first X-ray; boxes hold the middle half of the cases, whiskers nine tenths."
        made.append(_picture(plots.errors_by_acquisition(summary), caption))
    return made


def _picture(figure: Figure, caption: str) -> Picture:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return Picture(caption, buffer.getvalue())
