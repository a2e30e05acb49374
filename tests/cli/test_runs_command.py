"""`cnn-workbench runs` over run directories as a trainer leaves them."""

import csv
import io
import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_runs import make_run

import architectures
from workbench.base.errors import UserError
from workbench.commands import runs as command
from workbench.commands.seed_rows import ORDER, seed_rows
from workbench.runs.user import User, change_user


def run_command(*arguments: str) -> int:
    return command.main(list(arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven runs: three seeds of ResNet-18, one of them with a schedule more; ViT stopped; an archived one."""
    root = tmp_path_factory.mktemp("leaderboard") / "runs"
    root.mkdir()
    for seed, top1 in enumerate([0.9, 0.92, 0.97]):
        make_run(root, seed=seed, test_top1=top1, tags=["baseline"] if seed == 0 else [])
    make_run(root, arch="resnet50", test_top1=0.955, settings={"schedule.name": "cosine", "optim.lr": 0.01})
    make_run(root, arch="vit", test_top1=0.6, epochs=2, planned=5, state="stopped", note='a|b "c" <i>=1')
    old = make_run(root, arch="vgg11", test_top1=0.99)
    change_user(old, lambda user: User(archived=True))
    make_run(root, test_top1=0.7, settings={"sam.rho": 0.05}, dataset="mnist")
    return root


@pytest.fixture(autouse=True)
def in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command(*arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "\x1b" not in captured.out
    return captured.out


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(printed(capsys, *arguments, "--format", "json"))
    return found


def archs(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[object]:
    return [row["arch"] for row in listed(capsys, *arguments)]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines of the complaint; the command line puts the program's name before each."""
    try:
        code = run_command(*arguments)
        told = ""
    except SystemExit as end:
        code, told = end.code, ""  # type: ignore[assignment]
    except UserError as error:
        code, told = error.exit_code, str(error)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    return (told or captured.err).splitlines()


def test_the_best_run_stands_first_and_a_pipe_gets_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys).splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == [
        "architecture", "data set", "family", "test %", "best %", "params", "MACs", "configuration", "epochs", "time",
        "images/s", "memory", "state", "tags",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[2:8]] == [
        "resnet18",
        "resnet50",
        "resnet18",
        "resnet18",
        "resnet18",
        "vit",
    ]
    assert "97.00" in lines[2]
    assert "lr 0.01, cosine, 32 px, batch 64" in lines[3]
    assert "2/5" in lines[7]
    assert lines[-2:] == ["6 runs", "1 archived left out (--all shows them)"]


def test_filters_sorting_limits_and_archived_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert archs(capsys, "arch:resnet*", "acc>95") == ["resnet18", "resnet50"]
    assert archs(capsys, "acc>95", "--sort", "+acc", "arch:resnet*") == ["resnet50", "resnet18"]
    assert archs(capsys, "--sort", "-acc", "--limit", "1", "--all") == ["vgg11"]
    assert archs(capsys, "archived=yes") == ["vgg11"]
    assert archs(capsys, "-tag:baseline", "-arch:resnet*") == ["vit"]
    assert "\r\nvit,0.6\r\n" in printed(capsys, "--format", "csv", "--columns=arch,acc", "--", "-resnet")
    assert archs(capsys, "(vit", "or", "baseline)") == ["resnet18", "vit"]
    assert archs(capsys, "lr<0.005", "dataset=mnist") == ["resnet18"]


def test_columns_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = listed(capsys, "vit", "--columns", "arch,optim.lr,epochs,acc,note")
    assert row == {"arch": "vit", "optim.lr": 0.001, "epochs": 2, "acc": 0.6, "note": 'a|b "c" <i>=1'}
    (row,) = listed(capsys, "vit", "--columns", "-memory,+seed")
    assert row["seed"] == 0
    assert row["family"] == "transformer"
    assert row["id"]
    assert "memory" not in row
    short = printed(capsys, "vit", "--columns", "short").splitlines()[2]
    (row,) = listed(capsys, "vit", "--baseline", short, "--columns", "acc")
    assert row["acc_diff"] == 0


def test_groups_over_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--by", "arch,dataset", "--columns", "arch,dataset,n,acc,config"]
    rows = listed(capsys, *arguments)
    assert [(row["arch"], row["dataset"], row["n"]) for row in rows] == [
        ("resnet50", "digits", 1), ("resnet18", "digits", 3), ("resnet18", "mnist", 1),
    ]  # fmt: skip
    assert rows[1]["acc"] == pytest.approx(0.93)
    assert rows[1]["acc_sd"] == pytest.approx(0.0360555)
    assert rows[1]["acc_best"] == 0.97
    assert rows[0]["acc_sd"] is None
    text = printed(capsys, *arguments)
    assert [row["dataset"] for row in listed(capsys, "--by", "arch")] == ["digits", "mixed"]
    assert "93.00" in text
    assert "3.61" in text
    assert "1 left out: not finished" in text
    assert [row["arch"] for row in listed(capsys, *arguments, "state:*")][-1] == "vit"  # the filter decides itself


def test_differences_to_a_run_and_to_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys, "--baseline", "best:resnet50", "--columns", "arch,acc,parameters")
    assert [round(float(str(row["acc_diff"])) * 100, 2) for row in rows] == [1.5, 0.0, -3.5, -5.5, -25.5, -35.5]
    assert {row["parameters_ratio"] for row in rows} == {1.0}
    grouped = printed(capsys, "--by", "arch,dataset", "--baseline", "best:resnet18", "--format", "md")
    assert "| resnet50 | digits | 1 | 95.50 | +2.50 |" in grouped
    assert "| resnet18 | digits | 3 | 93.00 | +0.00 | 3.61 |" in grouped
    assert "no group of the table" in refused(capsys, "--by", "arch", "--baseline", "best:resnet18", "arch:resnet50")[0]
    assert 'no run "nothing"' in refused(capsys, "--baseline", "nothing")[0]


