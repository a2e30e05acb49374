"""`cnn-workbench run`: one run steered, labelled, thrown away and fetched back, as a person at a terminal sees it."""

import errno
import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from workbench import cli
from workbench.commands import run_steer
from workbench.commands.run import CHANGING, LOOKING
from workbench.launch.orders import Order
from workbench.launch.queue import Queue
from workbench.runs import trash
from workbench.runs.control import Inbox, Request
from workbench.runs.journal import Journal
from workbench.runs.lock import RunLock, own_identity
from workbench.runs.user import User, change_user, read_user
from workbench.tui.steering import steer

FIRST, SECOND = "20261122-100000-resnet18-aaaaaa", "20261122-110000-vgg11-bbbbbb"
START = "import sys; from workbench import cli; cli.COMMAND_MODULES = ('run',)\n"

Command = Callable[..., str]


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "COMMAND_MODULES", tuple({*cli.COMMAND_MODULES, "run"}))
    for name in (FIRST, SECOND):
        make(Path("runs"), name)
    return Path("runs")


def make(root: Path, name: str, *events: str) -> Path:
    path = root / name
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"schema": 1, "id": name, "created": "2026-11-22T10:00:00+00:00"}))
    write_events(path, "started", *events)
    return path


def write_events(run: Path, *names: str) -> None:
    events = Journal(run / "events.jsonl")
    for name in names:
        events.append({"event": name, "time": 1.0})
    events.close()


@pytest.fixture
def done(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line; it must do it. Returns stdout."""

    def run(*arguments: str) -> str:
        assert cli.main(["run", *arguments]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line; it must refuse with one line, which is returned."""

    def run(*arguments: str, code: int = 2) -> str:
        try:
            got = cli.main(["run", *arguments])
        except SystemExit as end:
            got = end.code  # type: ignore[assignment]
        captured = capsys.readouterr()
        assert got == code, captured
        assert captured.out == ""
        [line] = captured.err.splitlines()
        assert line.startswith("cnn-workbench")
        return line.partition(": ")[2]

    return run


# What people say about a run


def test_tags(done: Command, refused: Command) -> None:
    run = Path("runs") / SECOND
    assert done("tag", "last", "baseline", "paper/fig-2") == f"{SECOND}: tags baseline, paper/fig-2\n"
    assert done("tag", "20261122-11", "third") == f"{SECOND}: tags baseline, paper/fig-2, third\n"
    assert refused("untag", "last", "third", "basline") == (
        f'{SECOND} has no tag "basline" (did you mean "baseline"?); nothing was changed'
    )
    assert read_user(run).tags == ("baseline", "paper/fig-2", "third")
    assert done("untag", "last", "third", "baseline") == f"{SECOND}: tags paper/fig-2\n"
    assert done("untag", f"runs/{SECOND}", "paper/fig-2") == f"{SECOND}: no tags\n"
    assert "cannot be a tag" in refused("tag", "last", "good", "a b")
    assert read_user(run) == User()
    assert read_user(Path("runs") / FIRST) == User()


def test_a_note_from_the_command_line_and_from_stdin(
    done: Command, refused: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path("runs") / FIRST
    assert done("note", FIRST, "as in the paper") == f"{FIRST}: a note of 15 characters\n"
    assert read_user(run).note == "as in the paper"
    monkeypatch.setattr("sys.stdin", io.StringIO("- first\n- second\n"))
    assert done("note", FIRST, "-") == f"{FIRST}: a note of 16 characters\n"
    assert read_user(run).note == "- first\n- second"
    assert done("note", FIRST, "- a list\n- in one argument") == f"{FIRST}: a note of 26 characters\n"
    assert done("note", FIRST, "") == f"{FIRST}: no note\n"
    assert read_user(run).note == ""
    monkeypatch.setattr("sys.stdin", io.StringIO("n" * 1_000_000))
    assert "at most 10,000 characters" in refused("note", FIRST, "-")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))
    assert "is not text" in refused("note", FIRST, "-")


def test_pin_and_archive_take_several_runs(done: Command, refused: Command) -> None:
    assert done("pin", FIRST, "last", FIRST) == f"{FIRST}: pinned\n{SECOND}: pinned\n"
    assert done("archive", FIRST) == f"{FIRST}: archived\n"
    assert read_user(Path("runs") / FIRST) == User(pinned=True, archived=True)
    assert done("unpin", FIRST, SECOND) == f"{FIRST}: not pinned\n{SECOND}: not pinned\n"
    assert done("unarchive", FIRST) == f"{FIRST}: not archived\n"
    assert read_user(Path("runs") / FIRST) == read_user(Path("runs") / SECOND) == User()
    assert 'no run "nowhere"' in refused("pin", FIRST, "nowhere")
    assert read_user(Path("runs") / FIRST) == User()  # all are found before any is changed


