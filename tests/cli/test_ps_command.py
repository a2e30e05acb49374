"""`cnn-workbench ps` and `attach`: what lives, what waits, and who may look."""

import json
import os
from pathlib import Path

import pytest
from made_runs import LiveRun, make_run

from workbench.cli import main
from workbench.launch.orders import Order
from workbench.launch.queue import Queue


def test_nothing_lives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").mkdir()
    make_run(tmp_path / "runs")
    assert main(["ps", "--runs", str(tmp_path / "runs")]) == 0
    assert "no run lives in" in capsys.readouterr().out
    assert main(["ps", "--runs", str(tmp_path / "none"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"live": [], "waiting": []}
    assert not (tmp_path / "none").exists()


def test_what_lives_and_what_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, arch="vgg11")
    run = LiveRun(tmp_path)
    run.epoch()
    Queue(tmp_path).add(Order(profile="x = 1\n", way="detached", label="next\x1b[2J [/b]"))
    assert main(["ps", "--runs", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert run.path.name in text
    for words in ("● running", "1/4", "00:06", "cpu", f"{os.getpid()} on "):
        assert words in text
    assert "vgg11" not in text
    assert "waits 1: next\N{REPLACEMENT CHARACTER}[2J [/b], begins in a process of its own" in text
    assert "\x1b" not in text
    assert main(["ps", "--runs", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [live["run"] for live in found["live"]] == [str(run.path)]
    assert found["live"][0]["pid"] == os.getpid()
    assert [found["live"][0][name] for name in ("epoch", "epochs", "eta")] == [1, 4, 6.0]
    assert found["waiting"][0]["way"] == "detached"
    run.end()


def test_attach_needs_a_terminal_and_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["attach", "--runs", str(tmp_path)])
    assert end.value.code == 2
    assert f"without one: cnn-workbench run tail {run.name}" in capsys.readouterr().err
    assert main(["attach", "nobody", "--runs", str(tmp_path)]) == 2
    assert "nobody" in capsys.readouterr().err
    assert main(["attach", "--runs", str(tmp_path / "none")]) == 2
