"""The sweep's folder: a job is in one place, in one worker's hands, and never lost."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.base.errors import UserError
from workbench.profile import load_exact
from workbench.runs.directory import find_run, run_ids
from workbench.runs.lock import own_identity
from workbench.runs.writer import RunWriter
from workbench.sweep.folder import Claim, SweepFolder
from workbench.sweep.past import answered, figures, identity
from workbench.sweep.plan import Job

Make = Callable[..., SweepFolder]


def holder(claim: Claim, **changes: object) -> None:
    """Let the claim be held by another: `worker` and `child` as `own_identity` with changes, or None."""
    content = json.loads((claim.folder / "holder.json").read_text())
    for who, change in changes.items():
        content[who] = None if change is None else {**own_identity(), **change}  # type: ignore[dict-item]
    (claim.folder / "holder.json").write_text(json.dumps(content))


def leave_run(folder: SweepFolder, profile: Path, ending: str | None, *, where: str = "") -> Path:
    """A run that was started with the profile, and ended so."""
    argv = ["workbench", "--headless", "--profile", where + str(profile)]
    run = RunWriter.create(folder.root, "fake", profile.read_text(), {"argv": argv, "arch": "bn_convnet"}, print)
    run.event("started")
    if ending:
        run.event(ending, error="it broke") if ending == "failed" else run.event(ending)
    run.close()
    return run.path


def test_the_folder_has_every_jobs_profile_and_what_was_asked(tmp_path: Path, jobs: Callable[..., list[Job]]) -> None:
    planned = jobs(3)
    folder = SweepFolder.create(tmp_path / "runs", "mine", planned, {"seed": "0..2"})
    assert folder.waiting() == folder.jobs() == [job.id for job in planned]
    for job in planned:
        assert load_exact(folder.path / "queue" / f"{job.id}.toml").profile == job.profile
    facts = folder.facts()
    assert (facts["schema"], facts["asked"]) == (1, {"seed": "0..2"})
    assert facts["jobs"][1] == {
        "id": planned[1].id, "network": "bn_convnet", "arch": "bn_convnet", "recipe": "base", "seed": 1, "settings": {},
        "epochs": 2, "image_size": 8, "notes": [],
    }  # fmt: skip
    assert not [path for path in folder.path.parent.iterdir() if path.name.startswith(".new")]


def test_the_same_sweep_is_opened_and_another_of_its_name_refused(sweep: Make, jobs: Callable[..., list[Job]]) -> None:
    folder = sweep(3)
    assert folder.claim(folder.jobs()[0], "cpu0")
    again = sweep(3)
    assert again.places() == folder.places()
    assert sorted(again.places().values()) == ["claimed", "queue", "queue"]
    with pytest.raises(UserError, match="sweep tiny has other jobs than these .* give another --name"):
        SweepFolder.create(folder.root, "tiny", jobs(4), {})


def test_a_sweep_is_no_run(sweep: Make) -> None:
    folder = sweep()
    assert run_ids(folder.root) == []
    for reference in (".sweeps", ".sweeps/tiny", str(folder.path)):
        with pytest.raises(UserError):
            find_run(folder.root, reference)


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b", "", "A", "x" * 81, "a\n"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, jobs: Callable[..., list[Job]], name: str) -> None:
    with pytest.raises(UserError, match="a sweep's name has small letters"):
        SweepFolder.create(tmp_path / "runs", name, jobs(1), {})
    with pytest.raises(UserError, match="no sweep"):
        SweepFolder.open(tmp_path / "runs", name)
    assert not (tmp_path / "runs" / ".sweeps").exists()


def test_an_unknown_sweep_is_told_with_the_nearest(sweep: Make, tmp_path: Path) -> None:
    sweep()
    with pytest.raises(UserError, match=r'no sweep "tinny" in .*did you mean "tiny"'):
        SweepFolder.open(tmp_path / "runs", "tinny")


@pytest.mark.parametrize(
    ("content", "expected"),
    [("{", "is damaged"), ("[]", "is damaged"), ('{"schema": 2}', "newer version"), ('{"schema": "1"}', "is damaged")],
)
def test_what_cannot_be_read_is_said(sweep: Make, content: str, expected: str) -> None:
    folder = sweep()
    (folder.path / "sweep.json").write_text(content)
    with pytest.raises(UserError, match=expected):
        folder.jobs()


def test_ids_from_a_damaged_file_cannot_lead_outside(sweep: Make) -> None:
    folder = sweep()
    listed = [{"id": "../../etc/passwd"}, {"id": 3}, "x", {"id": "001-ok"}, {}]
    (folder.path / "sweep.json").write_text(json.dumps({"schema": 1, "jobs": listed}))
    assert folder.jobs() == ["001-ok"]
    (folder.path / "begun" / "001-ok.run").write_text("../../elsewhere")
    assert folder.run_of("001-ok") is None


def _grab(arguments: tuple[Path, int]) -> list[str]:
    root, number = arguments
    folder = SweepFolder.open(root, "tiny")
    taken = []
    for job in folder.jobs():
        claim = folder.claim(job, f"cpu{number}")
        if claim is not None:
            taken.append(job)
            folder.settle(claim, "done")
    return taken


def test_of_many_that_claim_at_once_each_job_goes_to_one(sweep: Make) -> None:
    folder = sweep(30)
    with multiprocessing.get_context("fork").Pool(6) as pool:
        taken = pool.map(_grab, [(folder.root, number) for number in range(6)], chunksize=1)
    assert sorted(job for share in taken for job in share) == folder.jobs()
    assert set(folder.places().values()) == {"done"}
    assert list((folder.path / "claimed").iterdir()) == []


def test_a_claim_names_host_slot_and_process(sweep: Make) -> None:
    folder = sweep()
    claim = folder.claim(folder.jobs()[0], "gpu1")
    assert claim is not None
    assert claim.folder.name.endswith(f"-gpu1-{os.getpid()}")
    assert folder.claim(claim.job, "gpu1") is None
    [found] = folder.claims()
    assert (found.job, found.slot, found.here, found.alive) == (claim.job, "gpu1", True, True)
    assert found.holder["worker"] == own_identity()


GONE = {"start_ticks": 1}
"""Another process that had this pid."""


@pytest.mark.parametrize(
    ("changes", "freed"),
    [
        ({}, False),
        ({"worker": GONE}, True),
        ({"worker": GONE, "child": GONE}, True),
        ({"worker": GONE, "child": {}}, False),  # the sweep was killed, what it started goes on
        ({"child": GONE}, False),  # the sweep will settle it itself
        ({"worker": {"boot_id": "before the reboot"}, "child": {"boot_id": "before the reboot"}}, True),
        ({"worker": {"host": "elsewhere"}, "child": {"host": "elsewhere"}}, False),
    ],
    ids=["alive", "dead", "both dead", "child alive", "child dead", "rebooted", "another host"],
)
def test_the_claim_of_the_dead_is_freed_and_no_other(sweep: Make, changes: dict[str, object], freed: bool) -> None:
    folder = sweep()
    claim = folder.claim(folder.jobs()[0], "cpu0")
    assert claim is not None
    holder(claim, **changes)
    assert folder.recover() == ([claim.job] if freed else [])
    assert folder.places()[claim.job] == ("queue" if freed else "claimed")
    assert claim.folder.exists() is not freed


def test_what_another_host_holds_is_taken_only_when_told(sweep: Make) -> None:
    folder = sweep()
    claims = [folder.claim(job, "cpu0") for job in folder.jobs()]
    assert all(claims)
    for claim, host in zip(claims, ("elsewhere", "elsewhere", None), strict=True):
        assert claim is not None
        holder(claim, **({"worker": {"host": host}} if host else {}))
    first, second, own = folder.jobs()
    assert folder.recover() == []
    assert folder.recover(take_over=True, only=first) == [first]
    assert folder.recover(take_over=True) == [second]
    assert folder.places()[own] == "claimed"


def test_a_holder_that_cannot_be_read_counts_as_alive(sweep: Make) -> None:
    folder = sweep()
    claim = folder.claim(folder.jobs()[0], "cpu0")
    assert claim is not None
    (claim.folder / "holder.json").write_text("{")
    assert folder.recover() == []
    assert folder.recover(take_over=True) == [claim.job]


@pytest.mark.parametrize(
    ("ending", "place"),
    [("finished", "done"), ("failed", "failed"), ("stopped", "queue"), ("preempted", "queue"), (None, "queue")],
)
def test_what_the_dead_had_goes_where_its_run_says(sweep: Make, ending: str | None, place: str) -> None:
    folder = sweep()
    claim = folder.claim(folder.jobs()[1], "cpu0")
    assert claim is not None
    run = leave_run(folder, claim.path, ending)
    holder(claim, worker=GONE)
    folder.recover()
    assert folder.places()[claim.job] == place
    assert folder.run_of(claim.job) == run


def test_a_run_is_found_by_the_profile_it_was_started_with(sweep: Make) -> None:
    folder = sweep()
    first, second, third = (folder.claim(job, "cpu0") for job in folder.jobs())
    assert first is not None
    assert second is not None
    assert third is not None
    run = leave_run(folder, first.path, None, where="/another/mount")  # the folder is seen under another path there
    assert folder.find_run(first.job) == run
    assert folder.find_run(second.job) is None
    elsewhere = folder.path.with_name("other") / "claimed" / "host-cpu0-1" / third.path.name
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(third.path.read_text())
    leave_run(folder, elsewhere, None)  # the job of that name of another sweep
    assert folder.find_run(third.job) is None


def test_a_run_that_was_deleted_is_no_longer_the_jobs(sweep: Make) -> None:
    folder = sweep()
    claim = folder.claim(folder.jobs()[0], "cpu0")
    assert claim is not None
    run = leave_run(folder, claim.path, "stopped")
    assert folder.find_run(claim.job) == run
    (folder.root / ".trash").mkdir()
    run.rename(folder.root / ".trash" / run.name)
    assert folder.run_of(claim.job) is None
    assert folder.find_run(claim.job) is None


def test_what_has_failed_waits_for_retry(sweep: Make) -> None:
    folder = sweep()
    claim = folder.claim(folder.jobs()[0], "cpu0")
    assert claim is not None
    folder.settle(claim, "failed")
    assert claim.job not in folder.waiting()
    assert folder.retry() == [claim.job]
    assert claim.job in folder.waiting()


def test_a_claim_is_settled_once(sweep: Make) -> None:
    folder = sweep()
    claim = folder.claim(folder.jobs()[0], "cpu0")
    assert claim is not None
    assert folder.settle(claim, "done")
    assert not folder.settle(claim, "queue")
    assert folder.places()[claim.job] == "done"


def finished_run(root: Path, job: Job, text: str | None = None, *, ending: str = "finished") -> str:
    """A run of the job's profile, made by hand, in a process that knows nothing of the sweep."""
    from workbench.profile import dump

    profile = job.profile
    root.mkdir(exist_ok=True)
    facts = {"argv": ["x"], "arch": profile.model.arch, "seed": profile.seed, "device": "cpu"}
    run = RunWriter.create(root, "by-hand", text or dump(profile), facts, print)
    run.event("started")
    run.event(ending)
    run.status(force=True, epoch=2, seconds=3.5, last={"test_top1": 0.75, "test_loss": "nan"}, best=None)
    run.close()
    return run.path.name


