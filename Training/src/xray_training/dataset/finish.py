"""The files of a data set that describe it as a whole, written when all views are simulated; the checksums come last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from DRRSimulatorLib.files import atomic_path

from .card import data_card
from .generate import Generation, Outcome
from .layout import ARRAYS, NAMES_OF, SPLITS, VIEW_VALUES
from .plan import SplitRule, splits_of_patients
from .records import CHECKSUMS, DESCRIPTION, Records, files_below, relative_name, sha256_of
from .stored import XRayDataset

CARD, VIEWS = "README.md", "views.csv"
_MADE_BY = ("xray-training", "xray-registration", "numpy", "scipy", "warp-lang", "zarr", "numcodecs")


def finish(generation: Generation, outcome: Outcome) -> None:
    """Write the split by patient, the list of views, the description, the data card and the checksums.

    Where something failed, the records stay: the same command tries it again.
    """
    folder, settings = generation.folder, generation.settings
    if settings.split is SplitRule.patient:
        _split_by_patient(folder, settings.views.seed, outcome)
    dataset = XRayDataset(folder)
    description = _description(generation, outcome, dataset)
    _write(folder / VIEWS, _view_lines(dataset))
    _write(folder / DESCRIPTION, [json.dumps(description, indent=1, ensure_ascii=False)])
    _write(folder / CARD, [data_card(description, _counts(dataset))])
    _write(folder / CHECKSUMS, _checksums(generation.records))
    if not outcome.failures:
        generation.records.end()


def _split_by_patient(folder: Path, seed: int, outcome: Outcome) -> None:
    import zarr

    splits = splits_of_patients(seed, [record["ct_fingerprint"] for record in outcome.patients.values()])
    for name, record in outcome.patients.items():
        zarr.open_array(folder / ARRAYS / name / "split", mode="r+")[...] = SPLITS.index(splits[record["ct_fingerprint"]])


def _description(generation: Generation, outcome: Outcome, dataset: XRayDataset) -> dict[str, Any]:
    """What was asked and what came of it, values for JSON; nothing in it depends on the time, the machine or the order of the work."""
    places = {source.key: number for number, source in enumerate(generation.sources, 1)}
    patients = [dataset.patient(name) for name in outcome.patients]
    failures = sorted((places[failure.source.key], failure.patient, failure.first_view, failure.last_view) for failure in outcome.failures)
    return {
        "settings": generation.settings.to_dict(generation.sources),
        "made_by": {package: version(package) for package in _MADE_BY},
        "patients": [
            {
                "name": patient.name,
                "source": patient.attributes["source"],
                "licence": patient.attributes["licence"],
                "ct_fingerprint": patient.ct_fingerprint,
                "bones": patient.attributes["bones"],
                "views": len(patient),
            }
            for patient in patients
        ],
        "failures": [
            {"ct": place, "patient": patient, "views": [first, last]} for place, patient, first, last in failures
        ],
    }  # fmt: skip


def _counts(dataset: XRayDataset) -> dict[str, dict[str, int]]:
    """How many views there are of each split and stratum."""
    counts: dict[str, dict[str, int]] = {name: dict.fromkeys(NAMES_OF[name], 0) for name in ("split", "stratum")}
    for name in dataset.patients:
        for what, of_what in counts.items():
            for value in dataset.patient(name).values(what):
                of_what[str(value)] += 1
    return counts


def _view_lines(dataset: XRayDataset) -> Iterator[str]:
    yield ",".join(["patient", "view", *VIEW_VALUES])
    for name in dataset.patients:
        patient = dataset.patient(name)
        columns = [patient.values(value).tolist() for value in VIEW_VALUES]
        for number, row in enumerate(zip(*columns, strict=True)):
            yield ",".join([name, str(number), *(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row)])


def _checksums(records: Records) -> Iterator[str]:
    """Lines as `sha256sum` writes them. What is recorded was hashed when it was written; the split may have been written again."""
    recorded = records.checksums()
    for name, path in sorted((relative_name(records.folder, path), path) for path in files_below(records.folder)):
        if name != CHECKSUMS:
            known = None if "/split/" in name else recorded.get(name)
            yield f"{known or sha256_of(path)}  {name}"


def _write(path: Path, lines: Iterable[str]) -> None:
    text = "".join(line + "\n" for line in lines)  # before there is a temporary file, which has no checksum
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