# The trash


def test_deleted_listed_restored(done: Command, refused: Command) -> None:
    change_user(Path("runs") / FIRST, lambda _: User(("old",), "two\nlines"))
    assert done("trash") == "the trash is empty\n"
    said = done("delete", "--yes", FIRST)
    assert said == f"{FIRST}: in the trash; fetch it back with: cnn-workbench run restore {FIRST}\n"
    assert not (Path("runs") / FIRST).exists()
    heading, _, row = done("trash").splitlines()
    assert heading.split() == ["run", "deleted", "(UTC)", "size", "tags", "note"]
    assert row.split()[0] == FIRST
    assert row.split()[-3:] == ["old", "two", "lines"]
    assert 'no run "20261122-10' in refused("tag", FIRST, "x")
    assert done("restore", "20261122-10") == f"{FIRST}: restored\n"
    assert read_user(Path("runs") / FIRST).tags == ("old",)


def test_the_command_to_fetch_it_back_names_the_folder(done: Command, tmp_path: Path) -> None:
    root = tmp_path / "other runs"
    make(root, FIRST)
    said = done("delete", "--yes", "last", "--runs", str(root))
    assert said.endswith(f"cnn-workbench run restore {FIRST} --runs '{root}'\n")
    assert done("restore", FIRST, "--runs", str(root)) == f"{FIRST}: restored\n"


def test_nothing_is_deleted_unless_all_can_be(done: Command, refused: Command) -> None:
    held = RunLock.acquire(Path("runs") / SECOND / "lock")
    assert "is still running" in refused("delete", "--yes", FIRST, SECOND)
    assert 'no run "nowhere"' in refused("delete", "--yes", FIRST, "nowhere")
    held.release()
    assert len(list(Path("runs").iterdir())) == 2
    assert len(done("delete", "-y", FIRST, SECOND, "last").splitlines()) == 2


def test_purge_takes_the_named_the_old_or_all(done: Command, refused: Command) -> None:
    for number in range(4):
        make(Path("runs"), f"run-{number}")
    done("delete", "--yes", *(f"run-{number}" for number in range(4)))
    for number, days in enumerate((40, 20, 2, 0)):
        then = time.time() - days * 86_400 - 60
        os.utime(Path("runs/.trash") / f"run-{number}", (then, then))
    listed = [line.split()[0] for line in done("trash").splitlines()[2:]]
    assert listed == ["run-0", "run-1", "run-2", "run-3"]
    assert done("purge", "--older-than", "30d", "--yes").startswith("removed 1 run, ")
    assert done("purge", "--older-than", "30d", "--yes") == "nothing to purge\n"
    assert done("purge", "run-2", "run-3", "--older-than", "24h", "--yes").startswith("removed 1 run, ")
    assert sorted(path.name for path in Path("runs/.trash").iterdir()) == ["run-1", "run-3"]
    assert 'no run "run-9" in the trash' in refused("purge", "run-1", "run-9", "--yes")
    for wrong in ("30", "d", "-3d", "1y", "999999d", "3 d"):
        assert "--older-than: must be hours, days or weeks" in refused("purge", f"--older-than={wrong}", "--yes")
    assert done("purge", "--yes").startswith("removed 2 runs, ")
    assert sorted(path.name for path in Path("runs").iterdir()) == [".trash", FIRST, SECOND]


