"""What must hold for the repository as a whole: where imports may go, what may not be run, and what the tracked files carry."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import connections
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "DRRSimulatorLib": ROOT / "DRRSimulator" / "DRRSimulatorLib",
    "XRayRegistrationLib": ROOT / "XRayRegistration" / "XRayRegistrationLib",
    "xray_training": ROOT / "Training" / "src" / "xray_training",
}
SLICER_LIBRARIES = ["DRRSimulatorLib", "XRayRegistrationLib"]
SLICER_MODULES = ["DRRSimulator", "XRayRegistration"]

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
RUNS_CODE_FROM_FILES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "ruamel"}
RUNS_CODE = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.hub.load"}
REACHES_THE_NETWORK = {"urllib", "urllib3", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "socket", "ssl", "wget", "pooch"}
# All addresses in shipped code: what one is for; files are downloaded from one of them only, each by its SHA-256.
ADDRESSES = {
    "https://raw.githubusercontent.com/BrownBiomechanics/Autoscoper/": "downloaded by Slicer's Sample Data when the user asks for it",
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/": "name of a JSON schema",
}
SHIPPED = [*PACKAGES.values(), *(ROOT / module / f"{module}Slicer" for module in SLICER_MODULES)]
SHIPPED += [ROOT / module / "Scripts" for module in SLICER_MODULES]

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
        if called in RUNS_CODE or unpickles or any(argument.arg == "shell" for argument in node.keywords):
            yield f"{called} in line {node.lineno}"


def shipped_trees() -> Iterator[tuple[str, ast.Module]]:
    files = [file for folder in SHIPPED for file in folder.rglob("*.py")] + [ROOT / name / f"{name}.py" for name in SLICER_MODULES]
    for file in sorted(files):
        yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


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


def test_nothing_shipped_can_run_code_from_a_file_it_reads() -> None:
    found = {file: [*imported_roots(tree) & RUNS_CODE_FROM_FILES, *calls_that_run_code(tree)] for file, tree in shipped_trees()}
    assert len(found) > 100
    assert {file: calls for file, calls in found.items() if calls} == {}


def test_nothing_shipped_reaches_the_network_but_what_the_user_downloads() -> None:
    """Packages that are installed when the user agrees come through pip, not from addresses of ours."""
    modules, addresses = {}, set()
    for file, tree in shipped_trees():
        modules[file] = imported_roots(tree) & REACHES_THE_NETWORK
        addresses |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and re.match(r"\w+://", str(node.value))}
    assert {file: found for file, found in modules.items() if found} == {}
    assert {address for address in addresses if not address.startswith(tuple(ADDRESSES))} == set()


def test_every_file_that_can_be_downloaded_has_its_sha_256() -> None:
    tree = ast.parse((ROOT / "DRRSimulator" / "DRRSimulatorSlicer" / "sample_data.py").read_text(encoding="utf-8"))
    assigned = {ast.unparse(node.targets[0]): node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)}
    files = ast.literal_eval(assigned["_WRIST_XRAYS"]) | ast.literal_eval(assigned["_WRIST_CALIBRATIONS"])
    assert len(files) == 4 and all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in files.values())
    assert "checksums=[f'SHA256:{digest}' for digest in files.values()]" in ast.unparse(tree)


def test_the_whole_run_of_the_tests_refuses_connections_beyond_this_machine() -> None:
    with pytest.raises(PermissionError, match="must not connect"):
        socket.create_connection(("192.0.2.1", 9), timeout=0.1)  # an address for documentation (RFC 5737)
    assert connections.attempts
    connections.attempts.clear()
