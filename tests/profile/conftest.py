"""A folder of one's own to write profiles in, and the faults of a profile as the lines a person reads."""

import argparse
from pathlib import Path

import pytest

from workbench.profile import Layer, add_options, check, read_options


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with no profiles and no CNNWB_ variables."""
    monkeypatch.chdir(tmp_path)
    for name in ("CNNWB_SEED", "CNNWB_RUNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def options():
    """Words of a command line -> their layer."""

    def read(*words: str) -> Layer:
        parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
        add_options(parser)
        return read_options(parser.parse_args(words))

    return read


@pytest.fixture
def faults(folder, options):
    """The text of my.toml, words of a command line and variables -> lines of complaint."""

    def complain(text: str, *words: str, **environ: str) -> list[str]:
        Path("my.toml").write_text(text)
        return [str(problem) for problem in check("my.toml", options=options(*words), environ=environ)]

    return complain