def test_without_a_terminal_it_is_not_asked_and_not_done(refused: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    line = refused("delete", FIRST)
    assert line == f"Move 1 run to the trash ({FIRST})? There is no terminal to ask on: add --yes"
    assert (Path("runs") / FIRST).is_dir()
    trash.delete(Path("runs"), Path("runs") / FIRST)
    assert "add --yes" in refused("purge")
    assert (Path("runs/.trash") / FIRST).is_dir()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
def test_on_a_terminal_it_is_asked(answer: str, code: int, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    code_line = f"{START}sys.exit(cli.main(['run', 'delete', {FIRST!r}]))"
    streams = {"stdin": theirs, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code_line], cwd=tmp_path, **streams) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        assert process.stderr is not None
        said = process.stderr.read().decode()
    os.close(ours)
    assert process.returncode == code
    assert said.startswith(f"Move 1 run to the trash ({FIRST})? [y/N] ")
    assert (Path("runs") / FIRST).is_dir() == bool(code)


# Steering


@contextmanager
def trainer(run: Path, outcome: str = "done", text: str = "{kind} at step 7 (epoch 1)") -> Iterator[list[Request]]:
    """Somebody who holds the run and answers; yields what it was asked."""
    asked: list[Request] = []
    over = threading.Event()
    held = RunLock.acquire(run / "lock")
    inbox = Inbox(run)

    def serve() -> None:
        while not over.wait(0.01):
            for request in inbox.claim():
                asked.append(request)
                if outcome:
                    inbox.answer(request, outcome, text.format(kind=request.kind))  # type: ignore[arg-type]

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join()
        held.release()


def test_a_live_run_is_asked_and_its_answer_told(done: Command) -> None:
    with trainer(Path("runs") / FIRST) as asked:
        for action in ("pause", "resume", "checkpoint", "stop"):
            assert done(action, FIRST) == f"{FIRST}: {action} at step 7 (epoch 1)\n"
        assert done("lr", FIRST, "--factor", "0.5", "--timeout", "5") == f"{FIRST}: lr at step 7 (epoch 1)\n"
    assert [request.kind for request in asked] == ["pause", "resume", "checkpoint", "stop", "lr"]
    assert asked[-1].arguments == {"factor": 0.5}


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_what_was_not_done_is_told(refused: Command, outcome: str) -> None:
    with trainer(Path("runs") / FIRST, outcome, "it is not\x1b[2J paused"):
        assert refused("resume", FIRST, code=1) == f"{FIRST}: resume {outcome}: it is not\ufffd[2J paused"


def test_a_request_that_nobody_answers_is_taken_back(refused: Command) -> None:
    run = Path("runs") / FIRST
    held = RunLock.acquire(run / "lock")
    line = refused("stop", FIRST, "--timeout", "0.1", code=1)
    assert line == f"{FIRST}: no trainer answered within 0.1 s (it is running); the request was taken back"
    assert list((run / "control").iterdir()) == []
    held.release()


def test_a_run_of_another_host_that_may_not_see_the_folder(refused: Command) -> None:
    run = Path("runs") / FIRST
    (run / "lock").write_text(json.dumps(own_identity() | {"host": "gpu-box\x1b[2J"}))
    line = refused("stop", FIRST, "--timeout", "0.1", code=1)
    host = "gpu-box\ufffd[2J"
    assert line == (
        f"{FIRST}: no trainer answered within 0.1 s (it is silent: on {host}; watching whether it moves; this folder "
        f"may be one that {host} does not see); the request was taken back"
    )
    assert list((run / "control").iterdir()) == []
    told = steer(run, "pause", seconds=0.1)
    assert not told.done
    assert f"this folder may be one that {host} does not see" in told.text


def test_a_run_of_another_user(refused: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path("runs") / FIRST
    (run / "control").mkdir()
    monkeypatch.setattr(Path, "owner", lambda self: "alice")
    real = os.open

    def not_yours(path: Any, flags: int, *given: Any, **options: Any) -> int:
        if flags & os.O_CREAT and "dir_fd" in options:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *given, **options)

    with trainer(run):
        monkeypatch.setattr(os, "open", not_yours)
        line = refused("stop", FIRST)
    why = f"runs/{FIRST}/control is alice's, and you may not write there (Permission denied)"
    assert line == f"cannot ask {FIRST}: {why}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_run_whose_folder_may_not_be_written(refused: Command) -> None:
    run = Path("runs") / FIRST
    run.chmod(0o500)
    try:
        assert "you may not write there (Permission denied)" in refused("stop", FIRST)
    finally:
        run.chmod(0o700)


def test_two_who_ask_at_once_are_both_answered(done: Command) -> None:
    run = Path("runs") / FIRST
    with trainer(run) as asked, ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda kind: steer(run, kind), ["pause", "checkpoint"] * 4))
        assert done("stop", FIRST) == f"{FIRST}: stop at step 7 (epoch 1)\n"
    assert [answer.done for answer in told] == [True] * 8
    assert sorted(answer.text.split()[0] for answer in told) == ["checkpoint"] * 4 + ["pause"] * 4
    assert len({request.id for request in asked}) == 9


