"""The equivalent of ``slicer.packaging``: it checks packages for real and installs none, it only notes what was asked for.

`calls` lists every install and uninstall. `installs_fail` makes them fail as pip does without a network. Whether the user agrees is
decided as in Slicer by ``slicer.util.confirmOkCancelDisplay``, which a test replaces. `reset` forgets all.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import slicer
from packaging.requirements import InvalidRequirement, Requirement

Requirements = str | Requirement | list[str | Requirement]


class Call(NamedTuple):
    """An install or uninstall that a module asked for."""

    action: str
    requirements: list[str]
    options: dict[str, Any]


calls: list[Call] = []
installs_fail = False


def reset() -> None:
    """Forgets the calls; installs succeed again."""
    global installs_fail
    calls.clear()
    installs_fail = False


def load_requirements(path: str | Path) -> list[Requirement]:
    """Reads a requirements.txt; comments and options of pip are skipped."""
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def load_pyproject_dependencies(path: str | Path) -> list[Requirement]:
    """Reads the dependencies of a pyproject.toml.

    Raises:
        KeyError: It has no table ``[project]``.
    """
    import tomllib

    table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return [Requirement(dependency) for dependency in table["project"].get("dependencies", [])]


def pip_check(req: Requirements) -> bool:
    """Whether all requirements that apply here are installed."""
    return all(_is_installed(requirement) for requirement in _to_list(req))


def pip_ensure(
    requirements: Requirements,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> list[str] | None:
    """Asks the user and installs what is missing; in testing mode it does nothing.

    Raises:
        RuntimeError: The user declines.
        subprocess.CalledProcessError: The installation fails.
    """
    missing = [str(requirement) for requirement in _to_list(requirements) if not _is_installed(requirement)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return None
    if prompt_install:
        message = f"{len(missing)} Python packages need to be installed.\n\nThis will modify Slicer's Python environment. Continue?"
        title = f"{requester} - Install Python Packages" if requester else "Install Python Packages"
        if not slicer.util.confirmOkCancelDisplay(message, title, detailedText="\n".join(missing)):
            raise RuntimeError("User declined package installation")
    return pip_install(missing, constraints=constraints, skip_packages=skip_packages, requester=requester)


def pip_install(
    requirements: str | list[str],
    constraints: str | Path | None = None,
    no_deps_requirements: str | list[str] | None = None,
    skip_packages: list[str] | None = None,
    blocking: bool = True,
    show_progress: bool = True,
    requester: str | None = None,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> list[str] | None:
    """Notes an installation.

    Raises:
        subprocess.CalledProcessError: `installs_fail` is set.
    """
    options = {
        "constraints": constraints,
        "no_deps_requirements": no_deps_requirements,
        "skip_packages": skip_packages,
        "requester": requester,
    }
    _note("install", requirements, {name: value for name, value in options.items() if value is not None})
    if installs_fail and blocking:
        raise subprocess.CalledProcessError(1, ["pip", "install", *calls[-1].requirements])
    if not blocking and completedCallback is not None:
        completedCallback(1 if installs_fail else 0)
    return [] if skip_packages is not None else None


def pip_uninstall(
    requirements: str | list[str],
    blocking: bool = True,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> None:
    """Notes that packages were to be removed."""
    _note("uninstall", requirements, {})
    if not blocking and completedCallback is not None:
        completedCallback(0)


def _note(action: str, requirements: str | list[str], options: dict[str, Any]) -> None:
    calls.append(Call(action, requirements.split() if isinstance(requirements, str) else list(requirements), options))


def _to_list(requirements: Requirements) -> list[Requirement]:
    if isinstance(requirements, Requirement):
        return [requirements]
    if isinstance(requirements, str):
        try:
            return [Requirement(requirements)]
        except InvalidRequirement:
            return [Requirement(requirement) for requirement in requirements.split()]
    if isinstance(requirements, list):
        return [Requirement(requirement) if isinstance(requirement, str) else requirement for requirement in requirements]
    raise TypeError(f"Expected str, Requirement, or list, got {type(requirements).__name__}")


def _is_installed(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return importlib.metadata.version(requirement.name) in requirement.specifier
    except importlib.metadata.PackageNotFoundError:
        return False
