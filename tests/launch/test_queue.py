"""The queue as files: order, claims, what the dead leave, what is damaged."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from workbench.base.errors import UserError
from workbench.launch.orders import Order
from workbench.launch.queue import Entry, Queue, last_words, run_in
from workbench.runs.lock import own_identity


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "runs")


def order(label: str, way: str = "thread") -> Order:
    return Order(profile="seed = 0\n", way=way, label=label)  # type: ignore[arg-type]


def labels(entries: list[Entry]) -> list[str]:
    return [entry.order.label for entry in entries]


def rewrite(entry: Entry, **facts: object) -> None:
    path = entry.path / "order.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


DEAD = {**own_identity(), "pid": 2**22 + 1, "start_ticks": 1}


def test_looking_makes_nothing(queue: Queue) -> None:
    assert (queue.waiting(), queue.taken(), queue.failed(), queue.left()) == ([], [], [], [])
    assert queue.take("thread") is None
    assert not queue.root.exists()


def test_first_come_first_served_but_for_one_put_in_front(queue: Queue) -> None:
    for label in ("a", "b"):
        queue.add(order(label))
    queue.add(order("first"), first=True)
    queue.add(order("last"))
    assert labels(queue.waiting()) == ["first", "a", "b", "last"]
    assert queue.waiting()[1].order == order("a")


def test_another_order_and_none_at_all(queue: Queue) -> None:
    names = [queue.add(order(label)) for label in "abcd"]
    queue.move(names[3], -2)
    assert labels(queue.waiting()) == ["a", "d", "b", "c"]
    queue.move(names[0], 99)
    assert labels(queue.waiting()) == ["d", "b", "c", "a"]
    queue.move("nobody", 1)
    assert queue.cancel(names[1])
    assert not queue.cancel(names[1])
    assert labels(queue.waiting()) == ["d", "c", "a"]


def test_both_ways_wait_in_one_line(queue: Queue) -> None:
    """A process of its own does not overtake what waits for a thread of a screen that lives, nor does a thread."""
    queue.add(order("here"))
    queue.add(order("there", "detached"))
    assert queue.take("detached") is None
    taken = queue.take("thread")
    assert taken is not None
    assert taken.order.label == "here"
    assert taken.profile.read_text() == "seed = 0\n"
    assert labels(queue.taken()) == ["here"]
    assert queue.take("thread") is None
    other = queue.take("detached")
    assert other is not None
    queue.done(taken)
    queue.done(other, "no such data\nset")
    assert (queue.taken(), queue.waiting()) == ([], [])
    assert queue.failed()[0].why() == "no such data\N{REPLACEMENT CHARACTER}set"
    assert queue.cancel(other.name)


def test_what_another_screen_wants_to_train_is_not_taken_from_it(queue: Queue) -> None:
    queue.add(order("theirs"))
    rewrite(queue.waiting()[0], owner={**own_identity(), "pid": os.getppid(), "start_ticks": start(os.getppid())})
    queue.add(order("mine"))
    assert queue.take("thread") is None
    assert not queue.waiting()[0].orphaned
    assert queue.adopt(way="detached", orphans=True) == 1
    assert [entry.order.way for entry in queue.waiting()] == ["thread", "detached"]


def start(pid: int) -> int:
    from workbench.runs.lock import start_ticks

    return start_ticks(pid)


def test_what_a_dead_screen_left_waits_until_somebody_lets_it_go(queue: Queue) -> None:
    queue.add(order("theirs"))
    rewrite(queue.waiting()[0], owner=DEAD)
    queue.add(order("mine"))
    assert labels(queue.left()) == ["theirs"]
    taken = queue.take("thread")
    assert taken is not None
    assert taken.order.label == "mine"
    assert queue.adopt(way="thread", orphans=True) == 1
    assert queue.left() == []
    again = queue.take("thread")
    assert again is not None
    assert again.order.label == "theirs"


def test_what_was_taken_by_one_who_died_waits_again_unless_there_is_a_run_of_it(queue: Queue) -> None:
    for label in ("run", "none"):
        queue.add(order(label, "detached"))
        entry = queue.take("detached")
        assert entry is not None
        (entry.path / "taken.json").write_text(json.dumps(DEAD))
        if label == "run":
            entry.output.write_text("00:01 resnet18\n00:01 run /somewhere/runs/20261122-100000-x-aaaaaa\n")
    queue.tidy()
    assert (labels(queue.waiting()), queue.taken()) == (["none"], [])


def test_what_a_dead_worker_had_begun_belongs_to_its_child_while_that_lives(queue: Queue) -> None:
    queue.add(order("a", "detached"))
    taken = queue.take("detached")
    assert taken is not None
    (taken.path / "taken.json").write_text(json.dumps(DEAD))
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    queue.trained_by(taken, child.pid)
    queue.tidy()
    assert (labels(queue.taken()), labels(queue.waiting())) == (["a"], [])
    child.communicate(b"\n")
    queue.tidy()
    assert (labels(queue.taken()), labels(queue.waiting())) == ([], ["a"])
    again = queue.take("detached")
    assert again is not None
    assert sorted(path.name for path in again.path.iterdir()) == ["order.json", "profile.toml", "taken.json"]


def test_a_run_that_was_to_go_on_and_has_not_is_not_forgotten(queue: Queue) -> None:
    for name in ("goes on", "did not"):
        queue.add(Order(run="20261122-100001-x-aaaaaa", way="detached", label=name))
        taken = queue.take("detached")
        assert taken is not None
        (taken.path / "taken.json").write_text(json.dumps(DEAD))
        if name == "goes on":
            taken.output.write_text("00:01 run /runs/20261122-100001-x-aaaaaa\n")
    queue.tidy()
    assert (labels(queue.waiting()), queue.taken()) == (["did not"], [])


def test_what_waits_for_a_worker_that_is_not_there_is_known(queue: Queue) -> None:
    queue.add(order("there", "detached"))
    assert labels(queue.left()) == ["there"]
    turn = queue.turn()
    assert turn is not None
    assert queue.left() == []
    turn.release()


def test_another_hosts_orders_are_shown_and_left_alone(queue: Queue) -> None:
    queue.add(order("theirs", "detached"))
    rewrite(queue.waiting()[0], host=socket.gethostname() + "-2")
    assert labels(queue.waiting()) == ["theirs"]
    assert queue.take("detached") is None
    assert queue.left() == []


def test_one_turn_at_a_time_also_for_the_child_that_holds_it(queue: Queue) -> None:
    turn = queue.turn()
    assert turn is not None
    assert queue.turn() is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(turn.descriptor,))
    turn.release()
    assert queue.turn() is None
    child.communicate(b"\n")
    again = queue.turn()
    assert again is not None
    again.release()


def test_of_many_who_take_each_gets_another(queue: Queue) -> None:
    for number in range(20):
        queue.add(order(str(number), "detached"))
    found: list[str] = []

    def work() -> None:
        while (entry := Queue(queue.root).take("detached")) is not None:
            found.append(entry.order.label)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=int) == [str(number) for number in range(20)]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": 2}',
        b"\xff",
        b"[" * 5000,
        b'{"schema": 1, "owner": 3}',
        b'{"schema":1,"owner":{},"way":"thread"}',
    ],
)
def test_a_damaged_order_harms_no_other(queue: Queue, damage: bytes) -> None:
    queue.add(order("bad"))
    (queue.waiting()[0].path / "order.json").write_bytes(damage)
    queue.add(order("good"))
    assert "good" in labels(queue.waiting())
    taken = queue.take("thread")
    assert taken is not None
    assert taken.order.label == "good"


def test_names_that_are_none_are_left_alone(queue: Queue) -> None:
    queue.add(order("good"))
    for name in ("000001-zzzzzzzz", "..", "x" * 200, "000001-0000000g"):
        (queue.folder / name).mkdir(exist_ok=True)
    (queue.folder / "000002-00000000").write_text("a file")
    os.symlink("/", queue.folder / "000003-00000000")
    assert labels(queue.waiting()) == ["good"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_only_read(queue: Queue) -> None:
    queue.root.mkdir()
    queue.root.chmod(0o500)
    with pytest.raises(UserError, match="cannot change the queue"):
        queue.add(order("a"))


def test_a_file_where_the_folder_should_be(queue: Queue) -> None:
    queue.root.mkdir()
    queue.folder.write_text("x")
    with pytest.raises(UserError, match="cannot change the queue"):
        queue.add(order("a"))
    with pytest.raises(UserError, match="cannot open the queue"):
        queue.turn()
    assert queue.waiting() == []


def test_what_a_process_said(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    assert (run_in(output), last_words(output)) == ("", "")
    output.write_bytes(b"00:00 loading\n00:01 run /a b/20261122-100000-x-aaaaaa\n00:02 epoch 1 \xff\n")
    assert run_in(output) == "20261122-100000-x-aaaaaa"
    place = "/r/.queue/.taken-500100-00ff00ff/profile.toml"
    output.write_text(f"warning\ncnn-workbench: {place}:3: data.root: nothing there\ncnn-workbench: and \x1b[2J more\n")
    assert last_words(output) == "the profile:3: data.root: nothing there\nand \N{REPLACEMENT CHARACTER}[2J more"
    output.write_text("Traceback\nMemoryError: no room\n")
    assert last_words(output) == "MemoryError: no room"
