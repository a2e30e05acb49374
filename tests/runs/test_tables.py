"""Tables in every format: right where they are read, harmless whatever stands in them, fitting a terminal."""

import csv
import io
import json
import math
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from summaries import SETTINGS, damaged_summary, make_summary

from workbench.runs import tables
from workbench.runs.columns import DEFAULTS, Columns
from workbench.runs.from_base import Base
from workbench.runs.leaderboard import make_table
from workbench.runs.seed_layout import SeedRow, nearest, seed_table
from workbench.runs.summary import Summary
from workbench.runs.tables import Table

BASE = Base({**SETTINGS, "data.dataset": "cifar10"}, keys=tuple(SETTINGS))
COLUMNS = Columns(base=BASE, families={"resnet18": "cnn"})

EVIL = ["=1+1", "+1", "-1+2", "@x", "\tx", "a|b", "<script>alert(1)</script>", "[red]", "\\", 'say "hi", you', "**x**",
        "a\nb", "`rm`", "&amp;", "$x_1^2$", "%", "{}", "~", "[/oops]", "*", "＝1"]  # fmt: skip


def table_of(runs: list[Summary], *names: str, notes: tuple[str, ...] = ()) -> Table:
    return make_table(runs, [COLUMNS.find(name) for name in names or DEFAULTS], notes)


RUNS = [
    make_summary(0, tags=("a", "b"), settings={"optim.lr": 0.01}),
    make_summary(1, arch="vit", state="running", epoch=3, test_top1=None, test_loss=math.nan),
    damaged_summary(2),
]


def test_markdown_is_a_table_with_figures_at_the_right() -> None:
    text = tables.markdown(table_of(RUNS[:2], "arch", "acc", "config", notes=("2 runs",)))
    assert text.splitlines() == [
        "| architecture | test % | configuration |",
        "| --- | ---: | --- |",
        "| resnet18 | 90.00 | lr 0.01 |",
        "| vit | – | – |",
        "",
        "2 runs",
    ]


@pytest.mark.parametrize("text", EVIL)
def test_markdown_keeps_its_cells_and_holds_no_markup(text: str) -> None:
    cells = tables.markdown(table_of([make_summary(0, note=text)], "arch", "note", "acc")).splitlines()[2]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", cells)) == 4
    assert not re.search(r"(?<!\\)(?:\\\\)*[<*`\[]", cells)


def test_csv_holds_raw_figures_and_is_read_back() -> None:
    text = tables.comma_separated(table_of(RUNS, "id", "acc", "time", "tags", "config", "loss", "pinned", "epochs"))
    assert text.endswith("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [
        ["id", "acc", "time", "tags", "config", "loss", "pinned", "epochs"],
        [RUNS[0].id, "0.9", "3723.0", "a b", "lr 0.01", "0.25", "false", "10"],
        [RUNS[1].id, "", "3723.0", "", "", "nan", "false", "3"],
        [RUNS[2].id, "", "", "", "", "", "false", ""],
    ]


@given(st.one_of(st.sampled_from(EVIL), st.text(max_size=20)))
def test_csv_gives_every_text_back_and_no_formula(text: str) -> None:
    made = tables.comma_separated(table_of([make_summary(0, note=text)], "note", "acc"))
    (_, (cell, _)) = csv.reader(io.StringIO(made, newline=""))
    assert cell.removeprefix("'") == text.removeprefix("'")
    if cell and cell[0] in "=+-@\t\r":
        float(cell)  # only numbers may begin so


def test_a_negative_figure_stays_a_number_in_csv() -> None:
    made = tables.comma_separated(table_of([make_summary(0, test_loss=-0.5, note="-5")], "loss", "note"))
    assert made.splitlines()[1] == "-0.5,-5"


def test_json_holds_raw_figures_and_nothing_that_json_lacks() -> None:
    text = tables.json_list(table_of(RUNS, "id", "acc", "loss", "config", "tags", "epochs", "optim.lr"))
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word)) == [
        {"id": RUNS[0].id, "acc": 0.9, "loss": 0.25, "config": {"optim.lr": 0.01}, "tags": ["a", "b"], "epochs": 10,
         "optim.lr": 0.01},
        {"id": RUNS[1].id, "acc": None, "loss": "nan", "config": {}, "tags": [], "epochs": 3, "optim.lr": 0.001},
        {"id": RUNS[2].id, "acc": None, "loss": None, "config": {}, "tags": [], "epochs": None, "optim.lr": None},
    ]  # fmt: skip


