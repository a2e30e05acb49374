"""A profile edited as the form edits it: what holds, what is refused, and a file that stays its author's."""

import os
import re
import shutil
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from drawn_profiles import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.profile import ProfileError, builtin_folder, builtin_names, load, load_exact
from workbench.profile.edit import KINDS, ChangedOnDisk, Draft
from workbench.profile.fields import as_text, read_pairs
from workbench.profile.keys import keys
from workbench.profile.schema import DISCRIMINATED, Profile
from workbench.profile.toml_text import Untouchable, set_key

BY_HAND = """\
# What I try this week.
extends = "base"   # ours

[model]
arch = "vgg11"

[optim]          # Nesterov, as in the paper
name = "sgd"
lr = 0.05        # 0.1 was too much
nesterov = true
# momentum = 0.8

# Three of them are enough.
[train]
epochs = 3
"""


def draft_of(text, name="my.toml", **more):
    Path(name).write_bytes(text.encode())
    return Draft.open(Path(name), environ={}, **more)


def field_of(draft, key):
    return next(field for field in draft.fields() if field.key.path == key)


def names_of(draft):
    return [field.key.path for field in draft.fields()]


# What the form shows.


def test_a_field_says_what_holds_and_what_would_hold_without_it(folder):
    Path("parent.toml").write_text('[optim]\nname = "sgd"\nlr = 0.2\n')
    draft = draft_of('extends = "parent.toml"\n[optim]\nlr = 0.05\n')
    lr, momentum = field_of(draft, "optim.lr"), field_of(draft, "optim.momentum")
    assert (lr.value, lr.inherited, str(lr.inherited_from), lr.own) == (0.05, 0.2, "parent.toml:3", True)
    assert (momentum.value, momentum.inherited, str(momentum.inherited_from)) == (0.9, 0.9, "default")
    assert not momentum.own
    assert field_of(draft, "optim.name").inherited_from.line == 2
    assert not any(field.changed or field.problem or field.overridden for field in draft.fields())


def test_the_fields_are_those_of_the_chosen_optimiser_and_schedule(folder):
    draft = draft_of('[optim]\nname = "sgd"\n')
    assert "optim.momentum" in names_of(draft)
    assert "optim.beta1" not in names_of(draft)
    assert draft.set("optim.name", "adagrad") == ""
    assert "optim.lr_decay" in names_of(draft)
    assert "optim.momentum" not in names_of(draft)
    assert field_of(draft, "optim.eps").inherited == 1e-10  # Adagrad's own default
    assert draft.set("schedule.name", "multistep") == ""
    assert field_of(draft, "schedule.at").kind == "lengths"


def test_every_key_has_its_kind_of_editor(folder):
    kinds = {}
    for optim in DISCRIMINATED["optim"]:
        for schedule in DISCRIMINATED["schedule"]:
            draft = draft_of(f'[optim]\nname = "{optim}"\n[schedule]\nname = "{schedule}"\n')
            kinds |= {field.key.path: field.kind for field in draft.fields()}
    assert kinds.keys() == keys().keys()
    assert set(kinds.values()) == set(KINDS)
    some = ("optim.nesterov", "optim.name", "train.micro_batch", "augment.flip", "schedule.warmup", "data.root", "seed")
    assert [kinds[key] for key in some] == ["switch", "choice", "integer", "switch", "length", "path", "integer"]


def test_every_word_of_a_choice_is_taken(folder):
    draft = draft_of("[data]\nval_fraction = 0.1\n[train]\nema = 0.9\n")
    for field in draft.fields():
        for word in field.words:
            assert draft.set(field.key.path, word) == "", (field.key.path, word)
    assert field_of(draft, "train.micro_batch").words == ("auto",)


def test_a_variable_over_the_file_is_told(folder):
    Path("my.toml").write_text("seed = 1\n[optim]\nlr = 0.5\n")
    draft = Draft.open(Path("my.toml"), environ={"CNNWB_SEED": "7", "CNNWB_OPTIM__NAME": "sgd"})
    seed, lr = field_of(draft, "seed"), field_of(draft, "optim.lr")
    assert (seed.value, seed.effective, str(seed.overridden)) == (1, 7, "environment CNNWB_SEED")
    assert (lr.value, lr.effective) == (0.5, 0.001)  # SGD has none of Adam's settings
    assert str(lr.overridden) == "environment CNNWB_OPTIM__NAME"
    assert field_of(draft, "train.epochs").overridden is None
    assert draft.resolved().profile.seed == 7


