"""What people say about a run: nothing of it is lost, whoever else writes, and nothing in the file harms a reader."""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench.base.errors import UserError
from workbench.runs import user
from workbench.runs.user import User, change_user, read_user


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "20261122-213059-resnet18-k3f9q2"
    path.mkdir()
    return path


def put(run: Path, content: Any) -> bytes:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (run / "user.json").write_bytes(data)
    return data


def tagged(*tags: str) -> Callable[[User], User]:
    return lambda old: replace(old, tags=(*old.tags, *tags))


def test_what_was_changed_is_read_back(run: Path) -> None:
    assert read_user(run) == User()
    change_user(run, tagged("baseline", "paper/fig-2", "für_später", "v1.0"))
    after = change_user(run, lambda old: replace(old, note="two\nlines", pinned=True, archived=True))
    assert after == User(("baseline", "paper/fig-2", "für_später", "v1.0"), "two\nlines", True, True)
    assert read_user(run) == after
    assert after.note_line == "two lines"
    assert json.loads((run / "user.json").read_text())["schema"] == 1
    change_user(run, lambda old: User())
    assert read_user(run) == User()


def test_a_tag_twice_is_there_once(run: Path) -> None:
    change_user(run, tagged("a", "b", "a"))
    assert change_user(run, tagged("b", "c")).tags == ("a", "b", "c")
    composed, decomposed = "f\u00fcr", "fu\u0308r"
    assert change_user(run, tagged(composed, decomposed)).tags == ("a", "b", "c", composed)


@pytest.mark.parametrize(
    "tag", ["", " ", "a b", "x" * 41, "a,b", "a:b", "[/oops]", "\x1b[2J", "a\n", "\u202etag", "=1+1", "\u200b", "#"]
)
def test_anything_else_is_no_tag(run: Path, tag: str) -> None:
    with pytest.raises(UserError, match="cannot be a tag: it may have letters, digits and") as refusal:
        change_user(run, tagged("good", tag))
    assert str(refusal.value).isprintable()
    assert not (run / "user.json").exists()


def test_tags_and_notes_have_an_end(run: Path) -> None:
    change_user(run, tagged(*(f"t{i}" for i in range(50))))
    with pytest.raises(UserError, match="at most 50 tags"):
        change_user(run, tagged("one-more"))
    change_user(run, lambda old: replace(old, note="n" * 10_000))
    with pytest.raises(UserError, match=r"at most 10,000 characters \(this one has 10,001\)"):
        change_user(run, lambda old: replace(old, note="n" * 10_001))
    assert len(read_user(run).tags) == 50
    assert len(read_user(run).note) == 10_000


def test_a_note_keeps_its_lines_and_no_other_control_character(run: Path) -> None:
    change_user(run, lambda old: replace(old, note="\na\r\nb\x1b[31m\tc\x85\u2028\u202e  \n\n"))
    assert read_user(run).note == "a\nb\ufffd[31m    c\ufffd\ufffd\ufffd"


# Others write it too


def _add_tags(run: Path, who: int) -> None:
    for number in range(12):
        change_user(run, tagged(f"p{who}-{number}"))


def test_several_writers_at_once_lose_nothing(run: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add_tags, args=(run, who)) for who in range(4)]
    for writer in writers:
        writer.start()
    for number in range(20):  # a fifth one, with the other members
        change_user(run, lambda old, number=number: replace(old, note=f"{number}", pinned=not old.pinned))
    for writer in writers:
        writer.join()
    after = read_user(run)
    assert sorted(after.tags) == sorted(f"p{who}-{number}" for who in range(4) for number in range(12))
    assert (after.note, after.pinned) == ("19", False)
    assert sorted(path.name for path in run.iterdir()) == ["user.json", "user.lock"]


