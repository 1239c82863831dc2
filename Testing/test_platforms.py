"""What differs between systems: names of files, processes, locales, GPUs, and folders that may only be read."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from phantom_files import PhantomFiles, write_phantom_files
from read_only import read_only

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ["DRRSimulator", "XRayRegistration", "Training/src"]
LONG = "/".join(letter * 90 for letter in "xyz")  # longer than 260 characters with what is in it
LETTERS = "Größe µ 患者 Ελλάδα"
NAMES = ["with space", LETTERS, "a'b&c%d;$e", LONG]


def shipped_code() -> Iterator[tuple[str, ast.Module]]:
    """Code that users run; tests of the modules are none."""
    for folder in SHIPPED:
        for file in sorted((ROOT / folder).rglob("*.py")):
            if "Testing" not in file.parts:
                yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def opens_text_without_encoding(call: ast.Call, name: str) -> bool:
    given = {keyword.arg for keyword in call.keywords}
    if name in ("read_text", "write_text"):
        return "encoding" not in given
    of_path = isinstance(call.func, ast.Attribute)
    if name != "open" or (of_path and ast.unparse(call.func.value) in ("gzip", "os", "Image", "zarr")):  # type: ignore[attr-defined]
        return False
    modes = call.args[0 if of_path else 1 :][:1] + [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else "r"
    return isinstance(mode, str) and set(mode) <= set("rwax+t") and "encoding" not in given


def test_the_check_of_encodings_finds_what_it_looks_for() -> None:
    text = "open(p)\np.open('w', newline='')\np.read_text()\np.open('rb')\np.open(encoding='utf-8')\ngzip.open(p)\nopen(p, 'wb')"
    assert [opens_text_without_encoding(*call) for call in calls(ast.parse(text))] == [True, True, True, False, False, False, False]


def test_all_text_files_are_opened_with_their_encoding() -> None:
    """Elsewhere Windows takes the code page of the country."""
    found = [(file, call.lineno) for file, tree in shipped_code() for call, name in calls(tree) if opens_text_without_encoding(call, name)]
    assert found == []


def test_no_process_is_forked() -> None:
    """Windows cannot, and on other systems a fork of a process with threads may hang."""
    forks = {"fork", "forkpty", "set_start_method"}
    found = []
    for file, tree in shipped_code():
        for call, name in calls(tree):
            methods = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            if name in forks or (name == "get_context" and methods != ["spawn"]):
                found.append(f"{file}:{call.lineno}")
    assert found == []


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PhantomFiles:
    return write_phantom_files(tmp_path_factory.mktemp("phantom"))


def put(phantom: PhantomFiles, folder: Path) -> PhantomFiles:
    """The same files in another folder, with its name in theirs."""
    folder.mkdir(parents=True)
    files = [phantom.ct, phantom.xray, phantom.camera, phantom.start]
    return PhantomFiles(*(Path(shutil.copy(file, folder / f"{folder.name[:40]} {file.name}")) for file in files))


def in_process(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main()
    assert not ended.value.code


@pytest.mark.parametrize("name", NAMES, ids=["spaces", "letters", "signs", "long"])
def test_any_name_of_a_folder_or_file_will_do(name: str, phantom: PhantomFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt" and len(str(tmp_path / name)) > 200:
        pytest.skip("Windows allows such paths only where they are switched on")
    files = put(phantom, tmp_path / name)
    simulated, result, model = (files.ct.parent / output for output in ("drr é", "result é", "model é.safetensors"))
    small = ["--size", "48", "48", "--pixel-spacing=6"]
    for image_format in ("tiff", "png", "nrrd"):
        in_process("DRRSimulatorLib.cli", [str(files.ct), f"--output={simulated}", f"--format={image_format}", *small], monkeypatch)
    assert {file.name for file in simulated.iterdir()} == {f"view_0001.{ending}" for ending in ("tiff", "png", "nrrd", "json")}
    in_process("XRayRegistrationLib.cli", files.registering(result), monkeypatch)
    assert json.loads((result / "result.json").read_text(encoding="utf-8"))["views"][0]["xray"] == files.xray.name
    with zipfile.ZipFile(result / "scene.mrb") as bundle:
        assert f'name="{files.xray.stem.replace("&", "&amp;")} camera"' in bundle.read("scene/scene.mrml").decode("utf-8")
    if name != LETTERS:
        return  # a training takes longer than all others together
    short = ["--steps=1", "--image-size=64", "--batch-size=2", "--device=cpu"]
    in_process("xray_training.cli_train", [str(files.ct), f"--output={model}", *short], monkeypatch)
    from XRayRegistrationLib.model import load_model

    assert load_model(model).description.labels


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha", ".tiff", ".png"])
def test_images_are_written_and_read_under_names_of_any_letters(suffix: str, tmp_path: Path) -> None:
    import SimpleITK as sitk
    from DRRSimulatorLib.image_file import write_image

    values = np.arange(20, dtype=np.uint16).reshape(4, 5)
    path = tmp_path / f"Größe 患者{suffix}"
    write_image(path, sitk.GetImageFromArray(values if suffix in (".tiff", ".png") else values[None]))
    np.testing.assert_array_equal(np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))), values)


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a country that writes 1,5; its locale is made where it is not there."""
    folder, name = tmp_path_factory.mktemp("locales"), "de_DE.UTF-8"
    environment = os.environ | {"LC_ALL": name}
    code = "import locale; locale.setlocale(locale.LC_ALL, ''); assert locale.localeconv()['decimal_point'] == ','"
    if subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False).returncode:
        made = shutil.which("localedef") and subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / name)], capture_output=True, check=False
        )
        if not (folder / name).is_dir():
            pytest.skip(f"no locale with a decimal comma is there or can be made: {made}")
        environment["LOCPATH"] = str(folder)
    return environment