def test_what_a_field_shows_can_be_typed_back(folder):
    draft = draft_of(BY_HAND + '[model.options]\nwidth = 0.5\nstem = "7 x 7"\n')
    before = draft.resolved().profile
    for field in draft.fields():
        if field.value is not None:
            assert draft.set(field.key.path, field.text) == "", field
    assert draft.resolved().profile == before


# What is taken and what is not.


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("optim.lr", "-0.1", "must be greater than 0 (got -0.1)"),
        ("optim.lr", "fast", 'must be a number (got "fast")'),
        ("optim.lr", "nan", "must be a finite number (got nan)"),
        ("optim.momentum", "1", "must be less than 1 (got 1.0)"),
        ("optim.beta1", "0.9", "not a setting of sgd (adam, adamw, lamb, nadam and muon have it)"),
        ("optim.momntum", "0.9", 'unknown key (did you mean "optim.momentum"?)'),
        ("data.image_size", "7", "must be at least 8 (got 7)"),
        ("data.image_size", "32.5", 'must be a whole number (got "32.5")'),
        ("train.micro_batch", "0", "must be auto or a whole number of at least 1 (got 0)"),
        ("checkpoint.best", "perhaps", 'must be true or false (got "perhaps")'),
        ("schedule.name", "cosin", 'unknown learning-rate schedule "cosin" (did you mean "cosine"?; one of: '),
        ("model.options", "width", 'must be KEY=VALUE pairs (got "width")'),
        ("model.arch", "", "must not be empty"),
        ("model.arch", "vg11", 'unknown network "vg11" (did you mean "vgg11"?)'),
        ("seed", "9" * 5000, "must be a whole number (got "),
        ("name", "n" * 41, "must be at most 40 characters long (has 41)"),
        ("extends", "bsae", "profile not found: bsae (did you mean base?; "),
        ("extends", "my.toml", "extends forms a cycle: my.toml -> my.toml"),
    ],
)
def test_a_wrong_value_is_explained_and_not_taken(folder, key, text, reason):
    draft = draft_of(BY_HAND, networks=("vgg11", "vit"))
    assert draft.set(key, text).startswith(reason)
    assert draft.text() == BY_HAND
    assert draft.undo() == ""


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("optim.lr", " 1e-3 ", 0.001),
        ("optim.lr", "1", 1.0),
        ("optim.nesterov", "off", False),
        ("train.micro_batch", "16", 16),
        ("train.micro_batch", "Auto", "auto"),
        ("schedule.name", "cosine", "cosine"),
        ("model.arch", "mine:Net", "mine:Net"),
        ("model.options", "width=0.5, norm=true stem='7 x 7'", {"width": 0.5, "norm": True, "stem": "7 x 7"}),
        ("augment.flip", "no", False),
        ("data.root", "/data/my images", "/data/my images"),
    ],
)
def test_a_value_is_read_as_it_is_typed(folder, key, text, value):
    draft = draft_of(BY_HAND, networks=("vgg11",))
    assert draft.set(key, text) == ""
    assert repr(field_of(draft, key).value) == repr(value)
    section, name = key.split(".")
    assert repr(tomllib.loads(draft.text())[section][name]) == repr(value)


def test_a_clash_of_two_keys_is_taken_and_told_at_the_key(folder):
    draft = draft_of(BY_HAND)
    assert draft.set("optim.momentum", "0") == ""
    assert field_of(draft, "optim.nesterov").problem == "nesterov needs a momentum above 0"
    assert [problem.key for problem in draft.problems()] == ["optim.nesterov"]
    with pytest.raises(ProfileError, match="nesterov needs a momentum above 0"):
        draft.save()
    assert Path("my.toml").read_text() == BY_HAND
    draft.save(broken=True)
    assert "momentum = 0.0" in Path("my.toml").read_text()


def test_another_optimiser_takes_what_only_the_old_one_had_and_undo_brings_it_back(folder):
    draft = draft_of(BY_HAND)
    assert draft.set("optim.name", "adam") == ""
    assert draft.left == ("optim.nesterov",)
    assert tomllib.loads(draft.text())["optim"] == {"name": "adam", "lr": 0.05}
    assert draft.undo() == "optim.name = adam"
    assert draft.text() == BY_HAND
    assert draft.redo() == "optim.name = adam"
    assert draft.reset("optim.name") == ""  # base.toml has adam too
    assert draft.left == ()
    assert draft.set("model.options", "bias=true") == ""
    assert draft.reset("model.arch") == ""
    assert draft.left == ("model.options",)


