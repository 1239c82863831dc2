"""Blocks of voxels that hold nothing."""

from __future__ import annotations

import numpy as np
from DRRSimulatorLib import ray_kernels
from DRRSimulatorLib.blocks import BLOCK, occupied_blocks
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 30)] * 3),
    margins=st.tuples(*[st.integers(0, 9)] * 3),
    seed=st.integers(0, 10**6),
)
def test_a_block_is_empty_where_nothing_lies_in_it_or_near_it(shape: tuple[int, ...], margins: tuple[int, ...], seed: int) -> None:
    filled = np.random.default_rng(seed).random(shape) < 0.002
    occupied = occupied_blocks(filled, margins)
    assert occupied.shape == tuple(-(-n // BLOCK) for n in shape)
    for block in np.ndindex(occupied.shape):
        around = tuple(slice(max(0, BLOCK * b - m), BLOCK * (b + 1) + m) for b, m in zip(block, margins, strict=True))
        assert occupied[block] == filled[around].any()


def test_kernels_and_blocks_agree_on_the_size_of_a_block() -> None:
    assert int(ray_kernels.BLOCK) == BLOCK
