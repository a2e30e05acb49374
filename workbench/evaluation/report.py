"""What an evaluation leaves: report.json with all figures, tables for a spreadsheet, the sheet of mistakes.

<run>/evaluation/<data set>-<split>-<weights>/
  report.json  confusion.csv  per_class.csv  mistakes.png
"""

import contextlib
import csv
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import workbench
from workbench.base.errors import UserError
from workbench.base.text import clean, csv_cell
from workbench.evaluation.images import Images
from workbench.evaluation.measure import Measures, Outputs
from workbench.evaluation.mistakes import Mistake
from workbench.evaluation.model import Model
from workbench.runs.files import write_atomically
from workbench.runs.journal import finite
from workbench.training import devices

SCHEMA = 1
REPORT = "report.json"
FILES = (REPORT, "confusion.csv", "per_class.csv", "mistakes.png")
MOST_CONFUSIONS = 100


def make_report(
    model: Model,
    images: Images,
    outputs: Outputs,
    measures: Measures,
    mistakes: Sequence[Mistake],
    *,
    batch_size: int,
    notes: Sequence[str],
) -> dict[str, Any]:
    """All figures as JSON has them: accuracies and probabilities are fractions, what is not finite is a string."""
    calibration = measures.calibration
    report = {
        "schema": SCHEMA,
        "run": model.run.name,
        "arch": model.profile.model.arch,
        "weights": asdict(model.origin),
        "dataset": images.dataset,
        "root": images.root,
        "split": images.name,
        "own_data": images.own,
        "fingerprint": images.fingerprint,
        "images": len(outputs.labels),
        "top1": outputs.top1,
        "top5": outputs.top5,
        "loss": outputs.loss,
        "ece": calibration.ece,
        "not_finite": calibration.left_out,
        "classes": class_figures(measures, images.classes),
        "names": list(model.facts.classes),
        "confusions": confusions(measures, images.classes, model.facts.classes),
        "confusion": measures.confusion.tolist(),
        "calibration": [asdict(one) for one in calibration.bins],
        "mistakes": [asdict(mistake) for mistake in mistakes],
        "image_size": model.image_size,
        "mean": list(model.facts.mean),
        "std": list(model.facts.std),
        "batch_size": batch_size,
        "device": devices.describe_device(model.device),
        "precision": model.precision,
        "threads": torch.get_num_threads(),
        "versions": {"cnn-workbench": workbench.__version__, "torch": str(torch.__version__)},
        "evaluated": datetime.now(UTC).isoformat(timespec="seconds"),
        "notes": list(notes),
    }
    safe: dict[str, Any] = finite(report)
    return safe


def class_figures(measures: Measures, names: Sequence[str]) -> list[dict[str, Any]]:
    """For each class its images, how many were recognised, and how often it was predicted; None without images."""
    counts = zip(names, measures.images.tolist(), measures.correct.tolist(), measures.said.tolist(), strict=True)
    return [
        {"class": name, "images": n, "correct": right, "predicted": said, "accuracy": right / n if n else None}
        for name, n, right, said in counts
    ]


def confusions(
    measures: Measures, true_names: Sequence[str], names: Sequence[str], most: int = MOST_CONFUSIONS
) -> list[dict[str, Any]]:
    """The most frequent wrong answers, the most frequent first: true class, predicted class, how many, of how many."""
    table = measures.confusion.clone().fill_diagonal_(0)
    classes, images = table.shape[0], measures.images.tolist()
    flat = table.flatten()
    order = flat.argsort(descending=True, stable=True)[:most].tolist()
    return [
        {
            "true": true_names[place // classes],
            "predicted": names[place % classes],
            "count": int(flat[place]),
            "of": images[place // classes],
        }
        for place in order
        if flat[place] > 0
    ]


def default_folder(report: Mapping[str, Any], run: Path) -> Path:
    """Where an evaluation belongs. UserError where something there is a link that leads out of the run."""
    folder = run / "evaluation" / f"{report['dataset']}-{report['split']}-{report['weights']['kind']}"
    for path in (folder.parent, folder):
        if path.is_symlink():
            raise UserError(f"{path} is a link and is not followed; remove it, or choose another place with --out DIR")
        try:
            path.mkdir(exist_ok=True)  # without its parents: a run that was thrown away meanwhile does not come back
        except OSError as error:
            raise _unwritable(path, error) from None
    return folder


def write_report(folder: Path, report: Mapping[str, Any], picture: bytes | None) -> list[Path]:
    """Write the files of an evaluation in place of those of an earlier one; returns them, report.json first.

    All are written under a hidden name first: a full disk leaves the earlier evaluation whole. UserError where the
    folder cannot be written.
    """
    contents = {REPORT: as_lines(report), "confusion.csv": confusion_csv(report), "per_class.csv": classes_csv(report)}
    if picture is not None:
        contents["mistakes.png"] = picture
    staged = folder / f".new-{os.getpid()}"
    try:
        staged.mkdir(parents=True, exist_ok=True)
        try:
            for name, content in contents.items():
                write_atomically(staged / name, content)
            for name in reversed(FILES):  # the report last: it stands for all
                if name in contents:
                    os.replace(staged / name, folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(staged)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return [folder / name for name in FILES if name in contents]


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(f"cannot write to {folder}: {error.strerror or error}; choose another place with --out DIR")


def as_lines(report: Mapping[str, Any]) -> bytes:
    """JSON with a line for each member: a table of hundreds of classes stays a line."""
    members = [
        f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}" for key, value in report.items()
    ]
    return ("{\n" + ",\n".join(members) + "\n}\n").encode("utf-8", "replace")


def confusion_csv(report: Mapping[str, Any]) -> bytes:
    """A row for each true class, a column for each predicted one, counts of images."""
    rows: list[list[Any]] = [["true \\ predicted", *(csv_cell(clean(name)) for name in report["names"])]]
    rows += [
        [csv_cell(clean(row["class"])), *counts]
        for row, counts in zip(report["classes"], report["confusion"], strict=True)
    ]
    return _csv(rows)


def classes_csv(report: Mapping[str, Any]) -> bytes:
    """A row for each class of the data set."""
    keys = ("images", "correct", "predicted", "accuracy")
    rows: list[list[Any]] = [["class", *keys]]
    rows += [
        [csv_cell(clean(row["class"])), *("" if row[key] is None else row[key] for key in keys)]
        for row in report["classes"]
    ]
    return _csv(rows)


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "replace")
