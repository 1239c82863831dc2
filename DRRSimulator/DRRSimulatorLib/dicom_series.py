"""The CT volumes in a folder of DICOM files, and the one that is read."""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .camera import FloatArray
from .dicom_slices import DIVIDING, CTSlice, hounsfield, slices_of
from .errors import InputError
from .volume_limit import volume_within_limit

FEWEST_SLICES = 5

# Share of the slice spacing by which a slice may stand off its place in the regular stack: positions are often rounded to 0.1 mm.
_POSITION_TOLERANCE = 0.1


@dataclass(frozen=True)
class _Volume:
    """Slices of one size, pixel spacing and orientation, and what was done to have them.

    Attributes:
        slices: in the order of files.
        time: what tells it from the other volumes of its series at the same place; empty where there are none.
        copies: second copies of slices that were left out.
        others: images of the series in another plane or of another size that were left out.
    """

    slices: list[CTSlice]
    time: str
    copies: int
    others: int


def read_series(folder: Path, series_uid: str | None, air_hu: float) -> sitk.Image:
    """The CT series of a folder and its subfolders, float32 HU, in LPS as SimpleITK has it.

    Files of one slice and enhanced multi-frame files are read. Localizers, images that are not CT, and series with fewer than 5 slice
    positions (bolus tracking, scouts) are passed over; single images of another plane within a series, and second copies of a slice,
    with a warning. A series of several volumes (points in time, planes) counts as several series, "UID:1", "UID:2" and so on. The
    slice axis points from the first slice to the last; for a tilted gantry it is not at right angles to the slices. Pixels of the
    series' padding value become ``air_hu``. A volume above `LARGEST_CT_VOXELS` is read as means over blocks, with a warning.

    Raises:
        InputError: if there is no such series, there are several and ``series_uid`` names none of them, a file is damaged, or the
            slices are not a regular stack (missing, repeated or unevenly spaced slices).
    """
    volume = _choose(_find_volumes(folder), folder, series_uid)
    slices, normal = _in_order(volume.slices)
    _check_regular(slices, normal)
    _warn_of_what_was_left_out(volume, slices[0].file.parent)
    across = (slices[-1].position - slices[0].position) / (len(slices) - 1)
    distance = float(np.linalg.norm(across))
    return volume_within_limit(
        hounsfield(slices, air_hu),
        (*slices[0].size[::-1], len(slices)),
        (*slices[0].spacing, distance),
        slices[0].position.tolist(),
        np.column_stack([slices[0].axes, across / distance]),
    )


def series_files(folder: Path, series_uid: str | None) -> list[Path]:
    """The files that `read_series` reads, each once, in the order of its slices; it says what is raised."""
    slices, _ = _in_order(_choose(_find_volumes(folder), folder, series_uid).slices)
    return list(dict.fromkeys(item.file for item in slices))


def _in_order(slices: list[CTSlice]) -> tuple[list[CTSlice], FloatArray]:
    """Slices by their place along the normal of the first one, and this normal (3,), LPS."""
    normal = np.asarray(np.cross(slices[0].axes[:, 0], slices[0].axes[:, 1]), dtype=np.float64)
    return sorted(slices, key=lambda item: float(normal @ item.position)), normal


def _find_volumes(folder: Path) -> dict[str, _Volume]:
    """Volumes by SeriesInstanceUID, to which ":1", ":2" and so on is added where a series has several."""
    series = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        for item in slices_of(file) if file.is_file() else ():
            series[item.series_uid].append(item)
    found = {}
    for uid, slices in series.items():
        volumes = _volumes(slices)
        for number, volume in enumerate(volumes, 1):
            found[uid if len(volumes) == 1 else f"{uid}:{number}"] = volume
    return found


def _volumes(slices: list[CTSlice]) -> list[_Volume]:
    """The volumes in the images of one series."""
    once = list({_identity(item): item for item in reversed(slices)}.values())[::-1]
    planes: list[list[CTSlice]] = []
    for item in once:
        plane = next((plane for plane in planes if _same_plane(plane[0], item)), None)
        if plane is None:
            planes.append([item])
        else:
            plane.append(item)
    volumes = [(part, time) for plane in planes for part, time in _at_one_time(plane) if _positions(part) >= FEWEST_SLICES]
    others = sum(len(plane) for plane in planes if _positions(plane) < FEWEST_SLICES)
    return [_Volume(part, time, len(slices) - len(once), others) for part, time in volumes]


