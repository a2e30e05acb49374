"""Fetching a file once, with its SHA-256 checked before anyone opens it."""

import errno
import socket
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import torch.hub

from workbench.base.errors import UserError

_TIMEOUT = 30.0  # seconds without a byte; torch.hub sets none and would wait for ever

_DISK_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)

# From TensorFlow Datasets' url_checksums (mnist, fashion_mnist, kmnist, svhn_cropped) and Keras'
# datasets/cifar10.py and cifar100.py. Each was looked up there; none is from memory.
SHA256: dict[tuple[str, str], str] = {
    ("mnist", "train-images-idx3-ubyte.gz"): "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ("mnist", "train-labels-idx1-ubyte.gz"): "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ("mnist", "t10k-images-idx3-ubyte.gz"): "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ("mnist", "t10k-labels-idx1-ubyte.gz"): "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ("fashion_mnist", "train-images-idx3-ubyte.gz"): "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ("fashion_mnist", "train-labels-idx1-ubyte.gz"): "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ("fashion_mnist", "t10k-images-idx3-ubyte.gz"): "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ("fashion_mnist", "t10k-labels-idx1-ubyte.gz"): "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ("kmnist", "train-images-idx3-ubyte.gz"): "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    ("kmnist", "train-labels-idx1-ubyte.gz"): "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    ("kmnist", "t10k-images-idx3-ubyte.gz"): "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    ("kmnist", "t10k-labels-idx1-ubyte.gz"): "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ("cifar10", "cifar-10-python.tar.gz"): "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ("cifar100", "cifar-100-python.tar.gz"): "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ("svhn", "train_32x32.mat"): "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    ("svhn", "test_32x32.mat"): "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}
"""(data set, file name) to the SHA-256 of the file as its makers publish it."""


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: Exception) -> str:
    """What went wrong in a few words: urllib wraps the operating system's sentence twice."""
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause)


def fetch(urls: Sequence[str], target: Path, sha256: str) -> str | None:
    """Download `target` from the first of `urls` (mirrors) that gives the file with this `sha256`.

    The file appears under its name only when complete and right. Returns None, or, when no mirror
    gave it, the reason in a few words. Raises UserError if `target` cannot be written.
    """
    reasons = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for url in urls:
            try:
                with _socket_timeout(_TIMEOUT):
                    # The bar is for a person; a log file would fill with its redrawing.
                    bar = sys.stderr is not None and sys.stderr.isatty()
                    torch.hub.download_url_to_file(url, str(target), hash_prefix=sha256, progress=bar)
            except (RuntimeError, OSError, HTTPException) as error:  # RuntimeError: another file than the one we know
                if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                    raise
                reasons.append(f"{url}: {_reason(error)}")
            else:
                return None
    except OSError as error:
        raise UserError(f"data.root: cannot write {target}: {error.strerror or error}") from error
    return "; ".join(reasons)


@contextmanager
def safe_extraction() -> Iterator[None]:
    """While it lasts, tarfile refuses members that leave the folder, links out of it and devices (PEP 706).

    Torchvision's newer versions ask for this themselves, its older ones do not.
    """
    if not hasattr(tarfile, "data_filter"):
        raise UserError("unpacking archives safely needs Python 3.11.4 or newer")
    before = tarfile.TarFile.__dict__.get("extraction_filter")
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before
