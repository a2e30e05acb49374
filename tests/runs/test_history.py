"""A run's metrics, thinned and followed: the same as reading every line, however they came to be."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.runs import history as module
from workbench.runs import journal
from workbench.runs.history import BUCKET, History
from workbench.runs.reading import apply_rewinds


def line(step: int, **more: Any) -> dict[str, Any]:
    return {"kind": "step", "step": step, "epoch": step / 100, "seconds": step / 2, "train_loss": 1 / step, **more}


def append(run: Path, *records: dict[str, Any]) -> None:
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(b"".join(journal.encode(record) for record in records))


def truth(run: Path, column: str) -> list[tuple[float, float]]:
    """Every step line that stands, read the plain way."""
    records = apply_rewinds(journal.read(run / "metrics.jsonl").records)
    return [(r["step"], r.get(column, math.nan)) for r in records if r["kind"] == "step"]


def exactly(run: Path, history: History, column: str = "train_loss") -> None:
    """Lowest, highest, number and ends of the curve are those of all lines, and each point is one of them."""
    points, curve = truth(run, column), history.curve(column, points=40)
    assert curve.lines == len(points)
    if points:
        values = [value for _, value in points]
        assert (np.nanmin(curve.y), np.nanmax(curve.y)) == (min(values), max(values))
        known = dict(points)
        for step, value in zip(curve.x, curve.y, strict=True):
            assert known[round(step)] == value
        assert list(curve.x) == sorted(curve.x)


def test_a_short_run_is_shown_line_by_line(tmp_path: Path) -> None:
    append(tmp_path, *(line(step) for step in range(1, 50)))
    history = History(tmp_path)
    assert history.refresh()
    assert not history.refresh()
    curve = history.curve("train_loss")
    assert list(zip(curve.x, curve.y, strict=True)) == truth(tmp_path, "train_loss")
    assert history.columns == ["epoch", "seconds", "step", "train_loss"]


def test_one_spike_among_fifty_thousand_lines_is_on_the_curve(tmp_path: Path) -> None:
    append(tmp_path, *(line(step, train_loss=77.0 if step == 17_333 else 1.0) for step in range(1, 50_001)))
    history = History(tmp_path)
    history.refresh()
    curve = history.curve("train_loss", points=100)
    assert len(curve.x) < 100 + BUCKET
    assert curve.y.max() == 77.0
    assert curve.x[curve.y.argmax()] == pytest.approx(17_333, abs=1)
    by_time = history.curve("train_loss", x="seconds", points=100)
    assert by_time.x[by_time.y.argmax()] == pytest.approx(17_333 / 2, abs=1)


def test_a_window_is_shown_line_by_line_when_it_is_small(tmp_path: Path) -> None:
    append(tmp_path, *(line(step) for step in range(1, 20_001)))
    history = History(tmp_path)
    history.refresh()
    curve = history.curve("train_loss", window=(5_000, 5_100))
    assert list(curve.x) == list(range(5_000, 5_101))
    assert list(curve.y) == [1 / step for step in range(5_000, 5_101)]
    assert list(history.curve("train_loss", window=(19_990, 30_000)).x) == list(range(19_990, 20_001))
    assert len(history.curve("train_loss", window=(50_000, 60_000)).x) == 0
    wide = history.curve("train_loss", window=(1, 15_000), points=50)
    assert 20 <= len(wide.x) <= 60
    assert wide.y.max() == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_rewinds_at_any_place_leave_what_reading_all_lines_leaves(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    followed, cached = History(tmp_path), History(tmp_path, tmp_path / "cache")
    step = 0
    for _ in range(12):
        count = rng.choice([1, 7, BUCKET - 1, BUCKET, BUCKET + 1, 1_000])
        records: list[dict[str, Any]] = []
        for _ in range(count):
            step += 1
            records.append(line(step, train_loss=rng.random()))
            if step % 500 == 0:
                records.append({"kind": "epoch", "epoch": step // 500, "step": step, "test_loss": rng.random()})
        if rng.random() < 0.6:
            step = rng.choice([step, max(0, step - 1), rng.randrange(step + 1), step // BUCKET * BUCKET])
            records.append({"kind": "rewind", "to_step": step, "to_epochs": step // 500})
        append(tmp_path, *records)
        followed.refresh()
        exactly(tmp_path, followed)
        if rng.random() < 0.5:
            cached.refresh()
            cached._save()
            cached = History(tmp_path, tmp_path / "cache")
    fresh = History(tmp_path)
    fresh.refresh()
    cached.refresh()
    everything = apply_rewinds(journal.read(tmp_path / "metrics.jsonl").records)
    for history in (followed, fresh, cached):
        exactly(tmp_path, history)
        assert history.epochs == [record for record in everything if record["kind"] == "epoch"]


def test_opening_again_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(tmp_path, *(line(step) for step in range(1, 64 * BUCKET + 100)))
    History(tmp_path, tmp_path / "cache").refresh()
    append(tmp_path, line(64 * BUCKET + 100))
    decoded: list[bytes] = []
    decode = journal.decode
    monkeypatch.setattr(journal, "decode", lambda text: decoded.append(text) or decode(text))  # type: ignore[func-returns-value]
    again = History(tmp_path, tmp_path / "cache")
    again.refresh()
    assert len(decoded) == 1
    exactly(tmp_path, again)


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"PK\x03\x04" + b"\0" * 200])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    append(tmp_path, *(line(step) for step in range(1, 64 * BUCKET + 100)))
    History(tmp_path, tmp_path / "cache").refresh()
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(damage)
    again = History(tmp_path, tmp_path / "cache")
    again.refresh()
    exactly(tmp_path, again)


def test_a_file_replaced_by_another_is_read_anew(tmp_path: Path) -> None:
    append(tmp_path, *(line(step) for step in range(1, 1_000)))
    history = History(tmp_path, tmp_path / "cache")
    history.refresh()
    history._save()
    (tmp_path / "metrics.jsonl").unlink()
    append(tmp_path, *(line(step, train_loss=5.0) for step in range(1, 2_000)))
    history.refresh()
    exactly(tmp_path, history)
    stale = History(tmp_path, tmp_path / "cache")
    stale.refresh()
    exactly(tmp_path, stale)


def test_what_is_not_finite_is_a_gap_and_a_new_column_begins_where_it_began(tmp_path: Path) -> None:
    append(tmp_path, *(line(step, train_loss="nan" if step < 600 else 2.0) for step in range(1, 1_001)))
    append(tmp_path, *(line(step, train_loss=1.0, gradient_norm=3.0) for step in range(1_001, 2_001)))
    history = History(tmp_path)
    history.refresh()
    curve = history.curve("train_loss", points=20)
    assert np.isnan(curve.y[0])
    assert (np.nanmin(curve.y), np.nanmax(curve.y)) == (1.0, 2.0)
    norm = history.curve("gradient_norm", points=1_000)
    assert np.isnan(norm.y[norm.x < 768]).all()
    assert (norm.y[norm.x > 1_024] == 3.0).all()


def test_damaged_lines_are_counted_and_never_shown(tmp_path: Path) -> None:
    append(tmp_path, *(line(step) for step in range(1, 10)))
    content = (tmp_path / "metrics.jsonl").read_bytes().replace(b'"step":5', b'"step":6')
    (tmp_path / "metrics.jsonl").write_bytes(content + b'{"torn')
    history = History(tmp_path)
    history.refresh()
    assert history.damaged == 1
    assert [round(x) for x in history.curve("train_loss").x] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert module.BUCKET == 256
