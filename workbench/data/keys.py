"""Randomness from counters: every draw is a function of named integers, so nothing random is ever saved.

A run that is resumed at any step asks for the same (seed, purpose, epoch) and gets the same draws.
Torch's global generators are neither read nor advanced.
"""

from hashlib import blake2b

import torch
from torch import Tensor


def key(*parts: int | str) -> int:
    """A 63-bit seed for `parts`: the same on every machine and Python version, unrelated for near parts."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & (2**63 - 1)


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded with `key(*parts)`. On the CPU always, so all devices see the same draws."""
    return torch.Generator().manual_seed(key(*parts))


def order(n: int, seed: int, epoch: int) -> Tensor:
    """The order in which `n` samples are visited in `epoch`: a permutation, (n,) int64 on the CPU."""
    return torch.randperm(n, generator=generator(seed, "order", epoch))