IN_GERMAN = """
import locale, sys
locale.setlocale(locale.LC_ALL, "")  # as Qt applications do
assert locale.localeconv()["decimal_point"] == ",", locale.localeconv()
import importlib
module, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = module
importlib.import_module(module).main()
"""


def test_a_decimal_comma_changes_no_number(
    phantom: PhantomFiles, german: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a registration's files but times, dates and the X-ray's name are the same."""

    def told(folder: Path) -> tuple[object, object, dict[str, bytes]]:
        values = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        with zipfile.ZipFile(folder / "scene.mrb") as bundle:
            data = {name: bundle.read(name) for name in bundle.namelist()}
        return values["ras_to_rig"], values["views"], data

    view = ["--primary=12.5", "--size", "48", "48", "--pixel-spacing=6.25", "--no-noise", "--format=nrrd"]
    for module, arguments in (
        ("DRRSimulatorLib.cli", [str(phantom.ct), *view]),
        ("XRayRegistrationLib.cli", phantom.registering(Path("unused"))[:-1]),
    ):
        here, there = tmp_path / f"{module} here", tmp_path / f"{module} there"
        in_process(module, [*arguments, f"--output={here}"], monkeypatch)
        command = [sys.executable, "-c", IN_GERMAN, module, *arguments, f"--output={there}"]
        ended = subprocess.run(command, env=german, capture_output=True, encoding="utf-8", timeout=600, check=False)
        assert ended.returncode == 0, ended.stderr
        assert {file.name for file in there.iterdir()} == {file.name for file in here.iterdir()}
        if module == "DRRSimulatorLib.cli":
            for file in here.iterdir():
                assert (there / file.name).read_bytes() == file.read_bytes(), file.name
            continue
        (pose, views, data), (german_pose, german_views, german_data) = told(here), told(there)
        np.testing.assert_allclose(german_pose, pose, atol=1e-6)
        assert german_views == views
        assert german_data.keys() == data.keys()
        assert german_data["scene/scene.mrml"] == data["scene/scene.mrml"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_an_installation_that_may_only_be_read_and_a_home_that_too_will_do(phantom: PhantomFiles, tmp_path: Path) -> None:
    """As on a cluster: the user may write neither where the packages lie, nor where programs keep their caches."""
    installed, home = tmp_path / "installed", tmp_path / "home"
    home.mkdir()
    for library in ("DRRSimulator/DRRSimulatorLib", "XRayRegistration/XRayRegistrationLib"):
        shutil.copytree(ROOT / library, installed / Path(library).name, ignore=shutil.ignore_patterns("__pycache__"))
    caches = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "WARP_CACHE_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in caches}
    environment |= {"PYTHONPATH": str(installed), "HOME": str(home)}
    with read_only(installed), read_only(home):
        code = f"import XRayRegistrationLib.cli as module; assert module.__file__.startswith({str(installed)!r}); module.main()"
        command = [sys.executable, "-c", code, *phantom.registering(tmp_path / "result")]
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert list(home.iterdir()) == [] and not list(installed.rglob("__pycache__"))
    assert (tmp_path / "result" / "result.json").is_file()


def test_names_that_we_make_are_names_on_windows_too(phantom: PhantomFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither reserved (CON), nor with a dot or space at the end, nor with a sign that Windows has no place for."""
    reserved = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
    files = put(phantom, tmp_path / "in")
    odd = files.xray.rename(files.xray.with_name("CON.a:b?. .tiff")) if os.name != "nt" else files.xray
    arguments = [argument.replace(str(files.xray), str(odd)) for argument in files.registering(tmp_path / "result")]
    in_process("XRayRegistrationLib.cli", arguments, monkeypatch)
    names = [file.name for file in (tmp_path / "result").iterdir()]
    with zipfile.ZipFile(tmp_path / "result" / "scene.mrb") as bundle:
        names += [part for name in bundle.namelist() for part in name.split("/") if part]
    for name in names:
        assert name.partition(".")[0].lower() not in reserved and name == name.rstrip(". ") and not set(name) & set('<>:"\\|?*'), name
