"""Missing packages: found without importing, installed after one question, and never at the cost of others."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BUNDLED_BY_SLICER = {"numpy", "scipy", "simpleitk", "vtk", "pydicom", "highdicom", "requests", "pillow", "packaging"}
ROOT = Path(__file__).resolve().parents[2]


class FakeInstaller:
    """Installs into a table of versions; remembers what it was asked."""

    def __init__(self, versions: dict[str, str]) -> None:
        self.versions = versions
        self.with_user, self.agrees, self.has_torch_extension, self.works = True, True, True, True
        self.questions: list[str] = []
        self.installed: list[str] = []
        self.constraints = ""

    def canAsk(self) -> bool:  # noqa: N802  as in Slicer
        return self.with_user

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.agrees

    def canInstallTorch(self) -> bool:  # noqa: N802
        return self.has_torch_extension

    def installTorch(self, versions: str) -> None:  # noqa: N802
        self.install([f"torch{versions}"], None)

    def install(self, requirements: Sequence[str], constraints: Path | None) -> None:
        if not self.works:
            raise subprocess.CalledProcessError(1, "pip")
        self.constraints += constraints.read_text() if constraints else ""
        for requirement in requirements:
            name, version = requirement.split(">=")
            self.versions[name] = version
            self.installed.append(name)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The versions that seem to be installed: a Slicer's own."""
    table = {"numpy": "2.0.2", "scipy": "1.13.1", "SimpleITK": "2.5.0"}

    def version(name: str) -> str:
        if name not in table:
            raise importlib.metadata.PackageNotFoundError(name)
        return table[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    return table


@pytest.fixture
def installer(versions: dict[str, str]) -> FakeInstaller:
    return FakeInstaller(versions)


@pytest.fixture
def dependencies(slicer_app: Any, installer: FakeInstaller) -> Any:
    from DRRSimulatorSlicer.dependencies import Dependencies

    return Dependencies(installer)


def test_a_fresh_slicer_lacks_more_for_registration_than_for_simulation(dependencies: Any) -> None:
    simulation, registration = dependencies.missing("simulation"), dependencies.missing("registration")
    assert {"warp-lang"} <= {name.split(">=")[0] for name in simulation}
    assert {"torch", "monai", "poselib", "safetensors"} <= {name.split(">=")[0] for name in registration}
    assert set(simulation) < set(registration)


def test_too_old_versions_are_missing_and_newer_ones_are_not(dependencies: Any, versions: dict[str, str]) -> None:
    names = {requirement: requirement.split(">=") for requirement in dependencies.missing("simulation")}
    versions |= {name: "0.0.1" for name, _ in names.values()}
    assert set(dependencies.missing("simulation")) == set(names)
    versions |= {name: "999.0" for name, _ in names.values()}
    assert dependencies.missing("simulation") == []


def test_packages_for_development_builds_count(dependencies: Any, versions: dict[str, str]) -> None:
    versions["torch"] = "2.9.0.dev20260101+cu126"
    assert not any("torch" in requirement for requirement in dependencies.missing("registration"))


def test_one_question_installs_everything_and_nothing_is_asked_again(dependencies: Any, installer: FakeInstaller) -> None:
    missing = [requirement.split(">=")[0] for requirement in dependencies.missing("registration")]
    dependencies.ensure("registration")
    assert sorted(installer.installed) == sorted(missing)
    assert len(installer.questions) == 1
    assert all(name in installer.questions[0] for name in missing)
    dependencies.ensure("registration")
    assert len(installer.questions) == 1


def test_pip_may_not_replace_what_is_installed(dependencies: Any, installer: FakeInstaller) -> None:
    installer.versions["torch"] = "2.8.0+cu126"
    dependencies.ensure("registration")
    assert "torch" not in installer.installed
    assert {"torch==2.8.0+cu126", "numpy==2.0.2"} <= set(installer.constraints.split())


def test_a_refusal_installs_nothing_and_says_what_is_needed(dependencies: Any, installer: FakeInstaller) -> None:
    from DRRSimulatorSlicer.dependencies import DependencyError

    installer.agrees = False
    with pytest.raises(DependencyError, match=r"cannot work without .*warp-lang"):
        dependencies.ensure("simulation")
    assert installer.installed == []


def test_without_a_user_nothing_is_asked_or_installed(dependencies: Any, installer: FakeInstaller) -> None:
    from DRRSimulatorSlicer.dependencies import DependencyError

    installer.with_user = False
    with pytest.raises(DependencyError, match=r"missing: .*warp-lang"):
        dependencies.ensure("simulation")
    assert installer.questions == installer.installed == []


def test_torch_needs_slicers_extension_and_is_never_replaced(dependencies: Any, installer: FakeInstaller) -> None:
    from DRRSimulatorSlicer.dependencies import DependencyError

    installer.has_torch_extension = False
    with pytest.raises(DependencyError, match="install the extension PyTorch"):
        dependencies.ensure("registration")
    installer.has_torch_extension = True
    installer.versions["torch"] = "2.1.0"
    with pytest.raises(DependencyError, match=r"PyTorch 2\.1\.0 is installed, but 2\.4 is needed"):
        dependencies.ensure("registration")
    assert installer.questions == installer.installed == []


def test_a_failed_installation_is_told_in_words(dependencies: Any, installer: FakeInstaller) -> None:
    from DRRSimulatorSlicer.dependencies import DependencyError

    installer.works = False
    with pytest.raises(DependencyError, match="failed"):
        dependencies.ensure("simulation")


def test_slicers_installer_asks_nobody_in_tests(slicer_app: Any) -> None:
    from DRRSimulatorSlicer.dependencies import SlicerInstaller

    assert not SlicerInstaller().canAsk()


def test_requirements_are_lower_bounds_of_what_slicer_does_not_bundle(slicer_app: Any) -> None:
    for module in ("DRRSimulator", "XRayRegistration"):
        lines = (ROOT / module / "Resources" / "Requirements" / f"{module}.txt").read_text(encoding="utf-8").splitlines()
        requirements = [line for line in lines if not line.startswith("#")]
        names = {requirement.split(">=")[0] for requirement in requirements}
        assert requirements and all(re.fullmatch(r"[a-z-]+>=[\d.]+", requirement) for requirement in requirements)
        assert not names & (BUNDLED_BY_SLICER | {"torch"})


def test_requirements_agree_with_those_of_the_libraries() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for file in ROOT.glob("*/Resources/Requirements/*.txt"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert line.startswith("#") or re.search(rf'"{re.escape(line)}[",]', project), line


def test_looking_for_missing_packages_imports_none(slicer_app: Any) -> None:
    code = """
import sys
sys.modules["slicer"] = type(sys)("slicer"); sys.modules["slicer.i18n"] = type(sys)("slicer.i18n")
sys.modules["slicer.i18n"].tr = str
from DRRSimulatorSlicer.dependencies import Dependencies
Dependencies(object()).missing("registration")
print(sorted({"torch", "warp", "monai", "matplotlib", "poselib"} & set(sys.modules)))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "DRRSimulator")}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
