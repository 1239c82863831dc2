"""Whose images they are stays in the images: nothing that headers tell of a person is in a result, a model, a data set or a message.

What may appear where: names of files and folders that the user gave on the command line, in messages; the X-ray's file name, without
folders, in the result of its registration; the model's, without folders, in its evaluation. Models and data sets are passed on, and name no
file. DICOM files that the user asks for (--dicom) carry the patient, as they must.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from phantom_files import SIZE, SPACING_MM, VIEW, simulate, voxels, write_ct
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian, generate_uid

PERSON = {
    "PatientName": "Zebedeus^Quilla",
    "PatientID": "PID778899",
    "PatientBirthDate": "19310417",
    "PatientAddress": "13 Foundling Lane",
    "OtherPatientIDs": "SSN5544332211",
    "AccessionNumber": "ACC556677",
    "ReferringPhysicianName": "Woodwose^Ida",
    "OperatorsName": "Grubb^Otto",
    "InstitutionName": "Xyloclinic",
    "StudyID": "ST998877",
    "PatientComments": "was seen by Thistlewick",
    "StudyDescription": "hip of Quilla",
}
TOLD = ["zebedeus", "quilla", "778899", "19310417", "1931-04-17", "foundling", "5544332211", "556677"]
TOLD += ["woodwose", "grubb", "xyloclinic", "998877", "thistlewick"]
# A file's name is the user's own; these parts of them tell where they end.
CT_NAME, XRAY_NAME = "marmaduke", "philomena"


def header(sop_class: str, series: str, study: str, number: int) -> Dataset:
    """A DICOM header of the person."""
    dataset = Dataset()
    for keyword, value in PERSON.items():
        setattr(dataset, keyword, value)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientSex, dataset.StudyDate, dataset.StudyTime, dataset.PatientPosition = "F", "20240102", "101112", "HFS"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, study
    dataset.InstanceNumber, dataset.SeriesNumber = number, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = sop_class, dataset.SOPInstanceUID
    return dataset


def save(dataset: Dataset, pixels: np.ndarray, path: Path) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelRepresentation = int(pixels.dtype == np.int16)
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)


@dataclass(frozen=True)
class PersonFiles:
    """A person's CT and X-ray in DICOM, the CT's series UID and a label map of its bone, and a pose to start from."""

    ct: Path
    series: str
    labels: Path
    xray: Path
    start: Path

    def registering(self, output: Path) -> list[str]:
        files = [f"--ct={self.ct}", f"--xray={self.xray}", f"--start={self.start}"]
        return [*files, "--polarity=intensity", "--device=cpu", f"--output={output}"]


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> PersonFiles:
    folder = tmp_path_factory.mktemp("person")
    ct, study = folder / f"{CT_NAME}_ct", generate_uid()
    ct.mkdir()
    series, frame = generate_uid(), generate_uid()
    for k, hu in enumerate(voxels()):
        slice_ = header(CTImageStorage, series, study, k + 1)
        slice_.Modality, slice_.FrameOfReferenceUID = "CT", frame
        slice_.ImagePositionPatient = [*[-(SIZE - 1) / 2 * SPACING_MM] * 2, (k - (SIZE - 1) / 2) * SPACING_MM]
        slice_.ImageOrientationPatient, slice_.PixelSpacing, slice_.SliceThickness = [1, 0, 0, 0, 1, 0], [SPACING_MM] * 2, SPACING_MM
        slice_.RescaleIntercept, slice_.RescaleSlope, slice_.ImageType = 0, 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
        save(slice_, hu, ct / f"{CT_NAME}_{k:03}.dcm")
    import SimpleITK as sitk

    other = tmp_path_factory.mktemp("simulated")
    simulate([str(write_ct(other / "ct.nrrd")), f"--output={other}", *VIEW, "--no-noise", "--format=nrrd"])
    bone = sitk.ReadImage(str(other / "ct.nrrd")) > 300
    sitk.WriteImage(bone, str(folder / f"{CT_NAME}_labels.nrrd"))
    intensity = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(other / "view_0001.nrrd"))))
    xray = header(ComputedRadiographyImageStorage, generate_uid(), study, 1)
    xray.Modality, xray.DistanceSourceToDetector, xray.ImagerPixelSpacing = "CR", 1000, [3, 3]
    save(xray, np.rint(50000 * intensity).astype(np.uint16), folder / f"{XRAY_NAME}.dcm")
    pose = json.loads((other / "view_0001.json").read_text(encoding="utf-8"))["ras_to_camera"]
    (folder / "start.json").write_text(json.dumps({"ras_to_camera": pose}), encoding="utf-8")
    return PersonFiles(ct, series, folder / f"{CT_NAME}_labels.nrrd", folder / f"{XRAY_NAME}.dcm", folder / "start.json")


def unpacked(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """What a file holds, with all that is compressed in it: archives, gzip, and the compressed text and data of PNG and VTK files."""
    yield name, content
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for inner in archive.namelist():
                yield from unpacked(f"{name}/{inner}", archive.read(inner))
    for start in re.finditer(b"\x1f\x8b\x08", content):
        yield f"{name} (gzip)", _inflated(content[start.start() :], 31)
    if content[:4] == b"\x89PNG":
        place = 8
        while place + 8 <= len(content):
            length, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
            chunk = content[place + 8 : place + 8 + length]
            if kind in (b"zTXt", b"iTXt") and b"\x78" in chunk:
                yield f"{name} ({kind.decode()})", _inflated(chunk[chunk.index(b"\x78") :], 15)
            place += 12 + length


def _inflated(content: bytes, bits: int) -> bytes:
    try:
        return zlib.decompressobj(bits).decompress(content)
    except zlib.error:
        return b""


def where(words: list[str], folder: Path, said: str = "") -> list[str]:
    """Where words are, of any letter case, as bytes or two bytes a letter: in names of files, in files, in what was said."""
    found = [f"said: {word}" for word in words if word in said.lower()]
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found += [f"name of {file.name}: {word}" for word in words if word in str(file.relative_to(folder)).lower()]
        for name, content in unpacked(file.name, file.read_bytes()):
            lower = content.lower()
            found += [f"{name}: {word}" for word in words if word.encode() in lower or word.encode("utf-16-le") in lower]
    return found


def test_the_search_finds_what_is_hidden(tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("note", "of Quilla", zip=True)
    Image.new("L", (4, 4)).save(tmp_path / "a.png", pnginfo=notes)
    (tmp_path / "b.gz").write_bytes(b"header" + gzip.compress(b"of QUILLA"))
    with zipfile.ZipFile(tmp_path / "c.mrb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scene.mrml", "of Quilla")
    (tmp_path / "d.h5").write_bytes("of Quilla".encode("utf-16-le"))
    (tmp_path / "quilla.txt").write_text("nothing", encoding="utf-8")
    assert len({line.partition(":")[0] for line in where(["quilla"], tmp_path, "Mrs Quilla")}) == 6


def run(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: int = 0) -> str:
    """Run a command here, to an exit code; what it and the libraries in it said."""
    import importlib

    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main()
    said = "".join(capfd.readouterr())
    assert (ended.value.code or 0) == code, said
    return said


def test_a_registration_tells_nothing_of_the_person(
    person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = run("XRayRegistrationLib.cli", person.registering(tmp_path), monkeypatch, capfd)
    assert (tmp_path / "result.json").is_file()
    assert where(TOLD, tmp_path, said) == []
    assert where([CT_NAME], tmp_path) == []
    places = {line.split(":")[0].split("/")[0] for line in where([XRAY_NAME], tmp_path)}
    assert places <= {"result.json", "scene.mrb"}  # and the caption of the overlay, as a picture


def test_dicom_files_that_are_asked_for_carry_the_patient_and_the_others_do_not(
    person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [*person.registering(tmp_path / "result"), f"--dicom={tmp_path / 'dicom'}"]
    said = run("XRayRegistrationLib.cli", arguments, monkeypatch, capfd)
    assert any("quilla" in line for line in where(TOLD, tmp_path / "dicom"))
    assert where(TOLD, tmp_path / "result", said) == []


@pytest.mark.parametrize("options", [[], ["--format=png", "--image=display"], ["--format=nrrd", "--scene-coordinates"]])
def test_simulated_xrays_tell_nothing_of_the_person_or_the_ct(
    options: list[str], person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    small = ["--size", "48", "48", "--pixel-spacing=6"]
    said = run("DRRSimulatorLib.cli", [str(person.ct), f"--output={tmp_path}", *small, *options], monkeypatch, capfd)
    assert where([*TOLD, CT_NAME], tmp_path, said) == []


def test_a_model_tells_nothing_of_the_person_and_names_no_file(
    person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor do checkpoint and logs, nor a model that starts from it."""
    files = [str(person.ct), f"--labels={person.labels}", f"--series={person.series}"]
    short = ["--steps=2", "--image-size=64", "--batch-size=2", "--device=cpu"]
    first, model = tmp_path / f"{CT_NAME}.safetensors", tmp_path / "made" / "m.safetensors"
    model.parent.mkdir()
    said = run("xray_training.cli_train", [*files, f"--output={first}", *short], monkeypatch, capfd)
    said += run("xray_training.cli_train", [*files, f"--output={model}", f"--start-from={first}", *short], monkeypatch, capfd)
    assert model.is_file()
    assert where(TOLD, tmp_path, said) == []
    assert where([CT_NAME, person.series, str(person.ct.parent).lower()], model.parent) == []