def test_a_finished_run_of_the_same_profile_answers_a_job(tmp_path: Path, jobs: Callable[..., list[Job]]) -> None:
    from workbench.profile import dump

    first, second, third = jobs(3)
    root = tmp_path / "runs"
    other_threads = dump(first.profile).replace("threads = 0", "threads = 7").replace(first.profile.name, "by hand")
    assert "threads = 7" in other_threads
    run = finished_run(root, first, other_threads)
    finished_run(root, second, dump(second.profile).replace("epochs = 2", "epochs = 3"))
    finished_run(root, third, ending="stopped")
    assert answered(root, [first, second, third]) == {first.id: run}
    assert figures(root / run).test_top1 == 0.75
    assert figures(root / run).best_top1 is None
    newer = finished_run(root, first)
    assert answered(root, [first]) == {first.id: newer}


@pytest.mark.parametrize("damage", ["[model", "", '[model]\narch = "x"\n[new]\nkey = 1\n', None])
def test_a_damaged_run_answers_nothing_and_stops_nobody(
    tmp_path: Path, jobs: Callable[..., list[Job]], damage: str | None
) -> None:
    [job] = jobs(1)
    root = tmp_path / "runs"
    run = root / finished_run(root, job)
    if damage is None:
        (run / "profile.toml").unlink()
    else:
        (run / "profile.toml").write_text(damage)
    (run / "status.json").write_text('{"last": [], "best": 3, "epoch": "x", "seconds": true}')
    assert answered(root, [job]) == {}
    assert figures(run) == type(figures(run))()
    (run / "run.json").write_text('{"arch": [], "seed": {}}')
    assert answered(root, [job]) == {}


def test_what_decides_a_result_is_compared(jobs: Callable[..., list[Job]]) -> None:
    first, second = jobs(2)
    assert identity(first.profile) != identity(second.profile)
    assert "recipe" in identity(first.profile)
    assert "name" not in identity(first.profile)


def test_a_sweep_is_read_without_torch() -> None:
    code = (
        "import sys; from workbench.sweep import emit, estimate, report, worker;"
        "assert not {'torch', 'textual', 'plotext'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
