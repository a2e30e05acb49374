"""A run for other programs: read back with the reader of each, every value; nothing written over, nothing half."""

import csv
import math
import os
import struct
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from made_runs import SECONDS, make_run

from workbench.base.errors import UserError
from workbench.runs import export as exporting
from workbench.runs.export import export
from workbench.runs.journal import encode
from workbench.runs.run import Run
from workbench.runs.svg import NAMESPACE

NAN, INF = math.nan, math.inf


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# CSV


def test_csv_has_every_line_and_every_figure(tmp_path: Path) -> None:
    run = Run(make_run(tmp_path, epochs=2, steps=3, test_loss=[1.0, NAN], val_top1=[None, 0.5]))
    [path] = export(run, "csv")
    assert path == run.path / "exports" / "metrics.csv"
    table = rows(path)
    assert len(table) == 2 * (3 + 1)
    assert list(table[0])[:4] == ["kind", "epoch", "step", "seconds"]
    for record, row in zip(run.metrics().records, table, strict=True):
        for key, cell in row.items():
            value = record.get(key)
            if value is None:
                assert cell == ""
            elif isinstance(value, float) and math.isnan(value):
                assert cell == "nan"
            else:
                assert type(value)(cell) == value  # to the last bit
    assert [row["val_top1"] for row in table if row["kind"] == "epoch"] == ["", "0.5"]


def test_what_a_rewind_took_back_is_not_exported(tmp_path: Path) -> None:
    path = make_run(tmp_path, epochs=2, steps=2)
    with open(path / "metrics.jsonl", "ab") as file:
        file.write(encode({"kind": "rewind", "to_step": 2, "to_epochs": 1}))
    table = rows(export(Run(path), "csv", tmp_path / "out.csv")[0])
    assert [(row["kind"], row["step"]) for row in table] == [("step", "1"), ("step", "2"), ("epoch", "2")]


def test_a_hostile_journal_makes_harmless_cells(tmp_path: Path) -> None:
    path = make_run(tmp_path, epochs=0)
    record = {"kind": "step", "step": 1, "=HYPERLINK(1)": "=cmd|x", "b": "+1", "c": "@\x1b[2J", "d": '",\n=1', "e": [1]}
    (path / "metrics.jsonl").write_bytes(encode(record))
    [row] = rows(export(Run(path), "csv", tmp_path / "out.csv")[0])
    assert row["'=HYPERLINK(1)"] == "'=cmd|x"
    assert row["b"] == "+1"
    assert row["c"] == "'@\ufffd[2J"
    assert row["d"] == '",\ufffd=1'
    assert row["e"] == "[1]"


# SVG


def test_svg_has_accuracy_loss_and_learning_rate(tmp_path: Path) -> None:
    run = Run(make_run(tmp_path))
    files = export(run, "svg", tmp_path / "charts")
    assert [path.name for path in files] == ["accuracy.svg", "loss.svg", "lr.svg"]
    for path in files:
        assert ElementTree.parse(path).getroot().tag == f"{{{NAMESPACE}}}svg"


# TensorBoard