def test_another_parent_with_another_optimiser_takes_them_too(folder):
    Path("sgd.toml").write_text('[optim]\nname = "sgd"\n')
    draft = draft_of('extends = "sgd.toml"\n[optim]\nmomentum = 0.5\n')
    assert draft.set("extends", "base") == ""
    assert draft.left == ("optim.momentum",)
    assert draft.problems() == []
    assert draft.undo() == "extends = base"
    assert field_of(draft, "optim.momentum").value == 0.5


def test_an_option_of_a_parent_can_be_changed_but_not_left_out(folder):
    Path("parent.toml").write_text("[model]\noptions = { width = 2, depth = 3 }\n")
    draft = draft_of('extends = "parent.toml"\n')
    reason = "depth is set in parent.toml:2 and cannot be left out here; give it another value"
    assert draft.set("model.options", "width=4") == reason
    assert draft.set("model.options", "width=4 depth=3") == ""
    assert tomllib.loads(draft.text())["model"]["options"] == {"width": 4}
    assert draft.set("model.options", "width=2 depth=3") == ""
    assert draft.set("model.options", field_of(draft, "model.options").text) == ""
    assert draft.reset("model.options") == ""
    assert not field_of(draft, "model.options").own


def test_what_is_changed_and_what_would_be_lost(folder):
    draft = draft_of(BY_HAND)
    assert (draft.changed, draft.dirty) == ((), False)
    draft.set("optim.lr", "0.1")
    draft.reset("train.epochs")
    assert (draft.changed, draft.dirty) == (("optim.lr", "train.epochs"), True)
    assert field_of(draft, "optim.lr").changed
    draft.save()
    assert (draft.changed, draft.dirty) == ((), False)
    assert draft.undo() == "reset train.epochs"  # the past outlives saving
    assert draft.changed == ("train.epochs",)


def test_wrong_values_that_a_file_has_are_shown_and_can_be_mended(folder):
    draft = draft_of('sed = 4\nextends = "nowhere"\n[optim]\nname = "adam"\nlr = "fast"\nmomentum = 0.5\n')
    assert [problem.key for problem in draft.problems()] == ["extends"]
    assert draft.reset("extends") == ""
    assert [problem.key for problem in draft.problems()] == ["sed", "optim.lr", "optim.momentum"]
    assert field_of(draft, "optim.lr").value == "fast"
    assert field_of(draft, "optim.lr").problem == 'must be a number (got "fast")'
    assert draft.set("optim.lr", "0.1") == draft.reset("sed") == draft.reset("optim.momentum") == ""
    assert draft.problems() == []
    assert draft.reset("train.epocs") == "there is no train.epocs in this file"
    assert draft.reset("optim") == "optim is a whole section; reset its keys"


def test_a_section_that_is_none_is_told_in_one_line(folder):
    draft = draft_of("optim = 3\n[[train]]\nepochs = 3\n")
    assert draft.set("optim.lr", "0.1") == "optim is not a table in this file"
    assert draft.set("train.epochs", "4") == "train is not a table in this file"
    assert draft.reset("optim") == ""
    assert draft.set("optim.lr", "0.1") == ""
    assert {field.key.path for field in draft.fields()} >= {"train.epochs", "optim.lr"}


# The file stays its author's.


def after(text, *changes):
    draft = draft_of(text)
    for key, *value in changes:
        assert (draft.set(key, *value) if value else draft.reset(key)) == ""
    return draft.text()


def test_a_change_touches_one_value_and_comments_keep_their_column(folder):
    assert after(BY_HAND, ("optim.lr", "0.125")) == BY_HAND.replace("0.05        #", "0.125       #")


def test_a_key_that_goes_leaves_its_comment(folder):
    assert after(BY_HAND, ("optim.lr",)) == BY_HAND.replace("lr = 0.05        #", "#")
    assert after(BY_HAND, ("train.epochs",)) == BY_HAND.replace("epochs = 3\n", "")


