"""The Python packages that Slicer does not bundle: found out without importing them, installed when the user agrees."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import slicer
from DRRSimulatorLib.errors import InputError
from packaging.requirements import Requirement
from slicer.i18n import tr as _

Group = Literal["simulation", "registration"]  # registration includes training

TORCH = "torch>=2.4"
_MODULES = {"simulation": ("DRRSimulator",), "registration": ("DRRSimulator", "XRayRegistration")}
_NEVER_REPLACED = ("torch", "torchvision", "numpy")  # nothing that is installed here depends on others that Slicer bundles


class DependencyError(InputError):
    """Packages are missing; its message is one plain sentence that says what to do."""


class Installer(Protocol):
    """How packages get into Slicer's Python; tests pass their own."""

    def canAsk(self) -> bool:
        """Whether there is a user to ask."""

    def confirm(self, question: str) -> bool:
        """Ask the user; True means yes."""

    def canInstallTorch(self) -> bool:
        """Whether Slicer's PyTorch extension is there."""

    def installTorch(self, versions: str) -> None:
        """Install PyTorch of some version, such as ">=2.4", for this machine's graphics card."""

    def install(self, requirements: Sequence[str], constraints: Path) -> None:
        """Install packages with pip, within a file of constraints."""


class Dependencies:
    """Tells which packages are missing, and installs them when the user agrees."""

    def __init__(self, installer: Installer | None = None) -> None:
        """Install with an installer; None: Slicer's."""
        self._installer = installer or SlicerInstaller()

    def missing(self, group: Group) -> list[str]:
        """Requirements that are not met, such as ["torch>=2.4"]; nothing is imported, so it is quick."""
        requirements = [TORCH] if group == "registration" else []
        for module in _MODULES[group]:
            lines = _requirementsFile(module).read_text(encoding="utf-8").splitlines()
            requirements += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return [requirement for requirement in requirements if not isMet(requirement)]

    def ensure(self, group: Group) -> None:
        """Install what is missing after asking once; without a user to ask, and in Slicer's testing mode, nothing is installed.

        Raises:
            DependencyError: if something is missing then.
        """
        missing = self.missing(group)
        if not missing:
            return
        if TORCH in missing:
            self._checkTorch()
        if not self._installer.canAsk():
            raise DependencyError(
                _("Python packages are missing: {names}; install them with PythonSlicer -m pip install.").format(names=", ".join(missing))
            )
        question = _("This needs Python packages that are missing: {names}.\n\nInstall them into Slicer now? It may take some minutes.")
        if not self._installer.confirm(question.format(names=_named(missing))):
            raise DependencyError(_("Nothing was installed; this cannot work without {names}.").format(names=_named(missing)))
        self._install(missing)
        importlib.invalidate_caches()
        left = self.missing(group)
        if left:
            raise DependencyError(_("{names} could not be installed; restart Slicer and try again.").format(names=_named(left)))

    def _checkTorch(self) -> None:
        """PyTorch is installed by the extension that all others of Slicer use, and never replaced, as they may need what is there."""
        if _version("torch") is not None:
            raise DependencyError(
                _("PyTorch {version} is installed, but {needed} is needed; install that in the module PyTorch.").format(
                    version=_version("torch"), needed=TORCH.removeprefix("torch>=")
                )
            )
        if not self._installer.canInstallTorch():
            raise DependencyError(
                _("PyTorch is missing; install the extension PyTorch in the Extensions Manager, restart Slicer and try again.")
            )

    def _install(self, missing: Sequence[str]) -> None:
        try:
            if TORCH in missing:
                self._installer.installTorch(TORCH.removeprefix("torch"))
            others = [requirement for requirement in missing if requirement != TORCH]
            if others:
                with tempfile.TemporaryDirectory() as folder:
                    constraints = Path(folder, "constraints.txt")
                    constraints.write_text(_constraints(), encoding="utf-8")
                    self._installer.install(others, constraints)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            raise DependencyError(
                _("Installing {names} failed; check the connection to the internet, see the error log, and try again.").format(
                    names=_named(missing)
                )
            ) from error


class SlicerInstaller:
    """Slicer's own ways to install packages."""

    def canAsk(self) -> bool:
        """Whether there is a main window, and no test runs."""
        return slicer.util.mainWindow() is not None and not slicer.app.testingEnabled()

    def confirm(self, question: str) -> bool:
        """Ask in a dialog."""
        return bool(slicer.util.confirmOkCancelDisplay(question, _("Install Python packages")))

    def canInstallTorch(self) -> bool:
        """Whether the extension PyTorch is loaded."""
        return hasattr(slicer.modules, "pytorchutils")

    def installTorch(self, versions: str) -> None:
        """Install by the extension PyTorch, which finds out what the graphics card needs."""
        import PyTorchUtils

        with slicer.util.WaitCursor():
            PyTorchUtils.PyTorchUtilsLogic().installTorch(torchVersionRequirement=versions)

    def install(self, requirements: Sequence[str], constraints: Path) -> None:
        """Install by Slicer's packaging, or before Slicer 5.12 by its pip."""
        try:
            from slicer.packaging import pip_ensure
        except ImportError:
            with slicer.util.WaitCursor():
                slicer.util.pip_install(["--constraint", str(constraints), *requirements])
        else:
            pip_ensure(list(requirements), constraints=constraints, prompt_install=False, requester=_("X-Ray Registration"))


def isMet(requirement: str) -> bool:
    """Whether a package of the versions required, such as "torch>=2.4", is installed; nothing is imported."""
    needed = Requirement(requirement)
    version = _version(needed.name)
    return version is not None and needed.specifier.contains(version, prereleases=True)


def _requirementsFile(module: str) -> Path:
    """The file beside the module file; an installed extension has all modules in one folder, the source one folder each."""
    folder = Path(__file__).resolve().parents[1]
    name = Path("Resources", "Requirements", f"{module}.txt")
    return next(path for path in (folder / name, folder.parent / module / name) if path.is_file())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _constraints() -> str:
    """Lines that keep pip from replacing a package that is installed: it looks for versions of the others that agree with it."""
    versions = {package: _version(package) for package in _NEVER_REPLACED}
    return "".join(f"{package}=={version}\n" for package, version in versions.items() if version is not None)


def _named(requirements: Sequence[str]) -> str:
    """Names to show, without versions."""
    return ", ".join(Requirement(requirement).name for requirement in requirements)