@pytest.mark.parametrize("form", ["md", "csv", "latex", "html"])
def test_every_format_is_printed(capsys: pytest.CaptureFixture[str], form: str) -> None:
    text = printed(capsys, "vit", "--format", form, "--columns", "arch,note,acc")
    found = {
        "md": r"| vit | a\|b",
        "csv": 'vit,"a|b ""c"" <i>=1",0.6',
        "latex": r"vit & a\textbar{}b",
        "html": "<td>a|b &quot;c&quot; &lt;i&gt;=1</td>",
    }
    assert found[form] in text


def test_mistakes_are_told_in_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "arhc:resnet") == [
        'filter: unknown field "arhc" at column 1 (did you mean "arch"?)', "  arhc:resnet", "  ^",
    ]  # fmt: skip
    assert refused(capsys, "--sort", "ac") == ['unknown column "ac" (did you mean "acc"?)']
    assert refused(capsys, "--by", ",") == ["--by names no column"]
    assert "--limit" in refused(capsys, "--limit", "0")[0]
    assert "unknown option --colums (did you mean --columns?)" in refused(capsys, "--colums", "acc")[0]
    assert "--sort" in refused(capsys, "--layout", "seed", "--sort", "acc")[0]
    assert "--format md, not csv" in refused(capsys, "--layout", "seed", "--format", "csv")[0]