def test_a_new_key_follows_the_last_of_its_section(folder):
    assert after(BY_HAND, ("optim.momentum", "0.8")) == BY_HAND.replace("= true\n", "= true\nmomentum = 0.8\n")
    assert after(BY_HAND, ("seed", "3")) == BY_HAND.replace("# ours\n", "# ours\nseed = 3\n")


def test_a_new_section_stands_where_the_schema_has_it_and_takes_no_comment(folder):
    section = '[schedule]\nname = "cosine"\n\n'
    wanted = BY_HAND.replace("# Three", section + "# Three").replace("0.8\n\n[sch", "0.8\n\n[sch")
    assert after(BY_HAND, ("schedule.name", "cosine")) == wanted


@pytest.mark.parametrize(
    ("before", "change", "wanted"),
    [
        ("", ("seed", "3"), "seed = 3\n"),
        ("", ("train.epochs", "3"), "[train]\nepochs = 3\n"),
        ("# mine", ("seed", "3"), "# mine\nseed = 3\n"),
        ("seed = 1", ("train.epochs", "3"), "seed = 1\n\n[train]\nepochs = 3\n"),
        ("[train]\nema = 0.5", ("train.epochs", "3"), "[train]\nema = 0.5\nepochs = 3\n"),
        ("[train]\nema = 0.5\n", ("seed", "3"), "seed = 3\n\n[train]\nema = 0.5\n"),
        ("# All.\n\n# Loop.\n[train]\n", ("seed", "3"), "# All.\n\nseed = 3\n\n# Loop.\n[train]\n"),
        ("# All.\n[train]\n", ("seed", "3"), "# All.\nseed = 3\n\n[train]\n"),
        ("[train]\n  ema = 0.5\n", ("train.epochs", "3"), "[train]\n  ema = 0.5\n  epochs = 3\n"),
        ("optim.lr = 0.1 # x\nseed = 2\n", ("optim.eps", "1"), "optim.lr = 0.1 # x\noptim.eps = 1.0\nseed = 2\n"),
        ("optim.lr = 0.1 # x\nseed = 2\n", ("optim.lr", "1"), "optim.lr = 1.0 # x\nseed = 2\n"),
        ("optim.lr = 0.1\n", ("train.epochs", "3"), "optim.lr = 0.1\n\n[train]\nepochs = 3\n"),
        ("optim = { lr = 0.1 } # x\n", ("optim.eps", "1"), "optim = { lr = 0.1, eps = 1.0 } # x\n"),
        ("optim = {lr = 0.1, eps = 1.0}\n", ("optim.lr",), "optim = { eps = 1.0 }\n"),
        ("optim = { lr = 0.1 }\n", ("optim.lr",), "optim = {}\n"),
        ("optim = {}\n", ("optim.lr", "1"), "optim = { lr = 1.0 }\n"),
        (
            "[model.options]\nw = 1\n",
            ("model.arch", "resnet18"),
            '[model.options]\nw = 1\n\n[model]\narch = "resnet18"\n',
        ),
        ("[model]\noptions.w = 1\n", ("model.options", "w=1 d=2"), "[model]\noptions.w = 1\noptions.d = 2\n"),
        ("[model.options]\nw = 1 # x\nd = 2\n", ("model.options", "d=3"), "[model.options]\n# x\nd = 3\n"),
        ("model = { options = { w = 1 } }\n", ("model.options", "w=2"), "model = { options = { w = 2 } }\n"),
        ("", ("model.options", "w=2"), "[model]\noptions = { w = 2 }\n"),
        ("['train']\n\"ema\" = 0.5\n", ("train.ema", "0.25"), "['train']\n\"ema\" = 0.25\n"),
        ("[train]\r\nema = 0.5 # x\r\n", ("train.epochs", "3"), "[train]\r\nema = 0.5 # x\r\nepochs = 3\r\n"),
        ("[train]\r\nema = 0.5\r\n", ("sam.rho", "1"), "[train]\r\nema = 0.5\r\n\r\n[sam]\r\nrho = 1.0\r\n"),
        ("[train]\r\nema = 0.5 \r\nepochs = 3", ("train.ema",), "[train]\r\nepochs = 3"),
        ('name = """a\nb"""\n', ("name", "c"), 'name = "c"\n'),
        ('name = "a"\n', ("name", 'say "ä" \\ \x1b'), 'name = "say \\"ä\\" \\\\ \\u001b"\n'),
    ],
)
def test_every_way_of_writing_a_file(folder, before, change, wanted):
    assert after(before, change) == wanted


