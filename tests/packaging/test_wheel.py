"""The wheel carries what a run needs: built-in profiles, cards and the embedded digits."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def workbench(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -P: the working directory is not on the path, so nothing of the checkout is found by accident.
    return subprocess.run(
        [sys.executable, "-P", "-m", "workbench", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_built_in_profiles_are_found_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    answer = workbench(installed, tmp_path, "profile", "show", "quick.toml")
    assert answer.returncode == 0, answer.stderr
    assert 'dataset = "digits"' in answer.stdout
    assert "built-in base.toml:" in answer.stdout


def test_ones_own_profiles_folder_comes_first(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "quick.toml").write_text("seed = 77\n")
    assert "seed = 77" in workbench(installed, tmp_path, "profile", "show", "quick").stdout


def test_it_trains_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    arguments = ["--model.arch", "bn_convnet", "--data.image_size", "8", "--train.epochs", "1", "--train.threads", "1"]
    answer = workbench(installed, tmp_path, "--headless", "--profile", "quick.toml", *arguments)
    assert answer.returncode == 0, answer.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_the_digits_come_with_their_licence(installed: Path) -> None:
    assert (installed / "workbench" / "data" / "digits.npz").is_file()
    assert "CC BY 4.0" in (installed / "workbench" / "data" / "digits.LICENSE.txt").read_text()
