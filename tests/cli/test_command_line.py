"""What the commands print and end with when all is well."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from workbench.cli import main


def modules_after(code: str) -> set[str]:
    """Top-level packages loaded by `code` in a fresh interpreter."""
    loaded = "{name.split('.')[0] for name in sys.modules}"
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\nprint('|', *sorted({loaded}))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(answer.stdout.rpartition("|")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["profile", "check", "base"], ["profile", "show", "quick"], ["profile", "schema"]],
)
def test_a_command_that_does_not_train_loads_neither_torch_nor_textual(arguments: list[str]) -> None:
    loaded = modules_after(f"from workbench.cli import main; main({arguments!r})")
    assert "pydantic" in loaded or arguments == ["--version"]
    assert not loaded & {"torch", "torchvision", "textual", "plotext", "scipy"}


def test_training_never_loads_textual(here: Path) -> None:
    loaded = modules_after("from workbench.cli import main; main(['--headless', '--profile', 'tiny.toml'])")
    assert "torch" in loaded
    assert not loaded & {"textual", "torchvision", "scipy"}  # and digits need no torchvision


def test_help_names_every_key_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for words in ("--headless", "--resume RUN", "--optim.lr", "--data.batch_size", "exit codes", "130"):
        assert words in text


def test_json_is_the_only_thing_on_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--headless", "--profile", "tiny.toml", "--json", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert list(answer) == ["run", "state", "epochs", "test", "best", "images_per_second", "seconds"]
    assert answer["state"] == "finished"
    assert answer["epochs"] == 2
    assert set(answer["test"]) == {"loss", "top1", "top5"}
    assert 0 <= answer["test"]["top1"] <= answer["test"]["top5"] <= 1
    assert set(answer["best"]) == {"epoch", "top1"}
    assert answer["images_per_second"] > 0
    assert Path(answer["run"]).is_dir()
    assert f"run {answer['run']}" in captured.err
    assert "finished 2 epochs" in captured.err
    assert tomllib.loads((Path(answer["run"]) / "profile.toml").read_text())["seed"] == 3


def test_without_json_stdout_stays_empty(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--headless", "--profile", "tiny.toml"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 2  train loss" in captured.err
    assert "\x1b" not in captured.err  # no terminal, no escape sequences


@pytest.mark.parametrize("how", ["flag", "variable", "default"])
def test_where_runs_go(
    here: Path, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CNNWB_RUNS", "from_variable") if how != "default" else None
    arguments = ["--runs", "from_flag"] if how == "flag" else []
    assert main(["--headless", "--profile", "tiny.toml", *arguments]) == 0
    folder = {"flag": "from_flag", "variable": "from_variable", "default": "runs"}[how]
    assert len(list(Path(folder).iterdir())) == 1


def test_the_environment_lies_over_the_file_and_the_flag_over_both(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CNNWB_OPTIM__LR", "0.5")
    monkeypatch.setenv("CNNWB_SEED", "4")
    assert main(["profile", "show", "tiny.toml", "--optim.lr", "0.25"]) == 0
    text = capsys.readouterr().out
    values = tomllib.loads(text)
    assert values["optim"]["lr"] == 0.25
    assert values["seed"] == 4
    assert values["train"]["epochs"] == 2
    lines = {line.split(" =")[0]: line.partition("#")[2].strip() for line in text.splitlines() if " = " in line}
    assert lines["lr"] == "command line"
    assert lines["seed"] == "environment CNNWB_SEED"
    assert lines["epochs"] == "tiny.toml:8"
    assert lines["val_fraction"] == "default"


@pytest.mark.parametrize(("variable", "flag", "value"), [("16", "", 16), ("16", "auto", "auto"), ("auto", "8", 8)])
def test_a_setting_may_be_a_word_or_a_number(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    flag: str,
    value: object,
) -> None:
    monkeypatch.setenv("CNNWB_TRAIN__MICRO_BATCH", variable)
    assert main(["profile", "show", "tiny.toml", *(["--train.micro_batch", flag] if flag else [])]) == 0
    assert tomllib.loads(capsys.readouterr().out)["train"]["micro_batch"] == value


def test_only_what_is_set_of_the_augmentation_is_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", "tiny.toml", "--augment.jitter", "0.5", "--augment.flip", "false"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["augment"] == {"jitter": 0.5, "flip": False}


def test_check_says_ok(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "check", "tiny.toml"]) == 0
    assert capsys.readouterr().out == "tiny.toml: ok\n"


@pytest.mark.parametrize("name", ["base", "quick", "mnist"])
def test_the_built_in_profiles_are_right_from_any_folder(
    here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", "check", f"{name}.toml"]) == 0


def test_the_base_config_is_the_shared_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", "base"]) == 0
    values = tomllib.loads(capsys.readouterr().out)
    assert (values["train"]["epochs"], values["data"]["batch_size"], values["data"]["image_size"]) == (10, 128, 224)
    assert (values["optim"]["name"], values["optim"]["lr"]) == ("adam", 0.001)
    assert (values["data"]["dataset"], values["model"]["arch"]) == ("cifar10", "resnet18")
    assert values["data"]["val_fraction"] == 0.0


def test_a_reader_that_goes_away_is_no_error(here: Path) -> None:
    command = [sys.executable, "-m", "workbench", "profile", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_no_arguments_say_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "--headless --profile quick.toml" in capsys.readouterr().out


def test_a_stderr_that_is_closed_does_not_stop_the_run(here: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "workbench", "--headless", "--profile", "tiny.toml", "--json"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=write, check=False)
    os.close(write)
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["state"] == "finished"