def test_a_text_that_cannot_be_changed_so_is_left_alone():
    with pytest.raises(Untouchable, match=r"^a is not a table in this file$"):
        set_key("a = 1\n", ("a", "b"), 2, order=())


# Saving.


def test_what_is_saved_is_what_was_written_byte_by_byte(folder):
    text = "\ufeff" + BY_HAND.replace("\n", "\r\n").rstrip("\r\n")
    draft = draft_of(text)
    draft.save()
    assert Path("my.toml").read_bytes() == text.encode()
    draft.set("train.epochs", "4")
    draft.save()
    assert Path("my.toml").read_bytes() == text.replace("epochs = 3", "epochs = 4").encode()
    assert os.listdir(".") == ["my.toml"]  # and no temporary file


def test_a_file_that_changed_on_the_disk_is_not_overwritten(folder):
    draft = draft_of(BY_HAND)
    draft.set("seed", "1")
    os.utime("my.toml")
    assert not draft.changed_on_disk()  # touched, not changed
    Path("my.toml").write_text("seed = 9\n")
    assert draft.changed_on_disk()
    with pytest.raises(ChangedOnDisk, match=r"^my\.toml changed on the disk since it was read$"):
        draft.save()
    assert Path("my.toml").read_text() == "seed = 9\n"
    draft.reload()
    assert (draft.text(), draft.dirty, draft.changed_on_disk()) == ("seed = 9\n", False, False)
    assert draft.undo() == "reload"
    draft.save()
    assert Path("my.toml").read_text() == draft.text() != BY_HAND


def test_a_file_that_vanished(folder):
    draft = draft_of(BY_HAND)
    draft.set("seed", "1")
    Path("my.toml").unlink()
    with pytest.raises(ChangedOnDisk, match=r"^my\.toml is gone from the disk$"):
        draft.save()
    with pytest.raises(ProfileError, match=r"^my\.toml: cannot be read: no such file or directory$"):
        draft.reload()
    draft.save(force=True)
    assert Path("my.toml").read_text() == draft.text()


def test_a_file_that_may_only_be_read_and_a_built_in_one(folder):
    draft = draft_of(BY_HAND)
    draft.set("seed", "1")
    os.chmod("my.toml", 0o444)
    with pytest.raises(ProfileError, match=r"^my\.toml may only be read; save it under another name$"):
        draft.save()
    assert Path("my.toml").read_text() == BY_HAND
    built_in = Draft.open(builtin_folder() / "papers" / "vit.toml", environ={})
    built_in.set("seed", "1")
    with pytest.raises(ProfileError, match=r"^built-in papers/vit\.toml is a built-in profile; save it under"):
        built_in.save()
    with pytest.raises(ProfileError, match=r"is a built-in profile"):
        draft.save_as(builtin_folder() / "quick.toml", force=True)


def test_a_link_stays_a_link_and_permissions_stay(folder):
    Path("real.toml").write_text(BY_HAND)
    os.chmod("real.toml", 0o640)
    Path("my.toml").symlink_to("real.toml")
    draft = Draft.open(Path("my.toml"), environ={})
    draft.set("seed", "1")
    draft.save()
    assert Path("my.toml").is_symlink()
    assert Path("real.toml").read_text() == draft.text()
    assert Path("real.toml").stat().st_mode & 0o777 == 0o640


def test_a_disk_that_refuses_leaves_the_file_as_it_was(folder, monkeypatch):
    draft = draft_of(BY_HAND)
    draft.set("seed", "1")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProfileError, match=r"^my\.toml: cannot be written: no space left on device$"):
        draft.save()
    assert os.listdir(".") == ["my.toml"]
    assert (Path("my.toml").read_text(), draft.dirty) == (BY_HAND, True)


def test_a_new_profile(folder):
    draft = Draft.new("papers/vit", "first try", environ={})
    assert (draft.path, draft.dirty, draft.title) == (None, False, "new, extends papers/vit")
    assert draft.text() == 'extends = "papers/vit"\nname = "first try"\n'
    assert draft.resolved().profile.model.arch == "vit"
    draft.set("optim.lr", "0.1")
    with pytest.raises(ProfileError, match=r"^not saved yet; save it under a name$"):
        draft.save()
    draft.save_as(Path("profiles/sub/mine"))
    assert (draft.path, draft.title) == (Path("profiles/sub/mine.toml"), "profiles/sub/mine.toml")
    assert load("sub/mine", environ={}).profile.optim.lr == 0.1
    assert draft.changed == ()
    with pytest.raises(ProfileError, match="profile not found: papers/vti"):
        Draft.new("papers/vti")


