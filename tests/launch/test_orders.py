"""What is to be trained: seeds as typed, orders as files and as command lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.launch.orders import Order, begin, environment, read_seeds
from workbench.profile import load, load_exact


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (3,)),
        ("0..4", (0, 1, 2, 3, 4)),
        ("1,5, 7..9", (1, 5, 7, 8, 9)),
        ("2,0..2", (2, 0, 1)),
        ("", ()),
        (" , ", ()),
    ],
)
def test_seeds_as_people_type_them(text: str, seeds: tuple[int, ...]) -> None:
    assert read_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["x", "-1", "0..", "..3", "4..1", "0..100", "0...3", "1.5", "9223372036854775808", "²"]
)
def test_what_is_no_seed_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="seeds|smaller"):
        read_seeds(text)


@given(st.text(max_size=20))
def test_whatever_is_typed_is_seeds_or_one_line(text: str) -> None:
    said = ""
    seeds: tuple[int, ...] = ()
    try:
        seeds = read_seeds(text)
    except ValueError as error:
        said = str(error)
    assert "\n" not in said
    assert len(set(seeds)) == len(seeds) <= 100


def test_a_profile_becomes_a_run_for_each_seed_with_the_label_of_its_recipe() -> None:
    resolved = load("quick", environ={})
    one = begin(resolved, way="detached", parent="20261122-100000-x-aaaaaa")
    three = begin(resolved, way="thread", seeds=(4, 5, 6))
    assert [order.label for order in one + three] == ["quick", "quick seed 4", "quick seed 5", "quick seed 6"]
    assert (one[0].way, one[0].parent) == ("detached", "20261122-100000-x-aaaaaa")
    assert 'recipe = "quick"' in one[0].profile
    assert [f"seed = {seed}" in order.profile for seed, order in zip((4, 5, 6), three, strict=True)] == [True] * 3


def test_an_orders_text_is_the_profile_to_the_last_setting(tmp_path: Path) -> None:
    resolved = load("papers/vit", environ={"CNNWB_OPTIM__LR": "0.25"})
    (tmp_path / "profile.toml").write_text(begin(resolved, way="thread")[0].profile)
    again = load_exact(tmp_path / "profile.toml").profile
    assert again == resolved.profile.model_copy(update={"recipe": "papers/vit", "extends": None})
    assert again.optim.lr == 0.25


def test_there_and_back() -> None:
    order = Order(run="20261122-100000-x-aaaaaa", epochs=20, way="detached", label="x")
    assert Order.from_json(order.as_json(), "") == order


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"way": "thread"},
        {"way": "rocket", "run": "x"},
        {"way": "thread", "run": 3},
        {"way": "thread", "run": "x", "epochs": "9"},
    ],
)
def test_what_is_no_order_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="order|neither"):
        Order.from_json(wrong, "")


def test_a_hostile_label_is_harmless() -> None:
    order = Order.from_json({"way": "thread", "run": "x", "label": "a\x1b]0;b\x07[/red]" + "c" * 9999}, "")
    assert "\x1b" not in order.label
    assert len(order.label) <= 120


def test_a_child_gets_no_settings_from_variables() -> None:
    """Else CNNWB_SEED would make all seeds of a queue the same one."""
    found = environment({"CNNWB_SEED": "3", "cnnwb_optim__lr": "1", "CNNWB_RUNS": "r", "PATH": "p"})
    assert found == {"CNNWB_RUNS": "r", "PATH": "p"}
