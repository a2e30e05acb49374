"""`evaluate` and `predict` as a person meets them: what is printed, where, and with which exit code."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from small_run import epoch_lines, train_small

from workbench.cli import main
from workbench.data import digits


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small(tmp_path_factory.mktemp("command-runs"))


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A runs folder with one finished run."""
    shutil.copytree(trained, tmp_path / "runs" / trained.name)
    return tmp_path / "runs"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "digit.png"
    Image.fromarray(digits.load().test_images[0, 0].numpy()).save(path)
    return path


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    try:
        code = main(list(arguments))
    except SystemExit as end:
        code = end.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_evaluate_prints_figures_chart_and_places(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "evaluate", "last", "--weights", "last", "--device", "cpu", "--runs", str(runs))
    assert (code, err) == (0, "")
    recorded = epoch_lines(next(runs.iterdir()))[-1]
    assert f"{recorded['test_top1']:.2%}" in out
    assert f"{recorded['test_loss']:.4f}" in out
    for words in ("ECE", "accuracy by class", "percent of the row", "359 images, 10 classes", "mistakes.png"):
        assert words in out
    assert "\x1b" not in out
    assert all(Path(line).is_file() for line in out.splitlines()[-4:])


def test_evaluate_json_is_one_object_that_agrees_with_the_file(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("evaluate", "last", "--split", "val", "--device", "cpu", "--batch-size", "64", "--json")
    code, out, err = ran(capsys, *arguments, "--runs", str(runs), "--out", str(tmp_path / "out"))
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["split"] == "val"
    assert answer["batch_size"] == 64
    files = answer.pop("files")
    assert json.loads(Path(files[0]).read_text()) == answer
    assert {Path(file).parent for file in files} == {tmp_path / "out"}
    assert not (next(runs.iterdir()) / "evaluation").exists()


def test_mistakes_are_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (("evaluate", "nothing-like-it"), "nothing-like-it"),
        (("evaluate", "last", "--dataset", "folder"), "--dataset folder needs --root DIR"),
        (("evaluate", "last", "--weights", "worst"), "invalid choice"),
        (("evaluate", "last", "--batch-size", "0"), "must be a whole number of at least 1 (got 0)"),
        (("evaluate", "last", "--splt", "val"), "unknown option --splt (did you mean --split?)"),
        (("predict", "last"), "IMAGE"),
        (("predict", "last", str(runs)), "is a directory; name the images in it"),
    ):
        code, out, err = ran(capsys, *arguments, "--runs", str(runs))
        assert (code, out) == (2, ""), arguments
        assert len(err.splitlines()) == 1
        assert words in err


def test_predict_goes_on_past_a_damaged_file(
    runs: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(picture.read_bytes()[:40])
    here = ("--device", "cpu", "--runs", str(runs))
    code, out, err = ran(capsys, "predict", "last", str(bad), str(picture), "--top", "2", *here)
    assert code == 1
    assert len(out.splitlines()) == 3
    assert out.splitlines()[0] == str(picture)
    assert "%" in out.splitlines()[1]
    assert err.count("\n") == 1
    assert f"{bad}: " in err

    assert ran(capsys, "predict", "last", str(bad), *here)[0] == 2
    code, out, err = ran(capsys, "predict", "last", str(picture), str(bad), "--json", *here)
    answer = json.loads(out)
    assert code == 1
    assert sum(guess["probability"] for guess in answer["images"][0]["predictions"]) <= 1
    assert len(answer["images"][0]["predictions"]) == 5
    assert answer["images"][1]["error"]
    assert ran(capsys, "predict", "last", str(picture), *here)[0] == 0