def test_an_empty_folder_says_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nowhere = ["--runs", str(tmp_path / "none")]
    text = printed(capsys, *nowhere)
    assert len(text.splitlines()) == 1
    assert "--profile quick.toml" in text
    assert not (tmp_path / "none").exists()
    assert run_command(*nowhere, "--format", "json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert "quick.toml" in captured.err
    assert run_command(*nowhere, "--format", "csv", "--by", "arch") == 0
    assert next(csv.reader(io.StringIO(capsys.readouterr().out)))[:2] == ["arch", "n"]
    assert "none of 7 runs" in printed(capsys, "acc>99.5")


def test_the_seeds_table_has_23_rows_and_says_how_it_was_made(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--layout", "seed", "dataset=digits or dataset=mnist")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 + 23 + 3  # the head, the rows, the names of the groups after the first
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines}
    assert cells["ResNet"][0] == "93.00 (n=3)"
    assert cells["ResNet"][1] == "74.9"
    assert cells["ResNet With SAM"][0] == "70.00"
    assert cells["ViT"][::2] == [""] * 5  # it was stopped
    assert cells["AlexNet"] == ["", "71.27", "", "58.32M", "", "1.13GFlops", "", "", "", "CyclicLR(79.56)"]
    made = shlex.join(["cnn-workbench", "runs", "--layout", "seed", "dataset=digits or dataset=mnist"])
    assert f"Made by `{made}`: 2 of 23 rows from 4 runs. Data: digits, mnist." in text
    assert cells["VGGNet"][::2] == [""] * 5  # archived
    assert "| VGGNet | 99.00 |" in printed(capsys, "--layout", "seed", "--all", "--format", "md")


def test_the_seeds_rows_are_those_of_the_cards() -> None:
    rows = seed_rows()
    cards = {card.name for card in architectures.cards() if card.seed}
    assert [row.arch for row in rows].count("resnet18") == 2
    assert {row.arch for row in rows} == cards
    assert len(rows) == len(cards) + 1 == 23
    assert [row.label for row in rows if row.with_sam] == ["ResNet With SAM"]
    assert list(ORDER) == ["CNN based", "Transformer based", "MLP based", "Other"]


def test_the_base_profile_is_the_built_in_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("seed = 7\n[optim]\nname = 'sgd'\nlr = 0.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNWB_OPTIM__LR", "0.3")
    base = command.base_profile()
    assert base.settings["optim.lr"] == 0.001
    assert base.settings["optim.name"] == "adam"
    assert base.choices["optim.sgd"]["optim.momentum"] == 0.9
    assert "schedule.warmup" in base.keys
    sgd = {**base.settings, "optim.name": "sgd", **base.choices["optim.sgd"], "optim.lr": 0.03}
    assert base.text(base.differences(sgd)) == "lr 0.03, optim sgd"


def test_runs_are_listed_without_torch(folder: Path) -> None:
    code = (
        f"import sys; from workbench.commands.runs import main; main(['--runs', {str(folder)!r}, 'acc>90']);"
        "assert not {'torch', 'textual', 'plotext'} & set(sys.modules)"
    )
    best = 9.0
    for _ in range(2):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        best = min(best, time.monotonic() - started)
    assert best < 5


def on_a_terminal(columns: int, *arguments: str) -> str:
    """What the command writes on a terminal of that width."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", "NO_COLOR": "1"}
    code = f"from workbench.commands.runs import main; main({list(arguments)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    found = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side has closed
            break
        if not part:
            break
        found += part
    assert process.wait(timeout=60) == 0
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", found.decode()).replace("\r\n", "\n")


def test_eighty_columns_hold_what_matters(folder: Path) -> None:
    lines = on_a_terminal(80, "--runs", str(folder)).splitlines()
    assert all(len(line) <= 80 for line in lines)
    heads = lines[0].split()
    assert {"architecture", "configuration", "params", "state"} <= set(heads)
    assert "memory" not in heads
    assert "resnet50" in lines[3]
    assert "95.50" in lines[3]
    assert any("too narrow for" in line for line in lines)


def test_pinned_runs_lead_a_table_for_eyes_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, arch="vit", test_top1=0.9)
    pinned = make_run(tmp_path, arch="alexnet", test_top1=0.5)
    make_run(tmp_path, arch="vgg11", test_top1=0.7)
    before = printed(capsys, "--runs", str(tmp_path))
    assert "^" not in before
    others = {form: printed(capsys, "--runs", str(tmp_path), "--format", form) for form in ("md", "latex", "html")}
    change_user(pinned, lambda user: User(pinned=True))
    lines = printed(capsys, "--runs", str(tmp_path)).splitlines()
    first = next(place for place, line in enumerate(lines) if "alexnet" in line)
    assert lines[first].split()[:2] == ["^", "alexnet"]
    assert "vit" in lines[first + 1]
    assert lines[first].index("alexnet") == lines[first + 1].index("vit")
    assert "vgg11" in lines[first + 2]
    assert "^ pinned: first, whatever the order" in lines[-1]
    assert "alexnet" in printed(capsys, "--runs", str(tmp_path), "--limit", "1")
    assert archs(capsys, "--runs", str(tmp_path)) == ["vit", "vgg11", "alexnet"]
    assert {form: printed(capsys, "--runs", str(tmp_path), "--format", form) for form in others} == others
