"""Progress of long work: what it reports while it runs, how a command shows it, and how a panel reads that again."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Called by long work again and again with the fraction done, 0 to 1, and plain text of what is being done. It may raise `Cancelled`.
Report = Callable[[float, str], None]

# Called with how many are done, and details that change with them ("" for none).
ShowProgress = Callable[[int, str], None]

SECONDS_BETWEEN_LINES = 0.5


class Cancelled(Exception):  # noqa: N818  no error, as StopIteration is none
    """Raised by a `Report` to stop the work that reports to it; it is no error."""


def ignore_progress(fraction: float, text: str) -> None:
    """The `Report` that does nothing."""


@dataclass(frozen=True)
class ProgressLine:
    """What a line of progress says.

    Attributes:
        done: how many are done.
        total: of how many.
        text: what is being done, with its details: "simulating", or "training, loss 3.21, point error 8.4 mm".
        remaining: time left as hours, minutes and seconds, such as "1:02:10" or "0:35"; empty where it is not known yet.
    """

    done: int
    total: int
    text: str
    remaining: str

    def __str__(self) -> str:
        work, comma, details = self.text.partition(", ")
        return f"{work}: {self.done} of {self.total}{comma}{details}" + (f", {self.remaining} left" if self.remaining else "")


_LINE = re.compile(
    r"(?P<work>[^:,]+): (?P<done>\d+) of (?P<total>\d+)(?P<details>(?:, .+?)??)(?:, (?P<remaining>(?:\d+:)?\d+:\d\d) left)?\s*"
)


def parse_progress(line: str) -> ProgressLine | None:
    """Read a line that `print_progress` printed; None for any other line."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    return ProgressLine(int(match["done"]), int(match["total"]), match["work"] + match["details"], match["remaining"] or "")


@contextmanager
def print_progress(text: str, total: int, done: int = 0) -> Iterator[ShowProgress]:
    """Show progress on stderr: a bar on a terminal, else lines such as ``simulating: 12 of 100, 0:35 left``, at most two a second.

    Args:
        text: what is being done, without commas and colons.
        total: how many there are to do.
        done: how many of them were done before, in another run.

    Yields:
        A function to call with how many are done, and with details such as "loss 3.21, point error 8.4 mm".
    """
    with _bar(text, total, done) if sys.stderr.isatty() else _lines(text, total, done) as show:
        yield show


@contextmanager
def _bar(text: str, total: int, done: int) -> Iterator[ShowProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(text, total=total, completed=done)
        yield lambda now_done, details: progress.update(task, completed=now_done, description=details or text)


@contextmanager
def _lines(text: str, total: int, done: int) -> Iterator[ShowProgress]:
    start, last = time.monotonic(), -SECONDS_BETWEEN_LINES

    def show(now_done: int, details: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES and now_done < total:
            return
        last = now
        remaining = _hours((now - start) / (now_done - done) * (total - now_done)) if now_done > done else ""
        line = ProgressLine(now_done, total, f"{text}, {details}" if details else text, remaining)
        print(line, file=sys.stderr, flush=True)

    yield show


def _hours(seconds: float) -> str:
    """Time as "1:02:10" or, below an hour, "2:10"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
