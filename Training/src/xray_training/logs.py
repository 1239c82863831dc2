"""Logs of a training: progress with the remaining time, a CSV file with its picture, and TensorBoard events."""

from __future__ import annotations

import csv
import signal
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.files import atomic_path, only_writer
from DRRSimulatorLib.progress import print_progress

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

    from .train import TrainingStatus

WRITE_EVERY = 20  # steps


class TrainingLog:
    """Writes `losses.csv` and TensorBoard events into a folder and shows progress.

    Ctrl+C, or a file that comes to exist where `stop_file` says, asks the training to stop cleanly. One training at a time may write
    into a folder.
    """

    def __init__(self, folder: Path, steps: int, first_step: int, stop_file: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.stop_file = folder / "losses.csv", stop_file
        self.steps, self.first_step = steps, first_step
        self._interrupted = False

    def __enter__(self) -> TrainingLog:
        with ExitStack() as opened:
            opened.enter_context(only_writer(self.path.parent))
            self._drop_rows_after(self.first_step)
            self.file = opened.enter_context(self.path.open("a", encoding="utf-8", newline=""))
            self.events = _event_writer(self.path.parent, self.first_step + 1)
            if self.events:
                opened.callback(self.events.close)
            self.show = opened.enter_context(print_progress("training", self.steps, self.first_step))
            opened.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, self._on_interrupt))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.__exit__(kind, error, trace)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True

    def stop_asked(self) -> bool:
        """Whether Ctrl+C was pressed, or the stop file exists."""
        return self._interrupted or (self.stop_file is not None and self.stop_file.exists())

    def write(self, status: TrainingStatus) -> None:
        """Log a step."""
        self.show(status.step, f"loss {status.losses['loss']:.2f}, point error {status.losses['coordinate_error_mm']:.1f} mm")
        if status.step % WRITE_EVERY:
            return
        row: dict[str, Any] = {"step": status.step, "seconds": round(status.seconds, 1)}
        row |= {name: round(value, 5) for name, value in status.losses.items()}
        writer = csv.DictWriter(self.file, row)
        if self.file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)
        self.file.flush()
        if self.events:
            for name, value in status.losses.items():
                self.events.add_scalar(name, value, status.step)

    def _drop_rows_after(self, step: int) -> None:
        """Rows written after the checkpoint that is resumed will be written again."""
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        kept = rows[:1] + [row for row in rows[1:] if row and row[0].isdigit() and int(row[0]) <= step]
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(kept)


def _event_writer(folder: Path, first_step: int) -> SummaryWriter | None:
    """Writer of TensorBoard events; None where TensorBoard is not installed, as in 3D Slicer."""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first_step)


def plot_losses(folder: Path) -> None:
    """Draw `losses.csv` of a training's folder as `losses.png`; a training too short for a row has no picture.

    Nor has one where matplotlib is not installed: 3D Slicer draws the curves itself.
    """
    import numpy as np

    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    with (folder / "losses.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return
    curves = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    axes = figure.subplots(1, 4)
    labels = {
        "pose_error_mm": "error of the pose, mm",
        "coordinate_error_mm": "error of a point, mm",
        "coordinate_loss": "coordinate loss",
        "mask_loss": "mask loss",
    }
    for axis, (name, label) in zip(axes, labels.items(), strict=True):
        axis.plot(curves["step"], curves[name], linewidth=1)
        axis.set(xlabel="step", ylabel=label)
        axis.grid(alpha=0.3)
        axis.set_yscale("log" if name.endswith("_mm") else "linear")
    with atomic_path(folder / "losses.png") as temporary:
        figure.savefig(temporary, dpi=120)
