"""Run directories: unique, complete or absent, and found by what a person types."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from workbench.base.errors import UserError
from workbench.runs import directory
from workbench.runs.directory import ensure_writable, find_run, is_run_id, new_id, run_ids
from workbench.runs.reading import read_json
from workbench.runs.writer import RunWriter


def make(root: Path, name: str) -> Path:
    path = root / name
    path.mkdir(parents=True)
    (path / "run.json").write_text("{}")
    return path


@pytest.mark.parametrize("slug", ["resnet18", "my_net:Tiny", "", "Ünïcode!", "../../etc", "x" * 200, "---"])
def test_ids_are_safe_whatever_the_slug(slug: str) -> None:
    name = new_id(slug)
    assert is_run_id(name)
    assert os.sep not in name
    assert len(name) <= 80


@pytest.mark.parametrize("name", ["", ".hidden", "..", "a/b", "-x", "A", "a" * 81, "a\n"])
def test_other_names_are_no_runs(name: str) -> None:
    assert not is_run_id(name)


def test_a_run_is_found_by_id_prefix_last_and_path(tmp_path: Path) -> None:
    first = make(tmp_path, "20261122-100000-resnet18-aaaaaa")
    second = make(tmp_path, "20261122-110000-vgg11-bbbbbb")
    (tmp_path / "20261122-120000-half-cccccc").mkdir()  # no run.json: not a run
    (tmp_path / ".new-20261122-130000-x-dddddd").mkdir()
    assert run_ids(tmp_path) == [first.name, second.name]
    assert find_run(tmp_path, first.name) == first
    assert find_run(tmp_path, "20261122-10") == first
    assert find_run(tmp_path, "last") == second
    assert find_run(tmp_path, str(first)) == first
    with pytest.raises(UserError, match="is the beginning of 2 runs"):
        find_run(tmp_path, "20261122")
    with pytest.raises(
        UserError, match=r'no run "20261122-100000-resnet81-aaaaaa".*did you mean "20261122-100000-resnet18'
    ):
        find_run(tmp_path, "20261122-100000-resnet81-aaaaaa")
    with pytest.raises(UserError, match="is not a run directory"):
        find_run(tmp_path, f"{tmp_path}/../etc")


def test_no_runs_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it holds no runs"):
        find_run(tmp_path, "last")
    with pytest.raises(UserError, match="it holds no runs"):
        find_run(tmp_path / "missing", "last")


def test_two_runs_of_one_second_are_ordered_by_their_start(tmp_path: Path) -> None:
    later = make(tmp_path, "20261122-100000-a-aaaaaa")
    earlier = make(tmp_path, "20261122-100000-b-bbbbbb")
    os.utime(earlier / "run.json", (1, 1))
    assert find_run(tmp_path, "last") == later


def test_an_unwritable_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to the runs folder .*file.*choose another with --runs DIR"):
        ensure_writable(tmp_path / "file")
    with pytest.raises(UserError, match="cannot write"):
        ensure_writable(tmp_path / "file" / "below")


def _create(root: Path) -> None:
    RunWriter.create(root, "same", "seed = 0\n", {}, print).close()


def test_runs_created_at_once_get_a_directory_each(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.map(_create, [tmp_path] * 40)
    assert len(run_ids(tmp_path)) == 40
    assert not list(tmp_path.glob(".new-*"))


def test_a_run_that_cannot_be_created_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory.os, "rename", refuse)
    with pytest.raises(UserError, match="cannot create a run .*: No space left on device"):
        _create(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_directory_holds_facts_profile_and_lock(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, "resnet18", "seed = 3\n", {"seed": 3}, print)
    facts = read_json(run.path / "run.json")
    assert facts["schema"] == 1
    assert facts["id"] == run.path.name
    assert facts["seed"] == 3
    assert (run.path / "profile.toml").read_text() == "seed = 3\n"
    assert json.loads((run.path / "lock").read_text())["pid"] == os.getpid()
    run.close()


@pytest.mark.parametrize("reference", ["a" * 5000 + "/b", "a/" + "b" * 80 + "/" * 5000 + "c", "runs/x\0y", "/" * 9000])
def test_a_name_that_no_file_system_takes_is_no_run(tmp_path: Path, reference: str) -> None:
    with pytest.raises(UserError) as refused:
        find_run(tmp_path, reference)
    assert "\n" not in str(refused.value)
    assert "\0" not in str(refused.value)
