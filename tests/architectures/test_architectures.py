"""The public face of the architectures package and every figure on its cards."""

import importlib
import subprocess
import sys

import pytest
import torch

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

NAMES = architectures.names()


def test_names_and_cards_need_no_torch() -> None:
    code = "import sys, architectures as a; a.names(); a.cards(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_card_counts_are_those_of_the_code(name: str) -> None:
    card = architectures.card(name)
    for classes in (10, 1000):
        with on_meta():
            network = architectures.create(name, num_classes=classes)
        assert count_parameters(network) == card.params[classes]
        assert count_macs(network, 3, 224) == card.macs[classes]


@pytest.mark.parametrize("card", architectures.cards(), ids=lambda card: card.name)
def test_card_is_complete_and_fits_the_screen(card: architectures.Card) -> None:
    assert 3 <= len(card.ideas) <= 6
    assert all(idea.endswith(".") for idea in card.ideas)
    assert max(len(line) for line in card.diagram.splitlines()) <= 72
    for text in (
        card.title,
        card.authors,
        card.venue,
        card.link,
        card.problem,
        card.look_at,
        card.recipe,
        card.reported,
    ):
        assert text.strip()


@pytest.mark.parametrize("name", NAMES)
def test_card_lists_the_options_that_the_constructor_takes(name: str) -> None:
    card = architectures.card(name)
    constructor = importlib.import_module(f"architectures.{card.module}").NETWORKS[name]
    bound = set(constructor.keywords)  # what makes this size this size is no knob of it
    assert set(card.knobs) - bound == set(architectures.knobs_of(constructor)) - bound


@pytest.mark.parametrize("name", NAMES)
def test_network_takes_grey_images_of_its_smallest_size(name: str) -> None:
    """Colour images, of 224 px, are what the MACs on its card are counted with."""
    size = architectures.card(name).min_image_size
    with on_meta():  # shapes only: no memory, no arithmetic
        network = architectures.create(name, num_classes=7, in_channels=1, image_size=size).eval()
        assert network(torch.empty(2, 1, size, size)).shape == (2, 7)


def test_too_small_an_image_is_refused_with_the_size_that_works() -> None:
    with pytest.raises(ValueError, match=r"resnet18 needs images of at least 32 px \(image_size is 8\)"):
        architectures.create("resnet18", image_size=8)


def test_unknown_name_and_option_suggest_the_nearest() -> None:
    with pytest.raises(ValueError, match='unknown architecture "resnt18".*"resnet18"'):
        architectures.create("resnt18")
    with pytest.raises(ValueError, match='has no option "zero_init_residul".*"zero_init_residual"'):
        architectures.create("resnet18", zero_init_residul=True)
    with pytest.raises(ValueError, match="num_classes must be at least 1"):
        architectures.create("resnet18", num_classes=0)


def test_zero_init_residual_starts_blocks_as_the_identity() -> None:
    network = architectures.create("resnet18", zero_init_residual=True)
    assert torch.count_nonzero(network.layer1[0].bn2.weight) == 0
    assert torch.count_nonzero(architectures.create("resnet18").layer1[0].bn2.weight) == 64


def test_a_users_own_network_needs_no_registration(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mynet_for_test.py").write_text(
        "from torch import nn\n"
        "def tiny(num_classes, in_channels, width=2):\n"
        "    return nn.Sequential(nn.Conv2d(in_channels, width, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))\n"  # noqa: E501
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    network = architectures.create("mynet_for_test:tiny", num_classes=3, in_channels=1, image_size=9, width=5)
    assert network(torch.zeros(1, 1, 9, 9)).shape == (1, 3)
    with pytest.raises(ValueError, match='has no "huge"'):
        architectures.create("mynet_for_test:huge")
    with pytest.raises(ValueError, match='takes no option "widht".*"width"'):
        architectures.create("mynet_for_test:tiny", widht=5)
    with pytest.raises(ValueError, match='no module named "nothere_for_test"'):
        architectures.create("nothere_for_test:net")
