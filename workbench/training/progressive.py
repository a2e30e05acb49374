"""Small images first, large ones later, with regularisation that grows along (EfficientNetV2, section 4.2).

The run is cut into stages of equal numbers of epochs. Image size, and the strength of augmentation, mixup, dropout and
stochastic depth, grow linearly from `train.progressive_from` in the first stage to the profile's own in the last.
"""

from dataclasses import dataclass

from torch import nn

from architectures.layers import StochasticDepth
from workbench.profile import Profile

MULTIPLE = 8
"""Image sizes on the way are multiples of so many pixels."""


@dataclass(frozen=True)
class Stage:
    """What holds during an epoch: `size` in pixels, `strength` from 0 to 1."""

    size: int
    strength: float


def stage_of(profile: Profile, epoch: int) -> Stage:
    """The stage of an epoch (from 0)."""
    stages, full = profile.train.progressive_stages, profile.data.image_size
    index = min(epoch * stages // profile.train.epochs, stages - 1)
    if index == stages - 1:
        return Stage(full, 1.0)
    begin = profile.train.progressive_from
    strength = begin + (1.0 - begin) * index / (stages - 1)
    return Stage(min(max(round(full * strength / MULTIPLE), 1) * MULTIPLE, full), strength)


def sizes(profile: Profile) -> list[int]:
    """The image sizes of the run, ascending."""
    return sorted({stage_of(profile, epoch).size for epoch in range(profile.train.epochs)})


class Regularisation:
    """The rates of dropout and stochastic depth in a network, to be scaled from what they were at first."""

    def __init__(self, network: nn.Module) -> None:
        self.dropouts = [(m, m.p) for m in network.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
        self.depths = [(m, m.rate) for m in network.modules() if isinstance(m, StochasticDepth)]

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates as they are now."""
        return (*(dropout.p for dropout, _ in self.dropouts), *(depth.rate for depth, _ in self.depths))

    def scale(self, strength: float) -> None:
        for dropout, rate in self.dropouts:
            dropout.p = rate * strength
        for depth, rate in self.depths:
            depth.rate = rate * strength
