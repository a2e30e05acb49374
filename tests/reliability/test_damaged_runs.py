"""Run directories that are cut short, flipped, half deleted or not what they seem: read as far as they can be."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run

from workbench.runs import journal
from workbench.runs.run import Run
from workbench.runs.store import RunStore
from workbench.runs.summary import STATES, Summary

FILES = ("run.json", "profile.toml", "metrics.jsonl", "events.jsonl", "status.json", "user.json", "lock")


def read_all(path: Path) -> Summary:
    """Everything that a tool could ask of a run."""
    run = Run(path)
    assert run.state.name in STATES
    assert isinstance(run.facts | run.profile | run.status, dict)
    assert run.damaged >= 0
    for record in run.metrics().records:
        assert {"kind", "step"} <= record.keys()
    run.history.curve("train_loss")
    assert all("event" in event for event in run.events)
    run.refresh()
    return run.summary


def small_run(root: Path, **more: Any) -> Path:
    root.mkdir(exist_ok=True)
    return make_run(root, epochs=1, steps=2, tags=["a"], note="b", **more)


@pytest.mark.parametrize("name", FILES)
def test_any_file_cut_at_any_byte_leaves_a_run_that_can_be_read(tmp_path: Path, name: str) -> None:
    path = small_run(tmp_path)
    whole = (path / name).read_bytes()
    expected = journal.read(path / name).records if name.endswith(".jsonl") else []
    for length in range(len(whole)):
        (path / name).write_bytes(whole[:length])
        if name.endswith(".jsonl"):
            lines = whole[:length].count(b"\n")
            assert journal.read(path / name).records == expected[:lines]
        read_all(path)
        if name in ("run.json", "status.json", "user.json", "lock"):
            (row,) = RunStore(tmp_path, index=tmp_path / "cache" / "i.sqlite").runs()
            assert row.id == path.name


def test_no_flipped_bit_in_a_journal_becomes_another_number(tmp_path: Path) -> None:
    path = small_run(tmp_path)
    rng = random.Random(20261123)
    originals = {name: (path / name).read_bytes() for name in ("metrics.jsonl", "events.jsonl")}
    for number in range(5_000):
        name = ("metrics.jsonl", "events.jsonl")[number % 2]
        whole = originals[name]
        known = [json.dumps(record) for record in _decoded(whole)]
        place = rng.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        (path / name).write_bytes(flipped)
        found = journal.read(path / name)
        assert {json.dumps(record) for record in found.records} <= set(known)
        assert len(found.records) >= len(known) - 2  # a flipped newline joins two lines
        if number % 50 == 0:
            read_all(path)
        (path / name).write_bytes(whole)


def _decoded(content: bytes) -> list[dict[str, Any]]:
    return [record for line in content.split(b"\n") if line and (record := journal.decode(line))]


ODD: dict[str, Callable[[Path], object]] = {
    "a run.json that is a list": lambda run: (run / "run.json").write_text("[1]"),
    "a run.json that nests too deeply": lambda run: (run / "run.json").write_text('{"a":' * 50_000),
    "numbers where texts belong": lambda run: (run / "run.json").write_text(
        '{"schema": 1, "created": 5, "arch": [], "data": 3, "parameters": "many", "profile": {"seed": {}}, '
        '"macs": 1e999}'
    ),
    "texts where numbers belong": lambda run: (run / "status.json").write_text(
        '{"epoch": "x", "last": {"test_top1": "high", "test_loss": true}, "best": 7, "seconds": [], '
        '"eta": {}, "seq": ""}'
    ),
    "a number larger than a float": lambda run: (run / "status.json").write_text(
        json.dumps({"epoch": 10**400, "last": {"test_top1": 10**400}})
    ),
    "a profile that is no TOML": lambda run: (run / "profile.toml").write_bytes(b"\xff\xfe = ["),
    "folders where files belong": lambda run: [
        ((run / name).unlink(), (run / name).mkdir()) for name in ("status.json", "metrics.jsonl", "user.json", "lock")
    ],
    "metrics without the numbers they are judged by": lambda run: (run / "metrics.jsonl").write_bytes(
        b"".join(
            journal.encode(record)
            for record in (
                {"kind": "step", "step": "x"},
                {"kind": "rewind"},
                {"kind": "epoch", "step": 1},
                {"step": []},
            )
        )
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_files_of_another_shape_harm_nobody(tmp_path: Path, what: str) -> None:
    path, other = small_run(tmp_path), small_run(tmp_path)
    ODD[what](path)
    run = Run(path)
    assert run.state.name in STATES
    assert run.summary.id == path.name
    run.history.curve("train_loss")
    assert isinstance(run.metrics().records, list)
    rows = RunStore(tmp_path).runs()
    assert {row.id for row in rows} == {path.name, other.name}


def test_a_newer_schema_is_named_and_not_guessed_at(tmp_path: Path) -> None:
    path = small_run(tmp_path)
    facts = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(facts | {"schema": 99}))
    (row,) = RunStore(tmp_path).runs()
    assert row.state == "unknown"
    assert "schema 99" in row.detail
    assert row.arch == "resnet18"


def test_what_only_looks_like_a_run_is_none(tmp_path: Path) -> None:
    real = small_run(tmp_path / "elsewhere")
    root = tmp_path / "runs"
    root.mkdir()
    (root / "20261101-000000-a-aaaaaa").write_text("a file")
    (root / "20261101-000000-b-bbbbbb").symlink_to(tmp_path / "nowhere")
    (root / "20261101-000000-c-cccccc").symlink_to(root / "20261101-000000-c-cccccc")
    (root / real.name).symlink_to(real)
    assert [row.id for row in RunStore(root).runs()] == [real.name]  # a link to a run may be read


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_run_does_not_hide_the_others(tmp_path: Path) -> None:
    hidden, other = small_run(tmp_path), small_run(tmp_path)
    hidden.chmod(0)
    try:
        assert other.name in [row.id for row in RunStore(tmp_path).runs()]
    finally:
        hidden.chmod(0o755)


@pytest.mark.parametrize("name", [*FILES, "checkpoints"])
def test_a_run_may_vanish_at_any_moment_of_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = small_run(tmp_path)
    store = RunStore(tmp_path)
    run = store.run(path)
    read_all(path)
    target = path / name
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    run.refresh()
    assert run.state.name in STATES
    store.runs()
    shutil.rmtree(path)
    run.refresh()
    assert run.summary.id == path.name
    assert store.runs() == []
