"""`cnn-workbench run show|tail|export RUN`: one run looked at, followed, taken elsewhere."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run

from workbench.base.errors import UserError
from workbench.commands.run_show import export_main, show_main, tail, tail_main
from workbench.runs.journal import encode
from workbench.runs.lines import event_line, history, local_time, metrics_line
from workbench.runs.run import Run
from workbench.runs.writer import RunWriter

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    monkeypatch.undo()
    time.tzset()


# show


def test_what_a_run_is_and_how_it_went(root: Path, capsys: Captured) -> None:
    path = make_run(root, name="mine", epochs=3, planned=5, state="stopped", test_top1=[0.5, 0.75, 0.7],
                    tags=["baseline"], note="two\nlines")  # fmt: skip
    assert show_main(["last"]) == 0
    out = capsys.readouterr().out
    facts = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in out.splitlines() if "  " in line.strip()}
    assert facts["run"] == path.name
    assert facts["what"] == "mine, resnet18, digits, seed 0"
    assert facts["state"] == "stopped, epoch 3 of 5"
    assert facts["test"].startswith("top-1 70.00 %, top-5 99.00 %, loss ")
    assert facts["best"] == "top-1 75.00 % in epoch 2 (test)"
    assert facts["network"] == "resnet18, 11.18M parameters, 35.40M MACs an image"
    assert facts["settings"] == "adam, lr 0.001, schedule constant, 32 px, batch 64, augment standard, precision fp32"
    assert facts["cost"] == "400 images/s, 00:06 of training"
    assert facts["tags"] == "baseline"
    assert facts["note"] == "two lines"
    assert "damaged" not in facts
    assert "accuracy of mine (resnet18) on digits" in out
    assert "loss of mine (resnet18) on digits" in out
    assert max(len(line) for line in out.splitlines() if "┤" in line) <= 80


def test_the_last_events_with_local_time_and_zone(root: Path, capsys: Captured) -> None:
    path = make_run(root, epochs=4)
    assert show_main([path.name, "--events", "2"]) == 0
    events = [line.split() for line in capsys.readouterr().out.splitlines() if "+0545" in line][-2:]
    assert [line[3:] for line in events] == [
        ["epoch", "epoch", "4,", "step", "16"],
        ["finished", "epochs", "4,", "step", "16"],
    ]
    assert show_main([path.name, "--events", "0"]) == 0
    assert "finished  epochs" not in capsys.readouterr().out


def test_json_has_the_summary_the_facts_and_the_events(root: Path, capsys: Captured) -> None:
    path = make_run(root, test_loss=float("nan"))
    assert show_main([path.name, "--json", "--events", "1"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["id"] == path.name
    assert value["run"] == str(path)
    assert value["test_loss"] == "nan"
    assert value["settings"]["optim.lr"] == 0.001
    assert value["facts"]["versions"]["torch"] == "2.11.0"
    assert [event["event"] for event in value["events"]] == ["finished"]
    assert value["damaged_lines"] == 0


def test_damaged_lines_are_counted(root: Path, capsys: Captured) -> None:
    path = make_run(root)
    with open(path / "metrics.jsonl", "ab") as file:
        file.write(b"rubbish\nmore\n")
    show_main([path.name])
    assert "2 lines do not fit their checksums and are left out" in capsys.readouterr().out


def test_a_run_of_which_little_is_left_is_shown(root: Path, capsys: Captured) -> None:
    path = make_run(root)
    for name in ("profile.toml", "status.json", "events.jsonl", "metrics.jsonl"):
        (path / name).unlink()
    assert show_main([path.name]) == 0
    assert path.name in capsys.readouterr().out


def test_hostile_words_stay_words(root: Path, capsys: Captured) -> None:
    path = make_run(
        root, name="n\x1b[2J[/oops]\u202e", note="\x9b2J" * 10, dataset="d\x07", facts={"device": "\x1b]0;x\x07"}
    )
    with open(path / "events.jsonl", "ab") as file:
        file.write(
            encode({"event": "evil\x1b[2J", "time": 1e300, "error": "\x1b]52;c;aGk=\x07" * 1000, "list": ["\x9b"]})
        )
        file.write(encode({"event": ["no", "word"], "time": "yesterday"}))
    assert show_main([path.name]) == 0
    assert tail_main([path.name, "--no-follow"]) == 0
    out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e", "\x00"}
    assert "[/oops]" in out


# Lines


def test_lines_say_where_what_and_when(root: Path) -> None:
    record = {"kind": "epoch", "epoch": 2, "step": 8, "seconds": 83.0, "train_loss": 0.5, "train_top1": 0.912,
              "test_loss": float("nan"), "test_top1": 0.9, "test_ema_top1": 0.95, "lr": 0.1,
              "images_per_second": 310.4}  # fmt: skip
    assert metrics_line(record) == (
        "   01:23  epoch 2  train loss 0.5000, top-1 91.20 %; test loss nan, top-1 90.00 %, ema top-1 95.00 %; "
        "lr 0.1; 310 images/s"
    )
    assert metrics_line({"kind": "step", "step": 5, "epoch": 1.25}).split() == ["–", "step", "5", "epoch", "1.25"]
    event = {
        "event": "checkpoint",
        "time": 1e9,
        "step": 8,
        "best": True,
        "last": False,
        "path": None,
        "traceback": "x\ny",
    }
    assert event_line(event) == "2001-09-09 07:31:40 +0545  checkpoint  step 8, best"
    assert local_time(None) == local_time(1e300) == local_time("x") == "?"


def test_history_tells_the_attempts_in_order(root: Path) -> None:
    """A killed attempt went to step 9; the next went on from step 4."""

    def step(number: int) -> dict[str, Any]:
        return {"kind": "step", "step": number, "epoch": number / 4, "seconds": 1.0}

    events = [
        {"event": "started", "time": 1.0}, {"event": "epoch", "epoch": 1, "step": 4, "time": 2.0},
        {"event": "checkpoint", "step": 4, "time": 3.0}, {"event": "nan", "step": 9, "time": 4.0},
        {"event": "resumed", "step": 4, "time": 5.0}, {"event": "rewind", "to_step": 4, "to_epochs": 1, "time": 5.0},
        {"event": "exported", "time": 6.0}, {"event": "finished", "step": 8, "time": 7.0},
    ]  # fmt: skip
    lines = history(events, [step(2), step(4), step(6), step(8)])
    words = [next(word for word in line.split() if word.isalpha() and word != "UTC") for line in lines]
    steps = [line.split()[2] for line in lines if "  step " in line and "epoch" in line]
    assert words == [
        "started",
        "step",
        "step",
        "checkpoint",
        "nan",
        "resumed",
        "rewind",
        "step",
        "step",
        "exported",
        "finished",
    ]
    assert steps == ["2", "4", "6", "8"]


# tail


def test_the_last_lines_without_following(root: Path, capsys: Captured) -> None:
    path = make_run(root, epochs=3, state="")
    assert tail_main([path.name, "--no-follow", "--lines", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[1:3] == ["step", "12"]
    assert lines[1].split()[1:3] == ["epoch", "3"]
    assert tail_main([path.name, "--no-follow", "--lines", "0"]) == 0
    assert capsys.readouterr().out == ""


def test_a_run_that_is_over_ends_the_tail(root: Path, capsys: Captured) -> None:
    path = make_run(root, epochs=1)
    assert tail_main([path.name]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{path.name}: finished"


def followed(run: Run, *turns: Callable[[], object]) -> list[str]:
    """What the tail of a live run says, when these things happen between its looks."""
    said: list[str] = []
    left = list(turns)

    def pause(seconds: float) -> None:
        assert seconds >= 0.25  # at most four looks a second
        if left:
            left.pop(0)()

    tail(run, lines=1, follow=True, say=said.append, pause=pause)
    assert not left
    return said


def test_a_live_run_is_followed_until_it_is_over(root: Path) -> None:
    writer = RunWriter.create(root, "live", 'name = "live"\n', {"arch": "resnet18", "host": "h"}, print)
    writer.event("started", argv=[], pid=1)
    writer.status(force=True, state="running", epoch=0, epochs=2)

    def step(number: int) -> dict[str, Any]:
        return {"kind": "step", "step": number, "epoch": number / 4, "seconds": 1.0, "train_loss": float(number)}

    def rewound() -> None:
        writer.event("rewind", to_step=1, to_epochs=0)
        writer.metrics({"kind": "rewind", "to_step": 1, "to_epochs": 0})
        writer.metrics(step(2) | {"train_loss": 7.0})

    def half_a_line() -> None:
        with open(writer.path / "metrics.jsonl", "ab") as file:
            file.write(encode(step(3))[:20])

    def ended() -> None:
        writer.event("finished", epochs=2, step=3)
        writer.status(force=True, state="finished", epoch=2)

    said = followed(
        Run(writer.path),
        lambda: writer.metrics(step(1)),
        lambda: None,
        lambda: writer.metrics(step(2)),
        rewound,
        half_a_line,
        ended,
    )
    writer.close()
    texts = [" ".join(line.split()) for line in said]
    assert "started" in texts[0]
    assert texts[1:3] == ["00:01 step 1 epoch 0.25 train loss 1.0000", "00:01 step 2 epoch 0.5 train loss 2.0000"]
    assert "rewind" in texts[3]
    assert texts[4] == "00:01 step 2 epoch 0.5 train loss 7.0000"
    assert "finished" in texts[-2]
    assert texts[-1] == f"{writer.path.name}: finished"
    assert len(said) == 7


def test_a_trainer_that_dies_ends_the_tail(root: Path) -> None:
    writer = RunWriter.create(root, "live", 'name = "live"\n', {"arch": "resnet18"}, print)
    writer.event("started", argv=[], pid=1)
    run = Run(writer.path)
    assert run.state.name == "running"

    def die() -> None:
        writer.close()
        (writer.path / "lock").write_text("{}")

    assert followed(run, lambda: None, die)[-1].startswith(f"{writer.path.name}: crashed")


def test_ctrl_c_ends_it_with_no_traceback(root: Path) -> None:
    writer = RunWriter.create(root, "live", "", {"arch": "resnet18"}, print)
    writer.event("started", argv=[], pid=1)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # the command line makes it exit code 130
        tail(Run(writer.path), lines=0, follow=True, say=print, pause=interrupt)
    writer.close()


# export


def test_an_export_says_the_paths_of_its_files(root: Path, capsys: Captured) -> None:
    path = make_run(root)
    assert export_main([path.name, "--to", "csv", "--out", "here.csv"]) == 0
    assert capsys.readouterr().out == "here.csv\n"
    assert Path("here.csv").read_text().startswith("kind,epoch,step,seconds,")
    assert export_main([path.name, "--to", "svg"]) == 0
    said = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [one.name for one in said] == ["accuracy.svg", "loss.svg", "lr.svg"]
    with pytest.raises(UserError, match="--force"):
        export_main([path.name, "--to", "svg"])
    assert export_main([path.name, "--to", "svg", "--force"]) == 0


@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
def test_the_networks_exports_are_handed_on(
    root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from workbench.evaluation import export as network

    path = make_run(root)
    asked = []

    def written(run: Path, kind: str, out: Path | None) -> list[Path]:
        asked.append((run, kind, out))
        return [run / "exports" / f"model.{kind}"]

    monkeypatch.setattr(network, "export", written)
    assert export_main([path.name, "--to", kind]) == 0
    assert capsys.readouterr().out.strip().endswith(f"model.{kind}")
    [(run, asked_kind, out)] = asked
    assert (run.name, asked_kind, out) == (path.name, kind, None)
    (path / "exports").mkdir()
    (path / "exports" / f"model.{kind}").write_text("an earlier one")
    with pytest.raises(UserError, match="is there already; --force replaces it"):
        export_main([path.name, "--to", kind])
    assert export_main([path.name, "--to", kind, "--force"]) == 0


@pytest.mark.parametrize("main", [show_main, tail_main, lambda arguments: export_main([*arguments, "--to", "csv"])])
@pytest.mark.parametrize("reference", ["nothing", "../secret", "x" * 5000, "a\x00b", ""])
def test_a_run_that_is_none_is_one_line(root: Path, main: Callable[[list[str]], int], reference: str) -> None:
    make_run(root, epochs=0)
    with pytest.raises(UserError) as caught:
        main([reference])
    assert "\n" not in str(caught.value)
    assert "\x00" not in str(caught.value)
