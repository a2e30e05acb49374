"""Run directories: their names, how one comes to be, how one is found.

`<runs>/20261122-213059-resnet18-k3f9q2/`: UTC time, a slug, a random suffix. A directory is filled under a hidden
name and renamed when whole, so that a run is there with its run.json and profile.toml, or is not there.
"""

import os
import re
import secrets
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from workbench.base.errors import UserError, did_you_mean
from workbench.base.text import clean

SCHEMA = 1
"""Version of what a run directory holds; readers accept every older one."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_SUFFIX_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # 32 letters that cannot be mistaken for one another


def is_run_id(name: str) -> bool:
    return _ID.fullmatch(name) is not None


def new_id(slug: str) -> str:
    """A fresh run id: UTC time to the second, `slug` made safe, 30 random bits."""
    safe = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")[:40].strip("-") or "run"
    suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(6))
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{safe}-{suffix}"


def ensure_writable(root: Path) -> None:
    """Create the runs folder if need be and prove that it can be written. UserError where it cannot."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write to the runs folder {root}: {reason}; choose another with --runs DIR") from None


def staging_of(path: Path) -> Path:
    """The hidden name under which a run directory is filled."""
    return path.with_name(f".new-{path.name}")


def stage(root: Path, slug: str) -> Path:
    """Make an empty directory under its hidden name, exclusively; returns the run's final path."""
    while True:
        path = root / new_id(slug)
        if path.exists():
            continue
        try:
            staging_of(path).mkdir()
        except FileExistsError:
            continue
        return path


def publish(path: Path) -> None:
    """Give a staged directory its real name."""
    os.rename(staging_of(path), path)


def run_ids(root: Path) -> list[str]:
    """Every run in the folder, oldest first."""
    try:
        entries = list(os.scandir(root))
    except (FileNotFoundError, NotADirectoryError):
        return []
    runs = [entry for entry in entries if is_run_id(entry.name) and (Path(entry.path) / "run.json").is_file()]
    # The name holds the second of the start; run.json's time decides between runs of one second.
    runs.sort(key=lambda entry: (entry.name[:15], (Path(entry.path) / "run.json").stat().st_mtime_ns))
    return [entry.name for entry in runs]


def find_run(root: Path, reference: str) -> Path:
    """The run that `reference` means: an id, a unique prefix of one, `last`, or the path of a run directory."""
    if os.sep in reference:
        path = Path(reference)
        with suppress(OSError, ValueError):  # a name that no file system takes
            if is_run_id(path.name) and (path / "run.json").is_file():
                return path
        raise UserError(f"{clean(reference, 200)} is not a run directory (it has no run.json)")
    ids = run_ids(root)
    if reference == "last" and ids:
        return root / ids[-1]
    if reference in ids:
        return root / reference
    reference = clean(reference, 80)
    matches = [name for name in ids if reference and name.startswith(reference)]
    if len(matches) == 1:
        return root / matches[0]
    if matches:
        raise UserError(
            f'"{reference}" is the beginning of {len(matches)} runs: {", ".join(matches[:4])}; give more of it'
        )
    hint = did_you_mean(reference, ids) or (f" (the last one is {ids[-1]})" if ids else " (it holds no runs)")
    raise UserError(f'no run "{reference}" in {root}{hint}')
