"""The report: one file with everything inside it, and no text that a browser could take for markup."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import CArmView, move_pose
from PIL import Image
from xray_training.case_result import CaseResult, Evidence
from xray_training.evaluate import summary
from xray_training.report import WORST, Picture, worst_overlays, write_report
from xray_training.suites import Patient, SimulatedSuite
from XRayRegistrationLib.metrics import pose_error


class Page(HTMLParser):
    """Counts the tags of a page and collects what it refers to, and its text with that of its pictures."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.references: list[str] = []
        self.text = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        self.text += "".join(value or "" for name, value in attrs if name == "alt")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def results(small_suite: SimulatedSuite, patient: Patient) -> list[CaseResult]:
    """Poses that are off by the X-ray's number of millimetres, nearly all in depth, and at the end an X-ray without a pose."""
    results = []
    for number in range(1, 4):
        case = small_suite.case(number, patient)
        pose = move_pose(case.ras_to_camera, (0, 0, 700), number * np.array([1e-5, 0, 0, 1e-2, 0, 1]))
        error = pose_error(pose, case.ras_to_camera, case.view.camera, patient.surface_points, patient.centroid)
        view = CArmView.from_pose(case.ras_to_camera, patient.centroid)
        evidence = Evidence("check", None, 0.9, 0.5, 20.0, 0.5, 1.0, 0.1, 0.1)
        steps = {"normalise": 0.1, "network": 0.3, "pose": 0.1, "refine": 0.5}
        results.append(CaseResult(number, view, case.ras_to_camera, pose, error, error, evidence, 1.0, 0.5, steps, ""))
    failed = CaseResult(4, view, case.ras_to_camera, None, None, None, None, 1.0, 1.0, {}, "Only <b>2</b> & no more.")
    return [*results, failed]


@pytest.fixture(scope="module")
def values(results: list[CaseResult], small_suite: SimulatedSuite) -> dict[str, Any]:
    return summary(small_suite, results, Path("some.safetensors"), "cpu", refined=True)


def test_the_report_stands_alone_without_scripts(values: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", values, [])
    page = Page(tmp_path / "report.html")
    assert page.references and all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)


def test_the_report_tells_errors_failures_and_where_it_was_made(values: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", values, [Picture("the caption", b"png")])
    page = Page(tmp_path / "report.html")
    words = ("mTRE (mm)", "Rotation (deg)", "25.0% failed", "the caption", "Refinement", "AUROC")
    for text in (*words, values["versions"]["numpy"], values["date_utc"]):
        assert text in page.text


def test_markup_in_names_reasons_and_captions_is_shown_as_text(values: dict[str, Any], tmp_path: Path) -> None:
    nasty = "<script>alert('1 & 2')</script>"
    write_report(tmp_path / "report.html", {**values, "suite": nasty, "model": nasty}, [Picture(nasty, b"png")])
    page = Page(tmp_path / "report.html")
    assert page.tags["script"] == 0 and page.tags["b"] == 0
    assert page.text.count(nasty) == 4  # the title, the heading, the model, the caption
    assert "Only <b>2</b> & no more." in page.text


def test_the_worst_x_rays_come_first_and_those_without_a_pose_have_no_picture(
    results: list[CaseResult], small_suite: SimulatedSuite, patient: Patient, tmp_path: Path
) -> None:
    pictures = worst_overlays(small_suite, patient, results)
    assert [picture.caption.split(":")[0] for picture in pictures] == ["X-ray 3", "X-ray 2", "X-ray 1"]
    assert "mTRE 3.00 mm" in pictures[0].caption
    (tmp_path / "overlay.png").write_bytes(pictures[0].png)
    assert np.asarray(Image.open(tmp_path / "overlay.png").convert("L")).std() > 0


def test_a_large_suite_shows_only_the_worst_dozen(
    results: list[CaseResult], small_suite: SimulatedSuite, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xray_training.report._overlays", lambda suite, patient, result: [Picture("", b"")])
    assert len(worst_overlays(small_suite, patient, results[:3] * 10)) == WORST
