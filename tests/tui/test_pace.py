"""How often a screen looks: less often the more it costs, while a run trains in the same process."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from workbench.tui.pace import AWAY, LONGEST, MOST_AT_ONCE, SHARE, Beat, Moment, Pace

HZ = st.floats(0.2, 10.0)
ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(HZ, st.lists(st.tuples(ANY, ANY), max_size=30))
@example(2.0, [(math.nan, 1.0), (1.0, 0.0), (-1.0, 1.0), (math.inf, 1.0), (1.0, 5e-324), (0.0, math.inf)])
def test_the_interval_stays_between_the_usual_and_the_longest(hz: float, windows: list[tuple[float, float]]) -> None:
    pace = Pace(hz)
    for busy, wall in windows:
        before = pace.seconds
        after = pace.interval(busy, wall)
        assert 1 / hz <= after <= max(LONGEST, 1 / hz)
        assert before / MOST_AT_ONCE - 1e-9 <= after <= before * MOST_AT_ONCE + 1e-9


@given(HZ, st.floats(0.0, 10.0), st.floats(0.01, 0.5))
def test_a_steady_cost_comes_under_the_share_or_to_the_longest_interval(hz: float, cost: float, share: float) -> None:
    pace = Pace(hz, share)
    for _ in range(20):
        pace.interval(cost * 4.0 / pace.seconds, 4.0)  # so many looks in four seconds
    longest = max(LONGEST, 1 / hz)
    assert cost / pace.seconds <= share * 1.0001 or pace.seconds == longest
    needed = cost / share
    assert pace.seconds <= max(1 / hz, min(needed, longest)) * 1.0001  # and no longer than it must be


@given(HZ, ANY, ANY)
def test_what_was_never_measured_changes_nothing(hz: float, busy: float, wall: float) -> None:
    pace = Pace(hz)
    if not (math.isfinite(busy) and math.isfinite(wall) and busy >= 0 and wall > 0):
        assert pace.interval(busy, wall) == 1 / hz


def looks(beat: Beat, seconds: float, *, start: float = 0.0, tick: float = 0.5, cost: float = 0.0, spare: bool = True,
          away: bool = False, jitter: float = 0.0) -> list[float]:  # fmt: skip
    """When the beat lets a screen look, each look costing so much."""
    found: list[float] = []
    busy = getattr(beat, "spent", 0.0)
    for number in range(round(seconds / tick)):
        now = start + number * tick + (jitter if number % 2 else 0.0)
        if beat.due(Moment(now, busy, spare=spare, away=away)):
            found.append(now)
            busy += cost
    beat.spent = busy  # type: ignore[attr-defined]
    return found


def test_a_cheap_screen_looks_at_every_tick_also_of_a_clock_that_is_early() -> None:
    assert len(looks(Beat(2.0), 60, cost=0.001)) == 120
    assert len(looks(Beat(2.0), 60, cost=0.001, jitter=-0.02)) == 120


def test_a_dear_screen_is_under_the_share_after_a_while_and_quick_again_when_the_run_is_over() -> None:
    beat = Beat(2.0)
    looks(beat, 60, cost=0.06)  # 12 % of a core at every tick
    settled = looks(beat, 120, start=60, cost=0.06)
    assert len(settled) * 0.06 / 120 <= SHARE * 1.05
    assert len(settled) >= 120 / LONGEST
    assert len(looks(beat, 10, start=180, cost=0.06, spare=False)) >= 19


def test_without_a_run_in_this_process_nothing_is_spared() -> None:
    assert len(looks(Beat(2.0), 60, cost=0.4, spare=False)) == 120


def test_a_terminal_without_focus_is_drawn_a_quarter_as_often() -> None:
    beat = Beat(2.0)
    assert len(looks(beat, 40, away=True, spare=False)) == 40 / 0.5 / AWAY
    assert looks(beat, 1, start=40, spare=False)[0] == 40.0  # back at once


def test_over_a_slow_line_it_looks_every_two_seconds_and_as_before_when_that_is_good_again() -> None:
    beat = Beat(10.0)
    moments = [number / 10 for number in range(300)]
    assert [now for now in moments if beat.due(Moment(now, 0.0, slow=True))][1:5] == [2.0, 4.0, 6.0, 8.0]
    assert sum(beat.due(Moment(30 + now, 0.0)) for now in moments) == len(moments)
