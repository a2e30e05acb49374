"""`models`, `show` and `source`: what a reader of the catalogue sees."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import architectures
from workbench.cli import main


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "\x1b" not in captured.out
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    try:
        code = main(list(arguments))
    except SystemExit as end:
        code = end.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return captured.err


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["source", "vit"], ["show", "resnt18"]])
def test_the_catalogue_is_read_without_torch(arguments: list[str]) -> None:
    code = (
        f"import sys; from workbench.cli import main; main({arguments!r});"
        "assert not {'torch', 'textual', 'pydantic', 'pygments.formatters'} & set(sys.modules)"
    )
    best = 9.0
    for _ in range(2):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        best = min(best, time.monotonic() - started)
    assert best < 3  # 0.3 s on a quiet machine


def test_models_lists_every_network_oldest_first_and_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "models")
    rows = [line for line in text.splitlines() if " 20" in line]
    assert len(rows) == len(architectures.names()) + 1
    assert [row.split()[0] for row in rows[:-1]] == architectures.names()
    assert rows[-1].startswith("resnet18 + SAM")
    assert "recipe" in rows[-1]
    assert "11.69M" in next(row for row in rows if row.startswith("resnet18 "))
    assert all(card.title in text for card in architectures.cards())  # a pipe cuts nothing off


def test_models_json_holds_whole_cards(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(printed(capsys, "models", "--json"))
    by_name = {entry["name"]: entry for entry in listed}
    assert list(by_name) == [*architectures.names(), "resnet18 + SAM"]
    assert by_name["resnet18"]["params"]["1000"] == 11_689_512
    assert by_name["resnet18"]["title"] == "Deep Residual Learning for Image Recognition"
    assert by_name["resnet18"]["kind"] == "network"
    assert (by_name["resnet18 + SAM"]["kind"], by_name["resnet18 + SAM"]["architecture"]) == ("recipe", "resnet18")


def test_models_can_be_narrowed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(printed(capsys, "models", "--family", "transformer", "--json"))
    assert {entry["family"] for entry in listed} == {"transformer"}
    assert [entry["name"] for entry in json.loads(printed(capsys, "models", "sharpness", "--json"))] == [
        "resnet18 + SAM"
    ]
    assert 'no network matches "resnet81" (did you mean "resnet18"?)' in refused(capsys, "models", "resnet81")
    assert "invalid choice" in refused(capsys, "models", "--family", "rnn")


def on_a_terminal(columns: int, *arguments: str) -> str:
    """What a terminal of that width is sent."""
    main_end, other_end = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    code = f"import sys; from workbench.cli import main; sys.exit(main({list(arguments)!r}))"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=other_end, env=environment) as process:
        os.close(other_end)
        received = b""
        while True:
            try:
                chunk = os.read(main_end, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            received += chunk
    os.close(main_end)
    assert process.returncode == 0
    return received.decode()


def test_models_fits_eighty_columns_with_every_name_whole() -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", on_a_terminal(80, "models")).replace("\r\n", "\n")
    assert max(map(len, text.splitlines())) <= 80
    words = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert set(architectures.names()) <= words


def test_source_is_coloured_on_a_terminal_and_as_it_is_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    code = Path(architectures.__file__).with_name("resnet.py").read_text(encoding="utf-8")
    assert printed(capsys, "source", "resnet50") == code
    assert "\x1b[" in on_a_terminal(100, "source", "resnet50")


def test_source_of_a_network_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_network_of_mine.py").write_text("raise SystemExit('imported')\n")
    assert "imported" in printed(capsys, "source", "own_network_of_mine:Net")
    assert 'no module named "nowhere_at_all"' in refused(capsys, "source", "nowhere_at_all:Net")
    assert "has no Python source" in refused(capsys, "source", "sys:exit")
    assert 'did you mean "resnet18"?' in refused(capsys, "source", "resnt18")


def test_show_prints_the_card_and_the_walk(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "resnet18", "--image-size", "64", "--classes", "10", "--depth", "1")
    card = architectures.card("resnet18")
    for words in (card.title, card.authors, "CVPR 2016 · arXiv:1512.03385", card.diagram.splitlines()[1].rstrip()):
        assert words in text
    for words in ("The problem", "The ideas", "recipe", "reported", "accuracy 74.9", "zero_init_residual", "look at"):
        assert words in text
    walk = text.partition("One image of 3×64×64, 10 classes")[2]
    assert "512×2×2" in walk
    assert "11.18M" in walk
    assert "layer1.0" not in walk


def test_show_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(printed(capsys, "show", "resnet18 + SAM", "--json", "--channels", "1", "--image-size", "32"))
    assert answer["card"]["kind"] == "recipe"
    assert answer["image_size"] == 32
    assert answer["layers"]["parameters"] == 11_689_512 - 2 * 64 * 49
    assert answer["layers"]["children"][0]["shape"] == [1, 64, 16, 16]


def test_show_takes_the_networks_knobs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("show", "mobilenet_v2", "--json", "--image-size", "32", "--option", "width=0.5")
    assert json.loads(printed(capsys, *arguments))["layers"]["parameters"] < 2_100_000
    assert 'has no option "widht" (did you mean "width"?)' in refused(
        capsys, "show", "mobilenet_v2", "--option", "widht=1"
    )
    assert "must be KEY=VALUE (got width)" in refused(capsys, "show", "mobilenet_v2", "--option", "width")


def test_show_of_a_network_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_linear.py").write_text(
        "from torch import nn\ndef flat(num_classes, in_channels, image_size):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))\n"
    )
    text = printed(capsys, "show", "own_linear:flat", "--image-size", "8", "--classes", "5")
    assert "One image of 3×8×8, 5 classes" in text
    assert "Linear" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "resnt18"), 'unknown architecture "resnt18" (did you mean "resnet18"?)'),
        (("show", "resnet18", "--image-size", "16"), "resnet18 needs images of at least 32 px"),
        (("show", "vit_b_16", "--image-size", "100"), "100"),
        (("show", "resnet18", "--image-size", "huge"), "must be a whole number of at least 1 (got huge)"),
        (("show", "nowhere_at_all:net"), "nowhere_at_all"),
        (("show",), "NETWORK"),
        (("show", "resnet18", "--imgae-size", "3"), "unknown option --imgae-size (did you mean --image-size?)"),
    ],
)
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(capsys, *arguments)


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    for command in ("models --json", "source vit"):
        code = f"import sys; from workbench.cli import main; sys.exit(main({command.split()!r}))"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 0
