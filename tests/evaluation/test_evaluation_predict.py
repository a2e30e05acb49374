"""A picture in a file is seen as the same picture in the data set was."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.base.errors import UserError
from workbench.data import digits
from workbench.evaluation.images import open_images, recolour
from workbench.evaluation.measure import look_at
from workbench.evaluation.model import open_model
from workbench.evaluation.predict import STORED, check_paths, predict


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_a_file_gets_the_probabilities_of_the_evaluation(trained: Path, tmp_path: Path, mode: str) -> None:
    model = open_model(trained, device="cpu")
    outputs = look_at(model, open_images(model).split, batch_size=100)
    paths = []
    for index in range(20):
        path = tmp_path / f"{index}.png"
        Image.fromarray(digits.load().test_images[index, 0].numpy()).convert(mode).save(path)
        paths.append(path)
    found = list(predict(model, paths, top=3))
    probabilities = outputs.logits[:20].double().softmax(1)
    for index, prediction in enumerate(found):
        assert prediction.path == paths[index]
        order = probabilities[index].argsort(descending=True)[:3]
        assert prediction.classes == tuple(str(int(place)) for place in order)
        assert prediction.probabilities == pytest.approx(probabilities[index][order].tolist(), abs=1e-6)


def test_the_stored_sides_are_those_of_the_data_sets(trained: Path) -> None:
    assert digits.load().test_images.shape[-1] == STORED["digits"]


def test_one_damaged_file_does_not_stop_the_others(trained: Path, tmp_path: Path) -> None:
    good, text, gone = tmp_path / "good.png", tmp_path / "text.png", tmp_path / "gone.png"
    Image.fromarray(np.zeros((40, 60), dtype=np.uint8)).save(good)
    text.write_text("no picture")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:60])
    model = open_model(trained, device="cpu")
    found = list(predict(model, [text, good, gone, cut, good]))
    assert [bool(one.error) for one in found] == [True, False, True, True, False]
    assert "cannot identify image file" in found[0].error
    assert found[2].error == "No such file or directory"
    assert all("\n" not in one.error for one in found)
    assert found[1].probabilities == found[4].probabilities
    assert sum(next(predict(model, [good], top=99)).probabilities) == pytest.approx(1)
    with pytest.raises(UserError, match=r"is a directory; name the images in it: .*/\*"):
        check_paths([good, tmp_path])


def test_grey_of_colour_is_pillows() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4, 3, 9, 9), dtype=torch.uint8, generator=random)
    ours = recolour(images, 1)[:, 0]
    for image, grey in zip(images, ours, strict=True):
        theirs = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
        assert np.array_equal(grey.numpy(), theirs)
    assert torch.equal(recolour(recolour(images[:, :1], 3), 1), images[:, :1])