def test_a_name_that_is_taken_is_not_overwritten(folder):
    Path("there.toml").write_text("seed = 1\n")
    draft = draft_of(BY_HAND)
    with pytest.raises(ChangedOnDisk, match=r"^there is a there\.toml already$"):
        draft.save_as(Path("there"))
    assert (draft.path, Path("there.toml").read_text()) == (Path("my.toml"), "seed = 1\n")
    draft.save_as(Path("there"), force=True)
    assert Path("there.toml").read_text() == BY_HAND


def test_from_another_folder_the_parent_is_the_same_file(folder):
    Path("lab").mkdir()
    Path("lab/parent.toml").write_text("seed = 5\n")
    draft = draft_of('extends = "parent" # ours\n', "lab/my.toml")
    draft.set("train.epochs", "3")
    draft.save_as(Path("elsewhere/deep/my.toml"))
    assert draft.extends == "../../lab/parent.toml"
    assert load("elsewhere/deep/my.toml", environ={}).profile.seed == 5
    assert draft.undo() == "train.epochs = 3"
    assert draft.resolved().profile.seed == 5  # the former texts moved too


def test_a_built_in_profile_saved_elsewhere_names_its_parent_as_anyone_would(folder):
    draft = Draft.open(builtin_folder() / "papers" / "vit.toml", environ={})
    draft.save_as(Path("profiles/vit.toml"))
    assert draft.extends == "base"
    assert 'arch = "vit"               # with its dropout of 0.1 (table 3)' in draft.text()
    assert load("vit", environ={}).profile.model.arch == "vit"


def test_a_profile_that_would_extend_itself_is_not_saved(folder):
    draft = Draft.new("base", environ={})
    with pytest.raises(ProfileError, match=r"^profiles/base\.toml would extend itself; save it under another name$"):
        draft.save_as(Path("profiles/base.toml"))
    assert not Path("profiles").exists()
    assert draft.path is None


def test_a_fork_of_a_run(folder):
    from workbench.profile import dump

    Path("run").mkdir()
    Path("run/profile.toml").write_text(dump(Profile(seed=4)))
    draft = Draft.fork(Path("run/profile.toml"), parent="20261122-213059-resnet18-k3f9q2", environ={})
    assert draft.title == "new, from run 20261122-213059-resnet18-k3f9q2"
    assert (draft.path, draft.dirty) == (None, False)
    assert draft.set("optim.lr", "0.5") == ""
    assert draft.changed == ("optim.lr",)
    draft.save_as(Path("again.toml"))
    assert load_exact("again.toml").profile.optim.lr == 0.5
    assert load_exact("run/profile.toml").profile.optim.lr == 0.001


def test_what_is_no_toml_is_not_opened(folder):
    with pytest.raises(ProfileError, match=r"^my\.toml:1:5: "):
        draft_of("a = = 1\n")


def test_a_pipe_keeps_nobody_waiting(folder):
    os.mkfifo("pipe.toml")
    with pytest.raises(ProfileError, match=r"^pipe\.toml: cannot be read: not a regular file$"):
        Draft.open(Path("pipe.toml"))
    draft = draft_of('extends = "pipe"\n')
    assert [str(problem) for problem in draft.problems()] == ['my.toml:1: extends: "pipe" is not a regular file']


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("", r"^\. is a folder; give the name of a file$"),
        ("sub", "^sub is a folder; give the name of a file$"),
        ("x\0y", "cannot be written: "),
        ("n" * 300, "cannot be written: "),
        ("a/" * 2100 + "x", "cannot be written: "),
        ("my.toml/x", "cannot be written: "),
    ],
)
def test_a_name_that_no_file_can_have(folder, name, line):
    Path("sub").mkdir()
    draft = draft_of(BY_HAND)
    with pytest.raises(ProfileError, match=line) as error:
        draft.save_as(Path(name))
    assert "\n" not in str(error.value)
    assert str(error.value).isprintable()
    assert sorted(os.listdir(".")) == ["my.toml", "sub"]
    assert draft.path == Path("my.toml")


