"""Lengths of a schedule as a person writes them: "5ep", "500step", "10%"."""

import functools
import re

LENGTH = r"^\d+(\.\d+)?(ep|step|%)$"
"""A length of a schedule: "5ep" epochs, "500step" optimiser steps, or "10%" of the run."""
LENGTHS = r"^\d+(\.\d+)?(ep|step|%)( *, *\d+(\.\d+)?(ep|step|%))*$"
"""Several of them, separated by commas."""

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ep|step|%)")

LONGEST = 2**53
"""Steps: longer than any run, and the largest whole number up to which every one is also a float."""


def in_steps(length: str, *, steps_per_epoch: int, steps: int) -> int:
    """A length in optimiser steps, rounded; `steps` is the whole run's. ValueError for anything else."""
    number, unit = _parts(length)
    if unit == "ep":
        number *= steps_per_epoch
    elif unit == "%":
        number = number * steps / 100
    return round(min(number, LONGEST))


def in_epochs(length: str, *, epochs: int) -> float | None:
    """A length in epochs of a run of `epochs`; None for one in steps, which needs the data to tell."""
    number, unit = _parts(length)
    return {"ep": number, "step": None, "%": number * epochs / 100}[unit]


def several(lengths: str) -> list[str]:
    """The lengths of a list such as "50%, 75%"."""
    return [part.strip() for part in lengths.split(",")]


@functools.lru_cache(maxsize=256)  # the learning rate of each step asks for the same few
def _parts(length: str) -> tuple[float, str]:
    match = _LENGTH.fullmatch(length)
    if match is None:
        raise ValueError(f'"{length}" is no length: 5ep, 500step or 10%')
    return float(match[1]), match[2]
