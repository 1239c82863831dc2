"""scr-prepare: the CTs of a set of real X-rays as files for scr-train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError

if TYPE_CHECKING:
    from .deepfluoro_suite import DeepFluoroSuite
    from .suites import Patient


def prepare(
    suite: Annotated[str, typer.Argument(help="wrist-real or deepfluoro.")],
    data: Annotated[Path, typer.Option(help="Folder of the wrist data, or the DeepFluoro HDF5 file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files; made where it is missing.")],
    specimen: Annotated[str | None, typer.Option(help="Specimen of the DeepFluoro file, such as 17-1882.")] = None,
) -> None:
    """Write the CT and the bone labels that a model for real X-rays is trained on.

    They are what scr-train takes; the model is then evaluated with scr-evaluate and the same --suite and --data. Each bone of the wrist
    has a CT of its own, because it moves alone.
    """
    from .bone_files import write_bone_files
    from .catalogue import find_suite
    from .deepfluoro_suite import DeepFluoroSuite
    from .wrist import BONES, bone_ct, bone_labels

    if suite not in ("wrist-real", "deepfluoro"):
        raise InputError(f"The suite {suite!r} needs no preparation: only wrist-real and deepfluoro are of other CTs than the sample's.")
    output.mkdir(parents=True, exist_ok=True)
    if suite == "wrist-real":
        for bone in BONES:
            ct = bone_ct(data, bone)
            _tell(*write_bone_files(output, bone, ct, bone_labels(ct, bone)))
        return
    chosen = find_suite(suite, "", data, specimen)
    assert isinstance(chosen, DeepFluoroSuite)
    patient = chosen.patient()
    _tell(*write_bone_files(output, chosen.specimen, patient.ct, patient.bones))
    _tell_views(chosen, patient)


def _tell(ct: Path, labels: Path) -> None:
    typer.echo(f"scr-train {ct} --labels {labels} -o {ct.with_suffix('.safetensors')}")


def _tell_views(suite: DeepFluoroSuite, patient: Patient) -> None:
    """The ranges of the views, which the training has to cover."""
    from DRRSimulatorLib.camera import CArmView

    views = [CArmView.from_pose(case.ras_to_camera, patient.centroid) for case in suite.cases(patient)]
    for label, values in {
        "LAO/RAO (deg)": [view.primary_deg for view in views],
        "CRAN/CAUD (deg)": [view.secondary_deg for view in views],
        "roll (deg)": [view.roll_deg for view in views],
        "offset from the central ray (mm)": [offset for view in views for offset in view.offset_mm],
        "source to bone (mm)": [view.source_to_point_mm for view in views],
    }.items():
        typer.echo(f"{label}: {min(values):.0f} to {max(values):.0f}")


def main() -> None:
    """Entry point of scr-prepare."""
    run_command(prepare)
