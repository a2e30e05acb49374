"""`cnn-workbench compare A B ...` as a person types it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_runs import make_run

from workbench.base.errors import UserError
from workbench.commands.compare import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    root.mkdir()
    make_run(root, name="first", test_top1=[0.5, 0.6, 0.7])
    make_run(root, name="second", arch="vit_b_16", settings={"optim.lr": 0.01}, test_top1=[0.4, 0.6, 0.8])
    return root


def ids(root: Path) -> list[str]:
    return [next(path.name for path in root.iterdir() if f"-{name}-" in path.name) for name in ("first", "second")]


def test_settings_then_figures_then_charts(runs: Path, capsys: Captured) -> None:
    first, second = ids(runs)
    assert main([first, second]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["A", first, "first,", "resnet18,", "digits,", "seed", "0", "finished"] in rows
    assert ["optim.lr", "0.001", "0.01"] in rows
    assert ["test", "top-1,", "%", "70.00", "80.00", "+10.00"] in rows
    assert out.index("optim.lr") < out.index("test top-1, %") < out.index("A resnet18", out.index("test top-1, %"))
    assert "data.image_size" not in out  # it is alike
    charts = [line for line in out.splitlines() if "┤" in line or "│" in line]
    assert len(charts) > 20
    assert max(map(len, charts)) <= 80
    assert "\x1b" not in out


def test_a_run_may_be_named_by_its_path_or_as_the_last(runs: Path, capsys: Captured) -> None:
    first, second = ids(runs)
    assert main([str(runs / first), second, "--format", "json", "--runs", str(runs)]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [run["id"] for run in value["runs"]] == [first, second]


def test_csv_and_markdown_go_to_stdout(runs: Path, capsys: Captured) -> None:
    assert main([*ids(runs), "--format", "csv"]) == 0
    table = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert table[0] == ["what", "key", *ids(runs)]
    assert main([*ids(runs), "--format", "md"]) == 0
    assert "| optim.lr | 0.001 | 0.01 |" in capsys.readouterr().out


def test_the_page_goes_to_a_file_whose_path_is_said(runs: Path, capsys: Captured) -> None:
    assert main([*ids(runs), "--format", "html"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == Path("compare.html").absolute()
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert main([*ids(runs), "--format", "html", "--out", "other.html", "--x", "time", "--metric", "lr"]) == 0
    assert "other.html" in capsys.readouterr().out
    assert Path("other.html").read_text().count("<svg") == 1
    assert "seconds" in Path("other.html").read_text()


def test_a_table_for_a_file_has_the_charts_too(runs: Path, capsys: Captured) -> None:
    assert main([*ids(runs), "--out", "table.txt"]) == 0
    text = Path("table.txt").read_text()
    assert "optim.lr" in text
    assert "┤" in text
    assert "\x1b" not in text


def test_a_file_that_cannot_be_written_is_one_line(runs: Path) -> None:
    with pytest.raises(UserError, match="cannot write no/such/place.html: No such file or directory"):
        main([*ids(runs), "--format", "html", "--out", "no/such/place.html"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing", "last"], 'no run "nothing"'),
        (["x" * 5000, "last"], "no run"),
        (["../../etc", "last"], ""),
        (["last", "last"], "is named twice"),
        (["last"], "2 to 8 runs (got 1)"),
    ],
)
def test_a_wrong_run_is_one_clear_line(runs: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        main(arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hostile_names_bring_no_control_to_the_terminal(runs: Path, capsys: Captured) -> None:
    hostile = "a\x1b]0;x\x07[/oops][bold]\u202e"
    path = make_run(runs, name=hostile, settings={"model.note": hostile}, note="n\x9b2J")
    assert main([ids(runs)[0], path.name]) == 0
    out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "[/oops][bold]" in out


def test_it_loads_no_torch(runs: Path) -> None:
    code = (
        "import sys\nfrom workbench.commands.compare import main\n"
        f"main({[*ids(runs), '--format', 'html']!r})\nprint('|', *({{'torch', 'textual'}} & {{*sys.modules}}))"
    )
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert run.stdout.rpartition("|")[2].strip() == ""
