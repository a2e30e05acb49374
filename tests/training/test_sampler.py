"""system.jsonl: what a run takes of its machine, written beside the training."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_nvml import Driver
from training_helpers import Quiet, fingerprint, train, write_profile

from workbench.runs import journal
from workbench.runs.history import History
from workbench.training import sampler, session
from workbench.training.observer import Snapshot
from workbench.training.sampler import Sampler, Usage


def records(run: Path, kind: str = "system") -> list[dict[str, float]]:
    return [record for record in journal.read(run / "system.jsonl").records if record["kind"] == kind]


def sampled(run: Path, places: list[tuple[int, float, float]], gpu: str = "") -> None:
    """Samples until each place was asked for."""
    asked = threading.Event()

    def where() -> tuple[int, float, float]:
        if len(places) == 1:
            asked.set()
        return places.pop(0) if len(places) > 1 else places[0]

    with Sampler(run, gpu, where, seconds=0.01):
        assert asked.wait(10)


def test_a_line_says_where_the_run_is_and_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    sampled(tmp_path, [(0, 0.0, 0.0), (5, 0.5, 1.25), (6, 0.6, 1.5)], "GPU-1234")
    first = records(tmp_path)[0]
    assert (first["step"], first["epoch"], first["seconds"]) == (5, 0.5, 1.25)
    assert abs(first["time"] - time.time()) < 60
    assert 0 <= first["cpu"] < 256
    assert 10**6 < first["memory"] < 10**12
    assert (first["gpu_use"], first["gpu_memory"], first["gpu_temperature"], first["gpu_power"]) == (
        0.93, 11 * 10**9, 71.0, 318.4,
    )  # fmt: skip


def test_without_a_gpu_none_is_claimed(tmp_path: Path) -> None:
    sampled(tmp_path, [(0, 0.0, 0.0), (1, 0.1, 0.1), (2, 0.2, 0.2)])
    assert not [name for name in records(tmp_path)[0] if name.startswith("gpu")]


def test_an_attempt_takes_back_what_one_before_did_past_its_checkpoint(tmp_path: Path) -> None:
    sampled(tmp_path, [(0, 0.0, 0.0), (10, 1.0, 1.0), (20, 2.0, 2.0), (30, 3.0, 3.0)])
    sampled(tmp_path, [(20, 2.0, 2.5), (25, 2.5, 3.0), (40, 4.0, 5.0)])  # resumed at step 20
    sampled(tmp_path, [(40, 4.0, 5.0), (50, 5.0, 6.0), (45, 4.5, 7.0), (46, 4.6, 8.0)])  # and gone back at 50
    history = History(tmp_path, kind="system")
    history.refresh()
    steps = history.curve("cpu", x="step").x.tolist()
    assert steps == sorted(steps)
    assert {10, 20, 25, 45} <= set(steps)
    assert not {30, 50} & set(steps)
    assert history.columns[:2] == ["cpu", "epoch"]


def test_processor_time_counts_from_the_beginning_of_the_run() -> None:
    spent = time.process_time()
    usage = Usage(time.monotonic() - 1000.0, spent)
    while time.process_time() - spent < 0.05:
        pass
    assert usage.look()["cpu"] <= 0.01  # 0.05 s of a core in a thousand, however much the process took before


BUSY = """
import time
while time.process_time() < 0.3:
    pass
print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("own_session", [False, True])
def test_children_count_with_what_they_did_meanwhile_and_other_sessions_not_at_all(
    own_session: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Usage(time.monotonic(), time.process_time())
    child = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, start_new_session=own_session)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        seconds = time.monotonic() - before._at
        assert (before.look()["cpu"] * seconds > 0.25) != own_session
        monkeypatch.setattr(sampler, "SURELY_OLDER", 0.0)
        old = Usage(time.monotonic() - 0.01, time.process_time())  # the child has done its work before that
        found = old.look()
        assert found["cpu"] * 0.01 < 0.25
        assert (child.pid in [process.pid for process in old._family()]) != own_session
    finally:
        child.kill()
        child.wait()


class Quick(Sampler):
    def __init__(self, *given: object) -> None:
        super().__init__(*given, seconds=0.02)  # type: ignore[arg-type]


class Slow(Quiet):
    """Takes long enough over a step that there are samples."""

    def __init__(self) -> None:
        super().__init__(self.wait)

    def wait(self, snapshot: Snapshot) -> None:
        time.sleep(0.03)


def test_a_run_has_samples_and_the_same_weights_as_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = train(write_profile(tmp_path), tmp_path / "plain")
    assert not (plain.run / "system.jsonl").exists()  # it was over too soon

    monkeypatch.setattr(session, "Sampler", Quick)
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=Slow())
    found = records(outcome.run)
    assert len(found) >= 2
    assert 0 < found[-1]["step"] <= 10
    assert found[-1]["epoch"] == found[-1]["step"] / 5
    assert fingerprint(outcome.run) == fingerprint(plain.run)
    assert not [thread for thread in threading.enumerate() if thread.name == "run-sampler"]


def test_a_sampler_that_fails_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = []

    def refused(path: Path) -> None:
        refusals.append(path)
        raise OSError("no room")

    monkeypatch.setattr(session, "Sampler", Quick)
    monkeypatch.setattr(sampler, "Journal", refused)
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=Slow())
    assert outcome.state == "finished"
    assert refusals == [outcome.run / "system.jsonl"]
