"""Where the last session ended: which network, which runs, which charts. Written once, on leaving; never fatal.

A file of its own, and not the settings: those are a person's, and this is nothing that one writes by hand.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

LARGEST = 100_000
"""Bytes; a file beyond it is not ours."""


def place_beside(settings: Path) -> Path:
    """Where it is kept."""
    return settings.with_name("last.json")


def read_last(path: Path | None) -> dict[str, dict[str, Any]]:
    """Screen -> what it said of itself; empty for what is missing or is no such file."""
    try:
        if path is None or path.stat().st_size > LARGEST:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, dict)}


def write_last(path: Path, places: dict[str, dict[str, Any]]) -> None:
    """Replace it, if it says something else; where that cannot be, the next session begins as the first one did."""
    text = json.dumps(places, indent=1, sort_keys=True) + "\n"
    temporary = path.with_name(f".last-{os.getpid()}")
    try:
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()


def text_of(place: Mapping[str, Any], name: str, default: str = "") -> str:
    """A text of a place."""
    value = place.get(name)
    return value[:1000] if isinstance(value, str) else default


def texts_of(place: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of texts of a place; empty where it is anything else."""
    value = place.get(name)
    fits = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    return tuple(one[:200] for one in value[:100]) if fits else ()  # type: ignore[index]  # a list, as was asked
