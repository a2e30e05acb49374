"""The contact sheet shows what the network saw, the surest mistakes first."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from workbench.data import digits
from workbench.evaluation.evaluate import evaluate
from workbench.evaluation.images import open_images
from workbench.evaluation.measure import Outputs
from workbench.evaluation.mistakes import CELL, COLUMNS, GAP, LINE, PICTURE, find_mistakes, fitted, pictures, sheet
from workbench.evaluation.model import open_model


def test_the_surest_mistakes_come_first() -> None:
    nan = float("nan")
    logits = torch.tensor([[0, 3.0], [9, 0.0], [0, 5.0], [1, 0.0], [nan, nan], [2, 0.0]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    outputs = Outputs(logits, labels, logits.argmax(1), loss=0.0, top1=0.0, top5=0.0)
    found = find_mistakes(outputs, ("cat", "dog"), ("cat", "dog"))
    assert [mistake.index for mistake in found] == [2, 0, 5, 3]
    assert (found[0].true, found[0].predicted) == ("cat", "dog")
    assert found[0].confidence == pytest.approx(0.99331, abs=1e-5)
    assert found[0].right == pytest.approx(1 - 0.99331, abs=1e-5)
    assert len(find_mistakes(outputs, ("cat", "dog"), ("cat", "dog"), most=2)) == 2


def test_the_sheet_shows_the_input_of_the_network_before_it_is_normalised(trained: Path, tmp_path: Path) -> None:
    model = open_model(trained, device="cpu")
    split = open_images(model).split
    shown = pictures(split, [5, 0, 7])
    assert shown.shape == (3, 1, 12, 12)
    for image, index in zip(shown, [5, 0, 7], strict=True):
        stored = next(split.source.read(split.rows[[index]], [(0, 1)]))
        assert torch.equal(stored[0], digits.load().test_images[index])
        # The normalised input, undone: what is normalised and then enlarged is what is enlarged and then normalised.
        batch = list(split.batches(1))[index].images[0]
        back = (batch * model.std + model.mean) * 255
        assert (back - image).abs().max() <= 0.5 + 1e-3

    report, files = evaluate(trained, weights="last", device="cpu", out=tmp_path)
    with Image.open(files[-1]) as whole:
        rows = -(-len(report["mistakes"]) // COLUMNS)
        height = PICTURE + 3 * LINE + 4
        assert whole.size == (COLUMNS * (CELL + GAP) + GAP, rows * (height + GAP) + GAP)
        first = whole.crop((GAP, GAP, GAP + PICTURE, GAP + PICTURE)).convert("L")
        first = first.resize((12, 12), Image.Resampling.BOX)
    worst = pictures(split, [report["mistakes"][0]["index"]])[0, 0]
    assert np.asarray(first).tolist() == worst.tolist()
    assert [m["confidence"] for m in report["mistakes"]] == sorted(m["confidence"] for m in report["mistakes"])[::-1]


def test_colour_and_large_pictures_have_their_place() -> None:
    logits = torch.tensor([[0, 1.0]])
    outputs = Outputs(logits, torch.tensor([0]), logits.argmax(1), loss=0.0, top1=0.0, top5=0.0)
    mistakes = find_mistakes(outputs, ("[/oops]", "b"), ("a", "漢字 " * 30))
    for side, shown in ((32, 96), (224, 224), (600, 256)):
        red = torch.zeros(1, 3, side, side, dtype=torch.uint8)
        red[:, 0] = 200
        with Image.open(io.BytesIO(sheet(red, mistakes))) as whole:
            assert whole.width == max(shown, CELL) + 2 * GAP
            assert whole.getpixel((GAP + shown - 1, GAP + shown - 1)) == (200, 0, 0)


def test_words_are_cut_to_their_place() -> None:
    font = ImageFont.load_default()
    long = fitted("a" * 500, font, 100)
    assert long.startswith("aaa")
    assert long.endswith(("…", "..."))
    assert font.getlength(long) <= 100
    assert "\x1b" not in fitted("\x1b[2Jx", font, 100)
    assert fitted("", font, 100) == ""