def test_controllers_in_processes_of_their_own_are_each_answered_once() -> None:
    run = Path("runs") / FIRST
    factors = [1.5, 2.0, 3.0, 4.0]
    with trainer(run) as asked:
        controllers = [
            subprocess.Popen(
                [sys.executable, "-m", "workbench", "run", "lr", FIRST, "--factor", str(factor), "--timeout", "60"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for factor in factors
        ]  # fmt: skip
        told = [controller.communicate(timeout=120)[0] for controller in controllers]
    assert told == [f"{FIRST}: lr at step 7 (epoch 1)\n"] * 4
    assert sorted(request.arguments["factor"] for request in asked) == factors


def test_a_request_that_was_taken_and_not_answered_is_told(refused: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_steer, "LATE_ANSWER", 0.1)
    with trainer(Path("runs") / FIRST, outcome=""):
        line = refused("checkpoint", FIRST, "--timeout", "0.3", code=1)
    assert line == f"{FIRST}: the trainer took the request to checkpoint, and has not said yet what became of it"


def test_ctrl_c_takes_the_request_back(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path("runs") / FIRST
    held = RunLock.acquire(run / "lock")

    def interrupted(*_: object) -> None:
        assert len(list((run / "control").iterdir())) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.runs.control.wait_for_answer", interrupted)
    assert cli.main(["run", "stop", FIRST]) == 130
    assert list((run / "control").iterdir()) == []
    held.release()


def test_what_has_not_begun_is_refused_as_that(refused: Command) -> None:
    Queue(Path("runs")).add(Order(profile="x = 1\n", way="detached", label="vit seed 3\x1b[2J"))
    assert refused("stop", "vit").endswith(
        "; vit seed 3\ufffd[2J has not begun: it waits in the queue (Q in the screen)"
    )
    assert "queue" not in refused("stop", "gmlp")


def test_a_run_without_a_trainer_is_refused_with_what_goes_on(refused: Command) -> None:
    RunLock.acquire(Path("runs") / FIRST / "lock").release()  # its process went without an ending
    for action in ("stop", "pause", "resume", "checkpoint"):
        line = refused(action, FIRST)
        assert line.startswith(f"{FIRST} has crashed (its process is gone): there is nobody to ask; ")
        assert line.endswith(f"go on training with: cnn-workbench --headless --resume {FIRST}")
    for ending in ("stopped", "preempted", "failed", "finished"):
        write_events(Path("runs") / FIRST, "resumed", ending)
        line = refused("resume", FIRST, "--runs", "runs")
        assert f"cnn-workbench --headless --resume {FIRST} --runs runs" in line
        assert line.endswith("--train.epochs N") == (ending == "finished")
        assert refused("stop", FIRST) == f"{FIRST} is over ({ending}): there is nobody to ask"
    assert not (Path("runs") / FIRST / "control").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lr", FIRST), "required: --factor"),
        (("lr", FIRST, "--factor", "fast"), "--factor: must be a number (got fast)"),
        (("lr", FIRST, "--factor", "0"), "--factor: must be greater than 0 (got 0)"),
        (("lr", FIRST, "--factor", "-1"), "--factor: must be greater than 0 (got -1)"),
        (("lr", FIRST, "--factor", "nan"), "--factor: must be a number (got nan)"),
        (("stop", FIRST, "--timeout", "inf"), "--timeout: must be a number (got inf)"),
        (("stop", FIRST, "--timeout", "-1"), "--timeout: must be at least 0 (got -1)"),
        (("stop",), "required: RUN"),
        (("stop", FIRST, SECOND), f"unknown argument {SECOND}"),
        (("stop", FIRST, "--timeuot", "3"), "unknown option --timeuot (did you mean --timeout?)"),
        (("tag", FIRST), "required: TAG"),
        (("note", FIRST), "required: TEXT"),
        (("restore",), "required: ID"),
        (("taggg", FIRST, "x"), 'there is no "run taggg" (did you mean "tag"?)'),
        (("frobnicate",), "there are show, tail, export, stop, pause, resume"),
        (("stop", "20261122"), '"20261122" is the beginning of 2 runs'),
        (("stop", "last", "--runs", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_one_line(refused: Command, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*arguments)


# Where it may reach


def test_a_run_outside_the_folder_is_not_changed(refused: Command, done: Command, tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere", "20261122-120000-other-cccccc")
    (Path("runs") / "20261122-130000-link-dddddd").symlink_to(elsewhere)
    for line in ("tag RUN x", "note RUN x", "pin RUN", "delete --yes RUN", "stop RUN"):
        arguments = line.split()
        by_path = [str(elsewhere) if word == "RUN" else word for word in arguments]
        assert "does not lie directly in the runs folder runs, and only runs there are changed" in refused(*by_path)
        by_link = ["20261122-13" if word == "RUN" else word for word in arguments]
        said = refused(*by_link)
        assert "is a symbolic link" in said or "no run" in said
    assert sorted(path.name for path in elsewhere.iterdir()) == ["events.jsonl", "run.json"]
    done("tag", str(elsewhere), "x", "--runs", str(elsewhere.parent))
    assert read_user(elsewhere).tags == ("x",)


def test_help_lists_every_action(done: Command) -> None:
    text = done("--help")
    for action in (*LOOKING, *CHANGING):
        assert f" {action} " in text.replace("|", " ").replace("\n", " "), action
    assert max(map(len, text.splitlines())) < 125


def test_labels_and_trash_need_no_torch() -> None:
    code = (
        f"{START}run = {FIRST!r}\n"
        "for line in (['tag', run, 'x'], ['delete', '--yes', run], ['trash']): assert cli.main(['run', *line]) == 0\n"
        "assert not {'torch', 'textual', 'pydantic', 'plotext'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
