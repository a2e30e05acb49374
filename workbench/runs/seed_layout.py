"""The seed document's results table, filled from runs: its rows, groups and columns, its own figures beside ours.

A row takes the runs of its network that are nearest to the base profile: once among those with a constant learning
rate, for the accuracy, and once among those with a schedule, for the last column. What has no run stays blank.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.runs.from_base import Base
from workbench.runs.leaderboard import mean
from workbench.runs.summary import Summary
from workbench.runs.tables import escape_markdown
from workbench.runs.units import short_count

HEADINGS = ("Accuracy", "seed", "Parameters", "seed", "MACs", "seed", "Configuration", "seed",
            "LR-Scheduler (Accuracy)", "seed")  # fmt: skip
"""After the first one, which is the name of the first group, as in the seed's table."""

_RIGHT = 6
"""That many of them hold figures."""

SHORTENED = {"high compute required": "H_C_R"}
"""Notes of the seed as its table writes them."""


@dataclass(frozen=True)
class SeedRow:
    """A row of the seed's table."""

    label: str
    """As the seed calls it."""
    group: str
    """`CNN based`, ...: a line of its own above the group's first row."""
    arch: str
    with_sam: bool
    """Whether the row is of runs with sharpness-aware minimisation; every other row is of runs without."""
    printed: Mapping[str, Any] = field(default_factory=dict)
    """What the seed prints: accuracy, params, flops, batch_size, note, scheduler, scheduler_accuracy."""


@dataclass(frozen=True)
class Sample:
    """Runs that differ in their seed alone."""

    runs: tuple[Summary, ...]
    differences: Mapping[str, Any]
    """From base."""

    @property
    def dataset(self) -> str:
        return self.runs[0].dataset

    @property
    def accuracy(self) -> str:
        """Percent, last epoch; the number of seeds behind a mean."""
        figures = [run.test_top1 for run in self.runs if run.test_top1 is not None]
        average = mean(figures)
        text = f"{average * 100:.2f}" if average is not None else ""
        return text if len(figures) < 2 else f"{text} (n={len(figures)})"

    @property
    def schedule(self) -> str:
        """`cosine (98.33)`, `cosine (98.33, n=3)`."""
        name = self.runs[0].settings.get("schedule.name", "")
        return f"{name} ({self.accuracy.replace(' (', ', ').rstrip(')')})"


@dataclass(frozen=True)
class _Filled:
    row: SeedRow
    constant: Sample | None
    scheduled: Sample | None

    @property
    def samples(self) -> list[Sample]:
        return [sample for sample in (self.constant, self.scheduled) if sample]


def seed_table(rows: Sequence[SeedRow], runs: Iterable[Summary], base: Base, command: str) -> str:
    """The table in Markdown; below it how it was made: `command`, how many rows are filled, which data.

    `runs` are those that may count: the caller leaves out what is not finished.
    """
    by_arch: dict[str, list[Summary]] = {}
    for run in runs:
        if run.test_top1 is not None:
            by_arch.setdefault(run.arch, []).append(run)
    filled = [_fill(row, by_arch.get(row.arch, []), base) for row in rows]
    datasets = sorted({sample.dataset for entry in filled for sample in entry.samples})
    lines = [_line([rows[0].group if rows else "", *HEADINGS])]
    lines.append(_line(["---", *(["---:"] * _RIGHT), *(["---"] * (len(HEADINGS) - _RIGHT))]))
    group = rows[0].group if rows else ""
    for entry in filled:
        if entry.row.group != group:
            group = entry.row.group
            lines.append(_line([f"**{escape_markdown(group)}**", *[""] * len(HEADINGS)]))
        lines.append(_line([escape_markdown(cell) for cell in _cells(entry, base, name_data=len(datasets) > 1)]))
    return "\n".join([*lines, "", *_below(filled, datasets, command)]) + "\n"


