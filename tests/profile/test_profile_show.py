"""Saved profiles read back equal; the shown one tells where values come from; editors get a schema."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from drawn_profiles import schedules, sections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.profile import Profile, builtin_folder, check, dump, load, load_exact, schema_json, show
from workbench.profile.schema import (
    DISCRIMINATED,
    SGD,
    Adagrad,
    Augment,
    Checkpoint,
    Cyclic,
    Data,
    Model,
    Muon,
    Plateau,
    Sam,
    Train,
)
from workbench.profile.validate import validate

# Anything the schema allows. What is right alone and wrong together is filtered out, and made rare before.
DRAWN = {
    "model": sections(Model),
    "data": sections(Data, val_fraction=st.floats(0.01, 0.5)),
    "augment": sections(Augment),
    "optim": st.one_of(*(sections(model) for model in DISCRIMINATED["optim"].values())),
    "schedule": schedules(),
    "sam": sections(Sam, rho=st.floats(0.01, 5.0)),
    "train": sections(Train, ema=st.floats(0.01, 0.99), cuda_graph=st.sampled_from(["auto", "off"])),
    "checkpoint": sections(Checkpoint),
}
PROFILES = sections(Profile, extends=st.none(), **DRAWN).filter(lambda profile: not validate(profile.model_dump())[1])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PROFILES)
def test_a_saved_profile_reads_back_equal(tmp_path, profile):
    path = tmp_path / "profile.toml"
    path.write_bytes(dump(profile, header="written by a test\nsecond line").encode())
    assert load_exact(path).profile == profile


def test_a_key_that_is_not_set_is_not_written(folder):
    text = dump(Profile(augment=Augment(jitter=0.5)))
    assert tomllib.loads(text)["augment"] == {"jitter": 0.5}
    Path("my.toml").write_text(text)
    assert "jitter = 0.5" in show(load_exact("my.toml"))


def test_a_saved_profile_says_everything(folder):
    text = dump(Profile(extends="base"), header="run 1\x1b")
    assert text.startswith("# run 1\\x1b\n\nname = ")
    saved = tomllib.loads(text)
    assert "extends" not in saved
    assert saved["optim"]["eps"] == 1e-8
    assert saved["model"]["options"] == {}


def test_the_shown_profile_tells_where_each_value_comes_from(folder, options):
    Path("base.toml").write_text('[model]\narch = "alexnet"\n[optim]\nlr = 0.5\n')
    Path("my.toml").write_text('extends = "base"\n[data]\nworkers = 1\n')
    resolved = load(
        "my", options=options("--seed", "3", "--model.options", "w=2"), environ={"CNNWB_TRAIN__EPOCHS": "4"}
    )
    text = show(resolved)
    assert tomllib.loads(text) == tomllib.loads(dump(resolved.profile))
    rows = [tuple(part.strip() for part in line.split("  # ")) for line in text.splitlines() if "  # " in line]
    assert {
        ("seed = 3", "command line"),
        ("w = 2", "command line"),
        ('arch = "alexnet"', "base.toml:2"),
        ("lr = 0.5", "base.toml:4"),
        ("workers = 1", "my.toml:3"),
        ("epochs = 4", "environment CNNWB_TRAIN__EPOCHS"),
        ("beta1 = 0.9", "default"),
    } <= set(rows)
    assert len({line.index("  # ") for line in text.splitlines() if "  # " in line}) == 1  # one column


def test_a_long_value_does_not_push_all_comments_aside(folder, options):
    Path("my.toml").write_text(f'[data]\nroot = "{"x" * 90}"')
    lines = show(load("my", environ={})).splitlines()
    assert max(len(line) for line in lines if "xxx" not in line) < 80


def test_check_lists_the_faults(folder):
    Path("my.toml").write_text("seed = -1")
    assert [problem.key for problem in check("my", environ={})] == ["seed"]
    assert check("quick", environ={}) == []


def test_the_schema_carries_the_texts_of_the_fields():
    schema = json.loads(schema_json())
    assert "$schema" not in schema
    size = schema["$defs"]["Data"]["properties"]["image_size"]
    assert (size["minimum"], size["maximum"], size["unit"]) == (8, 4096, "px")
    assert size["description"] == "height and width that the network sees"
    assert schema["additionalProperties"] is False


TAPLO = shutil.which("taplo") or shutil.which("taplo", path=str(Path(sys.executable).parent))


def test_what_could_steer_a_terminal_is_shown_as_an_escape_and_reads_back_the_same(folder):
    hostile = "[/b]\x1b]52;c;x\x07\x9b2J\u202e\u2028x\x85\u200b\r\n"
    Path("x.toml").write_text(dump(Profile(model=Model(options={hostile: hostile}), data=Data(root=hostile))))
    shown = show(load("x", environ={}))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert tomllib.loads(shown)["data"]["root"] == hostile
    assert tomllib.loads(shown)["model"]["options"] == {hostile: hostile}


@pytest.mark.skipif(TAPLO is None, reason="taplo is not installed: the schema is not tried in an editor's checker")
def test_taplo_accepts_good_profiles_and_flags_wrong_ones(folder):
    Path("profile.schema.json").write_text(schema_json())
    good = {
        "lr": "[optim]\nlr = 1",
        "sgd": '[optim]\nname = "sgd"\nmomentum = 0.5\n[model.options]\nwidth = 2\n',
        "resolved": dump(Profile(optim=SGD())),
        "muon": dump(Profile(optim=Muon(), schedule=Cyclic(), augment=Augment(jitter=0.5, crop="resized"))),
        "adagrad": dump(Profile(optim=Adagrad(), schedule=Plateau(warmup="5step"), train=Train(micro_batch=8))),
        "auto": '[train]\nmicro_batch = "auto"',
        "lengths": '[schedule]\nname = "multistep"\nat = "5ep, 7.5ep"',
    }
    good |= {path.stem: path.read_text() for path in builtin_folder().glob("*.toml")}
    wrong = {
        "top": "epocs = 1",
        "inner": "[train]\nepocs = 1",
        "bound": "[train]\nepochs = 0",
        "optim": "[optim]\nmomntum = 1",
        "other": '[optim]\nname = "adam"\nmomentum = 0.5',
        "word": '[data]\ndataset = "cifr10"',
        "length": '[schedule]\nname = "step"\nevery = "5 epochs"',
        "union": '[train]\nmicro_batch = "big"',
        "optional": "[augment]\njitter = 2.0",
        "own": '[schedule]\nname = "cosine"\npower = 2.0',
    }
    said = {}
    for name, text in {**good, **wrong}.items():
        Path(f"{name}.toml").write_text(text)
        command = [TAPLO, "check", "--schema", (folder / "profile.schema.json").as_uri(), f"{name}.toml"]
        said[name] = subprocess.run(command, capture_output=True, timeout=30).returncode
    assert {name for name, code in said.items() if code == 0} == set(good)