def _at_one_time(slices: list[CTSlice]) -> list[tuple[list[CTSlice], str]]:
    """Slices that lie at the same places are divided by the first attribute that tells all of them apart; with its value in words."""
    if _positions(slices) == len(slices):
        return [(slices, "")]
    for name in DIVIDING:
        parts = defaultdict(list)
        for item in slices:
            parts[item.dividing.get(name, "")].append(item)
        if len(parts) > 1 and all(_positions(part) == len(part) >= FEWEST_SLICES for part in parts.values()):
            return [(parts[value], f"{name} {value or 'unknown'}") for value in sorted(parts, key=_number_first)]
    return [(slices, "")]


def _number_first(text: str) -> tuple[float, str]:
    """For sorting 2 before 10."""
    try:
        return float(text), text
    except ValueError:
        return np.inf, text


def _same_plane(first: CTSlice, item: CTSlice) -> bool:
    alike = item.size == first.size and np.allclose(item.spacing, first.spacing, rtol=1e-3)
    return bool(alike and np.allclose(item.axes, first.axes, atol=1e-3))


def _identity(item: CTSlice) -> tuple[object, ...]:
    """The same for copies of a slice, and not where a program that hides patients' names gave one UID to several."""
    return item.instance_uid or item.file, item.frame, _place(item), *sorted(item.dividing.items())


def _place(item: CTSlice) -> tuple[float, ...]:
    return tuple(item.position.round(2).tolist())


def _positions(slices: list[CTSlice]) -> int:
    """How many different places slices lie at."""
    return len({_place(item) for item in slices})


def _choose(volumes: dict[str, _Volume], folder: Path, series_uid: str | None) -> _Volume:
    if not volumes:
        raise InputError(f"The folder {folder} holds no CT series of at least {FEWEST_SLICES} DICOM slices; give the folder of a CT.")
    if series_uid is None and len(volumes) == 1:
        series_uid = next(iter(volumes))
    if series_uid not in volumes:
        found = "; ".join(f"{uid} {_in_words(volume)}" for uid, volume in volumes.items())
        unknown = f", but not {series_uid}" if series_uid is not None else ""
        raise InputError(f"The folder {folder} holds {len(volumes)} CT series{unknown}; choose one with its series UID: {found}.")
    return volumes[series_uid]


def _in_words(volume: _Volume) -> str:
    time = f", {volume.time}" if volume.time else ""
    return f"'{volume.slices[0].description}' ({len(volume.slices)} slices{time})"


def _warn_of_what_was_left_out(volume: _Volume, folder: Path) -> None:
    if volume.copies:
        warnings.warn(f"The CT in {folder} holds {volume.copies} second copies of images, which were left out.", stacklevel=3)
    if volume.others:
        warnings.warn(
            f"The CT series in {folder} also holds {volume.others} images of another orientation, size or pixel spacing (localizers?), "
            "which were left out.",
            stacklevel=3,
        )


def _check_regular(slices: list[CTSlice], normal: FloatArray) -> None:
    """Slices in the order of the normal must stand at even steps; the message names the first that does not."""
    positions = np.array([item.position for item in slices])
    regular = np.linspace(positions[0], positions[-1], len(slices))
    steps = np.diff(positions @ normal)
    usual = float(np.median(steps))
    if usual > 0 and np.abs(positions - regular).max() <= _POSITION_TOLERANCE * usual:
        return
    smallest, largest = int(steps.argmin()), int(steps.argmax())
    if steps[smallest] < _POSITION_TOLERANCE * usual or usual <= 0:
        one, other = _name(slices[smallest]), _name(slices[smallest + 1])
        raise InputError(f"The slices {one} and {other} lie at the same position; remove one of them.")
    if steps[largest] > 1.5 * usual:
        one, other = _name(slices[largest]), _name(slices[largest + 1])
        raise InputError(
            f"Slices are missing between {one} and {other}: they lie {steps[largest]:.2f} mm apart, "
            f"the others {usual:.2f} mm; add the missing files."
        )
    raise InputError(
        f"The slices in {slices[0].file.parent} are unevenly placed (steps from {steps[smallest]:.2f} to {steps[largest]:.2f} mm); "
        "give a series with even steps."
    )


def _name(item: CTSlice) -> str:
    return str(item.file) if item.frame is None else f"{item.frame + 1} of {item.file}"
