"""The run that a word on the command line means."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.runs.run import Run

RUN_HELP = "its id, a unique beginning of it, last, best:NETWORK, or the path of its directory"

LONGEST = 4096
"""Characters of the longest path."""


def find(root: Path, reference: str) -> "Run":
    """The run in the folder `root`, or elsewhere if `reference` is a path. UserError where there is none."""
    from workbench.base.errors import UserError
    from workbench.base.text import clean
    from workbench.runs.store import RunStore

    missing = UserError(f'no run "{clean(reference, 80)}" in {clean(str(root), 200)}')
    if not reference or clean(reference, LONGEST) != reference:
        raise missing
    path = str(Path(reference).expanduser().absolute()) if os.sep in reference else reference
    try:
        return RunStore(root.absolute()).find(path)
    except (OSError, ValueError):  # a name that no file system takes
        raise missing from None
