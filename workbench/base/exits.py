"""Exit codes of a program that was asked to end before its run was over; the run is saved and can go on."""

import signal

PREEMPTED = 75
"""EX_TEMPFAIL, on which schedulers start the job again."""
INTERRUPTED = 128 + signal.SIGINT
"""130, as shells have it: a person has stopped it."""


def exit_code(number: int) -> int:
    """What a program ends with after the signal `number`."""
    return INTERRUPTED if number == signal.SIGINT else PREEMPTED
