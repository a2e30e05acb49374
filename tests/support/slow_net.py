"""A small network whose every pass takes a moment, so that a test can meet the run where it wants to."""

import time

from small_run import PROFILE, Net
from torch import Tensor

PASS_SECONDS = 0.01

SLOW = PROFILE.replace("small_run:Net", "slow_net:Slow")
"""Its profile, with the settings of the small run."""


class Slow(Net):
    """The same figures as `Net`, later."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(PASS_SECONDS)
        return super().forward(x)
