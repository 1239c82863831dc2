"""What a network over several CTs saves when one is trained for a new CT: from it, and from nothing.

Data: a list of CTs with label maps of one bone, as `scr-generate` takes it and `scr-deform` writes it.

    python Testing/fine_tuning.py PATIENTS.csv OUTPUT --held-out NAME [NAME ...] [--leave-out NAME ...]

The model over all CTs but those held out, and for each of these the models from nothing and from that model, stay in OUTPUT with
results.json and results.png; what is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.bone import read_labels
from DRRSimulatorLib.ct import read_ct
from matplotlib.figure import Figure
from xray_training.evaluate import evaluate, write_json
from xray_training.suites import Patient, SimulatedSuite
from XRayRegistrationLib.model import load_model

STEPS_OVER_ALL = 3000
STEPS_FROM_NOTHING = 1500
STEPS_FROM_MODEL = (100, 300)  # up to a fifth
CASES = 100  # X-rays of the evaluation


def train(output: Path, cts: list[tuple[Path, Path]], steps: int, start: Path | None = None) -> None:
    """Train by the command that every user has."""
    if output.is_file():
        return
    arguments: list[object] = [ct for ct, _ in cts]
    for _, labels in cts:
        arguments += ["--labels", labels]
    if start:
        arguments += ["--start-from", start]
    command = [str(Path(sys.executable).parent / "scr-train"), *map(str, arguments), "-o", str(output), "--steps", str(steps)]
    subprocess.run(command, check=True)


def measure(model_file: Path, ct_file: Path, labels: Path) -> dict[str, Any]:
    """Errors of the network's poses, without refinement, on X-rays that no training saw."""
    ct = read_ct(ct_file)
    patient = Patient.of(ct, read_labels(labels, ct))
    suite = SimulatedSuite("fine-tuning", CASES, ct_file=ct_file)
    model = load_model(model_file)
    results = [result for result, _ in evaluate(suite, patient, model, None, range(1, CASES + 1))]
    errors = [result.error.mtre_mm if result.error else np.inf for result in results]
    training = model.description.training
    return {
        "seconds": training["seconds"],
        "images": training["steps_done"] * training["batch_size"],
        "mtre_median_mm": float(np.median(errors)),
        "over_10_mm": float(np.mean([error > 10 for error in errors])),
        "mtre_mm": [round(error, 3) if np.isfinite(error) else None for error in errors],
    }


def plot(results: dict[str, Any], path: Path) -> None:
    """Error over images trained on, a panel for each CT."""
    names = sorted({row["ct"] for row in results.values()})
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    for axis, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        for kind in ("from nothing", "from the model over other CTs"):
            rows = sorted((r["images"], r["mtre_median_mm"]) for r in results.values() if (r["ct"], r["kind"]) == (name, kind))
            axis.plot(*zip(*rows, strict=True), "o-", label=kind)
        axis.set(title=name, xlabel="images trained on", ylabel="median mTRE of the network's poses, mm", xscale="log", yscale="log")
        axis.grid(alpha=0.3, which="both")
        axis.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Train and measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patients", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--held-out", nargs="+", required=True)
    parser.add_argument("--leave-out", nargs="*", default=[], help="not to be used at all")
    arguments = parser.parse_args()
    folder, output = arguments.patients.parent, arguments.output
    with arguments.patients.open(encoding="utf-8", newline="") as file:
        patients = {row["name"]: (folder / row["ct"], folder / row["labels"]) for row in csv.DictReader(file)}
    output.mkdir(parents=True, exist_ok=True)
    results_file = output / "results.json"
    results = json.loads(results_file.read_text()) if results_file.is_file() else {}
    over_all = output / "several.safetensors"
    known = [files for name, files in patients.items() if name not in (*arguments.held_out, *arguments.leave_out)]
    train(over_all, known, STEPS_OVER_ALL)
    for name in arguments.held_out:
        runs = [("from the model over other CTs", steps, over_all) for steps in STEPS_FROM_MODEL]
        runs.append(("from nothing", STEPS_FROM_NOTHING, None))
        for kind, steps, start in runs:
            model = output / f"{name}_{'tuned' if start else 'new'}_{steps}.safetensors"
            train(model, [patients[name]], steps, start)
            if model.stem not in results:
                results[model.stem] = {"ct": name, "kind": kind} | measure(model, *patients[name])
                write_json(results_file, results)
                print(model.stem, {key: value for key, value in results[model.stem].items() if key != "mtre_mm"}, flush=True)
    plot(results, output / "results.png")


if __name__ == "__main__":
    main()
