"""How long jobs will take, judged from finished runs on the same kind of device.

A run's speed is its training images of all epochs over its wall time, so evaluation, saving and start-up are in it. A
job takes the speed of the newest run of its own network, image size and use of SAM. Where there is none, that of the
run nearest in work for an image: the card's multiply-accumulates, scaled to the image's area, twice with SAM. Small
networks are slower than their MACs say, so such a figure is a guess within a factor of two or three.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import architectures
from workbench.profile.sizes import train_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.profile import Profile
    from workbench.sweep.past import Speed

CARD_SIZE = 224
"""Image size that a card's MACs are counted for, pixels."""


@dataclass(frozen=True)
class Estimate:
    """Wall time of one job in seconds, None where it is not known, and what it was judged from."""

    seconds: float | None
    source: str


def estimate(profile: Profile, speeds: Sequence[Speed], device: str) -> Estimate:
    """The time that a job with this profile takes on a `device` (cpu, cuda or mps); `speeds` newest first."""
    images = train_images(profile.data)
    if images is None:
        return Estimate(None, "how many images the folder has is not known")
    arch, size, sam = profile.model.arch, profile.data.image_size, profile.sam.rho > 0
    of_device = [speed for speed in speeds if speed.device == device]
    work = images * profile.train.epochs
    for speed in of_device:
        if (speed.arch, speed.image_size, speed.sam) == (arch, size, sam):
            return Estimate(work / speed.images_per_second, f"as fast as {speed.run}")
    ours = cost(arch, size, sam)
    known = [(cost(speed.arch, speed.image_size, speed.sam), speed) for speed in of_device]
    comparable = [(theirs, speed) for theirs, speed in known if theirs]
    if not ours or not comparable:
        return Estimate(None, "no run to estimate from")
    theirs, nearest = min(comparable, key=lambda entry: abs(math.log(entry[0] / ours)))
    seconds = work / (nearest.images_per_second * theirs / ours)
    return Estimate(seconds, f"by MACs, from {nearest.arch} at {nearest.image_size} px")


def cost(arch: str, image_size: int, sam: bool) -> float:
    """MACs of one image, roughly; 0 for a network without a card."""
    if arch not in architectures.names():
        return 0.0
    card = architectures.card(arch)
    return card.macs[10] * (image_size / CARD_SIZE) ** 2 * (2 if sam else 1)


def total(seconds: Iterable[float], slots: int) -> float:
    """Wall time of jobs taken in this order by so many slots."""
    free = [0.0] * max(1, slots)
    for length in seconds:
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)
