"""scr-demo: what a newcomer runs first has to leave every file that it promises."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from xray_training import demo, suites
from xray_training.evaluate import DEFAULT_MODEL


def test_the_demo_registers_x_rays_and_leaves_numbers_pictures_and_a_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not DEFAULT_MODEL.is_file():
        pytest.skip(f"the model {DEFAULT_MODEL.name} is missing")
    monkeypatch.setattr(suites, "DEMO", replace(suites.DEMO, count=2))
    output = tmp_path / "demo"
    demo.demo(output)
    values = json.loads((output / "summary.json").read_text())
    assert values["n"] == 2 and values["refined"] and values["gross_failure_rate"] == 0
    assert values["mtre_mm"]["mean"] < values["before_refinement"]["mtre_mm"]["mean"]
    for number in (1, 2):
        folder = output / f"xray_0{number}"
        assert {file.name for file in folder.iterdir()} == {"result.json", "overlay.png", "point_cloud.vtp"}
        errors = json.loads((folder / "result.json").read_text())["errors"]
        assert errors[0]["rotation_deg"] == pytest.approx(values["cases"][number - 1]["rotation_deg"])
    assert zipfile.ZipFile(output / "scene.mrb").testzip() is None
    assert (output / "report.html").read_text().count("data:image/png") == 5  # three plots, two X-rays
    assert str(output / "report.html") in capsys.readouterr().out.replace("\n", "")
