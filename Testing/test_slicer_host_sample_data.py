"""The test host's module Sample Data, with files of the test instead of downloads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def sources(scene: Any) -> Iterator[dict[str, list[Any]]]:
    """The registered data sets by category, none at first."""
    import slicer

    vars(slicer.modules).pop("sampleDataSources", None)
    slicer.modules.sampleDataSources = {}
    yield slicer.modules.sampleDataSources
    del slicer.modules.sampleDataSources


@pytest.fixture
def ct_file(scene: Any, tmp_path: Path) -> Path:
    import slicer

    path = tmp_path / "source" / "ct.nrrd"
    slicer.util.saveNode(slicer.util.addVolumeFromArray(np.full((2, 3, 4), 7, dtype=np.int16)), str(path))
    return path


@pytest.fixture
def file_name(tmp_path: Path) -> str:
    """A name of its own in the cache, which outlives the test."""
    return f"{tmp_path.name}.nrrd"


def checksum_of(path: Path) -> str:
    return f"SHA256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_registered_sample_is_downloaded_verified_and_loaded(sources: Any, ct_file: Path, file_name: str) -> None:
    import SampleData
    import slicer

    logic = SampleData.SampleDataLogic()
    for _ in range(2):  # a module registers again when it is reloaded
        logic.registerCustomSampleDataSource(
            category="X-ray",
            sampleName="Wrist",
            uris=ct_file.as_uri(),
            fileNames=file_name,
            nodeNames="Wrist CT",
            checksums=checksum_of(ct_file),
        )
    assert len(sources["X-ray"]) == 1
    (volume,) = logic.downloadSamples("Wrist")
    assert volume.GetName() == "Wrist CT"
    assert volume.GetStorageNode() is None
    assert slicer.util.arrayFromVolume(volume).min() == 7
    ct_file.unlink()
    assert logic.downloadSample("Wrist").GetName() == "Wrist CT_1"  # from the cache


def test_a_file_with_a_wrong_checksum_is_not_loaded(sources: Any, ct_file: Path, file_name: str) -> None:
    import SampleData

    source = SampleData.SampleDataSource(
        sampleName="Wrist", uris=ct_file.as_uri(), fileNames=file_name, nodeNames="CT", checksums="SHA256:" + 64 * "0"
    )
    assert SampleData.SampleDataLogic().downloadFromSource(source) == []


def test_files_without_node_names_are_only_downloaded(sources: Any, ct_file: Path, file_name: str) -> None:
    import SampleData

    (path,) = SampleData.SampleDataLogic().downloadFromURL(uris=ct_file.as_uri(), fileNames=file_name)
    assert Path(path).read_bytes() == ct_file.read_bytes()


def test_a_custom_downloader_is_asked_by_the_button_and_not_by_the_logic(sources: Any, ct_file: Path, file_name: str) -> None:
    import SampleData
    from slicer_host.sample_data import press_button

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="X-ray",
        sampleName="Wrist",
        uris=ct_file.as_uri(),
        fileNames=file_name,
        nodeNames="CT",
        customDownloader=lambda source: f"custom {source.sampleName}",
    )
    assert press_button("Wrist") == "custom Wrist"
    assert SampleData.SampleDataLogic().downloadSample("Wrist").GetName() == "CT"


def test_a_source_whose_lists_differ_in_length_is_refused(sources: Any) -> None:
    import SampleData

    with pytest.raises(ValueError, match="same length"):
        SampleData.SampleDataSource(uris=["a", "b"], fileNames=["a"])
