"""An evaluation on a terminal: within its width, safe, and readable with two classes or two hundred."""

from typing import Any

import pytest
import torch
from rich.console import Console

from workbench.evaluation.calibration import Calibration
from workbench.evaluation.measure import Measures
from workbench.evaluation.render import pages, prediction
from workbench.evaluation.report import class_figures, confusion_csv, confusions


def made(names: list[str], confusion: list[list[int]]) -> dict[str, Any]:
    measures = Measures(torch.tensor(confusion), Calibration(0.1, (), 0))
    return {
        "run": "20260101-000000-x-aaaaaa",
        "arch": "resnet18",
        "weights": {"kind": "best", "epoch": 3},
        "own_data": True,
        "dataset": "folder",
        "split": "test",
        "images": int(measures.confusion.sum()),
        "device": "cpu",
        "precision": "fp32",
        "top1": 0.5,
        "top5": 1.0,
        "loss": "nan",
        "ece": "nan",
        "not_finite": 2,
        "calibration": [],
        "names": names,
        "classes": class_figures(measures, names),
        "confusions": confusions(measures, names, names),
        "confusion": confusion,
    }


def drawn(report: dict[str, Any], width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: SIM115
    for page in pages(report, width):
        console.print(page, highlight=False, markup=False)
    return console.export_text()


def spread(classes: int) -> list[list[int]]:
    """Mostly right, with neighbours taken for one another; the last class is never recognised."""
    table = [[90 if i == j else 10 if j == (i + 1) % classes else 0 for j in range(classes)] for i in range(classes)]
    table[-1] = [100, *[0] * (classes - 1)]
    return table


@pytest.mark.parametrize("classes", [2, 10, 15, 20])
def test_a_chart_of_up_to_twenty_classes_fits_eighty_columns(classes: int) -> None:
    names = [f"a class with a long name {i}" for i in range(classes)]
    text = drawn(made(names, spread(classes)))
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    chart = text.partition("percent of the row")[2].strip("\n").splitlines()
    assert len(chart) == classes + 1
    assert chart[1].startswith("0 a clas")
    assert "90█" in chart[1]
    assert "10░" in chart[1]
    assert "100" in chart[-1]
    assert chart[-1].count("·") == classes - 1


def test_many_classes_show_the_worst_and_the_most_frequent_confusions() -> None:
    names = [f"class {i}" for i in range(200)]
    report = made(names, spread(200))
    text = drawn(report)
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    assert "the 20 worst of 200 classes" in text
    worst = text.partition("worst of")[2].splitlines()[1]
    assert worst.split()[:2] == ["class", "199"]
    assert "0.00%" in worst
    first = text.partition("most frequent confusions")[2].splitlines()[1]
    assert " ".join(first.split()) == "class 199 taken for class 0 100 100.00% of it"
    assert len(text.splitlines()) < 60


def test_a_class_without_images_and_figures_that_are_no_numbers() -> None:
    text = drawn(made(["a", "b"], [[3, 1], [0, 0]]))
    assert "no images" in text
    assert "nan" in text
    assert "2 images" in text


def test_a_row_that_is_not_all_right_never_says_a_hundred() -> None:
    chart = drawn(made(["a", "b"], [[999, 1], [0, 5]])).partition("percent of the row")[2]
    assert "99█" in chart
    assert "<1░" in chart
    assert chart.count("100") == 1


def test_names_from_disk_reach_the_terminal_as_text() -> None:
    names = ["[/oops]", "\x1b[2J\u202e", "=1+1", "-2"]
    report = made(names, spread(4))
    text = drawn(report)
    assert "[/oops]" in text
    assert not {"\x1b", "\u202e"} & set(text)
    head = confusion_csv(report).decode().splitlines()[0].split(",")
    assert head[3:] == ["'=1+1", "-2"]


def test_predictions_are_bars_in_proportion() -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: SIM115
    guesses = [{"class": "cat", "probability": 0.5}, {"class": "[dog]", "probability": "nan"}]
    console.print(prediction("a\x1b[2J.png", guesses), markup=False)
    text = console.export_text()
    assert "█" * 15 + " " in text
    assert "█" * 16 not in text
    assert "50.00%" in text
    assert "[dog]" in text
    assert "\x1b" not in text
