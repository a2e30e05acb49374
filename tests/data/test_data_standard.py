"""The classic sets read from tiny files in their own formats; downloads come from file:// addresses."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from real_mnist import link_real_mnist
from torchvision import datasets

from workbench.base.errors import UserError
from workbench.data import Dataset, download

Open = Callable[..., Dataset]
RNG = np.random.default_rng(0)
IDX = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
CIFAR = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


def bytes_of(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">4B{values.ndim}i", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def idx_files() -> dict[str, bytes]:
    """The four packed files: 30 images to train on, 10 to test on."""
    files = {}
    for kind, n in (("train", 30), ("t10k", 10)):
        files[f"{kind}-images-idx3-ubyte.gz"] = gzip.compress(idx(bytes_of(n, 28, 28)))
        files[f"{kind}-labels-idx1-ubyte.gz"] = gzip.compress(idx(np.arange(n, dtype=np.uint8) % 10))
    return files


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def know(monkeypatch: pytest.MonkeyPatch, dataset: str, files: dict[str, bytes]) -> None:
    """Let these files be the published ones."""
    for name, content in files.items():
        monkeypatch.setitem(download.SHA256, (dataset, name), hashlib.sha256(content).hexdigest())


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def cifar_files(monkeypatch: pytest.MonkeyPatch, name: str, **extra: bytes) -> tuple[dict[str, bytes], bytes]:
    """(members, archive) of a CIFAR set with 10 images a batch; torchvision expects exactly these."""
    cls = CIFAR[name]
    labels = "labels" if name == "cifar10" else "fine_labels"
    classes = 10 if name == "cifar10" else 100
    members = {cls.meta["filename"]: pickle.dumps({cls.meta["key"]: [f"class {i}" for i in range(classes)]})}
    for filename, _ in cls.train_list + cls.test_list:
        members[filename] = pickle.dumps({"data": bytes_of(10, 3072), labels: list(range(10))})
    monkeypatch.setattr(cls, "train_list", [[f, md5(members[f])] for f, _ in cls.train_list])
    monkeypatch.setattr(cls, "test_list", [[f, md5(members[f])] for f, _ in cls.test_list])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5(members[cls.meta["filename"]])})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for filename, content in {**{f"{cls.base_folder}/{f}": c for f, c in members.items()}, **extra}.items():
            entry = tarfile.TarInfo(filename)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    archive = packed.getvalue()
    monkeypatch.setattr(cls, "tgz_md5", md5(archive))
    know(monkeypatch, name, {cls.filename: archive})
    return members, archive


def svhn_files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files, table = {}, {}
    for split, n in (("train", 20), ("test", 10)):
        packed = io.BytesIO()
        scipy.io.savemat(packed, {"X": bytes_of(32, 32, 3, n), "y": np.arange(1, n + 1)[:, None] % 10 + 1})
        files[f"{split}_32x32.mat"] = packed.getvalue()
        table[split] = [f"http://nowhere.invalid/{split}_32x32.mat", f"{split}_32x32.mat", md5(packed.getvalue())]
    monkeypatch.setattr(datasets.SVHN, "split_list", table)
    know(monkeypatch, "svhn", files)
    return files


@pytest.mark.parametrize("name", list(IDX))
@pytest.mark.parametrize("packed", [True, False])
def test_idx_sets_in_place_are_read_without_network(tmp_path: Path, opened: Open, name: str, packed: bool) -> None:
    files = idx_files()
    if not packed:
        files = {f.removesuffix(".gz"): gzip.decompress(content) for f, content in files.items()}
    folder = tmp_path / IDX[name].__name__ / "raw"
    put(folder, files)
    dataset = opened(dataset=name, root=str(tmp_path), image_size=28)
    assert (dataset.channels, len(dataset.classes), dataset.train.size) == (1, 10, 30)
    assert sorted(os.listdir(folder)) == sorted(files)
    batch = next(iter(dataset.train.batches(30)))
    images, labels = batch.images, batch.labels
    assert labels.tolist() == [i % 10 for i in range(30)]
    stored = gzip.decompress(files["train-images-idx3-ubyte.gz"]) if packed else files["train-images-idx3-ubyte"]
    pixels = (images * dataset.std[0] + dataset.mean[0]) * 255
    assert pixels.round().to(torch.uint8).numpy().tobytes() == stored[16:]


def test_a_missing_set_is_downloaded_once(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    files = idx_files()
    put(tmp_path / "server", files)
    know(monkeypatch, "kmnist", files)
    dead = (tmp_path / "dead").as_uri() + "/"
    monkeypatch.setattr(datasets.KMNIST, "mirrors", [dead, (tmp_path / "server").as_uri() + "/"])
    told: list[str] = []
    opened(dataset="kmnist", root=str(tmp_path / "root"), report=told.append)
    assert len(told) == 4
    assert "downloading train-images-idx3-ubyte.gz" in told[0]
    again: list[str] = []
    opened(dataset="kmnist", root=str(tmp_path / "root"), report=again.append)
    assert again == []


def test_a_download_of_other_content_is_refused(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "server", idx_files())
    monkeypatch.setattr(datasets.KMNIST, "mirrors", [(tmp_path / "server").as_uri() + "/"])
    with pytest.raises(UserError, match="invalid hash value"):
        opened(dataset="kmnist", root=str(tmp_path / "root"))
    assert os.listdir(tmp_path / "root" / "KMNIST" / "raw") == []


@pytest.mark.parametrize(
    ("name", "folder", "files"),
    [
        ("mnist", "MNIST/raw", "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "),
        ("fashion_mnist", "FashionMNIST/raw", "train-images-idx3-ubyte.gz, "),
        ("kmnist", "KMNIST/raw", "train-images-idx3-ubyte.gz, "),
        ("cifar10", "", "cifar-10-python.tar.gz"),
        ("cifar100", "", "cifar-100-python.tar.gz"),
        ("svhn", "", "train_32x32.mat, test_32x32.mat"),
    ],
)
def test_without_network_it_is_said_what_to_put_where(
    tmp_path: Path, opened: Open, name: str, folder: str, files: str
) -> None:
    with pytest.raises(UserError) as caught:
        opened(dataset=name, root=str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"data.dataset: {name} is not in {tmp_path} and could not be downloaded (")
    assert f"; put {files}" in message
    assert message.endswith(f" into {tmp_path / folder}")
    assert "\n" not in message


def test_the_default_place_is_the_users_cache(cache_home: Path, opened: Open) -> None:
    with pytest.raises(UserError, match="cifar10 is not in") as caught:
        opened(dataset="cifar10")
    assert str(Path("cnn-workbench", "datasets")) in str(caught.value)
    assert str(cache_home) in str(caught.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: gzip.compress(gzip.decompress(packed)[:-1]),
        lambda packed: gzip.compress(b"<html>not found</html>"),
        lambda packed: b"<html>not found</html>",
        lambda packed: b"",
        lambda packed: packed[:60] + bytes([packed[60] ^ 1]) + packed[61:],
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path: Path, opened: Open, spoil: Callable[[bytes], bytes]) -> None:
    files = idx_files()
    files["t10k-images-idx3-ubyte.gz"] = spoil(files["t10k-images-idx3-ubyte.gz"])
    put(tmp_path / "MNIST" / "raw", files)
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz: damaged or incomplete .*; delete it"):
        opened(dataset="mnist", root=str(tmp_path))


def test_labels_that_do_not_fit_the_images_are_named(tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "MNIST" / "raw"
    files = idx_files()
    for labels in (np.zeros(29, np.uint8), np.full(30, 10, np.uint8)):
        put(folder, {**files, "train-labels-idx1-ubyte.gz": gzip.compress(idx(labels))})
        with pytest.raises(UserError, match="train-labels-idx1-ubyte"):
            opened(dataset="mnist", root=str(tmp_path))


@pytest.mark.parametrize("name", list(CIFAR))
def test_cifar_is_unpacked_and_read(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    members, archive = cifar_files(monkeypatch, name)
    put(tmp_path, {CIFAR[name].filename: archive})
    dataset = opened(dataset=name, root=str(tmp_path), image_size=32)
    assert dataset.channels == 3
    assert dataset.classes[3] == "class 3"
    batch = next(iter(dataset.test.batches(10)))
    images, labels = batch.images, batch.labels
    assert labels.tolist() == list(range(10))
    [(filename, _)] = CIFAR[name].test_list
    stored = pickle.loads(members[filename])["data"].reshape(10, 3, 32, 32)
    mean, std = (torch.tensor(v)[:, None, None] for v in (dataset.mean, dataset.std))
    assert ((images * std + mean) * 255).round().to(torch.uint8).numpy().tolist() == stored.tolist()
    (tmp_path / CIFAR[name].filename).unlink()
    assert opened(dataset=name, root=str(tmp_path)).fingerprint == dataset.fingerprint


def test_cifar_is_downloaded(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    _, archive = cifar_files(monkeypatch, "cifar10")
    put(tmp_path / "server", {"c.tar.gz": archive})
    monkeypatch.setattr(datasets.CIFAR10, "url", (tmp_path / "server" / "c.tar.gz").as_uri())
    assert opened(dataset="cifar10", root=str(tmp_path / "deep" / "root")).train.size == 50


def test_a_partial_cifar_archive_is_named(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    _, archive = cifar_files(monkeypatch, "cifar10")
    put(tmp_path, {"cifar-10-python.tar.gz": archive[:-100]})
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz: damaged or incomplete \(SHA-256"):
        opened(dataset="cifar10", root=str(tmp_path))
    assert os.listdir(tmp_path) == ["cifar-10-python.tar.gz"]


def test_a_damaged_cifar_batch_is_named(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    members, _ = cifar_files(monkeypatch, "cifar10")
    put(tmp_path / "cifar-10-batches-py", {**members, "data_batch_4": members["data_batch_4"][:-9]})
    with pytest.raises(UserError, match=r"data_batch_4: damaged or incomplete"):
        opened(dataset="cifar10", root=str(tmp_path))


def test_an_archive_that_leaves_its_folder_is_refused(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even with every digest right: the data filter is in force, also in torchvisions that do not ask for it."""
    _, archive = cifar_files(monkeypatch, "cifar10", **{"../evil": b"evil"})
    put(tmp_path / "root", {"cifar-10-python.tar.gz": archive})

    def plain(source: str, target: str, *_: Any) -> None:
        with tarfile.open(source, "r:gz") as tar:
            tar.extractall(target)  # as torchvision 0.26 does

    monkeypatch.setitem(datasets.utils._ARCHIVE_EXTRACTORS, ".tar", plain)
    before = tarfile.TarFile.__dict__.get("extraction_filter")
    with pytest.raises(UserError, match="outside the destination"):
        opened(dataset="cifar10", root=str(tmp_path / "root"))
    assert not (tmp_path / "evil").exists()
    assert tarfile.TarFile.__dict__.get("extraction_filter") is before


