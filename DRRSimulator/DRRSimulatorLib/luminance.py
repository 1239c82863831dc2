"""Grey values of images that were saved in colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # of red, green, blue: ITU-R BT.601


def luminance(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Grey image [row, column] of a grey one, or of a coloured one [row, column, channel]; an opacity channel is left out.

    Raises:
        InputError: if the pixels are complex numbers or have more than four channels.
    """
    if np.iscomplexobj(pixels):
        raise InputError("The image holds complex numbers; save its magnitude as an X-ray.")
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    if channels > 4:
        raise InputError(f"The image has {channels} channels; an X-ray has one, or three of colour.")
    if channels <= 2:
        return pixels[..., 0]
    colours: npt.NDArray[Any] = pixels[..., :3]
    # Piece by piece: a product of matrices would copy all three channels as numbers of 64 bits first.
    grey: npt.NDArray[np.float32] = np.einsum("rcw,w->rc", colours, _WEIGHTS, dtype=np.float32, casting="same_kind")
    return grey