def test_what_steers_a_terminal_is_never_repeated_raw(folder):
    draft = draft_of('name = "a\\u001b[2Jb"\n"\\u202ekey" = 1\n')
    told = [
        draft.set("optim.lr", "\x1b[2J"),
        draft.set("data.dataset", "\u202edigits"),
        draft.set("model.options", "\x9b="),
        draft.set("extends", "\x1b]0;x"),
        *(str(problem) for problem in draft.problems()),
        *(field.problem for field in draft.fields()),
        draft.set("name", "\u202ex"),
        draft.undo(),
    ]
    assert all(line.isprintable() for line in told)


# Whatever is done, in whatever order.

FIELDS = {
    f"{section}.{name}": field
    for section in ("model", "data", "augment", "sam", "train", "checkpoint")
    for name, field in Profile.model_fields[section].annotation.model_fields.items()
} | {
    f"{section}.{name}": field
    for section, choices in DISCRIMINATED.items()
    for model in choices.values()
    for name, field in model.model_fields.items()
}
CHOICES = [(f"{section}.name", name) for section, choices in DISCRIMINATED.items() for name in choices]
SETS = st.sampled_from(sorted(FIELDS)).flatmap(lambda key: st.tuples(st.just("set"), st.just(key), values(FIELDS[key])))
STEPS = st.one_of(
    SETS,
    st.sampled_from(CHOICES).map(lambda choice: ("set", *choice)),
    st.sampled_from(sorted(FIELDS)).map(lambda key: ("reset", key, None)),
    st.just(("undo", "", None)),
)
STYLES = [
    BY_HAND,
    BY_HAND.replace("\n", "\r\n").rstrip(),
    '# dotted\noptim.name = "sgd" # s\noptim.lr = 1e-1\nmodel.options.w = 2 # w\nschedule = { name = "step" } # i\n',
    "[model.options] # o\nw = 1\n\n[train]\n# e\nepochs = 4 # four\n[model] # late\narch = 'vgg11'",
]


def comments(text):
    """Comments and how often each stands there; values with a # in them count too, and are none of the originals."""
    return Counter(re.findall(r"#[^\r\n]*", text))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), steps=st.lists(STEPS, max_size=12))
def test_any_changes_leave_a_file_that_means_what_the_form_shows(folder, data, steps):
    profiles = [f"builtin/{name}.toml" for name in builtin_names()]
    if not Path("builtin").exists():
        shutil.copytree(builtin_folder(), "builtin")
        for number, text in enumerate(STYLES):
            Path(f"builtin/style{number}.toml").write_bytes(text.encode())
    start = Path(
        data.draw(st.sampled_from(profiles + [f"builtin/style{number}.toml" for number in range(len(STYLES))]))
    )
    draft = Draft.open(start, environ={})
    original = draft.text()
    texts = [original]
    for what, key, value in steps:
        if what == "undo":
            undone = draft.undo()
            assert bool(undone) == (len(texts) > 1)
            texts = texts[:-1] or texts
            assert draft.text() == texts[-1]
            continue
        reason = draft.set(key, value) if what == "set" else draft.reset(key)
        assert "change it in the text" not in reason
        if draft.text() != texts[-1]:
            assert reason == ""
            texts.append(draft.text())
        field = next((field for field in draft.fields() if field.key.path == key), None)
        if what == "set" and reason == "" and key != "model.options":
            assert field.own == (value is not None)
            assert field.value == value or value is None
    assert comments(original) <= comments(draft.text())
    start.with_name("out.toml").write_bytes(draft.text().encode())
    try:
        resolved = load(start.with_name("out.toml"), environ={})
    except ProfileError as error:
        found = [(problem.key, problem.message) for problem in error.problems]
        assert found == [(problem.key, problem.message) for problem in draft.problems()]
    else:
        assert resolved.profile == draft.resolved().profile
        for field in draft.fields():
            section, _, name = field.key.path.rpartition(".")
            held = getattr(resolved.profile, section) if section else resolved.profile
            assert field.value == getattr(held, name), field.key.path
    while draft.undo():
        pass
    assert draft.text() == original


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.one_of(
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=["Cs"])),
        ),
    )
)
def test_options_are_typed_as_they_are_shown(options):
    shown = as_text(options)
    assert repr(read_pairs(shown)) == repr(options)
