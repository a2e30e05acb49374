"""The trash: `<runs>/.trash/<id>/`. Deleting moves a run there, restoring moves it back, purging removes it for good.

Each is one rename, so a run is in one place, whole, at every moment, and of several who delete, restore or purge the
same run at once exactly one does it. A rename puts a directory over nothing but an empty directory; that is all that
keeps one run from another's place. Where the name is taken in the trash, the run gets a number: `<id>.2`.

Nothing is touched but real directories that lie directly in the runs folder or in its trash: no symbolic link is
followed. Whoever reads a run while it is moved keeps what is open and finds the rest gone.
"""

import errno
import fcntl
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.base.errors import UserError, did_you_mean
from workbench.base.text import clean
from workbench.runs.directory import is_run_id
from workbench.runs.files import sync_folder
from workbench.runs.lock import describe, is_alive, read_holder
from workbench.runs.reading import last_ending, read_json

TRASH = ".trash"

LOCK_PATIENCE = 1.0
"""Seconds to wait for a lock whose holder is dead: its loader workers keep it a little longer."""

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
"""What a rename onto something other than an empty directory fails with."""
_MOST_OF_ONE_NAME = 1000
_PURGING = ".purging-"


@dataclass(frozen=True)
class Trashed:
    """A run in the trash."""

    name: str
    """Its directory's name there: the id, with a number behind it where several of that id were deleted."""
    path: Path
    deleted: float
    """When, in seconds since 1970: the directory's time of change, which deleting sets."""

    def size(self) -> int:
        """Bytes on the disk, each file counted once however many names it has."""
        blocks: dict[tuple[int, int], int] = {}
        for folder, _, files in os.walk(self.path):
            for name in files:
                with suppress(OSError):
                    found = os.lstat(os.path.join(folder, name))
                    blocks[found.st_dev, found.st_ino] = found.st_blocks * 512
        return sum(blocks.values())


def own(root: Path, run: Path) -> Path:
    """`run` as a path directly inside `root`. UserError where it lies elsewhere or is no directory of its own.

    What changes or removes runs asks this first: a path may name a run anywhere, and a link may lead there.
    """
    name, where = clean(run.name, 80), clean(str(root), 200)
    try:
        inside = is_run_id(run.name) and os.path.samefile(run.parent, root)
        mode = os.lstat(root / run.name).st_mode if inside else 0
    except (OSError, ValueError):
        raise UserError(f'no run "{name}" in {where}') from None
    if not inside:
        raise UserError(
            f"{clean(str(run), 200)} does not lie directly in the runs folder {where}, and only runs there are "
            "changed; name its folder with --runs"
        )
    if stat.S_ISLNK(mode):
        raise UserError(f"{name} in {where} is a symbolic link, and no link is followed to change or delete a run")
    if not stat.S_ISDIR(mode):
        raise UserError(f"{name} in {where} is not a directory")
    return root / run.name


def check_unused(run: Path, *, force: bool = False) -> None:
    """UserError where a trainer is at work in the run, or may be: see `delete`."""
    with _unused(run, force=force):
        pass


def delete(root: Path, run: Path, *, force: bool = False) -> Trashed:
    """Move a run into the trash.

    UserError where a trainer is at work in it, where it is no directory directly in `root`, and for all but one of
    those who delete it at once. A trainer on another machine cannot be looked at: a run that began there and wrote no
    ending is refused, unless `force` says that it is known to be over.
    """
    run = own(root, run)
    with _unused(run, force=force), _open_trash(root, create=True) as trash:
        with suppress(OSError):
            os.utime(run)  # what `Trashed.deleted` tells, set while it is still the run that was asked for
        for number in range(1, _MOST_OF_ONE_NAME):
            name = run.name if number == 1 else f"{run.name}.{number}"
            try:
                os.rename(run, name, dst_dir_fd=trash)
            except FileNotFoundError:
                raise UserError(f"{run.name} is gone: someone else has just moved or deleted it") from None
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise UserError(f"cannot move {run.name} to the trash: {error.strerror or error}") from None
                continue
            sync_folder(root)
            sync_folder(root / TRASH)
            return Trashed(name, root / TRASH / name, time.time())
    raise UserError(f"cannot move {run.name} to the trash: there are {_MOST_OF_ONE_NAME} of that name; purge some")


def trashed(root: Path) -> list[Trashed]:
    """The runs in the trash, in the order in which they were deleted. UserError where the trash is a symbolic link."""
    found: list[Trashed] = []
    with suppress(FileNotFoundError), _open_trash(root) as trash:
        for entry in os.scandir(trash):
            with suppress(OSError):  # purged or restored meanwhile
                if _is_name(entry.name) and entry.is_dir(follow_symlinks=False):
                    deleted = entry.stat(follow_symlinks=False).st_mtime
                    found.append(Trashed(entry.name, root / TRASH / entry.name, deleted))
    return sorted(found, key=lambda entry: (entry.deleted, entry.name))


def find_trashed(root: Path, reference: str) -> Trashed:
    """The run in the trash that `reference` means: its name there or a unique beginning of it. UserError if none."""
    entries = trashed(root)
    matches = [entry for entry in entries if entry.name == reference]
    matches = matches or [entry for entry in entries if reference and entry.name.startswith(reference)]
    if len(matches) == 1:
        return matches[0]
    shown = clean(reference, 80)
    if matches:
        names = ", ".join(entry.name for entry in matches[:4])
        raise UserError(f'"{shown}" is the beginning of {len(matches)} runs in the trash: {names}; give more of it')
    hint = did_you_mean(shown, [entry.name for entry in entries]) or ("" if entries else " (it is empty)")
    raise UserError(f'no run "{shown}" in the trash of {clean(str(root), 200)}{hint}')


