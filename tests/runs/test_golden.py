"""Run directories of every schema that was ever written: kept as they were, and read by whatever comes after.

`golden/schema-1`: as of the first version with a copy of the profile in run.json; `schema-1-before-recipes`: before it.
Neither is ever changed. A new schema gets a new directory.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.commands import run_show
from workbench.profile import load_exact
from workbench.runs.directory import SCHEMA
from workbench.runs.history import History
from workbench.runs.plots import write_plots
from workbench.runs.run import Run
from workbench.runs.store import RunStore
from workbench.runs.summary import Summary

GOLDEN = Path(__file__).parent / "golden"
ID = "20261123-055901-quick-mbnj8j"
KINDS = sorted(path.name for path in GOLDEN.iterdir())

EXPECTED = Summary(
    id=ID, created="2026-11-23T05:59:01.858+00:00", state="finished", detail="", name="quick", arch="bn_convnet",
    dataset="digits", recipe="quick", seed=0, device="cpu", host="gpu-box", parent="", parameters=33_786,
    macs=3_706_880, epoch=2, epochs=2, step=42, steps=42, test_top1=0.947075208913649, test_top5=1.0,
    test_loss=0.13522420819423325, val_top1=0.9375, val_loss=0.2743461810880237, train_top1=0.9459041731066461,
    train_loss=0.1815444472399893, best_top1=0.9375, best_epoch=2, best_split="val",
    images_per_second=1017.39034236088, peak_memory=818040832, seconds=2.998, eta=None, tags=("baseline", "small"),
    note="kept for ever", pinned=True, archived=False, settings={},
)  # fmt: skip


def expected(kind: str) -> Summary:
    if kind == "schema-1":
        return EXPECTED
    return replace(EXPECTED, peak_memory=None, tags=(), note="", pinned=False)


def test_every_schema_has_its_golden_directory() -> None:
    assert {kind.split("-")[1] for kind in KINDS} == {str(number) for number in range(1, SCHEMA + 1)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_run_is_read_as_it_was(kind: str, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / kind, tmp_path / "runs")
    (row,) = RunStore(tmp_path / "runs").runs()
    assert replace(row, settings={}) == expected(kind)
    assert row.settings["optim.lr"] == 0.03
    assert row.settings["train.epochs"] == 2
    run = Run(tmp_path / "runs" / ID)
    assert run.damaged == 0
    assert [record["epoch"] for record in run.metrics("epoch").records] == [1, 2]
    assert run.events[0]["event"] == "started"
    assert History(run.path).refresh()
    assert load_exact(run.path / "profile.toml").profile.optim.lr == 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_run_is_shown_drawn_and_exported(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(GOLDEN / kind, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    assert len(write_plots(tmp_path / "runs" / ID)) == 4
    assert run_show.show_main(["last"]) == 0
    assert "94.71" in capsys.readouterr().out
    assert run_show.export_main(["last", "--to", "csv"]) == 0
    assert len((tmp_path / "runs" / ID / "exports" / "metrics.csv").read_text().splitlines()) > 3
