"""Interrupted anywhere and resumed equals uninterrupted, bit for bit: weights, optimiser, figures and best."""

import itertools
from pathlib import Path

import pytest
import torch
from training_helpers import ADAM, SGD, Quiet, StopAfter, fingerprint, load_last, resume, train, write_profile

from workbench.base.errors import UserError
from workbench.runs import journal
from workbench.runs.reading import read_json, read_metrics

FIGURES = ("train_loss", "train_top1", "test_loss", "test_top1", "test_top5", "lr", "step")


def epochs(run: Path) -> list[dict[str, object]]:
    """The figures of every epoch, as they stand after rewinds."""
    records = [record for record in read_metrics(run).records if record["kind"] == "epoch"]
    return [{name: record[name] for name in ("epoch", *FIGURES)} for record in records]


def events(run: Path) -> list[str]:
    return [str(record["event"]) for record in journal.read(run / "events.jsonl").records]


@pytest.mark.parametrize("optim", [ADAM, SGD + '\n[schedule]\nname = "cosine"'], ids=["adam", "sgd cosine"])
def test_stopped_after_any_step_or_evaluation_batch_and_resumed(tmp_path: Path, optim: str) -> None:
    profile = write_profile(tmp_path, optim=optim)
    whole = train(profile, tmp_path / "whole")
    assert whole.state == "finished"
    for reports in itertools.count(1):
        root = tmp_path / str(reports)
        stop = StopAfter(reports)
        outcome = train(profile, root, stop=stop)
        if outcome.state == "finished":
            break
        assert outcome.state == "preempted"
        assert events(outcome.run)[-1] == "preempted"
        resumed = resume(root)
        assert resumed.state == "finished"
        assert resumed.run == outcome.run
        assert fingerprint(resumed.run) == fingerprint(whole.run)
        assert epochs(resumed.run) == epochs(whole.run)
        assert load_last(resumed.run)["state"]["best"] == load_last(whole.run)["state"]["best"]
    assert reports == 2 * (5 + 2)  # 5 steps and 2 evaluation batches an epoch; at the last one there is nothing to stop


def test_stopped_again_and_again(tmp_path: Path) -> None:
    profile = write_profile(tmp_path)
    whole = train(profile, tmp_path / "whole")
    root = tmp_path / "bits"
    outcome = train(profile, root, stop=StopAfter(2))
    attempts = 1
    while outcome.state != "finished":
        outcome = resume(root, stop=StopAfter(2))
        attempts += 1
    assert attempts > 3
    assert fingerprint(outcome.run) == fingerprint(whole.run)
    assert epochs(outcome.run) == epochs(whole.run)
    resumes = [record for record in journal.read(outcome.run / "events.jsonl").records if record["event"] == "resumed"]
    assert [record["attempt"] for record in resumes] == list(range(2, attempts + 1))


def test_a_run_killed_before_its_first_checkpoint_starts_over(tmp_path: Path) -> None:
    profile = write_profile(tmp_path)
    whole = train(profile, tmp_path / "whole")
    root = tmp_path / "killed"
    outcome = train(profile, root, stop=StopAfter(3))
    for path in (outcome.run / "checkpoints").iterdir():
        path.unlink()
    resumed = resume(root)
    assert fingerprint(resumed.run) == fingerprint(whole.run)
    assert epochs(resumed.run) == epochs(whole.run)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_says_so(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, epochs="3")
    whole = train(profile, tmp_path / "whole")
    root = tmp_path / "damaged"
    outcome = train(profile, root, stop=StopAfter(17))  # in the third epoch
    last = outcome.run / "checkpoints" / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    observer = Quiet()
    resumed = resume(root, observer=observer)
    assert any("last.pt: its SHA-256 does not agree" in note for note in observer.notes)
    assert any("resuming from previous.pt (epoch 3, step 10)" in note for note in observer.notes)
    assert fingerprint(resumed.run) == fingerprint(whole.run)
    assert epochs(resumed.run) == epochs(whole.run)


def test_no_whole_checkpoint_is_refused_with_the_way_out(tmp_path: Path) -> None:
    outcome = train(write_profile(tmp_path), tmp_path / "runs", stop=StopAfter(9))
    for path in (outcome.run / "checkpoints").glob("*.pt"):
        path.write_bytes(b"rubbish")
    before = (outcome.run / "events.jsonl").read_bytes()
    with pytest.raises(
        UserError, match=r"no checkpoint of .* is whole \(last.pt: .*; start it anew with: cnn-workbench"
    ):
        resume(tmp_path / "runs")
    assert (outcome.run / "events.jsonl").read_bytes() == before


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    train(write_profile(tmp_path), tmp_path / "runs")
    with pytest.raises(UserError, match="is finished; there is nothing to resume"):
        resume(tmp_path / "runs")


def test_other_images_are_refused_and_another_torch_is_only_said(tmp_path: Path) -> None:
    outcome = train(write_profile(tmp_path), tmp_path / "runs", stop=StopAfter(3))
    path = outcome.run / "checkpoints" / "last.pt"

    def rewrite(**recipe: object) -> None:
        from workbench.runs.checkpoints import CheckpointStore

        content = torch.load(path, weights_only=True)
        content["recipe"] |= recipe
        CheckpointStore(path.parent).save(lambda file: torch.save(content, file), last=True, best=False)

    rewrite(data="other images")
    with pytest.raises(UserError, match="the images of this run are no longer what they were"):
        resume(tmp_path / "runs")
    rewrite(data=read_json(outcome.run / "run.json")["data"]["fingerprint"], torch="2.0.0")
    observer = Quiet()
    assert resume(tmp_path / "runs", observer=observer).state == "finished"
    assert any("torch was 2.0.0" in note for note in observer.notes)


def test_the_thread_count_of_the_first_attempt_is_used_again(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        outcome = train(write_profile(tmp_path, threads="0"), tmp_path / "runs", stop=StopAfter(3))
        assert read_json(outcome.run / "run.json")["threads"] == 2
        torch.set_num_threads(1)
        resume(tmp_path / "runs")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_metrics_after_a_rewind_have_one_line_a_step(tmp_path: Path) -> None:
    outcome = train(write_profile(tmp_path), tmp_path / "runs", stop=StopAfter(12))
    (outcome.run / "checkpoints" / "last.pt").unlink()  # so that the resume goes back to an earlier step
    resumed = resume(tmp_path / "runs")
    steps = [record["step"] for record in read_metrics(resumed.run).records if record["kind"] == "step"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 10
    assert events(resumed.run).count("rewind") == 1
