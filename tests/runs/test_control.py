"""Requests to a live trainer: each acted on once, in order, and nothing that lies in the folder harms the trainer."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workbench.base.errors import UserError
from workbench.runs import control
from workbench.runs.control import Answer, Inbox, Request, ask, wait_for_answer, withdraw
from workbench.runs.journal import Journal

ID = "01795399493594960847-r8tdp59c"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "20261122-213059-resnet18-k3f9q2"
    path.mkdir()
    (path / "run.json").write_text("{}")
    write_events(path, "started")
    return path


def write_events(run: Path, *names: str) -> None:
    events = Journal(run / "events.jsonl")
    for name in names:
        events.append({"event": name})
    events.close()


def put(run: Path, name: str, content: Any) -> Path:
    (run / "control").mkdir(exist_ok=True)
    path = run / "control" / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# Asking and answering


def test_requests_arrive_in_order_with_their_arguments_and_are_answered(run: Path) -> None:
    asked = [ask(run, kind) for kind in ("pause", "checkpoint", "resume")] + [ask(run, "lr", factor=0.5)]
    asked.append(ask(run, "stop"))
    inbox = Inbox(run)
    claimed = inbox.claim()
    assert [request.id for request in claimed] == asked
    assert [request.kind for request in claimed] == ["pause", "checkpoint", "resume", "lr", "stop"]
    assert claimed[3].arguments == {"factor": 0.5}
    assert claimed[0].by.startswith(f"pid {os.getpid()} on ")
    assert inbox.claim() == []
    assert wait_for_answer(run, asked[3], timeout=0) is None
    inbox.answer(claimed[3], "done", "the learning rate is 0.05")
    assert wait_for_answer(run, asked[3], timeout=0) == Answer("done", "the learning rate is 0.05")
    assert wait_for_answer(run, asked[4], timeout=0) is None
    assert inbox.complaints() == []


def test_the_asker_waits_until_the_answer_is_there(run: Path) -> None:
    request_id = ask(run, "stop")
    inbox = Inbox(run)
    [request] = inbox.claim()
    later = threading.Timer(0.2, inbox.answer, (request, "refused", "no"))
    later.start()
    began = time.monotonic()
    assert wait_for_answer(run, request_id, timeout=30) == Answer("refused", "no")
    assert time.monotonic() - began >= 0.15
    later.join()


def test_an_answer_given_twice_is_the_later_one(run: Path) -> None:
    request_id = ask(run, "checkpoint")
    inbox = Inbox(run)
    [request] = inbox.claim()
    inbox.answer(request, "failed", "No space left on device")
    inbox.answer(request, "done", "saved")
    assert wait_for_answer(run, request_id, timeout=0) == Answer("done", "saved")


def test_what_cannot_be_asked_is_said_at_once(run: Path) -> None:
    with pytest.raises(UserError, match='there is no request "stopp" .did you mean "stop"'):
        ask(run, "stopp")
    with pytest.raises(UserError, match="the request lr takes factor"):
        ask(run, "lr")
    with pytest.raises(UserError, match="the request stop takes no argument"):
        ask(run, "stop", factor=1.0)
    for factor in (0.0, -1.0, float("nan"), float("inf"), True, "0.5", 10**400):
        with pytest.raises(UserError, match="factor of the request lr must be a finite number greater than 0"):
            ask(run, "lr", factor=factor)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is not a run directory"):
        ask(run.parent, "stop")
    assert not (run / "control").exists()


@pytest.mark.parametrize("ending", ["finished", "failed", "stopped", "preempted"])
def test_a_run_that_is_over_cannot_be_asked_until_it_is_resumed(run: Path, ending: str) -> None:
    write_events(run, ending)
    with pytest.raises(UserError, match=rf"is over \({ending}\): there is nobody to ask"):
        ask(run, "stop")
    write_events(run, "resumed")
    ask(run, "stop")


def test_what_was_asked_of_a_trainer_that_is_gone_does_not_stop_the_next(run: Path) -> None:
    asked = [ask(run, "stop"), ask(run, "pause")]
    inbox = Inbox(run)
    assert inbox.refuse_waiting("the trainer it was for had ended") == 2
    assert inbox.claim() == []
    for request_id in asked:
        assert wait_for_answer(run, request_id, timeout=0) == Answer("refused", "the trainer it was for had ended")


def test_a_request_can_be_taken_back_until_it_is_claimed(run: Path) -> None:
    first, second = ask(run, "stop"), ask(run, "pause")
    assert withdraw(run, first)
    assert not withdraw(run, first)
    assert [request.id for request in Inbox(run).claim()] == [second]
    assert not withdraw(run, second)


def test_an_id_never_leads_out_of_the_folder(run: Path) -> None:
    (run / "answer.json").write_text('{"outcome": "done", "text": "x"}')
    for wrong in ("../../run", "..", "", f"../claimed/{ID}", f"{ID}\n", "/etc/passwd"):
        with pytest.raises(ValueError, match="not the id of a request"):
            wait_for_answer(run, wrong, timeout=0)
        with pytest.raises(ValueError, match="not the id of a request"):
            withdraw(run, wrong)


def test_looks_are_five_a_second_at_most(run: Path) -> None:
    inbox = Inbox(run)
    looks = [step for step in range(1000) if inbox.due(7.0 + step / 64)]
    assert looks == list(range(0, 1000, 13))  # 13/64 s is the first past 0.2 s


# Several at once


def test_threads_that_ask_and_claim_at_once_lose_nothing_and_double_nothing(run: Path) -> None:
    done = threading.Event()
    inboxes = [Inbox(run) for _ in range(4)]

    def claim_all(inbox: Inbox) -> list[str]:
        mine: list[str] = []
        while True:
            over = done.is_set()
            requests = inbox.claim()
            mine += [request.id for request in requests]
            if over and not requests:
                return mine

    with ThreadPoolExecutor(8) as pool:
        claiming = [pool.submit(claim_all, inbox) for inbox in inboxes]
        asking = [pool.submit(lambda: [ask(run, "lr", factor=2) for _ in range(60)]) for _ in range(4)]
        asked = [request_id for future in asking for request_id in future.result()]
        done.set()
        claimed = [future.result() for future in claiming]
    everything = [request_id for mine in claimed for request_id in mine]
    assert len(set(asked)) == 240
    assert sorted(everything) == sorted(asked)
    assert [complaint for inbox in inboxes for complaint in inbox.complaints()] == []


CLAIM = """
import sys, time
from pathlib import Path
from workbench.runs.control import Inbox
inbox, got = Inbox(Path(sys.argv[1])), []
print("ready", flush=True)
sys.stdin.readline()
for _ in range(300):
    got += [request.id for request in inbox.claim()]
