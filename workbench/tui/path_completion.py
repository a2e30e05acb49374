"""Completing a path that is typed, as a shell does."""

import os
from pathlib import Path

from workbench.base.text import clean

NAMED = 8
"""Names that are listed where it is not clear how to go on."""


def complete(typed: str) -> tuple[str, str]:
    """The path as far as it is clear, and the names that it may go on with, on one line; may wait for a disk."""
    folder, _, begun = typed.rpartition("/")
    within = Path(os.path.expanduser(folder + "/" if "/" in typed else "."))
    try:
        names = sorted(
            entry.name + ("/" if entry.is_dir() else "")
            for entry in os.scandir(within)
            if entry.name.startswith(begun)
            and (begun or not entry.name.startswith("."))
            and entry.name == clean(entry.name)  # one with control characters is not put into a line
        )
    except OSError as error:
        return typed, clean(f"{within}: {(error.strerror or str(error)).lower()}", 200)
    if not names:
        return typed, "nothing begins like that"
    common = os.path.commonprefix(names)  # noqa: RUF071  # of names that begin alike, letter by letter
    whole = f"{folder}/{common}" if "/" in typed else common
    if len(names) == 1:
        return whole, ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return whole, clean("  ".join(names[:NAMED]) + more, 300)