def test_a_data_set_and_its_exports_tell_nothing_of_the_person_and_name_no_file(
    person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("zarr")
    pytest.importorskip("distributed")
    pytest.importorskip("h5py")
    ct_list = tmp_path / f"{CT_NAME}.csv"
    ct_list.write_text(f"ct,labels,series\n{person.ct},{person.labels},{person.series}\n", encoding="utf-8")
    made = tmp_path / "made"
    folder = made / "set"
    small = ["--views=8", "--size=32", "--workers=1"]
    said = run("xray_training.cli_generate", [str(ct_list), f"--output={folder}", *small], monkeypatch, capfd)
    for layout, output in (("scr", "exported"), ("deepfluoro", "exported.h5")):
        arguments = ["export", str(folder), f"--layout={layout}", f"--output={made / output}"]
        said += run("xray_training.cli_data", arguments, monkeypatch, capfd)
    said += run("xray_training.cli_data", ["sheet", str(folder), f"--output={made / 'sheet.png'}"], monkeypatch, capfd)
    assert {"README.md", "views.csv", "dataset.json", "data.zarr"} <= {path.name for path in folder.iterdir()}
    assert where(TOLD, made, said) == []
    assert where([CT_NAME, person.series, str(person.ct.parent).lower()], made) == []


def test_a_data_set_that_could_not_be_finished_tells_nothing_of_the_person(
    person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What it keeps for going on, and what it says of a CT that it cannot use."""
    pytest.importorskip("zarr")
    pytest.importorskip("distributed")
    damaged = tmp_path / f"{CT_NAME}_ct"
    shutil.copytree(person.ct, damaged)
    for slice_ in sorted(damaged.iterdir()):
        slice_.write_bytes(slice_.read_bytes()[:-1000])
    arguments = [str(person.ct), str(damaged), f"--output={tmp_path / 'set'}", "--views=4", "--size=32", "--workers=1"]
    said = run("xray_training.cli_generate", arguments, monkeypatch, capfd, code=1)
    assert (tmp_path / "set" / ".progress").is_dir() and "Failed" in said
    assert where([*TOLD, CT_NAME], tmp_path / "set") == [] and where(TOLD, tmp_path / "set", said) == []


def test_prepared_files_tell_nothing_of_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    h5py = pytest.importorskip("h5py")
    from fuzz.corpus_learning import SPECIMEN, write_deepfluoro

    write_deepfluoro(tmp_path)
    data = (tmp_path / "deepfluoro" / "small.h5").rename(tmp_path / f"{CT_NAME}.h5")
    with h5py.File(data, "a") as file:
        for keyword, value in PERSON.items():
            file.attrs[keyword] = value
            file[f"{SPECIMEN}/vol"].attrs[keyword] = value
            file[f"{SPECIMEN}/vol/{keyword}"] = value
        xray = file[f"{SPECIMEN}/projections/000/image/pixels"]
        xray[...] = np.arange(xray.size).reshape(xray.shape)
    arguments = ["deepfluoro", f"--data={data}", f"--specimen={SPECIMEN}", f"--output={tmp_path / 'made'}"]
    said = run("xray_training.cli_prepare", arguments, monkeypatch, capfd)
    assert (tmp_path / "made" / f"{SPECIMEN}.nrrd").is_file()
    assert where([*TOLD, CT_NAME], tmp_path / "made", said) == []


def test_an_evaluation_names_the_models_file_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from XRayRegistrationLib.model import DEFAULT_MODEL

    (tmp_path / "quilla").mkdir()
    made = tmp_path / "made"
    made.mkdir()
    model = shutil.copy(DEFAULT_MODEL, tmp_path / "quilla" / f"{CT_NAME}.safetensors")
    arguments = ["--suite=demo", "--limit=1", f"--model={model}", f"--json={made / 'e.json'}", f"--report={made}", "--device=cpu"]
    said = run("xray_training.cli_evaluate", arguments, monkeypatch, capfd)
    assert where(TOLD, made, said) == []
    assert {line.split(":")[0] for line in where([CT_NAME], made)} <= {"e.json", "report.html"}


def test_copies_of_a_ct_tell_nothing_of_the_person(
    person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are named after the CT's file or folder, as the user called it."""
    said = run("xray_training.cli_deform", [str(person.ct), f"--output={tmp_path}", "--count=1"], monkeypatch, capfd)
    assert where(TOLD, tmp_path, said) == []


@pytest.mark.parametrize("damage", ["no such series", "cut off", "no pixels", "invalid values"])
def test_messages_about_bad_files_tell_nothing_of_the_person(
    damage: str, person: PersonFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import pydicom
    from XRayRegistrationLib import cli

    arguments, xray = person.registering(tmp_path / "result"), tmp_path / "x.dcm"
    dataset = pydicom.dcmread(person.xray)
    if damage == "no such series":
        arguments.append("--series=1.2.3")
    elif damage == "cut off":
        xray.write_bytes(person.xray.read_bytes()[:-5000])
    else:
        monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
        if damage == "no pixels":
            del dataset.PixelData
        else:
            invalid = {"PatientBirthDate": "19310417x", "PatientID": "PID778899" * 9, "DistanceSourceToDetector": "far"}
            for keyword, value in invalid.items():
                dataset[keyword]._value = value
        dataset.save_as(xray)
    if xray.exists():
        arguments = [argument.replace(str(person.xray), str(xray)) for argument in arguments]
    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", ["xray-register", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = "".join(capfd.readouterr())
    assert ended.value.code == 2 and said
    assert where(TOLD, tmp_path / "result", said) == []
