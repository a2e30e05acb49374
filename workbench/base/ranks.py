"""Which of several processes this one is, as torchrun tells each in its environment; and that only the first speaks.

The command line needs to know it before torch is there. What the processes do together is in
`workbench.training.distributed`.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

PATIENCE = 5.0
"""Seconds that a process which found a mistake leaves the first one to tell of it."""


def several() -> bool:
    """Whether this is one of several processes that train together."""
    world, rank = os.environ.get("WORLD_SIZE", ""), os.environ.get("RANK", "")
    return world.isdecimal() and rank.isdecimal() and int(world) > 1


def leads() -> bool:
    """Whether this is the process that writes, prints and decides: the only one, or rank 0."""
    return not several() or int(os.environ["RANK"]) == 0


def in_silence(command: Callable[[], int]) -> int:
    """Run a command whose words the first process says as well; returns the exit code.

    torchrun ends all processes as soon as one has failed. So one that finds a mistake in the profile or the command
    line stays until the first has had the time to say it, or until it is told to go.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            code = command()
        except SystemExit as ended:  # argparse, of a wrong command line
            code = ended.code if isinstance(ended.code, int) else 1
        if code == 2:
            told = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: told.set())
            told.wait(PATIENCE)
    return code
