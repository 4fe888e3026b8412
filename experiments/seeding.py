"""Every random stream is derived from named axes, so that runs can be paired and resumed.

The loss is not among the axes: two arms with the same seed see the same split, the same batch
order and the same augmentation. A stream depends on nothing that happened before it, so a run that
is resumed at an epoch draws what it would have drawn.
"""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *axes: str | int) -> int:
    """A 63-bit seed for the stream that these axes name, such as ("order", epoch)."""
    name = "/".join(map(str, (seed, *axes)))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *axes: str | int) -> torch.Generator:
    """A CPU generator of the stream that these axes name."""
    return torch.Generator().manual_seed(derive(seed, *axes))
