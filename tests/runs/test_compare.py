"""Runs side by side: what differs, by how much, and a page that stays a page whatever the runs are called."""

import base64
import csv
import hashlib
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import make_run

from workbench.base.errors import UserError
from workbench.runs import compare_html, compare_text
from workbench.runs.compare import UNSET, Comparison, as_json, compare, differing
from workbench.runs.journal import encode
from workbench.runs.run import Run

HOSTILE = [
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "\"'><svg/onload=alert(1)>",
    "a\x1b]52;c;aGk=\x07\x9b2J\x00b",
    "abc\u202egpj.exe\u2066\u200b",
    "]]><!--",
    "| `x` **b** [l](javascript:alert(1)) |",
    "=cmd|' /C calc'!A0",
    "[/oops][red]",
    "x" * 10_000,
    "half a pair \ud800",
]


def compared(*paths: Path, **how: object) -> Comparison:
    return compare([Run(path) for path in paths], **how)  # type: ignore[arg-type]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    first = make_run(tmp_path, seed=0, test_top1=[0.5, 0.6, 0.7], test_loss=[1.0, 0.9, 0.8])
    second = make_run(
        tmp_path, arch="vit_b_16", seed=0, settings={"optim.lr": 0.01, "optim.name": "sgd", "optim.momentum": 0.9},
        facts={"parameters": 22_350_740}, test_top1=[0.4, 0.65, 0.725], test_loss=[1.5, 0.7, math.nan],
    )  # fmt: skip
    return first, second


# Data


def test_the_settings_that_differ_stand_side_by_side_and_the_others_are_counted(two: tuple[Path, Path]) -> None:
    found = compared(*two)
    assert found.settings == {
        "model.arch": ("resnet18", "vit_b_16"),
        "optim.name": ("adam", "sgd"),
        "optim.lr": (0.001, 0.01),
        "optim.momentum": (UNSET, 0.9),
    }
    assert found.alike == 9


def test_numbers_of_another_kind_are_another_setting() -> None:
    assert differing([{"a": 1, "b": 1.0}, {"a": True, "b": 1.0}]) == ({"a": (1, True)}, 1)
    assert differing([{"a": [1, 2]}, {"a": [1, 2]}]) == ({}, 1)
    assert differing([{}, {}]) == ({}, 0)


def test_figures_have_differences_to_the_first_run(two: tuple[Path, Path]) -> None:
    rows = {row.figure.key: row for row in compared(*two).figures}
    assert rows["test_top1"].values == (0.7, 0.725)
    assert rows["test_top1"].differences == pytest.approx((0.0, 0.025))
    assert rows["test_top1"].best == {1}
    assert rows["parameters"].differences == (0, 22_350_740 - 11_175_370)
    assert rows["parameters"].best == set()
    assert rows["test_loss"].differences[1] is None  # a NaN differs by no number
    assert rows["test_loss"].best == set()
    assert rows["best_top1"].values == (0.7, 0.725)
    assert rows["state"].values == ("finished", "finished")
    assert "val_top1" not in rows
    assert rows["test_top5"].best == set()  # alike


def test_curves_of_the_metrics_and_the_axis_asked_for(two: tuple[Path, Path]) -> None:
    found = compared(*two, metrics=["test_loss", "lr"], axis="step")
    assert list(found.curves) == ["test_loss", "lr"]
    assert found.curves["test_loss"][0].x == (4.0, 8.0, 12.0)
    assert math.isnan(found.curves["test_loss"][1].y[2])
    assert len(found.curves["lr"][0].x) == 12
    [loss, _] = found.charts()
    assert [line.label for line in loss.lines] == ["A resnet18", "B vit_b_16"]


def test_runs_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    same = [make_run(tmp_path, seed=seed) for seed in (0, 1)]
    assert compared(*same).names == ("A resnet18 seed 0", "B resnet18 seed 1")
    named = [make_run(tmp_path, name=name) for name in ("one", "two")]
    assert compared(*named).names == ("A one", "B two")
    alike = [make_run(tmp_path) for _ in range(2)]
    assert compared(*alike).names == tuple(
        f"{x} resnet18 {path.name[-6:]}" for x, path in zip("AB", alike, strict=True)
    )