def test_several_threads_at_once_lose_nothing(run: Path) -> None:
    threads = [threading.Thread(target=_add_tags, args=(run, who)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_user(run).tags) == 48


def test_a_reader_never_sees_half_a_file(run: Path) -> None:
    change_user(run, lambda old: replace(old, note="a" * 5000, pinned=True))
    ended = threading.Event()

    def write() -> None:
        for letter in "bcdefghijklmnop":
            change_user(run, lambda old, letter=letter: replace(old, note=letter * 5000))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not ended.is_set():
        found = read_user(run)
        assert found.pinned
        assert found.note == found.note[0] * 5000
        seen += 1
    writer.join()
    assert seen > 5


def test_one_who_never_lets_go_is_not_waited_for_forever(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user, "PATIENCE", 0.1)
    with user._alone(run):
        began = time.monotonic()
        with pytest.raises(UserError, match=r"another program has been changing .* for 0\.1 s"):
            change_user(run, tagged("a"))
        assert time.monotonic() - began < 5
    change_user(run, tagged("a"))


# Other versions


def test_members_of_others_and_what_was_not_changed_stay(run: Path) -> None:
    put(run, {"colour": "red", "tags": "not a list", "note": ["neither"], "deep": {"x": [1, None, "\ud800"]}})
    assert change_user(run, lambda old: replace(old, pinned=True)) == User(pinned=True)
    content = json.loads((run / "user.json").read_bytes())
    assert content == {
        "schema": 1, "colour": "red", "tags": "not a list", "note": ["neither"], "deep": {"x": [1, None, "\ud800"]},
        "pinned": True,
    }  # fmt: skip


def test_a_change_that_changes_nothing_writes_nothing(run: Path) -> None:
    before = put(run, {"tags": ["a"], "pinned": 1})
    change_user(run, tagged("a"))
    assert (run / "user.json").read_bytes() == before


def test_tags_that_another_program_put_there_do_not_stop_ours(run: Path) -> None:
    put(run, {"tags": ["with space", *(f"t{i}" for i in range(60))]})
    after = change_user(run, lambda old: replace(old, tags=old.tags[:2]))
    assert after.tags == ("with space", "t0")
    assert change_user(run, tagged("ours")).tags == ("with space", "t0", "ours")


def test_a_newer_file_is_read_and_never_written(run: Path) -> None:
    before = put(run, {"schema": 2, "tags": ["a"], "note": "n", "pinned": {"since": 3}})
    assert read_user(run) == User(("a",), "n")
    with pytest.raises(UserError, match=r"user\.json was written by a newer version of cnn-workbench"):
        change_user(run, tagged("b"))
    assert (run / "user.json").read_bytes() == before


# Broken and hostile files


BROKEN = [
    b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'"text"', b"\x00" * 100, b"[" * 100_000, b'{"tags": ' * 5000,
    b'{"note": "' + b"n" * (1 << 20) + b'"}',
]  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_damaged_file_says_nothing_and_is_not_written_over(run: Path, content: bytes) -> None:
    put(run, content)
    assert read_user(run) == User()
    with pytest.raises(UserError, match=r"user\.json is (damaged|nested too deeply)"):
        change_user(run, tagged("a"))
    assert (run / "user.json").read_bytes() == content


def test_every_truncation_is_whole_or_nothing(run: Path) -> None:
    whole = User(("a", "b"), "nöte\nx", True, True)
    change_user(run, lambda _: whole)
    content = (run / "user.json").read_bytes()
    for length in range(len(content)):
        put(run, content[:length])
        assert read_user(run) in (User(), whole)


@pytest.mark.parametrize(
    "content",
    [
        {"tags": [1, None, {}, ["x"], "good", "", " "], "note": 5, "pinned": "yes", "archived": 1},
        {"tags": {"a": 1}, "note": None, "schema": "1"},
        {"tags": ["good"] * 10_000, "schema": None},
        {"tags": ["x" * 100_000], "note": "n" * 500_000},
    ],
)
def test_values_of_a_wrong_kind_count_for_nothing(run: Path, content: dict[str, Any]) -> None:
    put(run, content)
    found = read_user(run)
    assert not found.pinned
    assert not found.archived
    assert set(found.tags) <= {"good", "x" * 39 + "…"}
    assert found.note in ("", "n" * 9_999 + "…")


def test_hostile_strings_are_harmless_once_read(run: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07 \x9b2J [/oops] \u202egnp \u200b \ud800 \x00"
    put(run, {"tags": [evil, evil + "2"], "note": f"{evil}\n{evil}"})
    found = read_user(run)
    assert all(tag.isprintable() for tag in found.tags)
    assert found.note.replace("\n", "").isprintable()
    assert found.note.count("\n") == 1
    found.note.encode()
    assert change_user(run, lambda old: replace(old, tags=())).tags == ()  # they can be taken off


def test_a_link_or_a_pipe_is_not_followed_and_not_waited_for(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text('{"tags": ["secret"]}')
    (run / "user.json").symlink_to(outside)
    assert read_user(run) == User()
    with pytest.raises(UserError, match="cannot change what is noted of"):
        change_user(run, tagged("a"))
    assert outside.read_text() == '{"tags": ["secret"]}'
    (run / "user.json").unlink()
    os.mkfifo(run / "user.json")
    assert read_user(run) == User()
    with pytest.raises(UserError, match="is damaged"):
        change_user(run, tagged("a"))
    (run / "user.json").unlink()
    (run / "user.lock").unlink()
    (run / "user.lock").symlink_to(tmp_path / "made-by-us")
    with pytest.raises(UserError, match="cannot change what is noted of"):
        change_user(run, tagged("a"))
    assert not (tmp_path / "made-by-us").exists()


def test_a_directory_that_cannot_be_written_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot change what is noted of gone: No such file or directory"):
        change_user(run.parent / "gone", tagged("a"))
    before = put(run, {"tags": ["a"]})

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(user, "write_atomically", refuse)
    with pytest.raises(UserError, match=r"cannot change what is noted of 2026.*: Read-only file system"):
        change_user(run, tagged("b"))
    assert (run / "user.json").read_bytes() == before
    if os.geteuid() != 0:  # root may write anywhere
        monkeypatch.undo()
        run.chmod(0o555)
        with pytest.raises(UserError, match="Permission denied"):
            change_user(run, tagged("b"))
        run.chmod(0o755)
