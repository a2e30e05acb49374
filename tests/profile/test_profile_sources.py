"""Variables and flags: what is accepted, as which type, and what is said about the rest."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.profile import add_options, keys, load, read_environment, read_options, suggest_flag


@pytest.mark.parametrize(
    ("words", "data"),
    [
        ([], {}),
        (["--optim.lr", "0.01"], {"optim": {"lr": 0.01}}),
        (["--optim.lr=.5"], {"optim": {"lr": 0.5}}),
        (["--optim.lr", "1"], {"optim": {"lr": 1.0}}),
        (["--seed", "1", "--seed", "2"], {"seed": 2}),
        (["--name", "007"], {"name": "007"}),
        (["--name", ""], {"name": ""}),
        (["--data.root", "a,b [c]"], {"data": {"root": "a,b [c]"}}),
        (["--data.batch-size", "8"], {"data": {"batch_size": 8}}),
        (["--data.batch_size", "8"], {"data": {"batch_size": 8}}),
        (["--optim.nesterov", "true"], {"optim": {"nesterov": True}}),
        (["--checkpoint.best", "No"], {"checkpoint": {"best": False}}),
        (["--train.micro_batch", "16"], {"train": {"micro_batch": 16}}),
        (["--train.micro-batch=auto"], {"train": {"micro_batch": "auto"}}),
        (["--augment.jitter", "1"], {"augment": {"jitter": 1.0}}),
        (["--augment.flip", "off", "--augment.crop", "none"], {"augment": {"flip": False, "crop": "none"}}),
        (
            ["--schedule.name", "multistep", "--schedule.at", "50%, 7ep"],
            {"schedule": {"name": "multistep", "at": "50%, 7ep"}},
        ),
        (["--model.options", "k=1"], {"model": {"options": {"k": 1}}}),
        (
            ["--model.options", "k=1,f=1.5", "--model.options", "t=true", "--model.options", "s=1x"],
            {"model": {"options": {"k": 1, "f": 1.5, "t": True, "s": "1x"}}},
        ),
        (["--model.options", '{"k": 1, "s": "x y"}'], {"model": {"options": {"k": 1, "s": "x y"}}}),
    ],
)
def test_flags_become_typed_values(options, words, data):
    layer = options(*words)
    assert layer.data == data
    assert layer.problems == ()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--train.epochs", "abc"], '--train.epochs: must be a whole number (got "abc")'),
        (["--train.epochs", "1.5"], '--train.epochs: must be a whole number (got "1.5")'),
        (["--train.epochs", "0"], "--train.epochs: must be at least 1 (got 0)"),
        (["--optim.lr", "fast"], '--optim.lr: must be a number (got "fast")'),
        (["--optim.lr", "nan"], "--optim.lr: must be a finite number (got nan)"),
        (["--optim.lr", ""], '--optim.lr: must be a number (got "")'),
        (["--checkpoint.best", "maybe"], '--checkpoint.best: must be true or false (got "maybe")'),
        (
            ["--data.augment", "nne"],
            '--data.augment: unknown augment "nne" (did you mean "none"?; one of: none, standard, contrastive, strong)',
        ),
        (
            ["--train.micro_batch", "0"],
            "--train.micro_batch: must be auto or a whole number of at least 1 (got 0)",
        ),
        (
            ["--train.micro_batch", "AUTO"],
            '--train.micro_batch: must be auto or a whole number of at least 1 (got "AUTO")',
        ),
        (["--augment.jitter", "none"], '--augment.jitter: must be a number (got "none")'),
        (
            ["--schedule.name", "plateau", "--schedule.warmup", "five"],
            '--schedule.warmup: must be a length such as "5ep", "500step" or "10%" (got "five")',
        ),
        (["--model.options", "k"], '--model.options: must be KEY=VALUE or a JSON table (got "k")'),
        (["--model.options", "{k"], '--model.options: must be KEY=VALUE or a JSON table (got "{k")'),
        (
            ["--model.options", '{"k": [1]}'],
            "--model.options k: must be a number, true or false, or a string (got [1])",
        ),
    ],
)
def test_a_wrong_flag_names_itself_and_the_value(faults, words, line):
    assert faults("", *words) == [f"command line: {line}"]


@pytest.mark.parametrize(
    ("variables", "data"),
    [
        ({}, {}),
        ({"CNNWB_RUNS": "/runs", "PATH": "/bin", "CNNWBX": "1"}, {}),
        ({"CNNWB_SEED": "3"}, {"seed": 3}),
        ({"cnnwb_optim__lr": "1e-3"}, {"optim": {"lr": 0.001}}),
        ({"CNNWB_DATA__BATCH_SIZE": "8", "CNNWB_DATA__ROOT": "1"}, {"data": {"batch_size": 8, "root": "1"}}),
        ({"CNNWB_OPTIM__NAME": "sgd", "CNNWB_OPTIM__NESTEROV": "on"}, {"optim": {"name": "sgd", "nesterov": True}}),
        ({"CNNWB_TRAIN__MICRO_BATCH": "16"}, {"train": {"micro_batch": 16}}),
        ({"CNNWB_TRAIN__MICRO_BATCH": "auto"}, {"train": {"micro_batch": "auto"}}),
        ({"CNNWB_AUGMENT__JITTER": "0.25", "CNNWB_AUGMENT__FLIP": "no"}, {"augment": {"jitter": 0.25, "flip": False}}),
        ({"CNNWB_AUGMENT__POLICY": "none"}, {"augment": {"policy": "none"}}),
        ({"CNNWB_SAM__RHO": "1"}, {"sam": {"rho": 1.0}}),
        ({"CNNWB_MODEL__OPTIONS": '{"k": 1}'}, {"model": {"options": {"k": 1}}}),
        ({"CNNWB_MODEL__OPTIONS__WIDTH": "1.5"}, {"model": {"options": {"width": 1.5}}}),
    ],
)
def test_variables_become_typed_values(variables, data):
    layer = read_environment(variables)
    assert layer.data == data
    assert layer.problems == ()


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("CNNWB_OPTIM__LR", "-0.1", "CNNWB_OPTIM__LR: must be greater than 0 (got -0.1)"),
        ("CNNWB_TRAIN__EPOCHS", "ten", 'CNNWB_TRAIN__EPOCHS: must be a whole number (got "ten")'),
        ("CNNWB_TRAIN__EPOCHS", "", 'CNNWB_TRAIN__EPOCHS: must be a whole number (got "")'),
        ("CNNWB_TRAIN__EPOCHS", "true", 'CNNWB_TRAIN__EPOCHS: must be a whole number (got "true")'),
        (
            "CNNWB_TRAIN__MICRO_BATCH",
            "16.0",
            'CNNWB_TRAIN__MICRO_BATCH: must be auto or a whole number of at least 1 (got "16.0")',
        ),
        ("CNNWB_AUGMENT__JITTER", "", 'CNNWB_AUGMENT__JITTER: must be a number (got "")'),
        ("CNNWB_AUGMENT__JITTER", "null", 'CNNWB_AUGMENT__JITTER: must be a number (got "null")'),
        ("CNNWB_AUGMENT", "strong", "unknown variable CNNWB_AUGMENT (did you mean CNNWB_DATA__AUGMENT?)"),
        ("CNNWB_MODEL__OPTIONS", "zz", 'CNNWB_MODEL__OPTIONS: must be a JSON table (got "zz")'),
        ("CNNWB_EPOCS", "1", "unknown variable CNNWB_EPOCS (did you mean CNNWB_TRAIN__EPOCHS?)"),
        ("CNNWB_OPTM__LR", "1", "unknown variable CNNWB_OPTM__LR (did you mean CNNWB_OPTIM__LR?)"),
        ("CNNWB_OPTIM_LR", "1", "unknown variable CNNWB_OPTIM_LR (did you mean CNNWB_OPTIM__LR?)"),
        ("CNNWB_RUN", "x", "unknown variable CNNWB_RUN (did you mean CNNWB_RUNS?)"),
        ("CNNWB_ZZZZZZZZ", "x", "unknown variable CNNWB_ZZZZZZZZ"),
        ("CNNWB_", "x", "unknown variable CNNWB_"),
        ("CNNWB_OPTIM", "{}", "unknown variable CNNWB_OPTIM"),
        ("CNNWB_EXTENDS", "x", "CNNWB_EXTENDS: only a profile file can extend another"),
    ],
)
def test_a_wrong_variable_names_itself(faults, name, text, line):
    (told,) = faults("", **{name: text})
    assert told.startswith(f"environment: {line}")


def test_no_dotenv_is_read(folder):
    Path(".env").write_text("CNNWB_SEED=5\nFOREIGN=1\n")
    Path("my.toml").write_text("")
    assert load("my", environ={}).profile.seed == 0


def test_the_callers_own_options_do_not_mix_with_ours():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--profile", dest="name", default="quick")
    parser.add_argument("--json", dest="seed", action="store_true")
    add_options(parser)
    assert read_options(parser.parse_args([])).data == {}


def test_help_has_a_line_for_every_key_with_bounds_and_the_right_default():
    parser = argparse.ArgumentParser(prog="x")
    add_options(parser)
    text = " ".join(parser.format_help().split())
    assert all(f"--{key} " in text for key in keys())
    assert "optimiser (default: adam)" in text  # pydantic-settings would name the last choice
    assert "learning rate (above 0; default: 0.001 for adam and adamw, 0.01 for sgd, rmsprop and adagrad, " in text
    momentum = "momentum; 0 is none (at least 0, below 1; sgd, rmsprop and muon only; default: "
    assert momentum + "0.9 for sgd, 0.0 for rmsprop, 0.95 for muon)" in text
    assert "waves of the cosine; 0.5 falls once from the top to the end (above 0, at most 1000; warmup_cosine" in text
    assert "--train.micro_batch auto|int" in text
    assert "--augment.jitter float strength" in text
    assert "--augment.crop {none,pad,resized}" in text
    assert "--extends" not in text


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("--optim.momntum", "--optim.momentum"),
        ("--lr=0.1", "--optim.lr"),
        ("--epochs", "--train.epochs"),
        ("--batch-size", "--data.batch_size"),
        ("--model.options.width", "--model.options width=VALUE"),
        ("--zzzzzz", ""),
    ],
)
def test_a_misspelt_flag_is_recognised(wrong, meant):
    assert suggest_flag(wrong) == meant


def test_importing_the_room_is_light():
    heavy = ["torch", "textual", "rich", "pydantic_settings", "architectures"]
    code = f"import sys, workbench.profile; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
