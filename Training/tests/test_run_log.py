"""A stopped evaluation goes on where it stood, and nothing is taken from another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from DRRSimulatorLib.errors import InputError
from test_reliability import case
from xray_training.run_log import RunLog

IDENTITY = {"suite": {"name": "some", "seed": 0}, "refined": True}


def test_results_are_there_after_a_stop(tmp_path: Path) -> None:
    results = [case(1.0, similarity=0.5), case(None)]
    with pytest.raises(KeyboardInterrupt), RunLog(tmp_path / "e.json", IDENTITY) as log:
        for result in results:
            log.append(result)
        raise KeyboardInterrupt
    again = RunLog(tmp_path / "e.json", IDENTITY)
    assert [result.to_row() for result in again.results] == [result.to_row() for result in results]
    with again:
        again.append(case(2.0))
    assert len(RunLog(tmp_path / "e.json", IDENTITY).results) == 3
    again.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_last_line_is_dropped_and_does_no_harm_to_the_next(tmp_path: Path) -> None:
    with RunLog(tmp_path / "e.json", IDENTITY) as log:
        log.append(case(1.0))
    log.path.write_text(log.path.read_text() + '{"number": 2, "prim')
    with RunLog(tmp_path / "e.json", IDENTITY) as log:
        assert len(log.results) == 1
        log.append(case(3.0))
    found = RunLog(tmp_path / "e.json", IDENTITY).results
    assert [result.error.mtre_mm for result in found if result.error] == [1.0, 3.0]


def test_results_of_another_evaluation_are_refused(tmp_path: Path) -> None:
    with RunLog(tmp_path / "e.json", IDENTITY) as log:
        log.append(case(1.0))
    with pytest.raises(InputError, match=r"e\.cases\.jsonl holds an unfinished evaluation"):
        RunLog(tmp_path / "e.json", IDENTITY | {"refined": False})


@pytest.mark.parametrize("line", ['{"number": 1}', "[" * 100_000, '"\\ud800"', "5", '{"offset_mm": 3}'])
def test_a_damaged_line_ends_what_is_taken_over(tmp_path: Path, line: str) -> None:
    with RunLog(tmp_path / "e.json", IDENTITY) as log:
        log.append(case(1.0))
    log.path.write_text(log.path.read_text() + line + "\n")
    assert len(RunLog(tmp_path / "e.json", IDENTITY).results) == 1
    log.path.write_bytes(log.path.read_bytes() + b"\xff\xfe\n")
    assert len(RunLog(tmp_path / "e.json", IDENTITY).results) == 1


def test_a_line_with_text_for_a_number_is_not_taken_over(tmp_path: Path) -> None:
    with RunLog(tmp_path / "e.json", IDENTITY) as log:
        log.append(case(1.0))
    text = log.path.read_text()
    for old, new in (('"rotation_deg": ', '"rotation_deg": "a", "was": '), ('"seconds": ', '"more": ')):
        assert old in text
        log.path.write_text(text.replace(old, new))
        assert RunLog(tmp_path / "e.json", IDENTITY).results == []
