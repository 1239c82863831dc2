"""What must hold for the repository as a whole: where imports may go, what may not be run, and what the tracked files carry."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "DRRSimulatorLib": ROOT / "DRRSimulator" / "DRRSimulatorLib",
    "XRayRegistrationLib": ROOT / "XRayRegistration" / "XRayRegistrationLib",
    "xray_training": ROOT / "Training" / "src" / "xray_training",
}
SLICER_LIBRARIES = ["DRRSimulatorLib", "XRayRegistrationLib"]

# What a fresh Slicer lacks, what is slow to import, and Slicer itself.
IMPORTED_ONLY_WHERE_NEEDED = {"torch", "warp", "monai", "poselib", "safetensors", "vtk", "vtkmodules", "matplotlib", "slicer", "qt", "ctk"}
# These are written in Warp's and in torch's language from the first line; others import them where they need them.
WARP_KERNELS = {"DRRSimulatorLib.integral_kernels", "DRRSimulatorLib.ray_kernels", "DRRSimulatorLib.surface_kernels"}
WRITTEN_IN_A_HEAVY_PACKAGE = WARP_KERNELS | {"XRayRegistrationLib.network"}
SLICER = {"slicer", "qt", "ctk"}
MAY_NOT_IMPORT = {
    "DRRSimulatorLib": SLICER | {"XRayRegistrationLib", "xray_training"},
    "XRayRegistrationLib": SLICER | {"xray_training"},
    "xray_training": SLICER,
}
RUNS_CODE_FROM_FILES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}

MACHINE_PATH = re.compile(r"(?<![\w.<])/(?:work|tmp|root|home)\b|[A-Z]:\\Users\\")
LARGEST_REPOSITORY_BYTES = 60_000_000

IMPORT_EACH_WITHOUT = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is blocked")

blocked = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Blocker())
for module in sys.argv[2:]:
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(f"{module}: {error}")
"""


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if (ROOT / name).is_file()]


def trees(package: str) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGES[package].rglob("*.py")):
        yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def imported_roots(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def calls_that_run_code(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        unpickles = any(argument.arg == "allow_pickle" and ast.unparse(argument.value) != "False" for argument in node.keywords)
        if called in {"eval", "exec", "torch.load"} or unpickles:
            yield f"{called} in line {node.lineno}"


def test_tracked_files_name_no_path_of_a_machine() -> None:
    found = []
    for file in tracked_files():
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{file.relative_to(ROOT)}:{number}" for number, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
    assert found == []


def test_tracked_files_are_small_enough_to_clone_quickly() -> None:
    assert 0 < sum(file.stat().st_size for file in tracked_files()) < LARGEST_REPOSITORY_BYTES


@pytest.mark.parametrize("package", SLICER_LIBRARIES)
def test_library_modules_import_without_the_heavy_packages_and_without_slicer(package: str) -> None:
    folder = PACKAGES[package]
    modules = {".".join((package, *file.relative_to(folder).with_suffix("").parts)) for file in folder.rglob("*.py")}
    arguments = [",".join(IMPORTED_ONLY_WHERE_NEEDED), *sorted(modules - WRITTEN_IN_A_HEAVY_PACKAGE)]
    imports = subprocess.run([sys.executable, "-c", IMPORT_EACH_WITHOUT, *arguments], capture_output=True, text=True)
    assert (imports.returncode, imports.stdout, imports.stderr) == (0, "", "")


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way_and_never_to_slicer(package: str) -> None:
    found = {file: forbidden for file, tree in trees(package) if (forbidden := imported_roots(tree) & MAY_NOT_IMPORT[package])}
    assert found == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_library_file_can_run_code_from_a_file_it_reads(package: str) -> None:
    found = {file: [*imported_roots(tree) & RUNS_CODE_FROM_FILES, *calls_that_run_code(tree)] for file, tree in trees(package)}
    assert found and not any(found.values()), found
