"""What a run leaves in plots/: the seed's two pictures, whole or not at all, whatever the run went through."""

import errno
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_runs import make_run

from workbench.runs import plots
from workbench.runs.plots import write_plots
from workbench.runs.svg import NAMESPACE


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(path).iter(f"{{{NAMESPACE}}}text")]


def test_accuracy_and_loss_of_training_and_test_as_picture_and_as_text(tmp_path: Path) -> None:
    run = make_run(tmp_path, epochs=5, test_top1=[0.1, 0.5, 0.7, 0.8, 0.9])
    written = write_plots(run)
    names = ["accuracy.svg", "accuracy.txt", "loss.svg", "loss.txt"]
    assert sorted(path.name for path in (run / "plots").iterdir()) == names
    assert sorted(written) == [run / "plots" / name for name in names]
    words = texts(run / "plots" / "accuracy.svg")
    assert {"train", "test", "epoch", "top-1, %", "accuracy of resnet18 on digits"} <= {*words}
    assert "val" not in words
    rows = (run / "plots" / "accuracy.txt").read_text().rstrip("\n").split("\n")
    assert len(rows) == plots.TEXT_SIZE[1]
    assert max(map(len, rows)) <= plots.TEXT_SIZE[0]
    assert "\x1b" not in "".join(rows)
    assert rows[0].strip() == "accuracy of resnet18 on digits"
    assert {"train", "test"} <= {*" ".join(rows).split()}


def test_the_values_are_those_of_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, epochs=2, name="mine", test_top1=[0.25, 0.75], test_loss=[300.0, 0.5])
    write_plots(run)
    tips = {e.text for e in ElementTree.parse(run / "plots" / "accuracy.svg").iter(f"{{{NAMESPACE}}}title")}
    assert {"test: 25 (epoch 1)", "test: 75 (epoch 2)"} <= tips
    assert "accuracy of mine (resnet18) on digits" in tips
    # A loss that falls by powers of ten would be a line at the bottom otherwise.
    assert "loss (log scale)" in texts(run / "plots" / "loss.svg")


def test_validation_is_drawn_where_there_is_one(tmp_path: Path) -> None:
    run = make_run(tmp_path, val_top1=0.5, val_loss=1.0)
    write_plots(run)
    assert "val" in texts(run / "plots" / "accuracy.svg")
    assert "val" in texts(run / "plots" / "loss.svg")


def test_one_epoch_is_enough_and_none_is_no_error(tmp_path: Path) -> None:
    one = make_run(tmp_path, epochs=1)
    write_plots(one)
    circles = ElementTree.parse(one / "plots" / "accuracy.svg").iter(f"{{{NAMESPACE}}}circle")
    assert len(list(circles)) == 2
    none = make_run(tmp_path, epochs=0, state="stopped")
    assert write_plots(none) == []
    assert not (none / "plots").exists()


def test_a_run_that_diverged_is_drawn_with_gaps(tmp_path: Path) -> None:
    nan = float("nan")
    run = make_run(tmp_path, epochs=3, test_loss=[1.0, nan, float("inf")], train_loss=nan)
    write_plots(run)
    circles = ElementTree.parse(run / "plots" / "loss.svg").iter(f"{{{NAMESPACE}}}circle")
    assert len(list(circles)) == 1


def test_a_run_that_went_on_is_drawn_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path, epochs=1)
    write_plots(run)
    before = (run / "plots" / "loss.svg").read_text()
    later = make_run(tmp_path, epochs=4)
    (later / "metrics.jsonl").replace(run / "metrics.jsonl")
    write_plots(run)
    assert (run / "plots" / "loss.svg").read_text() != before
    assert len(list((run / "plots").iterdir())) == 4


@pytest.mark.parametrize("failing", ["mkdir", "replace"])
def test_a_disk_that_refuses_is_an_oserror_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    run = make_run(tmp_path)

    def refuse(*arguments: object, **how: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, refuse)
    with pytest.raises(OSError, match="No space left"):
        write_plots(run)
    monkeypatch.undo()
    assert not (run / "plots").exists() or list((run / "plots").iterdir()) == []


def test_hostile_names_are_words_in_both(tmp_path: Path) -> None:
    run = make_run(tmp_path, name="a\x1b[2J</text><script>\u202e" + "x" * 10_000)
    write_plots(run)
    text = (run / "plots" / "accuracy.txt").read_text()
    assert "\x1b" not in text
    assert max(map(len, text.split("\n"))) <= 100
    picture = (run / "plots" / "accuracy.svg").read_text()
    assert "<script" not in picture
    assert "\u202e" not in picture


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe\n", b"[1]\n" * 3])
def test_damaged_journals_draw_nothing(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path)
    (run / "metrics.jsonl").write_bytes(content)
    assert write_plots(run) == []


def test_lines_of_another_make_are_survived(tmp_path: Path) -> None:
    from workbench.runs import journal

    run = make_run(tmp_path, epochs=0)
    strange = [
        {"kind": "epoch"},
        {"kind": "epoch", "epoch": "one", "test_loss": 1.0},
        {"kind": ["epoch"], "epoch": 1},
        {"kind": "rewind"},
        {"kind": "epoch", "epoch": 1, "step": None, "test_loss": {"a": 1}, "test_top1": 10**400},
        {"kind": "epoch", "epoch": 10**400, "test_loss": 1.0},
    ]
    (run / "metrics.jsonl").write_bytes(b"".join(map(journal.encode, strange)))
    written = write_plots(run)
    assert [path.name for path in written] == ["accuracy.svg", "accuracy.txt", "loss.svg", "loss.txt"]
    for picture, text in (written[:2], written[2:]):
        assert not list(ElementTree.parse(picture).iter(f"{{{NAMESPACE}}}circle")), "no point can be drawn"
        assert "nothing to draw yet" in text.read_text()
