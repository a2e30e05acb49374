"""The list of runs is what lies in the folder, whoever wrote it and whenever, with and without an index."""

import json
import multiprocessing
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_runs import make_run

from workbench.base.errors import UserError
from workbench.runs import index as index_module
from workbench.runs.index import VERSION, file_system, place_of_index
from workbench.runs.store import RunStore
from workbench.runs.summary import Summary
from workbench.runs.user import User, change_user
from workbench.runs.writer import RunWriter


def rebuilt(root: Path) -> list[Summary]:
    """The list as one who knows nothing reads it."""
    shutil.rmtree(root / ".index", ignore_errors=True)
    return RunStore(root).runs()


def settle() -> None:
    """Until no file counts as just written."""
    time.sleep(0.06)


def test_every_run_is_listed_oldest_first_with_its_figures(tmp_path: Path) -> None:
    first = make_run(tmp_path, arch="vit_b_16", seed=3, settings={"optim.lr": 0.25}, tags=["baseline"], note="one")
    second = make_run(tmp_path, state="failed")
    (tmp_path / "notes.txt").write_text("no run")
    (tmp_path / "empty-folder").mkdir()
    (tmp_path / ".trash" / first.name).mkdir(parents=True)
    one, two = RunStore(tmp_path).runs()
    assert [one.id, two.id] == [first.name, second.name]
    assert (one.state, one.arch, one.seed, one.tags, one.note) == ("finished", "vit_b_16", 3, ("baseline",), "one")
    assert one.settings["optim.lr"] == 0.25
    assert one.epoch == one.epochs == 3
    assert one.best_epoch == 3
    assert one.best_top1 == one.test_top1
    assert two.state == "failed"


def test_no_folder_is_no_runs(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    assert store.runs() == []
    assert not store.watch()
    assert not (tmp_path / "runs").exists()


def test_a_second_reader_takes_the_rows_from_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        make_run(tmp_path, seed=seed)
    settle()
    first = RunStore(tmp_path).runs()
    monkeypatch.setattr(RunStore, "_read", lambda self, name, signature: pytest.fail(f"{name} was read again"))
    assert RunStore(tmp_path).runs() == first


def test_the_copy_of_the_profile_in_run_json_saves_reading_the_profile(tmp_path: Path) -> None:
    profile = {"name": "a", "train": {"epochs": 3}, "optim": {"lr": 0.5}}
    run = make_run(tmp_path, facts={"profile": profile})
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"changed": {"train.epochs": 9, "name": "b"}}))
    (row,) = RunStore(tmp_path).runs()
    assert row.settings == {"name": "b", "train.epochs": 9, "optim.lr": 0.5}


def test_a_change_is_seen_by_the_next_look_and_only_once(tmp_path: Path) -> None:
    old, other = make_run(tmp_path), make_run(tmp_path)
    settle()
    store = RunStore(tmp_path)
    store.runs()
    assert not store.watch()
    change_user(old, lambda user: User((*user.tags, "best"), user.note, True, False))
    new = make_run(tmp_path)
    shutil.rmtree(other)
    changes = store.watch()
    assert [run.id for run in changes.added] == [new.name]
    assert [(run.id, run.tags, run.pinned) for run in changes.changed] == [(old.name, ("best",), True)]
    assert changes.removed == [other.name]
    settle()
    assert not store.watch()
    assert store.runs() == rebuilt(tmp_path)


def test_a_live_run_is_followed_to_its_end(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, "live", "seed = 0\n", {"arch": "resnet18"}, print)
    run.event("started")
    run.status(force=True, state="running", epoch=0, epochs=2, step=0)
    store = RunStore(tmp_path)
    assert [row.state for row in store.runs()] == ["running"]
    run.status(force=True, epoch=1, step=5)
    (seen,) = store.watch().changed
    assert (seen.state, seen.epoch, seen.step) == ("running", 1, 5)
    run.event("finished")
    run.status(force=True, state="finished", epoch=2, step=10)
    run.close()
    (seen,) = store.watch().changed
    assert (seen.state, seen.epoch) == ("finished", 2)


def test_a_run_whose_trainer_vanishes_is_crashed_though_no_file_changed(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, "live", "seed = 0\n", {"arch": "resnet18"}, print)
    run.event("started")
    run.status(force=True, state="running")
    settle()
    store = RunStore(tmp_path)
    assert [row.state for row in store.runs()] == ["running"]
    run._lock.release()  # what the kernel does when the trainer dies
    assert [row.state for row in store.watch().changed] == ["crashed"]


def test_every_run_is_checked_now_and_then_for_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.runs.store._SWEEP", 2)
    runs = [make_run(tmp_path, seed=seed) for seed in range(5)]
    settle()
    store = RunStore(tmp_path)
    store.runs()
    for run in runs:
        change_user(run, lambda user: User(("seen",)))
    seen = [row.id for _ in range(3) for row in store.watch().changed]
    assert sorted(seen) == sorted(run.name for run in runs)


