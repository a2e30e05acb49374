"""Lines of a run's journals as a person reads them, one line each."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from workbench.base.text import clean
from workbench.runs.curves import is_accuracy, label, number
from workbench.runs.figures import in_words
from workbench.runs.units import Kind

Record = dict[str, Any]

LONGEST = 300
"""Characters of what is said about an event."""

_UNSAID = ("event", "time", "traceback", "argv", "pid", "schema")
"""Members of an event that a reader of one line does not miss: the traceback is in log.txt, the rest in run.json."""


def event_text(event: Record) -> str:
    """What an event says besides its name and time: `step 92, epoch 4, best`."""
    words = []
    for key, value in event.items():
        if key in _UNSAID or value is None or value is False or value in ("", [], {}):
            continue
        plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        name = key.replace("_", " ")
        words.append(name if value is True else f"{name} {plain}")
    return clean(", ".join(words), LONGEST)


def event_line(event: Record) -> str:
    """`2026-11-23 05:12:33 CET  checkpoint  step 92, epoch 4`."""
    name = clean(str(event.get("event", "?")), 40)
    return f"{local_time(event.get('time'))}  {name}  {event_text(event)}".rstrip()


def epoch_line(event: Record, record: Record) -> str:
    """`2026-11-23 05:12:33 CET  epoch 4  train 0.1234 91.20 %  test 0.2345 90.10 %`: loss and top-1 of each split.

    `event`: that the epoch is over; `record`: its line of metrics.
    """
    words = [f"{local_time(event.get('time'))}  epoch {number(record.get('epoch')):.4g}"]
    for split in ("train", "val", "test"):
        loss, top1 = record.get(f"{split}_loss"), record.get(f"{split}_top1")
        said = [_figure("loss", loss)] if loss is not None else []
        said += [f"{_figure('accuracy', top1)} %"] if top1 is not None else []
        words += [f"{split} {' '.join(said)}"] if said else []
    return clean("  ".join(words), LONGEST)


def metrics_line(record: Record) -> str:
    """`1:23  epoch 4  train loss 0.1234, top-1 91.20 %; test loss ...`: after how long a training, where, what."""
    place = f"epoch {number(record.get('epoch')):.4g}"
    if record.get("kind") == "step":
        step = number(record.get("step"))
        place = f"step {step:.0f}  {place}"
    groups: dict[str, list[str]] = {}
    for name, value in record.items():
        split = name.partition("_")[0]
        if split in ("train", "val", "test") and name.endswith(("loss", "top1", "top5")):
            what = label(name.partition("_")[2])
            percent = " %" if is_accuracy(name) else ""
            said = _figure("accuracy" if percent else "loss", value)
            groups.setdefault(split, []).append(f"{what} {said}{percent}")
    texts = [f"{split} {', '.join(words)}" for split, words in groups.items()]
    if "lr" in record:
        texts.append(f"lr {number(record['lr']):.4g}")
    if "images_per_second" in record:
        texts.append(f"{_figure('rate', record['images_per_second'])} images/s")
    after = _figure("seconds", record.get("seconds"))
    return clean(f"{after:>8}  {place}  {'; '.join(texts)}", 500)


def local_time(seconds: Any, pattern: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
    """Unix seconds as local time with its zone; `?` for what no calendar has."""
    try:
        return datetime.fromtimestamp(number(seconds)).astimezone().strftime(pattern)
    except (ValueError, OverflowError, OSError):
        return "?"


def history(events: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """Events and metrics as lines in the order in which they came about.

    Metrics bear no time of day, so their steps decide. An event stands before every line of a later step, and so does
    all that precedes it: what an attempt did past the checkpoint from which the next one went on comes before that.
    Epoch events are left out, since the epoch's line follows.
    """
    placed: list[tuple[float, int, str]] = []
    bound = float("inf")
    for event in reversed(events):
        step = number(event.get("to_step", event.get("step")))
        bound = min(bound, step) if step >= 0 else bound
        first = event.get("event") in ("started", "resumed")
        if event.get("event") != "epoch":
            placed.append((min(bound, 0.0) if first and event.get("step") is None else bound, 1, event_line(event)))
        bound = 0.0 if event.get("event") == "started" else bound
    placed.reverse()
    placed += [(number(record.get("step")), 0, metrics_line(record)) for record in records if is_figures(record)]
    placed.sort(key=lambda line: line[:2])  # stable: what stood before stays before
    return [text for _, _, text in placed]


def is_figures(record: Record) -> bool:
    """Whether a line of metrics.jsonl holds figures, rather than a rewind or what nobody knows."""
    return record.get("kind") in ("epoch", "step") and number(record.get("step")) >= 0


def _figure(kind: Kind, value: Any) -> str:
    return in_words(None if value is None else number(value), kind)
