"""scr-evaluate: how well a model registers X-rays whose true poses are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError

from .evaluate import DEFAULT_MODEL


def evaluate_suite(
    json_file: Annotated[Path, typer.Option("--json", help="File for all results: statistics, versions, and a row per X-ray.")],
    suite: Annotated[str, typer.Option(help="Name of the suite of simulated X-rays: pelvis-200, or demo.")] = "pelvis-200",
    model: Annotated[
        Path, typer.Option(help="Model file of scr-train; default: the model of the sample CT.", show_default=False)
    ] = DEFAULT_MODEL,
    refine: Annotated[bool, typer.Option(help="Sharpen every pose by the image's intensities; off: the network's pose alone.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many X-rays.")] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for report.html, with plots and the worst X-rays.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")] = "auto",
) -> None:
    """Register simulated X-rays of known pose and measure the errors.

    The X-rays are always the same ones, drawn from other random numbers than any training. An X-ray without a pose counts as a
    failure in every rate and percentile.
    """
    from rich.console import Console
    from rich.progress import track
    from XRayRegistrationLib.device import choose_device
    from XRayRegistrationLib.model import load_model
    from XRayRegistrationLib.refine import Refiner

    from .evaluate import evaluate, summary, write_json
    from .measures import sentence, table
    from .report import worst_overlays, write_report
    from .suites import SUITES, Patient

    if suite not in SUITES:
        raise InputError(f"There is no suite {suite!r}; choose one of {', '.join(SUITES)}.")
    if not json_file.parent.is_dir():
        raise InputError(f"The folder {json_file.parent} does not exist; create it or choose another place for {json_file.name}.")
    chosen, device = SUITES[suite], choose_device(device)
    trained = load_model(model, device)
    patient = Patient.load(chosen.ct_file, device)
    refiner = Refiner(patient.projector, trained.description.centre_ras) if refine else None
    cases = track(evaluate(chosen, patient, trained, refiner, limit), suite, total=chosen.size(limit))
    results = [result for result, _ in cases]
    values = summary(chosen, patient, results, model, device, refine)
    write_json(json_file, values)
    Console().print(table(values, f"{suite}, {'with' if refine else 'without'} refinement"))
    typer.echo(sentence(values))
    if report:
        report.mkdir(parents=True, exist_ok=True)
        write_report(report / "report.html", values, worst_overlays(chosen, patient, results))
        typer.echo(f"The report is {report / 'report.html'}.")


def main() -> None:
    """Entry point of scr-evaluate."""
    run_command(evaluate_suite)
