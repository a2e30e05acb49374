"""Each mistake a person can make: one clear line on stderr, exit code 2, nothing left under runs/."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.cli import main

GOOD = """[model]
arch = "bn_convnet"
[data]
dataset = "digits"
image_size = 8
batch_size = 300
[train]
epochs = 1
threads = 1
device = "cpu"
"""

Complaint = Callable[..., str]


@pytest.fixture
def complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complaint:
    """Run the command line on my.toml; returns the one line it complained with."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, profile: str | None = GOOD, command: tuple[str, ...] | None = None) -> str:
        if profile is not None:
            Path("my.toml").write_text(profile)
        try:
            code = main([*(command or ("--headless", "--profile", "my.toml")), *arguments])
        except SystemExit as end:  # argparse ends the program itself
            code = end.code  # type: ignore[assignment]
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("cnn-workbench")
        runs = Path("runs")
        assert not runs.exists() or list(runs.iterdir()) == []
        return lines[0].partition(": ")[2]

    return run


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_missing_profile(complaint: Complaint) -> None:
    line = complaint(profile=None, command=("--headless", "--profile", "qick"))
    assert line.startswith("profile not found: qick (did you mean quick?; looked in: ., ./profiles, ")
    assert "/cnn-workbench/profiles, the built-in ones; built-in: " in line


def test_broken_toml_names_file_line_and_column(complaint: Complaint) -> None:
    assert complaint(profile=replaced("epochs = 1", "epochs = = 1")) == "my.toml:8:10: invalid value"