def test_runs_that_have_just_begun_compare_too(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, epochs=0, planned=5, state="") for _ in range(2)]
    found = compared(*runs)
    assert not any(curve.x for curves in found.curves.values() for curve in curves)
    assert "crashed, epoch 0 of 5" in compare_text.markdown(found)
    compare_html.page(found)


@pytest.mark.parametrize(("count", "said"), [(1, "2 to 8 runs (got 1)"), (9, "2 to 8 runs (got 9)")])
def test_too_few_or_too_many_runs_are_refused(tmp_path: Path, count: int, said: str) -> None:
    run = Run(make_run(tmp_path, epochs=0))
    with pytest.raises(UserError, match=re.escape(said)):
        compare([run] * count)


def test_a_run_beside_itself_is_refused(two: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="is named twice"):
        compared(two[0], two[1], two[0])


def test_an_unknown_metric_is_named_with_the_nearest(two: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match=r'none of these runs has the metric "test_top3" \(did you mean "test_top[15]"'):
        compared(*two, metrics=["test_top3"])
    with pytest.raises(UserError, match=r"\(they have train_loss, train_top1, lr, "):
        compared(*two, metrics=["zzzzz"])


# Formats


def test_json_has_every_value_and_no_bare_nan(two: tuple[Path, Path]) -> None:
    value = json.loads(json.dumps(as_json(compared(*two)), allow_nan=False))
    assert [run["id"] for run in value["runs"]] == [path.name for path in two]
    assert value["settings"]["optim.momentum"] == [None, 0.9]
    assert value["figures"]["test_top1"] == {"values": [0.7, 0.725], "differences": [0.0, pytest.approx(0.025)]}
    assert value["curves"]["test_loss"][1] == {"run": two[1].name, "x": [1.0, 2.0, 3.0], "y": [1.5, 0.7, "nan"]}


def test_csv_has_a_row_a_setting_and_a_figure(two: tuple[Path, Path]) -> None:
    rows = list(csv.reader(io.StringIO(compare_text.csv_text(compared(*two)))))
    assert rows[0] == ["what", "key", *(path.name for path in two)]
    assert ["setting", "optim.momentum", "", "0.9"] in rows
    assert ["figure", "test_top1", "0.7", "0.725"] in rows
    assert ["figure", "test_loss", "0.8", "nan"] in rows
    assert ["difference", "test_loss", "0.0", ""] in rows


def test_markdown_has_three_tables(two: tuple[Path, Path]) -> None:
    lines = compare_text.markdown(compared(*two)).splitlines()
    assert sum(re.fullmatch(r"[|\s-]+", line) is not None and "---" in line for line in lines) == 3
    assert "| optim.lr | 0.001 | 0.01 |" in lines
    assert "| test top-1, % | 70.00 | 72.50 +2.50 |" in lines
    assert "| parameters | 11.18M | 22.35M ×2.00 |" in lines
    assert "4 settings differ, 9 are alike." in lines


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"), ("+a", "'+a"), ("-a", "'-a"), ("@x", "'@x"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"),
        ("-0.5", "-0.5"), ("+1e-3", "+1e-3"), (-0.5, "-0.5"), ("plain", "plain"), (None, ""), (True, "true"),
        ([1, 2], "[1, 2]"), (float("-inf"), "-inf"), ("-1+1", "'-1+1"),
    ],
)  # fmt: skip
def test_no_cell_of_a_spreadsheet_is_a_formula(value: object, cell: str) -> None:
    assert compare_text.csv_cell(value) == cell


# The page


