"""Evaluating a run: its own figures to the last digit, and nothing of the run touched."""

import csv
import errno
import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from small_run import epoch_lines

from workbench.base.errors import UserError
from workbench.data import digits
from workbench.evaluation import report as reporting
from workbench.evaluation.calibration import calibrate
from workbench.evaluation.evaluate import evaluate
from workbench.evaluation.measure import Outputs, measure
from workbench.runs.files import write_atomically


def files_of(run: Path) -> dict[str, str]:
    """SHA-256 of every file of a run."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


def folder_of_digits(root: Path, names: str, *, most: int = 10_000) -> Path:
    """The digits as grey PNG files in folders with other names."""
    arrays = digits.load()
    for part, images, labels in (
        ("train", arrays.train_images, arrays.train_labels),
        ("test", arrays.test_images, arrays.test_labels),
    ):
        for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            if label >= len(names) or (part == "train" and number >= most):
                continue
            folder = root / part / names[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(folder / f"{number:04}.png")
    return root


@pytest.mark.parametrize(("kind", "prefix"), [("last", ""), ("ema", "_ema")])
@pytest.mark.parametrize("split", ["test", "val"])
def test_the_last_weights_give_the_figures_of_the_last_epoch(
    trained: Path, tmp_path: Path, split: str, kind: str, prefix: str
) -> None:
    report, _ = evaluate(trained, split=split, weights=kind, device="cpu", out=tmp_path / "out")
    recorded = epoch_lines(trained)[-1]
    for figure in ("top1", "top5", "loss"):
        assert report[figure] == recorded[f"{split}{prefix}_{figure}"], figure
    assert report["own_data"]
    assert report["weights"]["epoch"] == 2
    assert report["notes"] == []


def test_the_best_weights_give_the_figures_of_the_best_epoch(trained: Path, tmp_path: Path) -> None:
    report, _ = evaluate(trained, device="cpu", out=tmp_path / "out")
    assert (report["weights"]["kind"], report["split"]) == ("best", "test")
    best = max(epoch_lines(trained), key=lambda line: line["val_top1"])
    recorded = epoch_lines(trained)[report["weights"]["epoch"] - 1]
    assert recorded["val_top1"] == best["val_top1"]
    assert (report["top1"], report["loss"]) == (recorded["test_top1"], recorded["test_loss"])


def test_the_exported_weights_stand_for_the_last_ones(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    for kind, prefix in (("last", "test"), ("ema", "test_ema")):
        report, _ = evaluate(run, weights=kind, device="cpu")
        assert report["loss"] == epoch_lines(run)[-1][f"{prefix}_loss"]
        assert report["weights"]["file"].endswith(".safetensors")
    report, _ = evaluate(run, device="cpu")
    assert report["weights"]["kind"] == "last"
    assert "taking the last weights" in report["notes"][0]


def test_files_agree_with_each_other_and_nothing_else_is_touched(run: Path) -> None:
    before = files_of(run)
    report, files = evaluate(run, weights="last", device="cpu")
    folder = run / "evaluation" / "digits-test-last"
    assert [file.name for file in files] == ["report.json", "confusion.csv", "per_class.csv", "mistakes.png"]
    assert all(file.parent == folder for file in files)
    after = files_of(run)
    assert {name: digest for name, digest in after.items() if not name.startswith("evaluation/")} == before
    assert json.loads((folder / "report.json").read_text()) == report

    with open(folder / "confusion.csv", newline="") as file:
        rows = list(csv.reader(file))
    counts = [[int(count) for count in row[1:]] for row in rows[1:]]
    assert counts == report["confusion"]
    assert rows[0][1:] == [row[0] for row in rows[1:]] == [str(digit) for digit in range(10)]
    assert sum(map(sum, counts)) == report["images"] == 359
    assert sum(counts[i][i] for i in range(10)) / 359 == report["top1"]

    with open(folder / "per_class.csv", newline="") as file:
        per_class = list(csv.DictReader(file))
    for i, row in enumerate(per_class):
        assert int(row["images"]) == sum(counts[i])
        assert int(row["predicted"]) == sum(line[i] for line in counts)
        assert float(row["accuracy"]) == counts[i][i] / sum(counts[i])
    wrong = report["confusions"]
    assert sum(pair["count"] for pair in wrong) == 359 - sum(counts[i][i] for i in range(10))
    assert [pair["count"] for pair in wrong] == sorted((pair["count"] for pair in wrong), reverse=True)
    assert all(counts[int(pair["true"])][int(pair["predicted"])] == pair["count"] for pair in wrong)


def test_a_second_evaluation_replaces_the_first_and_a_failed_one_does_not(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, files = evaluate(run, device="cpu")
    files[0].write_text("old")
    evaluate(run, device="cpu")
    again = json.loads(files[0].read_text())
    assert {**again, "evaluated": 0} == {**first, "evaluated": 0}
    before = files_of(run)

    written = []

    def full(path: Path, content: bytes) -> None:
        written.append(path.name)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(reporting, "write_atomically", full)
        with pytest.raises(UserError, match=r"No space left on device; choose another place with --out"):
            evaluate(run, device="cpu")
    assert len(written) == 3
    assert files_of(run) == before
    assert sorted(path.name for path in files[0].parent.iterdir()) == sorted(file.name for file in files)


def test_a_link_in_place_of_the_folder_is_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (run / "evaluation").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link and is not followed"):
        evaluate(run, device="cpu")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_same_pictures_as_files_with_other_class_names_give_the_same(trained: Path, tmp_path: Path) -> None:
    """Colour made grey again, the run's own mean and std: as if they were the run's own images."""
    root = folder_of_digits(tmp_path / "letters", "abcdefghij", most=200)
    own, _ = evaluate(trained, device="cpu", out=tmp_path / "own")
    notes: list[str] = []
    report, _ = evaluate(
        trained, dataset="folder", root=str(root), device="cpu", out=tmp_path / "out", note=notes.append
    )
    assert not report["own_data"]
    assert report["images"] == own["images"]
    assert [row["class"] for row in report["classes"]] == list("abcdefghij")
    assert report["names"] == [str(digit) for digit in range(10)]
    assert any('number 0 is "a" there and "0" here' in note for note in notes)
    assert "colour images are shown as greys" in notes
    # Pillow enlarges the files and torch the embedded ones; both are bilinear.
    assert report["top1"] == pytest.approx(own["top1"], abs=0.01)
    assert report["loss"] == pytest.approx(own["loss"], rel=0.02)


def test_another_number_of_classes_is_refused(trained: Path, tmp_path: Path) -> None:
    root = folder_of_digits(tmp_path / "three", "abc", most=60)
    with pytest.raises(UserError, match=r"folder has 3 classes and .* tells 10 apart"):
        evaluate(trained, dataset="folder", root=str(root), device="cpu", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"dataset": "mnits"}, 'there is no mnits (did you mean "mnist"?)'),
        ({"dataset": "folder"}, "--dataset folder needs --root DIR"),
        ({"device": "cuda"}, "--device cuda: torch finds no CUDA device"),
    ],
)
def test_what_cannot_be_is_one_line(trained: Path, asked: dict[str, str], words: str) -> None:
    if asked.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(UserError) as refused:
        evaluate(trained, **{"device": "cpu", **asked})  # type: ignore[arg-type]
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


# What is counted, by hand


def outputs(logits: list[list[float]], labels: list[int]) -> Outputs:
    values = torch.tensor(logits)
    return Outputs(values, torch.tensor(labels), values.argmax(1), loss=0.0, top1=0.0, top5=0.0)


def test_rows_are_true_classes_and_columns_predicted_ones() -> None:
    measures = measure(outputs([[2, 1, 0], [2, 1, 0], [0, 0, 3], [0, 5, 0]], [0, 1, 1, 1]))
    assert measures.confusion.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert measures.images.tolist() == [1, 3, 0]
    assert measures.said.tolist() == [2, 1, 1]
    assert measures.correct.tolist() == [1, 1, 0]


def test_the_calibration_error_is_that_of_the_definition() -> None:
    confidence = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.55, 0.55], dtype=torch.float64)
    right = torch.tensor([True, True, True, False, True, False])
    found = calibrate(confidence, right)
    assert found.ece == pytest.approx(4 / 6 * 0.2 + 2 / 6 * 0.05)
    assert [one.count for one in found.bins] == [0] * 8 + [2] + [0] * 5 + [4]
    assert found.bins[14].accuracy == 0.75
    assert found.bins[8].confidence == pytest.approx(0.55)
    assert math.isnan(found.bins[0].accuracy)


def test_a_confidence_on_an_edge_is_in_the_bin_below() -> None:
    edges = torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0], dtype=torch.float64)
    found = calibrate(edges, torch.ones(5, dtype=torch.bool), bins=5)
    assert [one.count for one in found.bins] == [1, 1, 1, 1, 1]
    assert [one.count for one in calibrate(edges + 1e-9, torch.ones(5, dtype=torch.bool), bins=5).bins] == [
        0,
        1,
        1,
        1,
        2,
    ]


def test_what_is_not_finite_is_counted_apart() -> None:
    nan = float("nan")
    measures = measure(outputs([[2, 1], [nan, nan], [0, 1]], [0, 1, 1]))
    assert measures.calibration.left_out == 1
    assert sum(one.count for one in measures.calibration.bins) == 2
    assert 0 < measures.calibration.ece < 0.5
    assert math.isnan(measure(outputs([[nan, nan]], [0])).calibration.ece)