def test_an_unknown_key_suggests_the_nearest(complaint: Complaint) -> None:
    line = complaint(profile=replaced("epochs = 1", "epocs = 1"))
    assert line == 'my.toml:8: train.epocs: unknown key (did you mean "epochs"?)'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("epochs = 1", 'epochs = "1"', 'my.toml:8: train.epochs: must be a whole number (got "1")'),
        ("batch_size = 300", "batch_size = 0", "my.toml:6: data.batch_size: must be at least 1 (got 0)"),
        ('"digits"', '"digist"', 'my.toml:4: data.dataset: unknown dataset "digist" (did you mean "digits"?; one of: '),
        ('"bn_convnet"', '"resnt18"', 'my.toml:2: model.arch: unknown architecture "resnt18" (did you mean'),
        ('"bn_convnet"', '"nowhere:net"', 'my.toml:2: model.arch: nowhere:net: architecture "nowhere:net": no module'),
        ("image_size = 8", "image_size = 4", "my.toml:5: data.image_size: must be at least 8 (got 4)"),
        ("[data]", "options.batch_nrm = false\n[data]", 'options.batch_nrm: bn_convnet has no option "batch_nrm" (did'),
        ("[train]", "[optim]\nlr = 0.0\n[train]", "my.toml:8: optim.lr: must be greater than 0 (got 0.0)"),
        ("[train]", "[optim]\nlr = -1\n[train]", "my.toml:8: optim.lr: must be greater than 0 (got -1)"),
        ("[train]", "[optim]\nmomentum = 0.9\n[train]", "not a setting of adam (sgd, rmsprop and muon have it)"),
        ('"digits"', '"folder"', "data.root: dataset folder needs the folder that holds train/<class>/"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_line(complaint: Complaint, old: str, new: str, expected: str) -> None:
    assert expected in complaint(profile=replaced(old, new))


def test_an_image_too_small_for_the_network_points_at_the_size(complaint: Complaint) -> None:
    line = complaint(profile=replaced('"bn_convnet"', '"resnet18"'))
    assert line == "my.toml:5: data.image_size: resnet18 needs images of at least 32 px (got 8)"
    line = complaint("--model.arch", "resnet18", "--data.image_size", "16")
    assert line == "command line: --data.image_size: resnet18 needs images of at least 32 px (got 16)"


def test_profiles_that_extend_one_another(complaint: Complaint) -> None:
    Path("other.toml").write_text('extends = "my.toml"\n')
    line = complaint(profile='extends = "other.toml"\n')
    assert line.endswith("extends forms a cycle: my.toml -> other.toml -> my.toml")


def test_a_misspelt_variable(complaint: Complaint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNWB_TRAIN__EPOCS", "3")
    assert complaint() == "environment: unknown variable CNNWB_TRAIN__EPOCS (did you mean CNNWB_TRAIN__EPOCHS?)"


def test_a_wrong_variable_and_a_wrong_flag_are_not_blamed_on_the_file(
    complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complaint("--optim.lr", "fast") == 'command line: --optim.lr: must be a number (got "fast")'
    monkeypatch.setenv("CNNWB_OPTIM__LR", "-3")
    assert complaint() == "environment: CNNWB_OPTIM__LR: must be greater than 0 (got -3.0)"


def test_an_unknown_flag_suggests_the_nearest(complaint: Complaint) -> None:
    assert complaint("--optim.momntum", "0.5") == "unknown option --optim.momntum (did you mean --optim.momentum?)"
    assert complaint("--resum", "last") == "unknown option --resum (did you mean --resume?)"
    assert complaint("surprise") == "unknown argument surprise"


def test_a_runs_folder_that_cannot_be_written(complaint: Complaint) -> None:
    Path("afile").write_text("")
    line = complaint("--runs", "afile/runs")
    assert line == "cannot write to the runs folder afile/runs: Not a directory; choose another with --runs DIR"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_runs_folder_without_permission(complaint: Complaint) -> None:
    Path("locked").mkdir(mode=0o500)
    assert "cannot write to the runs folder locked: Permission denied" in complaint("--runs", "locked")


def test_data_that_is_not_there_and_cannot_be_fetched(complaint: Complaint, tmp_path: Path) -> None:
    # The address of no host: the machine's network, if it has one, is not touched.
    code = (
        "import socket, sys; socket.getaddrinfo = lambda *a, **k: (_ for _ in ()).throw(OSError('no network'));"
        "from workbench.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    Path("my.toml").write_text(replaced('"digits"', '"mnist"'))
    answer = subprocess.run(
        [sys.executable, "-c", code, "--headless", "--profile", "my.toml", "--data.root", "here"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert answer.returncode == 2
    assert "mnist is not in" in answer.stderr
    assert "train-images-idx3-ubyte" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list((tmp_path / "runs").iterdir()) == []


def test_resuming_what_is_not_there(complaint: Complaint) -> None:
    assert complaint(command=("--headless", "--resume", "last")) == 'no run "last" in runs (it holds no runs)'
    assert "no run " in complaint(command=("--headless", "--resume", "2026"))


def test_weights_go_with_a_fork(complaint: Complaint) -> None:
    line = complaint(command=("--headless", "--profile", "my.toml", "--weights", "best"))
    assert line == "--weights goes with --fork"


def test_profile_or_resume_is_needed(complaint: Complaint) -> None:
    assert complaint(command=("--headless",)) == "give one of --profile FILE, --resume RUN and --fork RUN"
    line = complaint("--resume", "last")
    assert line == "give one of --profile FILE, --resume RUN and --fork RUN"


def test_a_run_that_is_still_running_or_finished_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(GOOD)
    assert main(["--headless", "--profile", "my.toml"]) == 0
    capsys.readouterr()
    [run] = Path("runs").iterdir()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["--headless", "--resume", "last"]) == 2
    assert capsys.readouterr().err == (
        f"cnn-workbench: {run.name} is finished; there is nothing to resume (--train.epochs 11 would extend it)\n"
    )
    events = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    (run / "events.jsonl").write_bytes(b"".join(events[:-1]))  # as if it had not ended yet
    code = (
        "import sys; from pathlib import Path; from workbench.runs.lock import RunLock;"
        f"held = RunLock.acquire(Path({str(run / 'lock')!r})); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert main(["--headless", "--resume", "last"]) == 2
        assert f"{run.name} is still running (pid {other.pid} on " in capsys.readouterr().err
        assert other.stdin is not None
        other.stdin.close()
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"events.jsonl", "lock"}  # what this test itself changed
