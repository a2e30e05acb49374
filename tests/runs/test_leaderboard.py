"""The order of runs, groups over seeds, differences to a baseline, what differs from base."""

import math
import re
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from summaries import SETTINGS, damaged_summary, make_summary

from workbench.base.errors import UserError
from workbench.runs.columns import COLUMN_NAMES, DEFAULTS, OTHER_NAMES, Column, Columns, chosen, short_ids
from workbench.runs.from_base import Base
from workbench.runs.leaderboard import (
    GroupColumns,
    deviation,
    grouped,
    in_order,
    make_table,
    mean,
    read_order,
    with_differences,
)
from workbench.runs.summary import Summary

COLUMNS = Columns(base=Base(SETTINGS, keys=tuple(SETTINGS)), families={"resnet18": "cnn"})


def ordered(runs: list[Summary], key: str) -> list[str]:
    return [run.id[-1] for run in in_order(runs, read_order(key, COLUMNS.find))]


def texts(runs: list[Summary], *names: str) -> list[list[str]]:
    return [[cell.text for cell in row] for row in make_table(runs, [COLUMNS.find(name) for name in names]).rows]


RUNS = [
    make_summary(0, test_top1=0.8, seconds=50.0, arch="resnet50"),
    make_summary(1, test_top1=None, seconds=10.0, arch="resnet101"),
    make_summary(2, test_top1=0.9, seconds=None, arch="vgg11"),
    make_summary(3, test_top1=0.9, seconds=20.0, arch="resnet18"),
]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("acc", "2301"),
        ("+acc", "0231"),
        ("acc:asc", "0231"),
        ("-acc", "2301"),
        ("acc:desc,time", "3201"),
        ("acc,-created", "3201"),
        ("time", "1302"),
        ("-time", "0312"),
        ("arch", "3012"),  # resnet18 before resnet50 before resnet101
        ("optim.lr,created", "3210"),
    ],
)
def test_runs_stand_in_order_and_those_without_a_figure_last(key: str, expected: str) -> None:
    assert "".join(ordered(RUNS, key)) == expected


def test_a_figure_that_is_not_a_number_stands_last_either_way() -> None:
    runs = [make_summary(0, test_loss=math.nan), make_summary(1, test_loss=0.5), make_summary(2, test_loss=math.inf)]
    assert "".join(ordered(runs, "loss")) == "120"
    assert "".join(ordered(runs, "-loss")) == "210"


