"""The command ``plastimatch drr`` as a worker."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .engine import DRR, RAS_TO_LPS, Engine, FloatArray, FloatImage, NotOfferedError, Patient, View, run_worker


class Plastimatch(Engine):
    """The default algorithm, "exact" (Siddon's). The seconds are those that the command itself reports, less its output's."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.volume, self.output = Path(self.folder.name) / "volume.mha", Path(self.folder.name) / "image_"

    def version(self) -> str:
        """What the command says."""
        if not shutil.which("plastimatch"):
            raise NotOfferedError("plastimatch is not installed")
        return subprocess.run(["plastimatch", "--version"], capture_output=True, check=True, text=True).stdout.strip()

    def set_patient(self, patient: Patient) -> None:
        """Write the volume with its axes turned along those of LPS: the command knows no other directions."""
        write_mha(self.volume, *along_lps(patient))

    def set_view(self, view: View) -> None:
        """Put the geometry into the command's terms, in LPS; any isocentre on the central ray will do."""
        rows, columns = view.image_size
        _, y, z, source = (RAS_TO_LPS @ view.camera_to_ras)[:3].T
        distance, (spacing_x, spacing_y) = view.source_to_detector_distance, view.pixel_spacing
        options: dict[str, FloatArray | list[float]] = {
            "--dim": [rows, columns],
            "--detector-size": [rows * spacing_y, columns * spacing_x],
            "--image-center": list(view.principal_point[::-1]),
            "--sad": [distance / 2],
            "--sid": [distance],
            "--isocenter": source + distance / 2 * z,
            "--nrm": -z,
            "--vup": -y,
        }
        self.command = ["plastimatch", "drr", "--hu-conversion", "none", "--output-format", "pfm", "--intensity-scale", "10"]
        for name, values in options.items():
            self.command += [name, " ".join(f"{value:.9g}" for value in values)]
        self.command += ["--input", str(self.volume), "--output", str(self.output)]
        self.image_size = view.image_size

    def render(self, work: str) -> str:
        """Run the command; the result is what it prints."""
        if work != DRR:
            raise NotOfferedError(f"plastimatch has no {work}")
        return subprocess.run(self.command, capture_output=True, check=True, text=True).stdout

    def image(self, result: str) -> FloatImage:
        """The image that was written last."""
        return read_pfm(Path(f"{self.output}0000.pfm"), self.image_size)

    def timed_render(self, work: str) -> tuple[str, float]:
        """The command times its ray casting with the writing of the image, which it tells apart, and without reading the volume."""
        printed = self.render(work)
        total, output = (float(re.findall(rf"^{name} time: ([\d.e+-]+)", printed, re.MULTILINE)[-1]) for name in ("Total", "I/O"))
        return printed, total - output


def along_lps(patient: Patient) -> tuple[FloatImage, FloatArray]:
    """The volume and its 4x4 to LPS with axes flipped and swapped so that i, j and k run along L, P and S.

    Raises:
        NotOfferedError: if the volume's axes are oblique.
    """
    matrix = RAS_TO_LPS @ patient.ijk_to_ras
    if np.count_nonzero(np.abs(matrix[:3, :3]) > 1e-6) != 3:
        raise NotOfferedError("plastimatch drr ignores the directions of oblique volumes")
    axis_of = np.abs(matrix[:3, :3]).argmax(axis=1)  # for each of L, P and S the volume's axis
    change = np.zeros((4, 4))  # new (i, j, k, 1) to old
    change[3, 3] = 1
    volume = np.asarray(patient.attenuation).transpose([2 - axis for axis in axis_of[::-1]])
    for new, old in enumerate(axis_of):
        change[old, new] = 1
        if matrix[new, old] < 0:
            volume = np.flip(volume, 2 - new)
            change[old, new], change[old, 3] = -1, volume.shape[2 - new] - 1
    return volume, matrix @ change


def write_mha(path: Path, volume: FloatImage, to_lps: FloatArray) -> None:
    """Write a MetaImage whose axes are those of LPS."""
    size, spacing, origin = (" ".join(map(str, values)) for values in (volume.shape[::-1], np.diag(to_lps)[:3], to_lps[:3, 3]))
    header = f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementSpacing = {spacing}\nOffset = {origin}\n"
    header += "TransformMatrix = 1 0 0 0 1 0 0 0 1\nBinaryData = True\nElementByteOrderMSB = False\n"
    header += "ElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
    path.write_bytes(header.encode() + volume.astype("<f4").tobytes())


def read_pfm(path: Path, image_size: tuple[int, int]) -> FloatImage:
    """Read a portable float map as plastimatch writes it: the top row first."""
    count = image_size[0] * image_size[1]
    return np.frombuffer(path.read_bytes()[-4 * count :], dtype="<f4").reshape(image_size)


if __name__ == "__main__":
    run_worker(Plastimatch)