print(" ".join(got), "|", *inbox.complaints(), flush=True)
"""


def test_of_three_processes_that_claim_each_request_goes_to_one(run: Path) -> None:
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for claimer in claimers:
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "ready\n"
    asked = [ask(run, "checkpoint") for _ in range(150)]
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    asked += [ask(run, "checkpoint") for _ in range(50)]
    claimed: list[str] = []
    for claimer in claimers:
        ids, _, complaints = claimer.communicate(timeout=60)[0].partition("|")
        assert complaints.strip() == ""
        claimed += ids.split()
    claimed += [request.id for request in Inbox(run).claim()]  # asked when they had looked their last
    assert sorted(claimed) == sorted(asked)


def test_a_claimer_never_sees_half_a_request(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The asker dies at any moment of asking: the request is there whole or not at all."""
    real = os.rename

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    inbox = Inbox(run)
    monkeypatch.setattr(os, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        ask(run, "stop")
    monkeypatch.setattr(os, "rename", real)
    assert inbox.claim() == []
    put(run, f".{ID}.json.1-ab.tmp", b'{"half')  # a killed one cannot even tidy up
    assert inbox.claim() == []
    assert inbox.complaints() == []


# Bad content


GOOD = {"schema": 1, "kind": "lr", "arguments": {"factor": 2}, "by": "me"}
DAMAGED: dict[str, Any] = {
    "empty": b"",
    "torn": b'{"schema": 1, "kind": "st',
    "binary": bytes(range(256)),
    "a list": [1, 2],
    "large": json.dumps(GOOD).encode() + b" " * control.MOST_BYTES,
    "nested": b"[" * 4000,
    "long number": b'{"schema": ' + b"9" * 3900 + b"}",
    "unknown kind": GOOD | {"kind": "explode"},
    "no kind": {"schema": 1, "arguments": {}},
    "kind of another type": GOOD | {"kind": ["lr"]},
    "no factor": GOOD | {"arguments": {}},
    "one argument more": GOOD | {"arguments": {"factor": 2, "x": 1}},
    "nan": b'{"schema": 1, "kind": "lr", "arguments": {"factor": NaN}}',
    "beyond any float": b'{"schema": 1, "kind": "lr", "arguments": {"factor": 1' + b"0" * 400 + b"}}",
    "negative": GOOD | {"arguments": {"factor": -2}},
    "newer": GOOD | {"schema": 2},
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_request_is_moved_aside_reported_once_and_refused(run: Path, content: Any) -> None:
    put(run, f"{ID}.json", content)
    later = ask(run, "stop")
    inbox = Inbox(run)
    assert [request.id for request in inbox.claim()] == [later]
    [complaint] = inbox.complaints()
    assert complaint.startswith(f"control/{ID}.json is no request: ")
    assert len(complaint) <= 300
    answer = wait_for_answer(run, ID, timeout=0)
    assert answer is not None
    assert answer.outcome == "refused"
    assert inbox.claim() == []
    assert inbox.complaints() == []
    assert sorted(path.name for path in (run / "control").iterdir()) == ["claimed"]


def test_unknown_members_are_passed_over(run: Path) -> None:
    put(run, f"{ID}.json", GOOD | {"note": "from a later version"})
    assert Inbox(run).claim() == [Request(ID, "lr", {"factor": 2.0}, "me")]


FOREIGN = [
    "stop",
    "stop.json",
    f"{ID}.answer.json",
    f"{ID}.JSON",
    f"{ID.upper()}.json",
    "\x1b[2Jboo.json",
    "[red]oops",
    "ä\udcff.json",
    "x" * 255,
    "ü" * 120 + ".json",
    "-rf",
    f"٠{ID[1:]}.json",  # digits of another script
]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_moved_aside_and_reported_once_in_safe_letters(run: Path, name: str) -> None:
    put(run, name, GOOD)
    asked = ask(run, "stop")
    inbox = Inbox(run)
    assert [request.id for request in inbox.claim()] == [asked]
    [complaint] = inbox.complaints()
    assert "is no request: moved to control/refused" in complaint
    assert "\x1b" not in complaint
    complaint.encode()
    assert inbox.claim() == []
    assert inbox.complaints() == []
    [aside] = (run / "control" / "refused").iterdir()
    assert json.loads(aside.read_bytes()) == GOOD
    assert [path.name for path in (run / "control" / "claimed").iterdir()] == [f"{asked}.json"]


def test_links_pipes_and_folders_are_not_followed_opened_or_waited_for(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(GOOD))
    folder = run / "control"
    folder.mkdir()
    numbered = [ID[:-1] + letter for letter in "abc"]
    (folder / f"{numbered[0]}.json").symlink_to(outside)
    os.mkfifo(folder / f"{numbered[1]}.json")
    (folder / f"{numbered[2]}.json").mkdir()
    inbox = Inbox(run)
    before = open_files()
    assert inbox.claim() == []
    complaints = inbox.complaints()
    assert [complaint.partition(": ")[2] for complaint in complaints] == [
        "it is a symbolic link",
        "it is not a plain file",
        "it is not a plain file",
    ]
    assert inbox.claim() == []
    assert inbox.complaints() == []
    assert open_files() == before
    assert json.loads(outside.read_text()) == GOOD


@pytest.mark.parametrize("which", ["control", "claimed"])
def test_a_folder_that_is_a_link_is_not_followed(run: Path, tmp_path: Path, which: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if which == "control":
        (elsewhere / f"{ID}.json").write_text(json.dumps(GOOD))
        (run / "control").symlink_to(elsewhere)
        with pytest.raises(UserError, match=r"cannot ask .*/control: Not a directory"):
            ask(run, "stop")
    else:
        put(run, f"{ID}.json", GOOD)
        (run / "control" / "claimed").symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    inbox = Inbox(run)
    for _ in range(3):
        assert inbox.claim() == []
        inbox.answer(Request(ID, "stop"), "done", "x")
    assert sorted(elsewhere.iterdir()) == before
    assert len(inbox.complaints()) == 2  # one for claiming, one for the answer
    assert wait_for_answer(run, ID, timeout=0) is None


def test_a_symlink_in_place_of_the_answer_is_replaced_and_not_written_through(run: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    request_id = ask(run, "stop")
    inbox = Inbox(run)
    [request] = inbox.claim()
    (run / "control" / "claimed" / f"{request_id}.answer.json").symlink_to(victim)
    assert wait_for_answer(run, request_id, timeout=0) is None
    inbox.answer(request, "done", "x")
    assert victim.read_text() == "precious"
    assert wait_for_answer(run, request_id, timeout=0) == Answer("done", "x")


def test_what_disk_and_permissions_refuse_does_not_reach_the_trainer(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(run, "stop")
    inbox = Inbox(run)
    [request] = inbox.claim()
    real = os.rename

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    waiting = ask(run, "pause")
    monkeypatch.setattr(os, "rename", refuse)
    inbox.answer(request, "done", "x")
    for _ in range(3):
        assert inbox.claim() == []
    monkeypatch.setattr(os, "rename", real)
    assert inbox.complaints() == [
        "control: stop could not be answered: No space left on device",
        f"control/{waiting}.json cannot be claimed: No space left on device",
    ]
    assert [r.id for r in inbox.claim()] == [waiting]  # it waited
    assert not [path for path in (run / "control" / "claimed").iterdir() if path.name.startswith(".")]


def test_text_of_answers_and_askers_is_made_safe(run: Path) -> None:
    put(run, f"{ID}.json", GOOD | {"by": "\x1b[2J" + "x" * 500})
    inbox = Inbox(run)
    [request] = inbox.claim()
    assert request.by == "\ufffd[2J" + "x" * 95 + "…"
    inbox.answer(request, "done", "\x1b]52;c;\x07")
    answer = wait_for_answer(run, ID, timeout=0)
    assert answer is not None
    assert answer.text == "\ufffd]52;c;\ufffd"


# Bounds


def test_a_flood_is_dealt_with_in_parts_requests_first_and_old_files_are_forgotten(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(control, "MOST_KEPT", 12)
    for number in range(25):
        put(run, f"{number}.txt", b"x")
    asked = [ask(run, "checkpoint") for _ in range(25)]
    inbox = Inbox(run)
    seen = []
    for _ in range(6):
        requests = inbox.claim()
        assert len(requests) <= 10
        seen += [request.id for request in requests]
    assert seen == asked
    assert sorted(path.name for path in (run / "control").iterdir()) == ["claimed", "refused"]
    assert len(list((run / "control" / "refused").iterdir())) == 12
    kept = sorted(path.name for path in (run / "control" / "claimed").iterdir())
    assert kept == [f"{request_id}.json" for request_id in asked[-12:]]
    assert 0 < len(inbox.complaints()) <= 25


def test_no_folder_is_no_request_and_none_is_made(run: Path) -> None:
    inbox = Inbox(run)
    assert inbox.claim() == []
    assert inbox.refuse_waiting("x") == 0
    assert inbox.complaints() == []
    assert not (run / "control").exists()
    assert wait_for_answer(run, ID, timeout=0) is None