def _fill(row: SeedRow, runs: Iterable[Summary], base: Base) -> _Filled:
    fitting = [run for run in runs if _has_sam(run) == row.with_sam]
    constant = [run for run in fitting if run.settings.get("schedule.name", "constant") == "constant"]
    scheduled = [run for run in fitting if run not in constant]
    return _Filled(row, nearest(constant, base), nearest(scheduled, base))


def _has_sam(run: Summary) -> bool:
    rho = run.settings.get("sam.rho", 0)
    return isinstance(rho, (int, float)) and rho > 0


def nearest(runs: Iterable[Summary], base: Base) -> Sample | None:
    """The runs that differ least from base, all with the same settings; then the most seeds; then the newest.

    Of several runs with one seed the newest counts.
    """
    found: dict[tuple[str, str], list[Summary]] = {}
    for run in sorted(runs, key=lambda run: (run.created, run.id)):
        found.setdefault((run.dataset, repr(sorted(base.differences(run.settings).items()))), []).append(run)
    samples = []
    for members in found.values():
        one_each = {run.seed if run.seed is not None else run.id: run for run in members}
        samples.append(Sample(tuple(one_each.values()), base.differences(members[0].settings)))

    def nearness(sample: Sample) -> tuple[int, int, str]:
        other_data = sample.dataset != base.settings.get("data.dataset", sample.dataset)
        return -len(sample.differences) - other_data, len(sample.runs), sample.runs[-1].created

    return max(samples, key=nearness, default=None)


def _cells(entry: _Filled, base: Base, *, name_data: bool) -> list[str]:
    """The label, then ours and the seed's in turns."""
    printed = entry.row.printed
    run = entry.samples[0].runs[0] if entry.samples else None
    note = SHORTENED.get(str(printed.get("note", "")), str(printed.get("note", "")))
    seeds = [f"B_S = {printed['batch_size']}"] if "batch_size" in printed else []
    seeds += [note] if note and note != entry.row.label else []
    return [
        entry.row.label,
        entry.constant.accuracy if entry.constant else "",
        _printed(printed.get("accuracy")),
        short_count(run.parameters) if run and run.parameters is not None else "",
        _printed(printed.get("params")),
        short_count(run.macs) if run and run.macs is not None else "",
        _printed(printed.get("flops")),
        _configuration(entry, base, name_data=name_data),
        ", ".join(seeds),
        entry.scheduled.schedule if entry.scheduled else "",
        f"{printed['scheduler']}({_printed(printed.get('scheduler_accuracy'))})" if "scheduler" in printed else "",
    ]


def _printed(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _configuration(entry: _Filled, base: Base, *, name_data: bool) -> str:
    """What differs from base but the schedule's name, which has its own column; of both samples if they differ."""
    words = [_words(sample, base, name_data=name_data) for sample in entry.samples]
    if len(words) == 2 and words[0] != words[1]:
        return f"{words[0] or 'base'}; with the schedule: {words[1] or 'base'}"
    return words[0] if words else ""


def _words(sample: Sample, base: Base, *, name_data: bool) -> str:
    shown = {key: value for key, value in sample.differences.items() if key != "schedule.name"}
    return ", ".join(filter(None, [sample.dataset if name_data else "", base.text(shown)]))


def _below(filled: Sequence[_Filled], datasets: Sequence[str], command: str) -> list[str]:
    full = sum(bool(entry.samples) for entry in filled)
    used = sum(len(sample.runs) for entry in filled for sample in entry.samples)
    data = f" Data: {escape_markdown(', '.join(datasets))}." if datasets else ""
    fence = "``" if "`" in command else "`"
    return [
        f"Made by {fence}{command}{fence}: {full} of {len(filled)} rows from {used} run{'s' * (used != 1)}.{data}",
        "",
        "Accuracy: percent of the test images after the last epoch, with a constant learning rate; the mean of n seeds "
        "where n is given. LR-Scheduler: the same with that schedule. Parameters and MACs: of the run, at its own "
        "image size. Configuration: what differs from the base config. seed: what the seed document prints (B_S: batch "
        "size, H_C_R: high compute required).",
    ]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