def test_latex_is_a_booktabs_table() -> None:
    text = tables.latex(table_of(RUNS[:2], "arch", "acc", notes=("of\n2",)))
    assert text.splitlines() == [
        "% \\usepackage{booktabs}",
        "\\begin{tabular}{lr}",
        "\\toprule",
        "architecture & test \\% \\\\",
        "\\midrule",
        "resnet18 & 90.00 \\\\",
        "vit & -- \\\\",
        "\\bottomrule",
        "\\end{tabular}",
        "% of 2",
    ]


@given(st.text(max_size=30))
def test_latex_escapes_every_special(text: str) -> None:
    made = tables.escape_latex(text)
    for command in ("textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar",
                    "textquotedbl", "textasciigrave", "ldots"):  # fmt: skip
        made = made.replace(f"\\{command}{{}}", "")
    made = made.replace("{[}", "").replace("{]}", "").replace("{*}", "").replace(r"$\times$", "")
    made = re.sub(r"\\[&%$#_{}]", "", made.replace(r"$\Delta$", ""))
    assert not set(made) & set("\\&%$#_{}~^<>|\n")


class Reader(HTMLParser):
    """Collects the cells of a page, and every tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags = [""]
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1] in ("td", "th"):
            self.cells[-1] += data.strip("\n")


def test_html_is_a_page_that_loads_nothing_and_shows_texts_as_they_are() -> None:
    evil = [make_summary(number, note=text) for number, text in enumerate(EVIL)]
    page = tables.html_page(table_of(evil, "note", "acc", notes=("<b>",)))
    read = Reader(page)
    assert set(read.tags) == {"", "html", "head", "meta", "title", "style", "body", "table", "thead", "tbody", "tr",
                              "th", "td", "p"}  # fmt: skip
    assert read.cells[:2] == ["note", "test %"]
    assert read.cells[2::2] == [text.replace("\n", " ") for text in EVIL]  # a note stays on one line
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140, 200])
def test_a_terminal_is_never_overrun_and_keeps_what_matters(width: int) -> None:
    long = {"optim.lr": 0.01, "optim.name": "sgd", "data.image_size": 32, "data.batch_size": 64, "train.epochs": 5}
    runs = [make_summary(0, arch="densenet40_k12_bc", settings=long, tags=("baseline", "keep")), *RUNS]
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(tables.terminal(table_of(runs), width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(cell_len(line.rstrip()) <= width for line in text.splitlines())
    assert "densenet40_k12_bc" in text
    if width >= 40:
        assert "90.00" in text
    if width >= 80:
        assert "configuration" in text
        assert "running" in text
        assert "35.40M" in text
    assert ("too narrow for" in re.sub(r"\s+", " ", text)) == (width < 140)


def test_a_word_wider_than_the_terminal_is_cut_off_by_columns_and_not_by_letters() -> None:
    wide = table_of([make_summary(0, arch="数" * 30)], "arch", "acc")
    console = Console(width=12, file=io.StringIO(), color_system=None)
    console.print(tables.terminal(wide, 12))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "数数数数数 …\n" in text  # each is two columns wide
    assert all(cell_len(line) <= 12 for line in text.splitlines())


def test_thousands_of_rows_are_laid_out_at_once() -> None:
    table = table_of([make_summary(0)] * 2000)
    started = time.perf_counter()
    assert tables.plain(table).count("resnet18") == 2000
    assert time.perf_counter() - started < 2  # 0.1 s; with rich's own table ten thousand rows took more than 9


def test_columns_that_were_asked_for_go_last() -> None:
    from workbench.runs.columns import chosen

    columns = chosen("+host,+device", DEFAULTS, COLUMNS.find)
    kept, gone = tables.fit(make_table(RUNS, columns), 40)
    assert [heading.name for heading in kept.headings][-2:] == ["host", "device"]
    assert "arch" in [heading.name for heading in kept.headings]
    assert gone[0].name == "memory"


def test_a_pipe_gets_every_column_and_no_control_characters() -> None:
    notes = ("n" * 300,)
    text = tables.plain(table_of([make_summary(0, note="x" * 400, tags=("t",) * 60)], *DEFAULTS, "note", notes=notes))
    assert "x" * 400 in text
    assert "n" * 300 in text
    assert "t " * 59 + "t" in text
    assert "\x1b" not in text
    assert "[/oops]" in tables.plain(table_of([make_summary(0, note="[/oops]")], "note"))


# The seed's layout

PRINTED = {"accuracy": 74.9, "params": "11.18M", "flops": "1.82GFlops", "scheduler": "CyclicLR",
           "scheduler_accuracy": 74.9, "batch_size": 8}  # fmt: skip
ROWS = [
    SeedRow("ResNet", "CNN based", "resnet18", False, PRINTED),
    SeedRow("Darknet-53", "CNN based", "darknet53", False, {"note": "high compute required"}),
    SeedRow("ViT", "Transformer based", "vit", False),
    SeedRow("ResNet With SAM", "Other", "resnet18", True),
]


def seed_cells(runs: list[Summary]) -> dict[str, list[str]]:
    lines = seed_table(ROWS, runs, BASE, "cnn-workbench runs").splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    assert {len(row) for row in rows} == {11}
    assert [row[0] for row in rows] == [
        "CNN based", "---", "ResNet", "Darknet-53", "**Transformer based**", "ViT", "**Other**", "ResNet With SAM",
    ]  # fmt: skip
    return {row[0]: row[1:] for row in rows}


def test_the_seeds_table_without_runs_holds_the_seeds_figures_alone() -> None:
    cells = seed_cells([])
    assert cells["ResNet"] == ["", "74.9", "", "11.18M", "", "1.82GFlops", "", "B_S = 8", "", "CyclicLR(74.9)"]
    assert cells["Darknet-53"] == ["", "", "", "", "", "", "", "H_C_R", "", ""]
    assert set(cells["ViT"]) == {""}


def test_the_seeds_table_takes_constant_rates_schedules_and_sam_apart() -> None:
    cosine = {"schedule.name": "cosine"}
    cells = seed_cells([
        make_summary(0, test_top1=0.91),
        make_summary(1, test_top1=0.95, settings=cosine),
        make_summary(2, test_top1=0.97, seed=1, settings=cosine),
        make_summary(3, test_top1=0.5, settings={"sam.rho": 0.05}),
        make_summary(4, arch="vit", dataset="mnist", test_top1=0.4, settings={"optim.lr": 0.01}),
    ])  # fmt: skip
    ours = {name: row[::2] for name, row in cells.items()}
    assert ours["ResNet"] == ["91.00", "11.18M", "35.40M", "digits", "cosine (96.00, n=2)"]
    assert ours["ResNet With SAM"] == ["50.00", "11.18M", "35.40M", "digits, SAM rho 0.05", ""]
    assert ours["ViT"] == ["40.00", "11.18M", "35.40M", "mnist, lr 0.01", ""]
    assert set(ours["Darknet-53"]) == {""}


def test_the_seeds_table_says_how_it_was_made() -> None:
    text = seed_table(ROWS, [make_summary(0)], BASE, "cnn-workbench runs 'a|b'")
    assert "Made by `cnn-workbench runs 'a|b'`: 1 of 4 rows from 1 run. Data: digits." in text


def test_the_nearest_runs_to_base_count_and_of_one_seed_the_newest() -> None:
    base = [make_summary(number, seed=number % 2, dataset="cifar10", test_top1=number / 10) for number in range(4)]
    far = [make_summary(5, settings={"optim.lr": 0.1}), make_summary(6, dataset="mnist")]
    found = nearest([*far, *base], BASE)
    assert found is not None
    assert [run.test_top1 for run in found.runs] == [0.2, 0.3]
    assert found.accuracy == "25.00 (n=2)"
    more_seeds = [make_summary(number, seed=number, settings={"optim.lr": 0.1}) for number in (7, 8)]
    other = [make_summary(9, settings={"optim.lr": 0.2})]
    assert nearest([*more_seeds, *other], BASE).runs == tuple(more_seeds)  # type: ignore[union-attr]
    assert nearest([], BASE) is None