def test_svhn_is_read_and_its_digit_10_is_a_zero(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    files = svhn_files(monkeypatch)
    put(tmp_path, files)
    dataset = opened(dataset="svhn", root=str(tmp_path))
    assert (dataset.channels, dataset.train.size, dataset.classes[0]) == (3, 20, "0")
    assert sorted(set(dataset.train.labels.tolist())) == list(range(10))


def test_a_damaged_svhn_file_is_named(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    files = svhn_files(monkeypatch)
    put(tmp_path, {**files, "test_32x32.mat": files["test_32x32.mat"][:-5]})
    with pytest.raises(UserError, match=r"test_32x32\.mat: damaged"):
        opened(dataset="svhn", root=str(tmp_path))


@pytest.mark.parametrize("name", ["mnist", "cifar10", "svhn"])
def test_a_root_that_cannot_be_written_is_said_so(tmp_path: Path, opened: Open, name: str) -> None:
    """Below a file nobody can make a folder, not even root (as whom tests may run)."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"data\.root: cannot write"):
        opened(dataset=name, root=str(tmp_path / "file" / "root"))


def test_an_empty_set_is_an_error(tmp_path: Path, opened: Open) -> None:
    files = idx_files()
    files["t10k-images-idx3-ubyte.gz"] = gzip.compress(idx(bytes_of(0, 28, 28)))
    files["t10k-labels-idx1-ubyte.gz"] = gzip.compress(idx(bytes_of(0)))
    put(tmp_path / "MNIST" / "raw", files)
    with pytest.raises(UserError, match="mnist has no test images"):
        opened(dataset="mnist", root=str(tmp_path))


def test_every_file_to_download_has_a_digest() -> None:
    wanted = {(name, file) for name, cls in IDX.items() for file, _ in cls.resources}
    wanted |= {(name, cls.filename) for name, cls in CIFAR.items()}
    wanted |= {("svhn", f"{split}_32x32.mat") for split in ("train", "test")}
    assert set(download.SHA256) == wanted
    assert all(len(digest) == 64 for digest in download.SHA256.values())


def test_real_mnist(tmp_path: Path, opened: Open) -> None:
    """Its published mean and standard deviation."""
    link_real_mnist(tmp_path)
    dataset = opened(dataset="mnist", root=str(tmp_path), image_size=28)
    assert (dataset.train.size, dataset.test.size) == (60_000, 10_000)
    assert (round(dataset.mean[0], 4), round(dataset.std[0], 4)) == (0.1307, 0.3081)
    assert torch.bincount(dataset.train.labels)[[0, 1, 9]].tolist() == [5923, 6742, 5949]
