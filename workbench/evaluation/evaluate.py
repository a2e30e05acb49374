"""An evaluation from beginning to end: a run, a split, the figures, the files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.evaluation.images import open_images
from workbench.evaluation.measure import Progress, look_at, measure
from workbench.evaluation.mistakes import find_mistakes, pictures, sheet
from workbench.evaluation.model import open_model
from workbench.evaluation.report import default_folder, make_report, write_report


def evaluate(
    run: Path,
    *,
    dataset: str | None = None,
    root: str | None = None,
    split: str | None = None,
    weights: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    out: Path | None = None,
    note: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> tuple[dict[str, Any], list[Path]]:
    """(report, files) of an evaluation of `run`, written to `out` or below the run; see `report.make_report`.

    What is None is as in the training (the data set, its place, the batch size), or the best there is (weights), or
    the first there is (the split: test, val, train). UserError for everything that cannot be.
    """
    notes: list[str] = []

    def told(text: str) -> None:
        notes.append(text)
        note(text)

    model = open_model(run, weights=weights, device=device, note=told)
    images = open_images(model, dataset=dataset, root=root, split=split, note=told)
    size = batch_size or model.profile.data.batch_size
    outputs = look_at(model, images.split, size, progress)
    measures = measure(outputs)
    mistakes = find_mistakes(outputs, images.classes, model.facts.classes)
    report = make_report(model, images, outputs, measures, mistakes, batch_size=size, notes=notes)
    folder = out if out is not None else default_folder(report, run)
    picture = sheet(pictures(images.split, [m.index for m in mistakes]), mistakes) if mistakes else None
    return report, write_report(folder, report, picture)
