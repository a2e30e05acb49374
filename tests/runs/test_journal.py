"""metrics.jsonl and events.jsonl: what a killed writer, a full disk or a flipped bit leaves behind."""

import errno
import json
import os
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.runs import journal
from workbench.runs.journal import Journal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.text().filter(lambda key: key != "crc"), VALUES, min_size=1, max_size=5)


@given(RECORDS)
def test_a_line_gives_back_its_record(record: dict[str, object]) -> None:
    line = journal.encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    decoded = journal.decode(line[:-1])
    assert decoded == json.loads(json.dumps(record).encode("utf-8", "replace"))


def test_the_checksum_is_of_all_that_precedes_it() -> None:
    line = journal.encode({"step": 3, "loss": 0.5})
    body = b'{"step":3,"loss":0.5'
    assert line == body + b',"crc":"%08x"}\n' % zlib.crc32(body)
    assert list(json.loads(line)) == ["step", "loss", "crc"]


def test_what_json_cannot_say_is_a_string() -> None:
    record = {"a": float("nan"), "b": [float("inf"), float("-inf")], "c": {"d": float("nan")}}
    assert journal.decode(journal.encode(record)[:-1]) == {"a": "nan", "b": ["inf", "-inf"], "c": {"d": "nan"}}


def test_cut_at_every_byte_all_whole_lines_are_kept(tmp_path: Path) -> None:
    lines = [journal.encode({"step": step, "loss": step / 7}) for step in range(20)]
    content = b"".join(lines)
    path = tmp_path / "metrics.jsonl"
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        found = journal.read(path)
        assert len(found.records) == content[:cut].count(b"\n")
        assert found.damaged == 0
        path.write_bytes(content)
        rest = journal.read(path, found.offset)
        assert len(found.records) + len(rest.records) == len(lines)


def test_a_flipped_bit_is_counted_and_never_read_as_another_number(tmp_path: Path) -> None:
    records = [{"step": step, "loss": step / 7} for step in range(10)]
    content = b"".join(journal.encode(record) for record in records)
    path = tmp_path / "metrics.jsonl"
    rng = random.Random(0)
    for _ in range(700):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        found = journal.read(path)
        assert all(record in records for record in found.records)
        if len(found.records) < len(records):
            assert found.damaged >= 1 or not damaged.endswith(b"\n")


def test_a_torn_tail_is_closed_and_the_next_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(journal.encode({"event": "started"}) + b'{"event":"epo')
    lines = Journal(path)
    lines.append({"event": "resumed"})
    lines.append({"event": "epoch"})
    lines.close()
    found = journal.read(path)
    assert [record["event"] for record in found.records] == ["started", "resumed", "epoch"]
    assert found.damaged == 1


@pytest.mark.parametrize("short", [0, 1, 10])
def test_a_full_disk_loses_nothing_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    real_write, full = os.write, False

    def write(descriptor: int, data: bytes) -> int:
        if not full:
            return real_write(descriptor, data)
        if short:
            return real_write(descriptor, data[:short])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    path = tmp_path / "metrics.jsonl"
    lines = Journal(path)
    lines.append({"step": 0})
    full = True
    lines.append({"step": 1})
    lines.append({"step": 2})
    assert lines.refusal is not None
    assert lines.waiting == 2
    full = False
    lines.append({"step": 3})
    assert lines.refusal is None
    lines.close()
    assert [record["step"] for record in journal.read(path).records] == [0, 1, 2, 3]


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none.jsonl").records == []


def test_an_empty_record_or_one_with_a_crc_is_refused() -> None:
    for record in ({}, {"crc": 1}):
        with pytest.raises(ValueError, match="at least one member"):
            journal.encode(record)
