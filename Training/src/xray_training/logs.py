"""Logs of a training: a progress bar with the remaining time, a CSV file, and TensorBoard events."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.files import atomic_path

if TYPE_CHECKING:
    from .train import TrainingStatus

WRITE_EVERY = 20  # steps


class TrainingLog:
    """Writes `losses.csv` and TensorBoard events into a folder and shows progress; Ctrl+C asks the training to stop cleanly."""

    def __init__(self, folder: Path, steps: int, first_step: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from torch.utils.tensorboard.writer import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "losses.csv"
        self._drop_rows_after(first_step)
        self.events = SummaryWriter(str(folder), purge_step=first_step + 1)
        self.progress = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
                                 TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
        self.task = self.progress.add_task("training", total=steps, completed=first_step)
        self._stop = False

    def __enter__(self) -> TrainingLog:
        self.file = self.path.open("a", newline="")
        self.progress.start()
        self._previous_handler = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self._previous_handler)
        self.progress.stop()
        self.file.close()
        self.events.close()

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._stop = True

    def interrupted(self) -> bool:
        """Whether Ctrl+C was pressed."""
        return self._stop

    def write(self, status: TrainingStatus) -> None:
        """Log a step."""
        description = f"loss {status.losses['loss']:6.3f}  point error {status.losses['coordinate_error_mm']:5.1f} mm"
        self.progress.update(self.task, completed=status.step, description=description)
        if status.step % WRITE_EVERY:
            return
        row: dict[str, Any] = {"step": status.step, "seconds": round(status.seconds, 1)}
        row |= {name: round(value, 5) for name, value in status.losses.items()}
        writer = csv.DictWriter(self.file, row)
        if self.file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)
        self.file.flush()
        for name, value in status.losses.items():
            self.events.add_scalar(name, value, status.step)

    def _drop_rows_after(self, step: int) -> None:
        """Rows written after the checkpoint that is resumed will be written again."""
        if not self.path.is_file():
            return
        with self.path.open(newline="") as file:
            rows = list(csv.reader(file))
        kept = rows[:1] + [row for row in rows[1:] if row and row[0].isdigit() and int(row[0]) <= step]
        with atomic_path(self.path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows(kept)


def plot_losses(folder: Path) -> None:
    """Draw `losses.csv` of a training's folder as `losses.png`; a training too short for a row has no picture."""
    import numpy as np
    from matplotlib.figure import Figure

    with (folder / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return
    curves = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
    labels = {"coordinate_error_mm": "error of a point, mm", "coordinate_loss": "coordinate loss", "mask_loss": "mask loss"}
    for axis, (name, label) in zip(axes, labels.items(), strict=True):
        axis.plot(curves["step"], curves[name], linewidth=1)
        axis.set(xlabel="step", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].set_yscale("log")
    with atomic_path(folder / "losses.png") as temporary:
        figure.savefig(temporary, dpi=120)
