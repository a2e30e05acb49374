"""How long a run still takes."""

import math


def time_to_go(images: float, speed: float | None, evaluations: float, evaluation_seconds: float) -> float | None:
    """Seconds for so many images at `speed` images a second and so many evaluations; None where that is no time."""
    if speed is None or not speed > 0:
        return None
    seconds = max(images, 0.0) / speed + max(evaluations, 0.0) * evaluation_seconds
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
