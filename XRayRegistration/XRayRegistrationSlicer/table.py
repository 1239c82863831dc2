"""The table of a result's numbers: the verdict first, a unit in every row, so that it can be read as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import vtk
from DRRSimulatorLib.camera import CArmView, FloatArray
from slicer.i18n import tr as _
from XRayRegistrationLib.result_files import RESEARCH_USE

if TYPE_CHECKING:
    from .result import RegistrationResult

Row = tuple[str, str, str]  # quantity, value, unit
NO_UNIT = "-"
ROWS_IN_WORDS = 3  # the first ones, which the panel shows above the table


def fillTable(result: RegistrationResult) -> None:
    """Write a result's numbers into its table, at the poses that its cameras have now.

    What was measured of the pose that was registered is left out where the bone was moved by hand since.
    """
    numbers, moved = result.numbers, result.movedByHand()
    rows = [*_trustRows(result), *([] if moved else _agreementRows(numbers))]
    for number, carm in enumerate(result.carms):
        prefix = f"{numbers['views'][number]['xray']}: " if len(result.carms) > 1 else ""
        view = numbers["views"][number]
        viewRows = [*_poseRows(numbers["bone_centre_ras"], carm.pose()), *([] if moved else _pointRows(view)), _distanceRow(view)]
        rows += [(prefix + quantity, value, unit) for quantity, value, unit in viewRows]
    rows.append((_("Time"), f"{sum(numbers['seconds'].values()):.1f}", "s"))
    table = vtk.vtkTable()
    for number, title in enumerate((_("Quantity"), _("Value"), _("Unit"))):
        column = vtk.vtkStringArray()
        column.SetName(title)
        for row in rows:
            column.InsertNextValue(row[number])
        table.AddColumn(column)
    result.table.SetAndObserveTable(table)


def _trustRows(result: RegistrationResult) -> list[Row]:
    words = {"reliable": _("Reliable"), "check": _("Check it"), "rejected": _("Rejected")}
    verdict = result.verdict
    rows = [
        (_("Verdict"), words[verdict.level], NO_UNIT),
        (_("Reason"), verdict.reason, NO_UNIT),
        (_("Note"), RESEARCH_USE, NO_UNIT),
    ]
    if verdict.expected_error_mm is not None:
        rows.append((_("Expected error"), f"{verdict.expected_error_mm:.1f}", "mm"))
    return rows


def _agreementRows(numbers: dict[str, Any]) -> list[Row]:
    refinement, network = numbers["refinement"], numbers["before_refinement"]
    rows = []
    if refinement:
        rows.append((_("Similarity to the DRR"), f"{refinement['similarity']:.3f}", _("of 1")))
        rows.append((_("Similarity to the DRR before refinement"), f"{refinement['similarity_before']:.3f}", _("of 1")))
    if "rms_residual_network_pixels" in network:
        residual = f"{network['rms_residual_network_pixels']:.2f}"
        rows.append((_("Distance of recognized points from the pose, RMS"), residual, _("pixels of the model")))
    return rows


def _poseRows(centre: list[float], rasToCamera: FloatArray) -> list[Row]:
    seen = CArmView.from_pose(rasToCamera, centre)
    return [
        (_("LAO") if seen.primary_deg >= 0 else _("RAO"), f"{abs(seen.primary_deg):.1f}", _("degrees")),
        (_("Cranial") if seen.secondary_deg >= 0 else _("Caudal"), f"{abs(seen.secondary_deg):.1f}", _("degrees")),
        (_("Rotation about the beam"), f"{seen.roll_deg:.1f}", _("degrees")),
        (_("Source to center of the bone"), f"{np.hypot(seen.source_to_point_mm, np.hypot(*seen.offset_mm)):.1f}", "mm"),
    ]


def _pointRows(view: dict[str, Any]) -> list[Row]:
    if "inliers" not in view:  # no model was used
        return []
    return [
        (_("Recognized points that agree"), _("{count} of {all}").format(count=view["inliers"], all=view["correspondences"]), _("points")),
        (_("Median uncertainty of those points"), f"{view['inlier_sigma_mm']['median']:.1f}", "mm"),
    ]


def _distanceRow(view: dict[str, Any]) -> Row:
    return _("Source to detector"), f"{view['camera']['source_to_detector_distance']:.1f}", "mm"
