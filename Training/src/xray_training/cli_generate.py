"""scr-generate: a benchmark data set of simulated X-rays with scene coordinates, of many CTs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import print_progress

from .cli_train import DETECTOR_MM
from .dataset.plan import Sampling, SplitRule


def generate(
    ct: Annotated[list[Path] | None, typer.Argument(help="CTs: DICOM folders, NIfTI, NRRD or MHA files, or lists of them (.csv).")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the data set; made where it is missing.")] = None,
    views: Annotated[int, typer.Option(min=1, max=10_000_000, help="X-rays of each CT.")] = 1000,
    size: Annotated[int, typer.Option(min=32, max=2048, help="Rows and columns of the images.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    sampling: Annotated[Sampling, typer.Option(
        help="Views: uniform, clinical, hard (extreme angles, truncation, tools, low dose), or mixed (4, 2 and 2 of 8)."
    )] = Sampling.mixed,
    split: Annotated[SplitRule, typer.Option(help="What is divided 80/10/10 into training, validation and test.")] = SplitRule.view,
    detector_mm: Annotated[float, typer.Option(min=1, help="Width of the detector, mm.")] = DETECTOR_MM,
    sdd: Annotated[float, typer.Option(min=1, max=3000, help="Source-to-detector distance, mm.")] = 1020.0,
    scheduler: Annotated[str, typer.Option(help="local, slurm or pbs, or the address of a Dask scheduler.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, or processes of jobs; default: one per core, or one job.")] = None,
    stop_file: Annotated[Path | None, typer.Option(help="Stop, as Ctrl+C does, as soon as this file exists.")] = None,
    verify: Annotated[Path | None, typer.Option(help="Instead of all this: check a finished data set, and name what is damaged.")] = None,
) -> None:  # fmt: skip
    """Make a data set of simulated X-rays with their cameras, poses, masks and scene coordinates.

    Interrupt it (Ctrl+C) or kill it at any moment: the same command goes on, and ends with the same files. View n of a CT depends on the
    seed, n and the CT alone. A list of CTs has the column ct, and may have labels, series, name, source and licence.
    """
    if verify is not None:
        if ct or output:
            raise InputError("Give --verify alone, or CTs and a folder to write to.")
        _verify(verify)
        return
    if not ct or output is None:
        raise InputError("Give CTs and a folder to write to (--output), or a data set to check (--verify).")
    from .dataset.cluster import connected
    from .dataset.finish import finish
    from .dataset.generate import Generation, Settings, told_of_a_full_disk
    from .dataset.simulate import ViewSettings
    from .dataset.sources import read_sources
    from .optional import optional_package

    optional_package("zarr", "zarr", "datasets")
    camera = Camera.centred(sdd, detector_mm / size, (size, size))
    settings = Settings(ViewSettings(views, seed, sampling, camera), split)
    with told_of_a_full_disk(output), _stop_asked(stop_file) as stop_asked:
        generation = Generation(output, read_sources(ct), settings)
        if generation.records.finished:
            typer.echo(f"The data set in {output} is complete; there is nothing to do.")
            return
        with (
            connected(scheduler, workers) as client,
            print_progress("simulating", generation.views_wanted, generation.views_done) as show,
        ):
            outcome = generation.run(client, show, stop_asked)
        if outcome.patients:
            finish(generation, outcome)
            typer.echo(f"Data set written to {output}: {generation.views_done} X-rays of {len(outcome.patients)} CTs.")
    if outcome.failures:
        typer.echo("Failed; the same command tries again:\n" + "\n".join(map(str, outcome.failures)), err=True)
        raise typer.Exit(1)


def _verify(folder: Path) -> None:
    from .dataset.verify import verify

    with print_progress("checking", 100) as show:
        damage = verify(folder, lambda fraction, text: show(round(100 * fraction), text))
    if damage:
        typer.echo("\n".join(damage), err=True)
        raise typer.Exit(1)
    typer.echo(f"The data set in {folder} is whole.")


@contextmanager
def _stop_asked(stop_file: Path | None) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl+C was pressed, or the stop file exists."""
    interrupted: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
    try:
        yield lambda: bool(interrupted) or (stop_file is not None and stop_file.exists())
    finally:
        signal.signal(signal.SIGINT, previous)


def main() -> None:
    """Entry point of scr-generate."""
    run_command(generate)


if __name__ == "__main__":
    main()
