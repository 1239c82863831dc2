"""scr-evaluate: how well a model registers X-rays whose true poses are known."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError

from .evaluate import DEFAULT_MODEL


def evaluate_suite(
    json_file: Annotated[Path, typer.Option("--json", help="File for all results: statistics, versions, and a row per X-ray.")],
    suite: Annotated[str, typer.Option(help="pelvis-200, pelvis-2700, pelvis-two-view, wrist-real, deepfluoro, or demo.")] = "pelvis-200",
    model: Annotated[
        Path, typer.Option(help="Model file of scr-train; default: the model of the sample CT.", show_default=False)
    ] = DEFAULT_MODEL,
    refine: Annotated[bool, typer.Option(help="Sharpen every pose by the image's intensities; off: the network's pose alone.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for report.html, with plots and the worst X-rays.")] = None,
    data: Annotated[Path | None, typer.Option(help="Real X-rays: the folder of wrist-real, or the HDF5 file of deepfluoro.")] = None,
    specimen: Annotated[str | None, typer.Option(help="Specimen of the DeepFluoro file, such as 17-1882.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps simulated X-rays for the next evaluation.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")] = "auto",
) -> None:
    """Register X-rays of known pose and measure the errors; Documentation/evaluation.md tells what each suite is.

    The X-rays of a suite are always the same ones, drawn from other random numbers than any training. One without a pose counts as a
    failure in every rate and percentile.
    """
    from rich.console import Console
    from rich.progress import track
    from XRayRegistrationLib.device import choose_device
    from XRayRegistrationLib.metrics import environment
    from XRayRegistrationLib.model import load_model
    from XRayRegistrationLib.refine import Refiner

    from .catalogue import find_suite
    from .evaluate import evaluate, summary, write_json
    from .measures import sentence, table
    from .report import worst_overlays, write_report
    from .run_log import RunLog

    if not json_file.parent.is_dir():
        raise InputError(f"The folder {json_file.parent} does not exist; create it or choose another place for {json_file.name}.")
    device = choose_device(device)
    trained = load_model(model, device)
    chosen = find_suite(suite, trained.description.ct_fingerprint, data, specimen, cache)
    patient = chosen.patient(device)
    refiner = Refiner(patient.projector, trained.description.centre_ras, patient.ct) if refine else None
    identity = {"suite": chosen.identity(patient), "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "refined": refine}
    log = RunLog(json_file, identity | {"versions": environment(0)["versions"]})
    numbers = range(1, chosen.size(limit) + 1)
    if log.results:
        typer.echo(f"Going on after {len(log.results)} cases that an evaluation before has left in {log.path.name}.")
    with log:
        left = numbers[len(log.results) :]
        for result, _ in track(evaluate(chosen, patient, trained, refiner, left), suite, len(numbers), len(log.results)):
            log.append(result)
    results = log.results[: len(numbers)]
    values = summary(chosen, results, model, device, refine)
    write_json(json_file, values)
    log.remove()
    Console().print(table(values, f"{suite}, {'with' if refine else 'without'} refinement"))
    typer.echo(sentence(values))
    if report:
        report.mkdir(parents=True, exist_ok=True)
        write_report(report / "report.html", values, worst_overlays(chosen, patient, results))
        typer.echo(f"The report is {report / 'report.html'}.")


def main() -> None:
    """Entry point of scr-evaluate."""
    run_command(evaluate_suite)
