"""What a person who watches a run is told, and when not: rules with the clock passed in."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.base.gpu import Gpu
from workbench.tui.alerts import (
    EVALUATION_SECONDS,
    LEAST_FREE,
    STALL_SECONDS,
    START_SECONDS,
    Seen,
    alerts,
    patience,
)

WELL = Seen(
    state="running", epoch=2, step=57, steps_per_epoch=25.0, epoch_seconds=10.0, moved=100.0, losses=(0.5, 0.4, 0.3),
    classes=10, free=LEAST_FREE * 50, checkpoint=10**8, events=({"event": "started"},),
)  # fmt: skip


def kinds(seen: Seen, now: float = 101.0) -> list[str]:
    return [alert.kind for alert in alerts(seen, now)]


def test_a_run_that_goes_well_is_not_talked_about() -> None:
    assert kinds(WELL) == []


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_told(loss: float) -> None:
    assert kinds(replace(WELL, losses=(0.5, loss))) == ["nan"]
    assert kinds(replace(WELL, losses=(loss, 0.5))) == []


def test_the_nan_event_names_the_step_and_outlives_later_figures() -> None:
    (alert,) = alerts(
        replace(WELL, events=({"event": "started"}, {"event": "nan", "step": 1234, "on_nan": "skip"})), 101
    )
    assert "step 1,234" in alert.text
    assert "skip" in alert.text


def test_guessing_is_told_only_after_an_epoch_and_only_if_it_lasts() -> None:
    guessing = (2.31, 2.302, 2.303)
    assert kinds(replace(WELL, losses=guessing)) == ["plateau"]
    assert kinds(replace(WELL, losses=guessing, epoch=0)) == []
    assert kinds(replace(WELL, losses=(*guessing, 2.0))) == []
    assert kinds(replace(WELL, losses=guessing[:2])) == []
    assert kinds(replace(WELL, losses=guessing, classes=100)) == []  # ln 100 = 4.6: well below it
    assert kinds(replace(WELL, losses=guessing, classes=0)) == []
    assert kinds(replace(WELL, losses=guessing, state="finished")) == []
    assert not alerts(replace(WELL, losses=guessing), 101)[0].serious


def test_silence_within_an_epoch_is_a_stall_sooner_than_at_its_end() -> None:
    assert kinds(WELL, now=100 + STALL_SECONDS) == []
    assert kinds(WELL, now=101 + STALL_SECONDS) == ["stalled"]
    between = replace(WELL, step=50)
    assert kinds(between, now=101 + STALL_SECONDS) == []
    assert kinds(between, now=101 + EVALUATION_SECONDS) == ["stalled"]
    assert patience(replace(between, epoch_seconds=3600.0)) == 3600.0
    assert patience(replace(WELL, step=0)) == START_SECONDS


@pytest.mark.parametrize("state", ["paused", "finished"])
def test_a_run_that_may_stand_still_does_not_stall(state: str) -> None:
    assert kinds(replace(WELL, state=state), now=1e6) == []


def test_the_disk_is_told_before_it_is_full_and_when_it_is() -> None:
    assert kinds(replace(WELL, free=LEAST_FREE - 1)) == ["disk"]
    assert kinds(replace(WELL, free=2 * 10**9, checkpoint=10**9)) == ["disk"]
    assert kinds(replace(WELL, free=None)) == []
    assert kinds(replace(WELL, free=0, state="finished")) == []
    full = ({"event": "started"}, {"event": "disk_full"})
    assert kinds(replace(WELL, events=full)) == ["disk"]
    assert kinds(replace(WELL, events=(*full, {"event": "disk_ok"}))) == []


@pytest.mark.parametrize(
    ("gpu", "hot"),
    [
        (Gpu(temperature=85.0), False),  # usual for a card under full load
        (Gpu(temperature=91.0), True),
        (Gpu(temperature=86.0, slowdown=87.0), True),
        (Gpu(temperature=92.0, slowdown=105.0), True),
        (Gpu(temperature=84.0, slowdown=87.0), False),
        (Gpu(use=1.0), False),
        (None, False),
    ],
)
def test_a_hot_gpu_is_told(gpu: Gpu | None, hot: bool) -> None:
    assert kinds(replace(WELL, gpu=gpu)) == ["hot"] * hot
    assert kinds(replace(WELL, gpu=gpu, state="finished")) == []


def test_a_stop_that_was_asked_for_is_said_until_the_next_attempt() -> None:
    asked = ({"event": "started"}, {"event": "stop_after_epoch"})
    assert kinds(replace(WELL, events=asked)) == ["stopping"]
    assert kinds(replace(WELL, events=(*asked, {"event": "resumed"}))) == []


ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.builds(
        Seen, state=st.sampled_from(["running", "silent", "finished", "failed", "?"]), detail=st.text(max_size=20),
        epoch=st.integers(-1, 10**12), step=st.integers(-1, 10**12), steps_per_epoch=ANY, epoch_seconds=ANY, moved=ANY,
        losses=st.lists(ANY, max_size=9), classes=st.integers(-1, 10**9), free=st.none() | st.integers(0, 10**18),
        checkpoint=st.integers(0, 10**15), events=st.lists(st.dictionaries(
            st.sampled_from(["event", "step", "on_nan"]),
            st.none() | st.integers() | st.sampled_from(["nan", "disk_full", "started", "stop_after_epoch"]),
        ), max_size=6),
        gpu=st.none() | st.builds(Gpu, temperature=st.none() | ANY, slowdown=st.none() | ANY),
    ),
    st.floats(-1e12, 1e12),
)  # fmt: skip
def test_whatever_a_run_says_of_itself_alerts_are_lines_of_text(seen: Seen, now: float) -> None:
    found = alerts(seen, now)
    assert len({alert.kind for alert in found}) == len(found)
    assert all(alert.text and "\n" not in alert.text.replace(seen.detail, "") for alert in found)


@pytest.mark.parametrize("state", ["failed", "crashed", "frozen"])
def test_a_bad_state_is_told_with_its_reason(state: str) -> None:
    (alert,) = alerts(replace(WELL, state=state, detail="out of memory"), 101)
    assert alert.kind == state
    assert "out of memory" in alert.text
    assert ("R goes on with it" in alert.text) == (state == "crashed")


def test_a_run_that_was_stopped_is_told_how_it_goes_on() -> None:
    for state in ("stopped", "preempted"):
        (alert,) = alerts(replace(WELL, state=state), 101)
        assert (alert.kind, alert.serious) == ("over", False)
        assert "R goes on with it" in alert.text
    (alert,) = alerts(replace(WELL, state="unknown", detail="it has no run.json that can be read"), 101)
    assert "it has no run.json" in alert.text


def test_the_gravest_comes_first() -> None:
    everything = replace(WELL, losses=(2.31, 2.31, math.nan), free=1)
    assert kinds(everything, now=1e6) == ["nan", "disk", "stalled"]
