"""A contact sheet of a data set: some X-rays of every stratum, where the bones are in them, and their scene coordinates as colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.files import atomic_path
from XRayRegistrationLib.xray import normalised

from .layout import SPLITS, STRATA
from .selection import ChosenViews, choose_views, view_count
from .stored import StoredPatient, XRayDataset, scene_coordinates
from .xrays import stored_xray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VIEWS_PER_STRATUM = 3  # in a row
TILE_INCHES, GAP_INCHES, CAPTION_INCHES, TITLE_INCHES, LABEL_INCHES, DOTS_PER_INCH = 1.9, 0.06, 0.42, 0.75, 0.35, 110

Image = npt.NDArray[np.float32]


def write_sheet(folder: Path, path: Path) -> None:
    """Draw the contact sheet of a data set as a PNG picture.

    A row shows views of one stratum, of as many patients as there are: the X-ray with the outlines of the bones, and where its rays first
    meet bone and where they last leave it, whichever bone that is.

    Args:
        folder: of the data set.
        path: file to write.

    Raises:
        InputError: if the folder is no data set, or damaged, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    dataset = XRayDataset(folder)
    chosen = choose_views(dataset)
    rows = {stratum: views for stratum in STRATA if (views := examples(chosen, stratum))}
    width = LABEL_INCHES + VIEWS_PER_STRATUM * (3 * TILE_INCHES + 4 * GAP_INCHES)
    height = TITLE_INCHES + len(rows) * (TILE_INCHES + CAPTION_INCHES)
    figure = Figure((width, height), dpi=DOTS_PER_INCH)
    _title(figure, folder.resolve().name, chosen)
    for row, (stratum, views) in enumerate(rows.items()):
        top = TITLE_INCHES + row * (TILE_INCHES + CAPTION_INCHES)
        middle = 1 - (top + TILE_INCHES / 2) / height
        label = stratum.replace("_", " ")
        figure.text(LABEL_INCHES / 2 / width, middle, label, rotation=90, ha="center", va="center", fontsize=10, weight="bold")
        for column, (patient, number) in enumerate(views):
            left = LABEL_INCHES + column * (3 * TILE_INCHES + 4 * GAP_INCHES)
            _draw_view(figure, patient, number, left, top)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def examples(chosen: Sequence[ChosenViews], stratum: str) -> list[tuple[StoredPatient, int]]:
    """The first views of a stratum, of each patient in turn."""
    of_patients = [
        [(views.patient, number) for number in views.numbers if views.patient.values("stratum")[number] == stratum] for views in chosen
    ]
    rounds = (views[place] for place in range(max(map(len, of_patients), default=0)) for views in of_patients if place < len(views))
    return [view for view, _ in zip(rounds, range(VIEWS_PER_STRATUM), strict=False)]


def _title(figure: Figure, name: str, chosen: Sequence[ChosenViews]) -> None:
    splits = Counter(split for views in chosen for split in views.patient.values("split")[views.numbers].tolist())
    counts = ", ".join(f"{splits[split]} {split}" for split in SPLITS if splits[split])
    rows, columns = chosen[0].patient.camera.image_size
    width, height = figure.get_size_inches()
    figure.text(
        LABEL_INCHES / width,
        1 - 0.15 / height,
        f"{name}: {view_count(chosen)} X-rays of {len(chosen)} patient{'s' * (len(chosen) > 1)}, {rows} x {columns} pixels ({counts})",
        fontsize=12,
        weight="bold",
        va="top",
    )
    figure.text(
        LABEL_INCHES / width,
        1 - 0.42 / height,
        "Of each view: the X-ray with the bones' outlines; where its rays first meet bone; where they last leave it. Colours are places in "
        "the patient: more red to the right, more green to the front, more blue to the head.",
        fontsize=9,
        va="top",
    )


def _draw_view(figure: Figure, patient: StoredPatient, number: int, left: float, top: float) -> None:
    """Draw a view's three tiles and its caption; left and top in inches from the sheet's corner."""
    width, height = figure.get_size_inches()

    def tile(place: int) -> Axes:
        x = left + place * (TILE_INCHES + GAP_INCHES)
        axes = figure.add_axes((x / width, 1 - (top + TILE_INCHES) / height, TILE_INCHES / width, TILE_INCHES / height))
        axes.set_axis_off()
        return axes

    shown = stored_xray(patient, number)
    xray, *others = (tile(place) for place in range(3))
    xray.imshow(np.where(shown.field, normalised(shown), 1), cmap="gray_r", vmin=0, vmax=1)
    for mask, colour in zip(patient.read("mask", number), _colours(len(patient.bones)), strict=True):
        if mask.any() and not mask.all():
            xray.contour(mask.astype(np.float32), [0.5], colors=[colour], linewidths=0.7)
    for axes, picture in zip(others, coordinate_pictures(patient, number), strict=True):
        axes.imshow(picture)
    figure.text(left / width, 1 - (top + TILE_INCHES + 0.05) / height, _caption(patient, number), fontsize=7.5, va="top")


def coordinate_pictures(patient: StoredPatient, number: int) -> Iterator[Image]:
    """The first and the last point of bone on each ray as colours (rows, columns, 3); white off bone."""
    depth = patient.read("depth", number)
    first = np.where(depth[:, 0] > 0, depth[:, 0], 65535).min(axis=0)
    last = depth[:, 1].max(axis=0)
    points = patient.read("surface_points")
    low, high = points.min(axis=0), points.max(axis=0)
    for surface in (np.where(last > 0, first, 0), last):
        coordinates = np.moveaxis(scene_coordinates(surface, patient.camera, patient.ras_to_camera[number]), 0, -1)
        yield np.nan_to_num((coordinates - low) / (high - low), nan=1.0).clip(0, 1).astype(np.float32)


def _colours(count: int) -> list[str]:
    """A colour for the outline of each bone."""
    wheel = ["#ffd60a", "#00e5ff", "#ff6ec7", "#7cfc00", "#ff8c42", "#b388ff"]
    return [wheel[bone % len(wheel)] for bone in range(count)]


def _caption(patient: StoredPatient, number: int) -> str:
    def value(name: str) -> float:
        return float(patient.values(name)[number])

    primary, secondary = value("primary_deg"), value("secondary_deg")
    angles = f"{'LAO' if primary >= 0 else 'RAO'} {abs(primary):.0f}°, {'CRAN' if secondary >= 0 else 'CAUD'} {abs(secondary):.0f}°"
    taken = f"{value('kilovolts'):.0f} kV, {value('photons'):,.0f} photons a pixel"
    seen = f"{100 * value('bone_on_detector'):.0f} % of the bone on the detector"
    tools = f", {value('tools'):.0f} tools" if value("tools") else ""
    return f"{patient.name}, view {number}, {patient.values('split')[number]}: {angles}\n{taken}, {seen}{tools}"
