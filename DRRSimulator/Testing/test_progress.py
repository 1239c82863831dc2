"""Lines of progress: what a command prints is what a panel reads, at once and not too often."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from DRRSimulatorLib.progress import ProgressLine, parse_progress, print_progress
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.from_regex(r"[a-z][a-z0-9 .]*[a-z]", fullmatch=True)
TIMES = st.one_of(st.just(""), st.from_regex(r"([1-9]\d?:[0-5]\d|\d|[1-5]\d):[0-5]\d", fullmatch=True))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("simulating: 12 of 100, 0:35 left", ProgressLine(12, 100, "simulating", "0:35")),
        (
            "training: 1200 of 10000, loss 3.21, point error 8.4 mm, 1:02:10 left\n",
            ProgressLine(1200, 10000, "training, loss 3.21, point error 8.4 mm", "1:02:10"),
        ),
        ("simulating: 0 of 100", ProgressLine(0, 100, "simulating", "")),
    ],
)
def test_a_line_of_progress_is_read(line: str, expected: ProgressLine) -> None:
    assert parse_progress(line) == expected


@pytest.mark.parametrize(
    "line", ["", "X-rays written to somewhere: 100.", "Error: The file 3 of 4 is missing.", "Stopped after 3 of 4 steps; go on."]
)
def test_any_other_line_is_none(line: str) -> None:
    assert parse_progress(line) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.lists(WORDS, min_size=1, max_size=3), TIMES)
def test_every_line_reads_as_what_it_was_made_of(done: int, total: int, words: list[str], remaining: str) -> None:
    line = ProgressLine(done, total, ", ".join(words), remaining)
    assert parse_progress(str(line)) == line


def test_lines_reach_a_pipe_at_once() -> None:
    code = """
import time
from DRRSimulatorLib.progress import print_progress
with print_progress("counting", 4) as show:
    show(1, "one apple")
    time.sleep(0.8)
    show(2, "")
    input()  # until the reader has seen the lines
    show(4, "")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stderr
    first, second = (parse_progress(process.stderr.readline()) for _ in range(2))
    assert first and (first.done, first.total, first.text) == (1, 4, "counting, one apple")
    assert second and (second.done, second.total, second.text) == (2, 4, "counting") and second.remaining
    output, rest = process.communicate("\n", timeout=60)
    last = parse_progress(rest)
    assert process.returncode == 0 and output == ""
    assert last == ProgressLine(4, 4, "counting", "0:00")


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("DRRSimulatorLib.progress.time.monotonic", clock)
    return clock


def test_lines_come_at_most_twice_a_second_and_the_last_one_always(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with print_progress("counting", 8) as show:
        for number in range(1, 9):
            clock.seconds += 0.125
            show(number, "")
    assert [line.done for line in map(parse_progress, capsys.readouterr().err.splitlines()) if line] == [1, 5, 8]


def test_time_left_counts_only_what_was_done_in_this_run(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with print_progress("counting", 110, done=100) as show:
        clock.seconds += 410
        show(101, "")
    assert capsys.readouterr().err == "counting: 101 of 110, 1:01:30 left\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with print_progress("counting", 3) as show:
        show(3, "three apples")
    assert "three apples" in stream.getvalue() and "3/3" in stream.getvalue() and parse_progress(stream.getvalue()) is None