@pytest.mark.parametrize("damage", [b"", b"not a database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    make_run(tmp_path)
    settle()
    expected = RunStore(tmp_path).runs()
    path = tmp_path / ".index" / f"runs-{VERSION}.sqlite"
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(damage)
    assert RunStore(tmp_path).runs() == expected
    assert RunStore(tmp_path).runs() == expected
    assert sqlite3.connect(path).execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_rows_of_another_shape_in_the_index_are_not_believed(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    settle()
    expected = RunStore(tmp_path).runs()
    with sqlite3.connect(tmp_path / ".index" / f"runs-{VERSION}.sqlite") as connection:
        connection.execute("UPDATE runs SET row = '[1, 2]'")
    assert RunStore(tmp_path).runs() == expected
    assert [row.id for row in expected] == [run.name]


def test_a_locked_index_keeps_nobody_from_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_BUSY_SECONDS", 0.05)
    make_run(tmp_path)
    settle()
    expected = RunStore(tmp_path).runs()
    holder = sqlite3.connect(tmp_path / ".index" / f"runs-{VERSION}.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    make_run(tmp_path)
    assert len(RunStore(tmp_path).runs()) == 2
    holder.execute("ROLLBACK")
    assert RunStore(tmp_path).runs()[0] == expected[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_has_its_index_in_the_users_cache(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    make_run(root)
    root.chmod(0o555)
    try:
        place = place_of_index(root)
        assert len(RunStore(root).runs()) == 1
        assert str(place).startswith(os.environ["XDG_CACHE_HOME"])
        assert (place / f"runs-{VERSION}.sqlite").is_file()
    finally:
        root.chmod(0o755)


def test_a_network_folder_has_its_index_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of_index(tmp_path) == tmp_path / ".index"
    monkeypatch.setattr(index_module, "file_system", lambda path: "nfs4")
    assert str(place_of_index(tmp_path)).startswith(os.environ["XDG_CACHE_HOME"])


def test_the_file_system_is_that_of_the_innermost_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = (
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "22 21 0:5 / /data\\040sets rw shared:1 - nfs4 server:/ rw\n"
        "23 22 0:6 / /data\\040sets/fast rw - fuse.sshfs host: rw\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda self, **_: mounts)
    monkeypatch.setattr(os.path, "realpath", str)
    assert file_system(Path("/home")) == "ext4"
    assert file_system(Path("/data sets/a")) == "nfs4"
    assert file_system(Path("/data sets/fast")) == "sshfs"
    assert file_system(Path("/data setsfast")) == "ext4"


def test_a_run_is_found_by_id_beginning_last_and_best(tmp_path: Path) -> None:
    good = make_run(tmp_path, arch="vit_b_16", test_top1=[0.5, 0.9, 0.8])
    make_run(tmp_path, arch="resnet18", test_top1=0.95, state="failed")
    last = make_run(tmp_path, arch="resnet18", test_top1=0.7)
    store = RunStore(tmp_path)
    assert store.find("last").id == last.name
    assert store.find(good.name).id == store.find(good.name[:-2]).id == good.name
    assert store.find("best").id == good.name
    assert store.find("best:resnet18").id == last.name
    with pytest.raises(UserError, match="no finished run of alexnet"):
        store.find("best:alexnet")
    with pytest.raises(UserError, match="no run"):
        store.find("nothing-like-it")


def test_nan_and_infinity_come_through_the_index(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    status = json.loads((run / "status.json").read_text())
    status["last"] |= {"test_loss": "inf", "train_loss": "nan"}
    (run / "status.json").write_text(json.dumps(status))
    settle()
    for _ in range(2):
        (row,) = RunStore(tmp_path).runs()
        assert row.test_loss == float("inf")
        assert row.train_loss != row.train_loss


CHANGES = st.lists(st.sampled_from(["add", "tag", "finish", "delete", "look", "drop index"]), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_whatever_happens_the_index_shows_what_a_rebuild_shows(
    tmp_path_factory: pytest.TempPathFactory, changes: list[str]
) -> None:
    root = tmp_path_factory.mktemp("runs")
    store = RunStore(root)
    for number, change in enumerate(changes):
        runs = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        if change == "add" or not runs:
            make_run(root, epochs=1, steps=1, state="" if number % 2 else "finished")
        elif change == "tag":
            change_user(runs[0], lambda user, n=number: User((f"t{n}",)))  # type: ignore[misc]
        elif change == "finish":
            writer = RunWriter.reopen(runs[-1], print)
            writer.event("resumed")
            writer.event("finished")
            writer.status(force=True, state="finished", step=number)
            writer.close()
        elif change == "delete":
            shutil.rmtree(runs[0])
        elif change == "drop index":
            shutil.rmtree(root / ".index", ignore_errors=True)
        else:
            store.watch()
    assert store.runs() == RunStore(root).runs() == rebuilt(root)


def write_some(root: Path, number: int) -> None:
    for turn in range(3):
        run = RunWriter.create(root, f"w{number}-{turn}", "seed = 0\n", {"arch": "resnet18"}, print)
        run.event("started")
        for step in range(40):
            run.metrics({"kind": "step", "step": step + 1, "train_loss": 1.0})
            run.status(force=True, state="running", step=step + 1)
        run.event("finished")
        run.status(force=True, state="finished")
        run.close()


def test_two_readers_beside_eight_writers_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_some, args=(tmp_path, number)) for number in range(8)]
    readers = [RunStore(tmp_path), RunStore(tmp_path)]
    known: list[dict[str, Summary]] = [{}, {}]
    for writer in writers:
        writer.start()

    def look() -> None:
        for store, rows in zip(readers, known, strict=True):
            changes = store.watch()
            rows |= {run.id: run for run in [*changes.added, *changes.changed]}
            for name in changes.removed:
                del rows[name]

    while any(writer.is_alive() for writer in writers):
        look()
    settle()
    look()
    truth = {run.id: run for run in rebuilt(tmp_path)}
    assert len(truth) == 24
    assert {(run.state, run.step) for run in truth.values()} == {("finished", 40)}
    assert known[0] == known[1] == truth
    for row in truth.values():
        assert len(readers[0].run(row.id).metrics("step").records) == 40


def test_a_relative_folder_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    path = make_run(Path("runs"))
    store = RunStore(Path("runs"))
    for reference in ("last", path.name, "best", f"runs/{path.name}"):
        assert store.find(reference).summary.state == "finished"
