"""The list of profiles: all places, broken files too; copies, the trash, and back."""

import importlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from workbench.profile import ProfileError, builtin_folder, builtin_names, find, load
from workbench.profile.files import Difference, delete, duplicate, folder_of, fresh, in_trash, listed, restore
from workbench.profile.find import SHIPPED, SHIPPED_FOLDERS, is_builtin, user_folder

find_module = importlib.import_module("workbench.profile.find")  # the package's `find` is the function


def write(text, *names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def entry(name):
    return next(one for one in listed() if one.name == name)


def own():
    return [one.name for one in listed() if one.place != "built-in"]


def test_all_places_are_listed_the_projects_first(folder):
    write("", "profiles/b.toml", "profiles/sub/a.toml", "profiles/a.toml", str(user_folder() / "mine.toml"))
    found = [(one.name, one.place) for one in listed()]
    assert found[:4] == [("a", "project"), ("b", "project"), ("sub/a", "project"), ("mine", "user")]
    assert found[4:] == [(name, "built-in") for name in builtin_names()]
    assert all(not one.problem for one in listed())
    assert [folder_of(place) for place in ("project", "user", "built-in")] == [
        Path("profiles"), user_folder(), builtin_folder(),
    ]  # fmt: skip


def test_the_name_is_the_one_that_finds_the_file(folder):
    write("seed = 1", "profiles/quick.toml", "profiles/mnist.toml", "mnist.toml")
    for one in listed():
        assert find(one.name).resolve() == one.path.resolve(), one
    assert entry("quick").place == "project"
    assert str(builtin_folder() / "quick.toml") in [one.name for one in listed()]


def test_what_differs_from_the_parent_is_told(folder):
    write('[optim]\nname = "sgd"\nlr = 0.2\nmomentum = 0.5\n[train]\nepochs = 3\n', "profiles/parent.toml")
    write('extends = "parent"\n[optim]\nlr = 0.2\nmomentum = 0.8\n[train]\nepochs = 4\n', "profiles/child.toml")
    write('extends = "parent"\n[optim]\nname = "adam"\nlr = 0.2\neps = 1e-8\n', "profiles/other.toml")
    child, other = entry("child"), entry("other")
    assert (child.parent, other.parent, entry("parent").parent) == ("parent", "parent", "")
    assert child.differences == (Difference("optim.momentum", 0.8, 0.5), Difference("train.epochs", 4, 3))
    # SGD's 0.2 would not hold for Adam, whose own rate is 0.001.
    assert other.differences == (Difference("optim.name", "adam", "sgd"), Difference("optim.lr", 0.2, 0.001))
    assert Difference("augment.jitter", 0.1, None) in entry("papers/alexnet").differences


def test_a_broken_file_is_listed_with_what_is_wrong(folder, monkeypatch):
    monkeypatch.setenv("CNNWB_SEED", "none")  # of no file
    write("a = = 1", "profiles/torn.toml")
    write("[train]\nepocs = 3\nema = 2.0\n", "profiles/typo.toml")
    write('extends = "nobody"\nseed = 3\n', "profiles/orphan.toml")
    write('extends = "loop"', "profiles/loop.toml")
    write("optim = 3\n[[train]]\n", "profiles/odd.toml")
    write("extends = 3\n", "profiles/number.toml")
    Path("profiles/bytes.toml").write_bytes(b"name = '\xff'")
    write("[" * 2000, "profiles/deep.toml")
    os.mkfifo("profiles/pipe.toml")
    Path("profiles/gone.toml").symlink_to("nowhere.toml")
    Path("profiles/folder.toml").mkdir()
    problems = {one.name: one.problem for one in listed() if one.place == "project"}
    assert problems.keys() == {"torn", "typo", "orphan", "loop", "odd", "number", "bytes", "deep"}
    assert problems["typo"].startswith('profiles/typo.toml:2: train.epocs: unknown key (did you mean "epochs"?)')
    assert problems["typo"].endswith(" (and 1 more)")
    assert problems["orphan"].startswith("profiles/orphan.toml:1: extends: profile not found: nobody")
    assert problems["loop"].endswith("extends forms a cycle: loop.toml -> loop.toml")
    assert all(problem and "\n" not in problem for problem in problems.values())


def test_a_folder_that_may_not_be_entered_and_links_in_a_ring(folder):
    write("", "profiles/sub/a.toml")
    Path("profiles/sub/up").symlink_to("..")
    Path("profiles/again.toml").symlink_to("sub/a.toml")
    Path("profiles/closed").mkdir(mode=0o000)
    assert own() == ["again"]  # the same file once
    Path("profiles/again.toml").unlink()
    assert own() == ["sub/a"]
    Path("profiles/closed").chmod(0o700)


def test_in_a_checkout_the_shipped_profiles_are_built_in_and_ones_own_beside_them_are_not(folder, monkeypatch):
    Path("workbench/profile").mkdir(parents=True)
    shutil.copytree(builtin_folder(), "profiles")
    monkeypatch.setattr(find_module, "__file__", str(folder / "workbench" / "profile" / "find.py"))
    write('extends = "base"', "profiles/mine.toml")
    assert own() == ["mine"]
    assert len(listed()) == len(builtin_names()) == len({one.path for one in listed()})
    assert is_builtin(Path("profiles/papers/vit.toml"))
    assert not is_builtin(Path("profiles/mine.toml"))


def test_the_names_of_what_is_shipped_are_known():
    here = Path(__file__).parents[2] / "profiles"
    if not (here.parent / ".git").exists() or shutil.which("git") is None:
        pytest.skip("only a checkout knows what is its own")
    answer = subprocess.run(
        ["git", "ls-files", "profiles"], cwd=here.parent, capture_output=True, text=True, check=True
    )
    tracked = [Path(line).relative_to("profiles") for line in answer.stdout.split() if line.endswith(".toml")]
    assert {path.stem for path in tracked if len(path.parts) == 1} == set(SHIPPED)
    assert {path.parts[0] for path in tracked if len(path.parts) > 1} == set(SHIPPED_FOLDERS)


def test_a_copy_has_a_name_of_its_own(folder):
    write('extends = "parent" # ours\n', "profiles/sub/mine.toml")
    write("seed = 4\n", "profiles/sub/parent.toml")
    copies = [duplicate(Path("profiles/sub/mine.toml")), duplicate(Path("profiles/sub/mine-2.toml"))]
    assert copies == [Path("profiles/sub/mine-2.toml"), Path("profiles/sub/mine-3.toml")]
    assert {copy.read_text() for copy in copies} == {'extends = "parent" # ours\n'}
    assert load("sub/mine-3", environ={}).profile.seed == 4
    assert fresh(Path("profiles"), "new") == Path("profiles/new.toml")


def test_a_copy_of_a_built_in_profile_is_the_projects(folder):
    vit, base = duplicate(find("papers/vit")), duplicate(find("base"))
    assert (vit, base) == (Path("profiles/vit.toml"), Path("profiles/base-2.toml"))
    assert 'extends = "base"' in vit.read_text()
    assert "# 0.003 at batch 4096" in vit.read_text()
    assert load("vit", environ={}).profile == load("papers/vit", environ={}).profile
    assert load("base-2", environ={}).profile == load("base", environ={}).profile


def test_a_broken_file_can_be_copied_and_deleted(folder):
    write("a = = 1", "profiles/torn.toml")
    assert duplicate(Path("profiles/torn.toml")).read_text() == "a = = 1"
    delete(Path("profiles/torn.toml"))
    assert own() == ["torn-2"]


def test_what_is_deleted_can_be_restored_however_often(folder):
    for seed in range(3):
        write(f"seed = {seed}\n", "profiles/sub/mine.toml")
        delete(Path("profiles/sub/mine.toml"))
    assert own() == []
    trash = Path("profiles/sub/.trash")
    assert sorted(path.name for path in trash.iterdir()) == ["mine.toml", "mine.toml.2", "mine.toml.3"]
    assert [(one.name, one.place) for one in in_trash()] == [("sub/mine", "project")] * 3
    assert in_trash()[0].path == trash / "mine.toml.3"  # the last one first
    assert restore(trash / "mine.toml.2") == Path("profiles/sub/mine.toml")
    assert Path("profiles/sub/mine.toml").read_text() == "seed = 1\n"
    with pytest.raises(ProfileError, match=r"^there is a profiles/sub/mine\.toml already; mine\.toml stays$"):
        restore(trash / "mine.toml")
    assert (trash / "mine.toml").read_text() == "seed = 0\n"
    for name in ("mine.toml", "mine.toml.3"):
        Path("profiles/sub/mine.toml").unlink()
        restore(trash / name)
    assert not trash.exists()


def test_of_the_users_own_folder_too(folder):
    write("seed = 1\n", str(user_folder() / "mine.toml"))
    there = delete(user_folder() / "mine.toml")
    assert [(one.name, one.place, one.path) for one in in_trash()] == [("mine", "user", there)]
    assert restore(there) == user_folder() / "mine.toml"


def test_what_cannot_be_deleted_is_one_line_and_stays(folder):
    with pytest.raises(ProfileError, match=r"^built-in quick\.toml is a built-in profile, and stays$"):
        delete(find("quick"))
    Path("profiles").mkdir()
    with pytest.raises(ProfileError, match=r"^profiles/none\.toml: cannot be deleted: no such file or directory$"):
        delete(Path("profiles/none.toml"))
    assert list(Path("profiles/.trash").iterdir()) == []  # nor is an empty file left in its place
    write("", "profiles/mine.toml")
    Path("profiles/.trash").rmdir()
    Path("elsewhere").mkdir()
    Path("profiles/.trash").symlink_to("../elsewhere")
    with pytest.raises(ProfileError, match=r"^profiles/mine\.toml: cannot be deleted: its trash is a symbolic link$"):
        delete(Path("profiles/mine.toml"))
    assert Path("profiles/mine.toml").exists()


def test_a_thousand_files(folder):
    text = (builtin_folder() / "papers" / "vit.toml").read_text().replace("../base.toml", "base")
    write(text, *(f"profiles/v{number}.toml" for number in range(1000)))
    assert len(own()) == 1000
