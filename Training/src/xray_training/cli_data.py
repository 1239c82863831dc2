"""scr-data: looking at a data set that scr-generate made, and its export to other formats."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled, print_progress

FOLDER_HELP = "Folder of the data set."


class Layout(str, Enum):
    """Formats of an export."""

    scr = "scr"
    deepfluoro = "deepfluoro"


class Split(str, Enum):
    """Parts of a data set."""

    train = "train"
    validation = "validation"
    test = "test"


def sheet(
    folder: Annotated[Path, typer.Argument(help=FOLDER_HELP)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write, *.png.")],
) -> None:
    """Draw a contact sheet: X-rays of every stratum, with the bones' outlines and with their scene coordinates as colours."""
    from .dataset.sheet import write_sheet

    if output.suffix.lower() != ".png":
        raise InputError(f"The sheet is a PNG picture; choose a name such as {output.with_suffix('.png').name} instead of {output.name}.")
    write_sheet(folder, output)
    typer.echo(f"Wrote {output}.")


def export(
    folder: Annotated[Path, typer.Argument(help=FOLDER_HELP)],
    layout: Annotated[Layout, typer.Option(
        help="scr: a folder of TIFF, JSON and STL files, laid out as for SCR-Registration; deepfluoro: an HDF5 file like DeepFluoro's."
    )],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder (scr) or file (deepfluoro) to write; it must not exist.")],
    patient: Annotated[list[str] | None, typer.Option(help="Patient to export; several by repeating it; default: all.")] = None,
    split: Annotated[Split | None, typer.Option(help="Views of one split only; default: all.")] = None,
    stop_file: Annotated[Path | None, typer.Option(help="Stop, with exit code 1, as soon as this file exists.")] = None,
) -> None:  # fmt: skip
    """Export X-rays with their scene coordinates and poses, for programs that do not read Zarr.

    The folder or file gets its name when it is complete; an export that is stopped leaves nothing.
    """
    from .dataset.export_deepfluoro import export_deepfluoro
    from .dataset.export_scr import export_scr
    from .dataset.selection import choose_views, view_count
    from .dataset.stored import XRayDataset

    if output.exists():
        raise InputError(f"{output} exists already; choose another place for the export, or remove it first.")
    chosen = choose_views(XRayDataset(folder), patient, split.value if split else None)
    total = view_count(chosen)
    with print_progress("exporting", total) as show:

        def show_or_stop(done: int, details: str) -> None:
            if stop_file is not None and stop_file.exists():
                raise Cancelled(f"Stopped after {done} of {total} X-rays; nothing was exported.")
            show(done, details)

        (export_scr if layout is Layout.scr else export_deepfluoro)(chosen, output, show_or_stop)
    typer.echo(f"X-rays exported to {output}: {total}.")


def main() -> None:
    """Entry point of scr-data."""
    run_command(sheet, export)


if __name__ == "__main__":
    main()
