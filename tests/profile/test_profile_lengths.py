"""Lengths of a schedule, from text to steps and epochs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.profile.lengths import LONGEST, in_epochs, in_steps, several


@pytest.mark.parametrize(
    ("length", "steps", "epochs"),
    [
        ("5ep", 500, 5.0),
        ("2.4ep", 240, 2.4),
        ("0ep", 0, 0.0),
        ("500step", 500, None),
        ("10%", 100, 1.0),
        ("0.04%", 0, 0.004),
        ("7%", 70, 0.7),
        ("100%", 1000, 10.0),
        ("9" * 400 + "ep", LONGEST, float("inf")),
        ("9" * 400 + "step", LONGEST, None),
    ],
)
def test_a_length_in_steps_and_in_epochs(length: str, steps: int, epochs: float | None) -> None:
    assert in_steps(length, steps_per_epoch=100, steps=1000) == steps
    assert in_epochs(length, epochs=10) == (epochs if epochs is None else pytest.approx(epochs))


@given(st.integers(1, 10**7))
def test_all_of_the_run_is_all_of_it(steps: int) -> None:
    assert in_steps("100%", steps_per_epoch=1, steps=steps) == steps


def test_a_list_may_have_spaces() -> None:
    assert several("50%,75% , 3ep") == ["50%", "75%", "3ep"]


@pytest.mark.parametrize("text", ["", "5", "ep", "-5ep", "5 ep", "5epochs", "1e3step", ".5ep", "5.ep", "5ep\n"])
def test_anything_else_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="is no length: 5ep, 500step or 10%"):
        in_steps(text, steps_per_epoch=1, steps=1)
