"""`cnn-workbench profile show FILE --plot-lr`: the learning rate over the run, before the run."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from workbench.cli import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(capsys: Captured, *arguments: str) -> tuple[list[str], str]:
    """The chart's rows, and the words below it."""
    assert main(["profile", "show", *arguments, "--plot-lr"]) == 0
    rows = capsys.readouterr().out.split("\n")
    assert rows.pop() == ""
    return rows[:18], " ".join(rows[18:])


def canvas(rows: list[str]) -> list[str]:
    return [re.split("[┤│]", row)[1] for row in rows if "┤" in row or "│" in row]


def test_the_chart_and_the_figures_below_it(here: Path, capsys: Captured) -> None:
    rows, words = picture(
        capsys, "quick", "--schedule.name", "one_cycle", "--schedule.warmup", "1ep", "--optim.lr", "1"
    )
    assert words == "115 steps, 23 an epoch; lr: start 0.04, peak 1, end 0.000285"
    assert rows[0].strip() == "learning rate, schedule one_cycle"
    assert rows[-2].split() == ["0", "1", "2", "3", "4", "5"]
    assert rows[-1].split() == ["lr", "epoch"]
    assert max(map(len, rows)) == 80
    inside = canvas(rows)
    assert len(inside) == 13
    top = inside[0].index(inside[0].strip()[0])
    assert top / len(inside[0]) == pytest.approx(0.19, abs=0.03)  # the peak is at the end of the first of five epochs
    assert inside[-1].rstrip()[-1] != " "
    assert len(inside[-1].rstrip()) == len(inside[0])  # and the curve goes to the end


@pytest.mark.parametrize(
    "name",
    ["constant", "warmup_constant", "warmup_linear", "warmup_cosine", "cyclic", "cosine", "step", "multistep",
     "polynomial", "one_cycle", "plateau"],
)  # fmt: skip
def test_every_schedule_can_be_drawn(here: Path, capsys: Captured, name: str) -> None:
    rows, words = picture(capsys, "base", "--schedule.name", name)
    assert rows[0].strip() == f"learning rate, schedule {name}"
    assert words.startswith("3,910 steps, 391 an epoch; lr: start ")
    assert "peak 0.001" in words
    assert ("when it drops depends on the run" in words) == (name == "plateau")


def test_held_out_images_make_fewer_steps(here: Path, capsys: Captured) -> None:
    assert picture(capsys, "base", "--data.val_fraction", "0.2")[1].startswith("3,130 steps, 313 an epoch; ")


def test_of_a_folder_the_steps_are_assumed_and_said_to_be(here: Path, capsys: Captured) -> None:
    _, words = picture(capsys, "base", "--data.dataset", "folder", "--schedule.name", "warmup_linear")
    assert words == (
        "1,000 steps, 100 an epoch assumed, the images are not counted; lr: start 2e-05, peak 0.001, end 1.05e-06"
    )


def test_a_run_of_millions_of_steps_is_drawn_too(here: Path, capsys: Captured) -> None:
    arguments = ["--data.batch_size", "1", "--train.epochs", "200", "--schedule.name", "cosine"]
    rows, words = picture(capsys, "base", *arguments)
    assert words.startswith("10,000,000 steps, 50,000 an epoch; lr: start 0.001, peak 0.001, end ")
    assert all(any(row[column] != " " for row in canvas(rows)) for column in range(70))


@pytest.mark.parametrize("command", ["check", "show"])
def test_lengths_that_are_too_long_in_steps_are_refused_where_they_stand(
    here: Path, capsys: Captured, command: str
) -> None:
    Path("my.toml").write_text('extends = "quick"\n[schedule]\nname = "step"\nwarmup = "200step"\nevery = "0.01ep"\n')
    assert main(["profile", command, "my.toml"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "cnn-workbench: my.toml:4: schedule.warmup: 200step must be shorter than the run of 115 steps (5 epochs of 23)",
        "cnn-workbench: my.toml:5: schedule.every: 0.01ep must be at least one step (an epoch has 23, the run 115)",
    ]
    # How many steps a folder gives is not known yet.
    Path("my.toml").write_text(Path("my.toml").read_text() + '[data]\ndataset = "folder"\n')
    assert main(["profile", command, "my.toml"]) == 0


def test_drawing_loads_no_torch(here: Path) -> None:
    code = (
        "import sys\nfrom workbench.cli import main\nmain(['profile', 'show', 'quick', '--plot-lr'])\n"
        "print('|', *({'torch', 'textual', 'numpy'} & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.rpartition("|")[2].strip() == ""
    assert "\x1b" not in run.stdout


def test_an_encoding_without_the_signs_is_no_crash(here: Path) -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "workbench", "profile", "show", "quick", "--plot-lr"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    assert "115 steps" in run.stdout


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_its_own_width_and_colour(here: Path, no_color: bool) -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 61, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    environ |= {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
    command = [sys.executable, "-m", "workbench", "profile", "show", "quick", "--plot-lr"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environ)
    os.close(terminal)
    said = b""
    while chunk := _read(controller):
        said += chunk
    os.close(controller)
    assert process.wait(30) == 0
    text = said.decode()
    assert ("\x1b[38;5;" in text) != no_color
    rows = re.sub(r"\x1b\[[0-9;]*m", "", text).split("\r\n")
    assert len(rows[1]) == 61
    assert max(map(len, rows)) == 61


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 65536)
    except OSError:  # Linux's way to say that the other side is closed
        return b""