def restore(root: Path, name: str) -> Path:
    """Move the run of that name in the trash back; returns its path. UserError where there is a run of its id."""
    run_id = _id_of(root / TRASH / _checked(name), name)
    try:
        with _open_trash(root) as trash:
            _require_directory(trash, name)
            os.rename(name, root / run_id, src_dir_fd=trash)
    except FileNotFoundError:
        raise UserError(f"{name} is not in the trash any more: someone else has just restored or purged it") from None
    except OSError as error:
        if error.errno in _TAKEN:
            raise UserError(f"there is a run {run_id} already; {name} stays in the trash") from None
        raise UserError(f"cannot restore {name}: {error.strerror or error}") from None
    sync_folder(root)
    return root / run_id


def purge(root: Path, names: Sequence[str]) -> None:
    """Remove runs in the trash for good, and what a purge that was interrupted has left.

    UserError at the first that cannot be removed: gone meanwhile, no directory of its own, or in use by a trainer that
    was started inside the trash.
    """
    for name in names:
        check_unused(root / TRASH / _checked(name), force=True)
        try:
            with _open_trash(root) as trash:
                _require_directory(trash, name)
                # From here on nobody can restore a half of it, and another purge sees it as a remainder.
                hidden = f"{_PURGING}{secrets.token_hex(4)}-{name}"
                os.rename(name, hidden, src_dir_fd=trash, dst_dir_fd=trash)
                shutil.rmtree(hidden, dir_fd=trash)
        except FileNotFoundError:
            raise UserError(f"{name} is not in the trash any more: someone else has restored or purged it") from None
        except OSError as error:
            where = clean(str(root / TRASH), 200)
            raise UserError(f"cannot remove all of {name}: {error.strerror or error}; the rest is in {where}") from None
    _sweep(root)


def _sweep(root: Path) -> None:
    """Remove what interrupted purges have left."""
    with suppress(FileNotFoundError), _open_trash(root) as trash:
        for name in os.listdir(trash):
            if name.startswith(_PURGING):
                with suppress(OSError):  # a link, or another is at it
                    shutil.rmtree(name, ignore_errors=True, dir_fd=trash)


@contextmanager
def _open_trash(root: Path, *, create: bool = False) -> Iterator[int]:
    """A descriptor of the trash, which stays that folder whatever its name is given to. FileNotFoundError if none."""
    where = clean(str(root / TRASH), 200)
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(root / TRASH)
        trash = os.open(root / TRASH, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = "it is not a folder of its own (a symbolic link or a file)"
        raise UserError(f"cannot use the trash {where}: {reason}") from None
    try:
        yield trash
    finally:
        os.close(trash)


def _checked(name: str) -> str:
    """`name` where it can be one in the trash. UserError for anything else: it might lead out of there."""
    if not _is_name(name):
        raise UserError(f'no run "{clean(name, 80)}" in the trash')
    return name


def _is_name(name: str) -> bool:
    """Whether it is a run's id, with or without a number behind it (which may make it longer than an id)."""
    base, _, number = name.rpartition(".")
    return is_run_id(name) or (number.isascii() and number.isdecimal() and len(number) < 5 and is_run_id(base))


def _id_of(path: Path, name: str) -> str:
    """The id under which a run in the trash is restored: its name there without the number, if that is one."""
    base, _, number = name.rpartition(".")
    if not (number.isdecimal() and is_run_id(base)):
        return name
    written = read_json(path / "run.json").get("id") if (path / "run.json").is_file() else None
    return base if written == base or not is_run_id(name) else name


def _require_directory(trash: int, name: str) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=trash, follow_symlinks=False).st_mode):
        raise UserError(f"{name} in the trash is not a directory of its own: it is left alone")


@contextmanager
def _unused(run: Path, *, force: bool) -> Iterator[None]:
    """Keep trainers out of the run for a moment. UserError where one is at work in it, or may be (see `delete`)."""
    path = run / "lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # none, or a link, which no trainer made
        yield
        return
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            _take(descriptor, run)
            holder = read_holder(path)
            if not force and holder.get("host", "") not in ("", socket.gethostname()) and not _is_over(run):
                raise UserError(
                    f"{run.name} may still be running ({clean(describe(holder), 100)}): its lock names that machine, "
                    "and it wrote no ending; if it is over, add --force"
                )
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, run: Path) -> None:
    """Share the lock, which a trainer holds alone. UserError where a trainer that is or may be alive has it."""
    deadline = time.monotonic() + LOCK_PATIENCE
    while not _share(descriptor):
        # The holder is read each time: a trainer that has just taken the lock writes itself into it a moment later.
        holder = read_holder(run / "lock")
        late = time.monotonic() > deadline
        if is_alive(holder) and (holder or late):
            who = clean(describe(holder), 100)
            raise UserError(f"{run.name} is still running ({who}); stop it first: cnn-workbench run stop {run.name}")
        if late:
            return  # a dead trainer's loader workers have it, and they write nothing
        time.sleep(0.02)


def _share(descriptor: int) -> bool:
    try:
        # Shared, since a network file system takes no exclusive lock on a file that is open for reading only.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_over(run: Path) -> bool:
    try:
        return last_ending(run) is not None
    except OSError:
        return False
