"""scr-demo: the whole path on the sample CT, from simulated X-rays at poses that the model never saw to pictures and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from DRRSimulatorLib.commands import run_command

if TYPE_CHECKING:
    from XRayRegistrationLib.model import Model
    from XRayRegistrationLib.register import Registration

    from .case_result import CaseResult
    from .suites import Patient


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; made where it is missing.")] = Path("demo"),
) -> None:
    """Register 20 simulated X-rays of the sample CT with the model that comes with it.

    Every X-ray gets a folder with result.json, overlay.png and point_cloud.vtp; summary.json and report.html tell how far off the
    poses are, before and after refinement; scene.mrb opens the first X-ray in 3D Slicer. A folder from before is updated.
    """
    from rich.console import Console
    from rich.progress import track
    from XRayRegistrationLib.device import choose_device
    from XRayRegistrationLib.model import load_model
    from XRayRegistrationLib.refine import Refiner
    from XRayRegistrationLib.result_files import RESEARCH_USE
    from XRayRegistrationLib.scene_file import write_scene

    from .evaluate import DEFAULT_MODEL, evaluate, summary, write_json
    from .measures import sentence, table
    from .report import Picture, overlay_caption, write_report
    from .suites import DEMO

    device = choose_device("auto")
    model = load_model(DEFAULT_MODEL, device)
    patient = DEMO.patient(device)
    refiner = Refiner(patient.projector, model.description.centre_ras, patient.ct)
    output.mkdir(parents=True, exist_ok=True)
    results, pictures = [], []
    for result, registration in track(evaluate(DEMO, patient, model, refiner, range(1, DEMO.count + 1)), "Registering", total=DEMO.count):
        results.append(result)
        folder = output / f"xray_{result.number:02}"
        folder.mkdir(exist_ok=True)
        if registration is None:
            _write_failure(folder, result)
            continue
        _write_case(folder, result, registration, patient, model)
        pictures.append(Picture(overlay_caption(result), (folder / "overlay.png").read_bytes()))
        if result.number == 1:
            write_scene(output / "scene.mrb", registration, [folder.name], patient.ct, {"bone": patient.surface}, patient.projector)
    values = summary(DEMO, results, DEFAULT_MODEL, device, refined=True)
    write_json(output / "summary.json", values)
    write_report(output / "report.html", values, pictures)
    Console().print(table(values["before_refinement"], "Before refinement"), table(values, "After refinement"))
    typer.echo(sentence(values))
    typer.echo(f"Look at {output / 'report.html'}; open {output / 'scene.mrb'} in 3D Slicer. {RESEARCH_USE}")


def _write_case(folder: Path, result: CaseResult, registration: Registration, patient: Patient, model: Model) -> None:
    """The files of one X-ray: as xray-register writes them, but for the scene, of which twenty would be large."""
    from XRayRegistrationLib.overlay import write_overlay
    from XRayRegistrationLib.point_cloud import point_cloud, write_polydata
    from XRayRegistrationLib.result_files import result_numbers

    from .evaluate import write_json
    from .report import overlay_caption

    view, pose = registration.views[0], registration.ras_to_camera()
    write_overlay(folder / "overlay.png", view, patient.projector, pose, overlay_caption(result), result.reference)
    write_polydata(folder / "point_cloud.vtp", point_cloud(registration))
    numbers = result_numbers(registration, [folder.name], model.description, {"bone": patient.surface}, result.reference)
    write_json(folder / "result.json", numbers)


def _write_failure(folder: Path, result: CaseResult) -> None:
    """The reason for which there is no pose, in place of what an earlier run may have left."""
    from .evaluate import write_json

    for name in ("overlay.png", "point_cloud.vtp"):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / "result.json", {"failure": result.failure})


def main() -> None:
    """Entry point of scr-demo."""
    run_command(demo)
