"""Your own images: layouts, formats, damage, workers, the remembered first look."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.base.errors import UserError
from workbench.data import Dataset
from workbench.data.decode import Reader, Reading, decode, readings

Open = Callable[..., Dataset]


def picture(width: int = 24, height: int = 16, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def make(root: Path, counts: dict[str, int]) -> Path:
    """`counts` maps "train/cat" to a number of images."""
    for number, (where, n) in enumerate(counts.items()):
        (root / where).mkdir(parents=True)
        for i in range(n):
            picture(seed=1000 * number + i).save(root / where / f"{i:03}.png")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "pets", {"train/cat": 7, "train/dog": 6, "test/cat": 2, "test/dog": 3})


def keys(root: Path, **more: object) -> dict[str, object]:
    return {"dataset": "folder", "root": str(root), "image_size": 16, "workers": 0, **more}


def gather(dataset: Dataset, batch_size: int, **which: int) -> tuple[torch.Tensor, torch.Tensor]:
    batches = list(dataset.train.batches(batch_size, **which))
    return torch.cat([batch.images for batch in batches]), torch.cat([batch.labels for batch in batches])


def test_a_folder_is_read(root: Path, opened: Open) -> None:
    dataset = opened(**keys(root))
    assert dataset.classes == ("cat", "dog")
    assert (dataset.channels, dataset.train.size, dataset.val) == (3, 13, None)
    assert dataset.test is not None
    assert dataset.test.size == 5
    images, labels = gather(dataset, 4)
    assert images.shape == (13, 3, 16, 16)
    assert labels.tolist() == [0] * 7 + [1] * 6
    assert images.mean((0, 2, 3)).abs().max() < 1e-5
    assert (images.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("start", [0, 1, 3])
def test_workers_give_what_one_process_gives(root: Path, opened: Open, start: int) -> None:
    here, there = opened(**keys(root)), opened(**keys(root, workers=2))
    assert here.mean == there.mean
    whole = islice(here.train.batches(4, epoch=1), start, None)
    for one, other in zip(whole, there.train.batches(4, epoch=1, start=start), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_batches_before_the_start_are_not_decoded(root: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = opened(**keys(root))
    decoded: list[Path] = []

    def spy(path: Path, size: int) -> np.ndarray:
        decoded.append(path)
        return decode(path, size)

    monkeypatch.setattr("workbench.data.decode.decode", spy)
    list(dataset.train.batches(5, epoch=0, start=2))
    assert len(decoded) == 3


def test_training_in_a_thread_with_workers(root: Path, opened: Open) -> None:
    found: list[int] = []

    def work() -> None:
        found.append(len(gather(opened(**keys(root, workers=2)), 5, epoch=0)[0]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found == [13]


@pytest.mark.parametrize("workers", [0, 1])
def test_torchs_global_generator_is_left_alone(root: Path, opened: Open, workers: int) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    gather(opened(**keys(root, workers=workers)), 5, epoch=0)
    assert torch.equal(before, torch.get_rng_state())


class Signals(Reader):
    """Answers with what the worker does on stop signals, instead of pictures."""

    def __getitem__(self, rows: Sequence[int]) -> Reading:
        kept = [signal.getsignal(getattr(signal, s)) == signal.SIG_IGN for s in ("SIGINT", "SIGHUP", "SIGUSR2")]
        return torch.tensor(kept), []


class Dies(Reader):
    def __getitem__(self, rows: Sequence[int]) -> Reading:
        os._exit(3)


def test_ctrl_c_does_not_reach_workers() -> None:
    before = signal.getsignal(signal.SIGINT)
    [(ignored, _)] = readings(Signals([], 8), [[0]], workers=1)
    assert ignored.all()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_worker_that_dies_is_an_error_with_advice() -> None:
    with pytest.raises(UserError, match=r"data\.workers = 0"):
        list(readings(Dies([], 8), [[0]], workers=1))


def test_names_of_images_and_classes(tmp_path: Path, opened: Open) -> None:
    """Capital letters and folders in a class count, hidden files and other files do not."""
    root = make(tmp_path / "r", {"train/b": 1, "train/a\x1b[2J": 1, "train/a\x1b[2J/more/deep": 2})
    folder = root / "train" / "b"
    for extension in ("JPG", "jpeg", "Bmp", "webp", "gif", "tif", "tiff"):
        picture().save(folder / f"x.{extension}")
    for other in (".hidden.png", "notes.txt", "._000.png"):
        (folder / other).write_bytes(b"nothing")
    (root / "train" / ".git").mkdir()
    (folder / ".thumbs").mkdir()
    (folder / ".thumbs" / "a.png").write_bytes(b"nothing")
    dataset = opened(**keys(root))
    assert dataset.classes == ("a\ufffd[2J", "b")
    assert torch.bincount(dataset.train.labels).tolist() == [3, 8]
    assert dataset.test is None


def test_layouts_that_are_errors(tmp_path: Path, opened: Open) -> None:
    def error(counts: dict[str, int]) -> str:
        place = make(tmp_path / str(len(list(tmp_path.iterdir()))), counts)
        with pytest.raises(UserError) as caught:
            opened(**keys(place))
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty/train: No such file .*train/<class>/"):
        opened(**keys(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"data\.root: dataset folder needs"):
        opened(dataset="folder")
    assert "train: has no class folders" in error({"train": 3})
    assert "train/dog: has no images" in error({"train/cat": 2, "train/dog": 0})
    assert "test/cow: no such class in train/" in error({"train/cat": 2, "test/cow": 1})
    assert "test/cat: has no images" in error({"train/cat": 2, "test/cat": 0})


def test_a_test_set_may_lack_a_class(tmp_path: Path, opened: Open) -> None:
    dataset = opened(**keys(make(tmp_path / "r", {"train/a": 2, "train/b": 2, "test/b": 2})))
    assert dataset.test is not None
    assert dataset.test.labels.tolist() == [1, 1]


def test_a_val_folder_is_not_taken_for_a_test_set(tmp_path: Path, opened: Open) -> None:
    told: list[str] = []
    root = make(tmp_path / "r", {"train/a": 2, "val/a": 2})
    assert opened(**keys(root), report=told.append).test is None
    assert any("is not read" in line for line in told)


@pytest.mark.parametrize("workers", [0, 2])
def test_corrupt_images_are_named_and_skipped(root: Path, opened: Open, workers: int) -> None:
    whole = (root / "train/cat/001.png").read_bytes()
    (root / "train/cat/001.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/dog/002.png").write_bytes(b"")
    (root / "test/dog/000.png").write_bytes(b"not an image \x1b[2J")
    for _ in range(2):  # the second time from the cache
        told: list[str] = []
        dataset = opened(**keys(root, workers=workers), report=told.append)
        skipped = [line for line in told if "skipping" in line]
        assert [line.split(": ")[1].removeprefix(f"skipping {root}/") for line in skipped] == [
            "train/cat/001.png",
            "train/dog/002.png",
            "test/dog/000.png",
        ]
        assert not any("\x1b" in line for line in told)
        assert dataset.train.labels.tolist() == [0] * 6 + [1] * 5
        assert dataset.test is not None
        assert dataset.test.size == 4
        images, _ = gather(dataset, 4)
        assert images.mean((0, 2, 3)).abs().max() < 1e-5
    with pytest.raises(UserError, match=r"data\.max_corrupt: 3 of 18 .* 2 may be: .*001\.png.*002\.png.*000\.png$"):
        opened(**keys(root, max_corrupt=2))


def test_a_class_without_one_readable_image_is_an_error(tmp_path: Path, opened: Open) -> None:
    root = make(tmp_path / "r", {"train/a": 2, "train/b": 1})
    (root / "train/b/000.png").write_bytes(b"")
    with pytest.raises(UserError, match="train/b: none of its images can be read"):
        opened(**keys(root))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_is_lost_while_training_is_named(root: Path, opened: Open, workers: int) -> None:
    dataset = opened(**keys(root, workers=workers))
    (root / "train/dog/003.png").unlink()
    with pytest.raises(UserError, match=r"train/dog/003\.png: was readable and no longer is \(FileNotFound"):
        gather(dataset, 4, epoch=0)


def looks(opened: Open, root: Path, **more: object) -> bool:
    """Whether opening takes a look at all images."""
    told: list[str] = []
    opened(**keys(root, **more), report=told.append)
    return any("for the first time" in line for line in told)


def test_the_first_look_is_remembered_until_something_changes(root: Path, opened: Open) -> None:
    assert looks(opened, root)
    assert not looks(opened, root)
    assert looks(opened, root, image_size=24)
    os.utime(root / "train/cat/000.png", ns=(1, 1))
    assert looks(opened, root)
    (root / "test/dog/002.png").unlink()
    assert looks(opened, root)
    assert not looks(opened, root)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no", None])
def test_a_damaged_cache_is_made_anew(root: Path, opened: Open, cache_home: Path, damage: bytes | None) -> None:
    mean = opened(**keys(root)).mean
    [cache] = cache_home.rglob("scans/*.npz")
    if damage is None:
        np.savez(cache, sums=np.zeros((3, 2, 3), np.int64), rows=np.zeros(0, np.int64))
    else:
        cache.write_bytes(damage)
    assert looks(opened, root)
    assert opened(**keys(root)).mean == mean
    assert not looks(opened, root)
    assert list(cache.parent.iterdir()) == [cache]


def test_a_cache_that_cannot_be_written_is_no_error(root: Path, opened: Open, cache_home: Path) -> None:
    cache_home.write_text("a file where the folder should be")
    assert opened(**keys(root)).train.size == 13


def test_a_file_that_could_not_be_read_once_gets_another_try(root: Path, opened: Open) -> None:
    """The disk failed, not the file: its time stamp is the same when it is back."""
    path = root / "train/cat/000.png"
    clean = opened(**keys(root))
    good, stamp = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(good)))
    assert opened(**keys(root)).train.size == 12
    path.write_bytes(bytes(len(good)))
    os.utime(path, ns=(7, 7))
    assert opened(**keys(root)).train.size == 12
    path.write_bytes(good)
    os.utime(path, ns=(7, 7))
    assert not looks(opened, root)
    assert opened(**keys(root)).mean == clean.mean
    assert stamp.st_size == len(good)


def test_validation_is_split_off(root: Path, opened: Open) -> None:
    dataset = opened(**keys(root, val_fraction=0.3))
    assert dataset.val is not None
    assert sorted(dataset.train.rows.tolist() + dataset.val.rows.tolist()) == list(range(13))
    images, _ = gather(dataset, 4)
    assert images.mean((0, 2, 3)).abs().max() < 1e-5


# --- decoding -----------------------------------------------------------------------------------------


def test_shortest_side_and_centre_crop(tmp_path: Path) -> None:
    wide = Image.new("RGB", (60, 20), "red")
    wide.paste("blue", (20, 0, 40, 20))
    wide.save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png", 20)
    assert pixels.shape == (3, 20, 20)
    assert (pixels == np.array([0, 0, 255])[:, None, None]).all()
    assert decode(tmp_path / "a.png", 8).shape == (3, 8, 8)
    assert decode(tmp_path / "a.png", 50).shape == (3, 50, 50)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (16, 16), "black")
    upright.paste("white", (0, 0, 8, 4))
    stored = {  # how a camera stores the picture for each orientation
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    image = upright
    for step in stored.get(orientation, []):
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    assert (decode(tmp_path / "a.png", 16) == np.asarray(upright).transpose(2, 0, 1)).all()


def test_every_kind_of_pixel_becomes_rgb(tmp_path: Path) -> None:
    def shown(image: Image.Image, name: str) -> list[int]:
        image.save(tmp_path / name)
        return [int(v) for v in decode(tmp_path / name, 4)[:, 2, 2]]

    assert shown(Image.new("L", (8, 8), 100), "grey.png") == [100] * 3
    assert shown(Image.new("1", (8, 8), 1), "bit.png") == [255] * 3
    assert shown(Image.fromarray(np.full((8, 8), 100 * 256 + 7, np.uint16)), "deep.png") == [100] * 3
    assert shown(Image.fromarray(np.full((8, 8), 100 * 256 + 7, np.uint16)), "deep.tiff") == [100] * 3
    assert shown(Image.new("RGBA", (8, 8), (10, 20, 30, 255)), "opaque.png") == [10, 20, 30]
    assert shown(Image.new("RGBA", (8, 8), (10, 20, 30, 0)), "clear.png") == [255] * 3
    assert shown(Image.new("LA", (8, 8), (50, 255)), "la.png") == [50] * 3
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert shown(palette, "palette.png") == [10, 20, 30]
    palette.info["transparency"] = 1
    assert shown(palette, "clear-palette.png") == [255] * 3
    assert shown(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "cmyk.tiff") == [255, 0, 0]
    red, green, blue = shown(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "cmyk.jpg")
    assert red > 230
    assert max(green, blue) < 30
    with pytest.raises(ValueError, match="floating-point"):
        shown(Image.new("F", (8, 8), 0.5), "float.tiff")


def test_large_photographs_are_decoded_at_a_fraction_and_look_the_same(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1600, dtype=np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (1200, 1))] * 3, -1)).save(tmp_path / "a.jpg", quality=95)
    pixels = decode(tmp_path / "a.jpg", 32).astype(int)
    with Image.open(tmp_path / "a.jpg") as image:
        whole = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR, box=(200, 0, 1400, 1200)))
    assert np.abs(pixels - whole.transpose(2, 0, 1)).max() <= 2


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.data.decode.MAX_PIXELS", 100)
    picture().save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="more than the limit of 100"):
        decode(tmp_path / "a.png", 8)
