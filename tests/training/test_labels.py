"""What a run says of its profile: the recipe's label, and what a resume changed."""

import json
from pathlib import Path

from test_changes import options
from training_helpers import ADAM, PROFILE, resume, train

from workbench.profile import builtin_folder, load_exact, recipe_label
from workbench.runs.store import RunStore


def test_a_label_is_the_name_that_one_would_type(tmp_path: Path) -> None:
    assert recipe_label(builtin_folder() / "quick.toml") == "quick"
    assert recipe_label(builtin_folder() / "papers" / "vit.toml") == "papers/vit"
    assert recipe_label(tmp_path / "mine.toml") == "mine"


def test_a_run_keeps_its_label_and_the_list_knows_what_a_resume_changed(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(PROFILE.format(optim=ADAM))
    outcome = train(file, tmp_path / "runs")
    assert load_exact(outcome.run / "profile.toml").profile.recipe == "mine"
    facts = json.loads((outcome.run / "run.json").read_text())
    assert facts["profile"]["recipe"] == "mine"
    assert facts["profile"]["train"]["epochs"] == 2
    resume(tmp_path / "runs", options=options(train__epochs=3))
    (row,) = RunStore(tmp_path / "runs").runs()
    assert (row.recipe, row.epoch, row.epochs, row.settings["train.epochs"]) == ("mine", 3, 3, 3)
    assert row.peak_memory is not None
    assert json.loads((outcome.run / "run.json").read_text()) == facts


def test_a_label_of_its_own_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "wide"\n' + PROFILE.format(optim=ADAM))
    again = load_exact(train(file, tmp_path / "runs").run / "profile.toml").profile
    assert again.recipe == "wide"