class Page(HTMLParser):
    """What a browser's parser finds: tags with their attributes, the text of scripts, and all other text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        else:
            self.words += data


KNOWN = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "tr", "th", "td", "small",
    "figure", "svg", "g", "path", "circle", "text", "rect", "script",
}  # fmt: skip


def assert_inert(text: str) -> Page:
    """Nothing is fetched and nothing runs but the page's own script."""
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= KNOWN
    assert page.scripts == [compare_html.SCRIPT]
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "src", "style")], tag
        assert "javascript" not in " ".join(value or "" for value in attributes.values())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)
    return page


def test_the_page_shows_settings_figures_and_zoomable_charts(two: tuple[Path, Path]) -> None:
    page = assert_inert(compare_html.page(compared(*two)))
    assert [tag for tag, _ in page.tags].count("svg") == 2
    for words in ("Comparison of 2 runs", two[0].name, "optim.momentum", "72.50", "+2.50", "test top-1, %", "×2.00"):
        assert words in page.words
    boxes = [attributes["viewbox"] for tag, attributes in page.tags if tag == "svg"]
    assert boxes == ["0 0 960 520"] * 2
    legends = [
        attributes.get("data-line") for _, attributes in page.tags if attributes.get("class", "").startswith("legend ")
    ]  # type: ignore[union-attr]
    assert legends == ["0", "1"] * 2
    lines = {attributes.get("data-line") for _, attributes in page.tags if "series" in str(attributes.get("class"))}
    assert lines == {"0", "1"}


def test_the_policy_lets_only_the_pages_own_script_run(two: tuple[Path, Path]) -> None:
    page = Page(compare_html.page(compared(*two)))
    [policy] = [
        a["content"]
        for tag, a in page.tags
        if tag == "meta" and str(a.get("http-equiv")).lower() == "content-security-policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert "connect-src" not in rules
    # Nothing may come before the policy but the encoding: it holds for what follows it.
    assert [tag for tag, _ in page.tags][:4] == ["html", "head", "meta", "meta"]


def test_the_page_names_no_address(two: tuple[Path, Path]) -> None:
    text = compare_html.page(compared(*two))
    assert {*re.findall(r"https?://[^\s\"'<]*", text)} == {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert "url(" not in text


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_words_in_every_format(tmp_path: Path, words: str) -> None:
    first = make_run(tmp_path, settings={"model.note": words.replace("\ud800", "")}, test_top1=0.5)
    second = make_run(tmp_path, name=words.replace("\ud800", ""), dataset=words.replace("\ud800", ""))
    (second / "user.json").write_text(json.dumps({"schema": 1, "tags": [words], "note": words}))
    found = compared(first, second)
    page = assert_inert(compare_html.page(found))
    assert len(page.words) < 60_000
    compare_html.page(found).encode()  # half a surrogate pair could not be written
    for line in compare_text.markdown(found).splitlines():
        assert "\x1b" not in line
        assert "<" not in re.sub(r"\\<", "", line)
        assert len(re.findall(r"(?<!\\)\|", line)) in (0, 4, 6)
    for row in csv.reader(io.StringIO(compare_text.csv_text(found))):
        assert len(row) == 4
        assert not any(re.match(r"[=+@\t\r]|-[^\d.i]", cell) for cell in row)


def test_a_hostile_journal_cannot_name_a_metric_that_is_markup(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, epochs=0) for _ in range(2)]
    metric = "<script>alert(1)</script>"
    for run in runs:
        (run / "metrics.jsonl").write_bytes(encode({"kind": "epoch", "epoch": 1, "step": 1, metric: 1.0}))
    page = assert_inert(compare_html.page(compared(*runs, metrics=[metric])))
    assert metric in page.words


def test_damaged_lines_are_counted_and_said(two: tuple[Path, Path]) -> None:
    with open(two[1] / "metrics.jsonl", "ab") as file:
        file.write(b'{"kind":"epoch","epoch":9,"test_top1":1.0,"crc":"00000000"}\n')
    found = compared(*two)
    assert found.damaged == (0, 1)
    assert found.curves["test_top1"][1].x == (1.0, 2.0, 3.0)
    assert "1 damaged lines are left out" in compare_html.page(found)