def scalars(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Every scalar of an event file, as TensorBoard's own reader has it: step, value, time."""
    reader = read(folder)
    return {tag: [(e.step, e.value, e.wall_time) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def read(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reader = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    return reader


def single(value: float) -> float:
    """Rounded to the 32 bits that TensorBoard keeps."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def test_tensorboard_reads_every_value_step_and_time(tmp_path: Path) -> None:
    run = Run(make_run(tmp_path, epochs=5, steps=7, test_loss=[1.0, NAN, INF, -INF, 0.1]))
    [path] = export(run, "tensorboard")
    assert path.parent == run.path / "exports" / "tensorboard"
    created = datetime.fromisoformat(run.summary.created).timestamp()
    found = scalars(path.parent)
    expected: dict[str, list[tuple[int, float, float]]] = {}
    for record in run.metrics().records:
        for name, value in record.items():
            if name not in ("kind", "step", "epoch", "seconds"):
                place = created + record["seconds"]
                expected.setdefault(f"{record['kind']}/{name}", []).append((record["step"], single(value), place))
    assert {tag: len(values) for tag, values in found.items()} == {tag: len(values) for tag, values in expected.items()}
    assert len(expected["step/lr"]) == 35
    for tag, values in expected.items():
        for (step, value, at), (was_step, was_value, was_at) in zip(found[tag], values, strict=True):
            assert step == was_step
            assert value == was_value or (math.isnan(value) and math.isnan(was_value))
            assert at == pytest.approx(was_at, abs=1e-3)
    assert found["epoch/test_loss"][-1][2] - created == pytest.approx(5 * SECONDS, abs=1e-3)


def test_a_run_that_was_resumed_has_each_step_once(tmp_path: Path) -> None:
    path = make_run(tmp_path, epochs=2, steps=4)
    with open(path / "metrics.jsonl", "ab") as file:
        file.write(encode({"kind": "rewind", "to_step": 4, "to_epochs": 1}))
        for step in range(5, 9):
            file.write(encode({"kind": "step", "step": step, "epoch": step / 4, "seconds": 9.0, "train_loss": 7.0}))
    [file_] = export(Run(path), "tensorboard", tmp_path / "events")
    found = scalars(file_.parent)["step/train_loss"]
    assert [step for step, _, _ in found] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [value for _, value, _ in found][4:] == [7.0] * 4


def test_tensorboard_has_the_settings_as_hyperparameters_and_to_read(tmp_path: Path) -> None:
    run = Run(make_run(tmp_path, settings={"optim.lr": 0.25, "train.ema": True, "model.note": "\ud7ff|x"}))
    [path] = export(run, "tensorboard", tmp_path / "events")
    reader = read(path.parent)
    data = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    content = reader.PluginTagToContent("hparams")
    start = data.HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["optim.lr"].number_value == 0.25
    assert start.hparams["train.ema"].bool_value is True
    assert start.hparams["model.arch"].string_value == "resnet18"
    end = data.HParamsPluginData.FromString(content["_hparams_/session_end_info"]).session_end_info
    assert end.status == 1  # success
    [text] = reader.Tensors("profile")
    words = text.tensor_proto.string_val[0].decode()
    assert "| optim.lr | 0.25 |" in words
    assert r"| model.note | " + "\ud7ff" + r"\|x |" in words


def test_strange_lines_are_no_events(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    path = make_run(tmp_path, epochs=0)
    strange = [
        {"kind": "epoch", "epoch": 1},
        {"kind": "step", "step": -1, "train_loss": 1.0},
        {"kind": "step", "step": 10**30, "train_loss": 1.0},
        {"kind": "step", "step": 1, "train_loss": 1e300, "lr": "x", "on": True, "big": 10**400},
        {"kind": "other", "step": 2, "train_loss": 1.0},
    ]
    (path / "metrics.jsonl").write_bytes(b"".join(map(encode, strange)))
    [file_] = export(Run(path), "tensorboard", tmp_path / "events")
    found = scalars(file_.parent)
    assert {tag: values[0][1] for tag, values in found.items() if tag != "step/big"} == {"step/train_loss": INF}


def test_without_tensorboard_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(UserError, match=r'pip install "cnn-workbench\[tensorboard\]"'):
        export(Run(make_run(tmp_path)), "tensorboard", tmp_path / "events")
    assert not (tmp_path / "events").exists()


# Places


@pytest.mark.parametrize("kind", ["csv", "svg"])
def test_what_is_there_is_replaced_only_when_told(tmp_path: Path, kind: str) -> None:
    run = Run(make_run(tmp_path))
    first = export(run, kind)
    before = [path.read_bytes() for path in first]
    with pytest.raises(UserError, match="is there already; --force replaces it"):
        export(run, kind)
    first[0].write_text("old")
    assert export(run, kind, force=True) == first
    assert [path.read_bytes() for path in first] == before
    assert not [path for path in first[0].parent.parent.rglob("*") if ".tmp" in path.name or ".old" in path.name]


def test_force_never_replaces_a_folder_with_other_things_in_it(tmp_path: Path) -> None:
    run = Run(make_run(tmp_path))
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=r'also holds "letter.txt"'):
        export(run, "svg", home, force=True)
    assert [path.name for path in home.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("kind", ["csv", "svg"])
def test_links_and_things_of_another_kind_are_refused(tmp_path: Path, kind: str) -> None:
    run = Run(make_run(tmp_path))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    taken = "folder" if kind == "csv" else "file"
    for name in (taken, "link"):
        with pytest.raises(UserError, match="give another with --out"):
            export(run, kind, tmp_path / name, force=True)
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    (run.path / "exports").symlink_to(tmp_path / "folder")
    with pytest.raises(UserError, match="is a link and is not followed"):
        export(run, kind)


def test_a_disk_that_fails_half_way_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(make_run(tmp_path))
    out = tmp_path / "charts"
    export(run, "svg", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    written = []

    def failing(drawn: object) -> str:
        written.append(drawn)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return "half"

    monkeypatch.setattr(exporting, "as_svg", failing)
    with pytest.raises(UserError, match="cannot export to .*charts: No space left on device"):
        export(run, "svg", out, force=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    rename = os.rename

    def second_fails(source: Path, target: Path) -> None:
        if str(source).endswith(".tmp"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.undo()
    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(UserError, match="Input/output error"):
        export(run, "svg", out, force=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["charts", run.path.name])


@pytest.mark.parametrize("kind", ["csv", "svg", "tensorboard"])
def test_a_run_without_metrics_has_nothing_to_export(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match="has no metrics yet"):
        export(Run(make_run(tmp_path, epochs=0)), kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot export to "):
        export(Run(make_run(tmp_path)), "csv", tmp_path / "file" / "out.csv")