def test_values_of_several_types_can_be_sorted() -> None:
    runs = [make_summary(number, settings={"train.micro_batch": value}) for number, value in enumerate(["auto", 32, 8])]
    columns = Columns(base=Base(SETTINGS), keys=lambda: ["train.micro_batch"])
    found = in_order(runs, read_order("train.micro_batch", columns.find))
    assert [run.settings["train.micro_batch"] for run in found] == [8, 32, "auto"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("ac", 'unknown column "ac" (did you mean "acc"?)'),
        ("acc:up", '--sort acc:up: after ":" comes asc or desc'),
        (",", "--sort names no column"),
        ("-", 'unknown column ""'),
    ],
)
def test_a_wrong_sort_key_is_one_line(key: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_order(key, COLUMNS.find)
    assert str(caught.value) == message


def test_a_run_is_shown_as_the_seeds_table_shows_it() -> None:
    run = make_summary(0, tags=("a", "b"), settings={"optim.lr": 0.01, "data.image_size": 32})
    assert texts([run], *DEFAULTS) == [
        ["resnet18", "cnn", "90.00", "92.00", "11.18M", "35.40M", "lr 0.01, 32 px", "10", "1:02:03", "205", "1.53 GB",
         "finished", "a b"]
    ]  # fmt: skip


def test_a_live_run_shows_how_far_it_is() -> None:
    run = make_summary(0, state="running", epoch=3, step=36, test_top1=None, eta=90.0)
    assert texts([run], "epochs", "step", "acc", "eta", "state") == [["3/10", "36/120", "–", "01:30", "running"]]


def test_what_a_damaged_run_does_not_tell_is_never_nought() -> None:
    names = [*DEFAULTS, "created", "seed", "recipe", "top5", "loss", "eta", "step", "note", "optim.lr"]
    (shown,) = texts([damaged_summary()], *names)
    assert set(shown) == {"–", "unknown"}


def test_columns_are_named_added_and_taken_away() -> None:
    def names(text: str | None) -> list[str]:
        return [column.name for column in chosen(text, ["arch", "acc", "tags"], COLUMNS.find)]

    assert names(None) == ["arch", "acc", "tags"]
    assert names("seed,arch") == ["seed", "arch"]
    assert names("+optim.lr,-tags") == ["arch", "acc", "optim.lr"]
    assert names("+accuracy") == ["arch", "acc", "tags"]
    for wrong in ("a,+acc", "-arch,-acc,-tags", "+nothing"):
        with pytest.raises(UserError):
            names(wrong)


def test_a_column_is_found_by_any_of_its_names() -> None:
    assert COLUMNS.find("params").name == COLUMNS.find("Parameters").name == "parameters"
    assert COLUMNS.find("lr").name == COLUMNS.find("optim.lr").name == "optim.lr"
    assert COLUMNS.find("optim").name == "optim.name"
    assert COLUMNS.find("seed").kind == "number"
    with pytest.raises(UserError, match="beta9"):
        COLUMNS.find("beta9")


def test_the_document_lists_every_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    table = page.partition("| column | other names | what |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    names = [name for first, others in cells for name in re.findall(r"`([^`]+)`", f"{first} {others}")]
    texts = " ".join(line for line in table.splitlines())
    assert {COLUMNS.find(name).name for name in names} | {"best_epoch", "best_split"} == set(COLUMN_NAMES)
    assert all(f"`{name}`" in texts for name in OTHER_NAMES)


def test_a_last_part_that_two_keys_have_names_neither() -> None:
    columns = Columns(base=Base({"optim.power": 1, "schedule.power": 2}))
    with pytest.raises(UserError, match="power"):
        columns.find("power")


@given(st.sets(st.text("ab0-", min_size=1, max_size=8).map(lambda end: "20261122-100000-" + end), min_size=1))
def test_a_short_id_means_one_run(ids: set[str]) -> None:
    short = short_ids(ids)
    for name in ids:
        assert name.startswith(short[name])
        others = [other for other in ids if other.startswith(short[name]) and other != name]
        # A name that is the beginning of another is found as itself.
        assert not others or short[name] == name


SEEDS = [
    make_summary(number, seed=number, test_top1=top1, test_loss=1 - top1, images_per_second=100.0 + number)
    for number, top1 in enumerate([0.9, 0.92, 0.97])
]


def group_table(runs: list[Summary], by: list[str], *names: str) -> list[list[str]]:
    keys = [COLUMNS.find(name) for name in by]
    made = GroupColumns(COLUMNS, keys)
    table = make_table(grouped(runs, keys), [made.find(name) for name in (*by, *names)])
    return [[cell.text for cell in row] for row in table.rows]


def test_seeds_become_mean_deviation_and_best() -> None:
    other = make_summary(5, arch="vit", test_top1=0.5, recipe="paper")
    rows = group_table([*SEEDS, other], ["arch", "recipe"], "n", "acc", "acc_sd", "acc_best", "loss_best", "speed")
    sd = statistics.stdev([90, 92, 97])
    assert rows == [
        ["resnet18", "base", "3", "93.00", f"{sd:.2f}", "97.00", "0.0300", "101"],
        ["vit", "paper", "1", "50.00", "–", "50.00", "0.2500", "205"],  # one run has no deviation
    ]


def test_a_group_says_what_its_runs_agree_in() -> None:
    runs = [*SEEDS, make_summary(7, seed=3, tags=("x",), settings={"optim.lr": 0.01})]
    assert group_table(runs, ["arch"], "config", "dataset", "tags", "parameters") == [
        ["resnet18", "mixed", "digits", "mixed", "11.18M"]
    ]


def test_groups_by_a_setting_and_by_what_is_missing() -> None:
    runs = [*SEEDS, make_summary(7, settings={"optim.lr": 0.01}), damaged_summary(8)]
    assert group_table(runs, ["optim.lr"], "n") == [["0.001", "3"], ["0.01", "1"], ["–", "1"]]
    assert group_table(runs[:4], ["config"], "n") == [["–", "3"], ["lr 0.01", "1"]]


def test_groups_are_sorted_by_their_own_columns() -> None:
    runs = [make_summary(number, arch=arch, test_top1=top1) for number, (arch, top1) in
            enumerate([("a", 0.5), ("a", 0.9), ("b", 0.8), ("c", None)])]  # fmt: skip
    keys = [COLUMNS.find("arch")]
    made = GroupColumns(COLUMNS, keys)
    for text, expected in (("acc", "bac"), ("acc_best", "abc"), ("-n,arch", "abc"), ("acc_sd", "abc")):
        groups = in_order(grouped(runs, keys), read_order(text, made.find))
        assert "".join(group.runs[0].arch for group in groups) == expected
    with pytest.raises(UserError, match="acc_sd"):
        made.find("acc_sdd")


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_mean_and_deviation_are_the_textbooks(figures: list[float]) -> None:
    assert mean(figures) == pytest.approx(statistics.fmean(figures))
    assert deviation(figures) == pytest.approx(statistics.stdev(figures), abs=1e-12)
    assert mean([]) is deviation([1.0]) is None


def test_differences_are_points_ratios_and_changes() -> None:
    baseline = make_summary(0, test_top1=0.9, test_loss=0.5, parameters=10**7, seconds=100.0)
    run = make_summary(1, test_top1=0.8875, test_loss=0.25, parameters=2 * 10**7, seconds=None)
    wanted: list[Column[Summary]] = [COLUMNS.find(name) for name in ("arch", "acc", "loss", "parameters", "time")]
    columns = with_differences(wanted, baseline)
    table = make_table([run, baseline], columns)
    assert [heading.name for heading in table.headings] == [
        "arch", "acc", "acc_diff", "loss", "loss_diff", "parameters", "parameters_ratio", "time", "time_ratio",
    ]  # fmt: skip
    assert [cell.text for cell in table.rows[0]][1:] == [
        "88.75", "-1.25", "0.2500", "-0.2500", "20.00M", "×2.00", "–", "–",
    ]  # fmt: skip
    assert [cell.text for cell in table.rows[1]][2::2] == ["+0.00", "+0.0000", "×1.00", "×1.00"]
    assert table.rows[0][2].value == pytest.approx(-0.0125)


def test_a_baseline_without_a_figure_gives_no_difference() -> None:
    baseline = make_summary(0, test_top1=None, images_per_second=0.0)
    table = make_table([RUNS[0]], with_differences([COLUMNS.find("acc"), COLUMNS.find("speed")], baseline))
    assert [cell.text for cell in table.rows[0]] == ["80.00", "–", "205", "–"]


BASE = Base(
    {**SETTINGS, "optim.weight_decay": 0.0},
    {"optim.sgd": {"optim.momentum": 0.9, "optim.nesterov": False}},
    (*SETTINGS, "optim.momentum", "optim.nesterov", "schedule.warmup", "augment.mixup", "train.tf32"),
)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ""),
        ({"optim.lr": 0.01, "optim.name": "sgd", "data.image_size": 32}, "lr 0.01, optim sgd, 32 px"),
        ({"optim.name": "sgd", "optim.momentum": 0.9, "optim.nesterov": True}, "optim sgd, nesterov"),
        ({"optim.name": "sgd", "optim.momentum": 0.5}, "optim sgd, momentum 0.5"),
        ({"schedule.name": "cosine", "schedule.warmup": "5%"}, "cosine, warmup 5%"),
        ({"augment.mixup": 0.8, "sam.rho": 0.05}, "SAM rho 0.05, mixup 0.8"),
        ({"train.epochs": 5, "data.batch_size": 64}, "batch 64, 5 epochs"),
        ({"train.tf32": False}, "no tf32"),
        ({"model.options.width": 0.5}, "width 0.5"),
        ({"checkpoint.keep": 9, "seed": 3, "name": "x", "recipe": "y", "train.device": "cpu", "data.root": "/x",
          "model.arch": "vit", "data.dataset": "mnist", "train.threads": 2, "data.workers": 0}, ""),
    ],
)  # fmt: skip
def test_what_differs_from_base_is_said_in_short(settings: dict[str, object], expected: str) -> None:
    assert BASE.text(BASE.differences({**SETTINGS, **settings})) == expected


def test_without_a_base_nothing_differs_from_it() -> None:
    assert Base().differences(SETTINGS) == {}
