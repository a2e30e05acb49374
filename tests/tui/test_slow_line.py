"""Whether a line is slow, judged by how late the terminal answers: what is noticed, what is not, and how soon."""

import math

from hypothesis import given
from hypothesis import strategies as st

from workbench.tui.slow_line import AGAIN, CALM, EVERY, GAP, LAST_WAIT, LATE, LOST, SOON, SlowLine


class Simulated:
    """A line of `rate` bytes a second and `latency` seconds there and back; the screen draws `load` bytes a second.

    In `reduced` drawing a quarter of that.
    """

    def __init__(self, rate: float, latency: float, load: float, setting: str = "auto") -> None:
        self.line = SlowLine(setting)
        self.rate, self.latency, self.load = rate, latency, load
        self.now, self.backlog = 0.0, 0.0
        self.answers: list[float] = []
        self.questions: list[float] = []
        self.changes: list[float] = []

    def go(self, seconds: float) -> "Simulated":
        for _ in range(round(seconds)):
            self.now += 1.0
            load = self.load / 4 if self.line.slow else self.load
            self.backlog = max(self.backlog + load - self.rate, 0.0)
            if load:
                self.line.wrote(0.0)
            while self.answers and self.answers[0] <= self.now:
                self.line.answered(self.answers.pop(0))
            before = self.line.slow
            if self.line.look(self.now):
                assert self.line.asked_at is None
                self.line.asked(self.now)
                self.questions.append(self.now)
                self.answers.append(self.now + self.latency + (self.backlog + load) / self.rate)
            if self.line.slow != before:
                self.changes.append(self.now)
        return self


@given(st.floats(0.0, 2.0), st.floats(100.0, 1e6), st.floats(0.0, 0.2))
def test_a_line_that_carries_what_is_drawn_is_not_slow_whatever_its_latency(
    latency: float, rate: float, share: float
) -> None:
    assert Simulated(rate, latency, rate * share).go(120).changes == []


@given(st.floats(0.0, 2.0), st.floats(500.0, 1e5), st.floats(1.2, 10.0))
def test_a_line_that_fills_is_noticed_within_seconds(latency: float, rate: float, share: float) -> None:
    found = Simulated(rate, latency, rate * share).go(60)
    assert found.changes
    assert found.changes[0] <= 25
    assert share > 2 or found.line.slow or len(found.changes) > 1


@given(st.floats(0.0, 0.5), st.floats(1.5, 3.0))
def test_it_is_quick_again_when_it_carries_what_is_drawn(latency: float, share: float) -> None:
    line = Simulated(2000.0, latency, 2000.0 * share).go(30)
    assert line.line.slow or len(line.changes) > 1
    line.rate = 1e6
    line.backlog = 0.0
    line.go(CALM * 4 + 30)
    assert not line.line.slow


@given(st.floats(1.3, 3.5))
def test_a_line_that_is_good_enough_only_for_less_is_tried_ever_more_rarely(share: float) -> None:
    found = Simulated(2000.0, 0.1, 2000.0 * share).go(3600)
    assert len(found.changes) <= 2 + 2 * (math.log2(3600 / CALM) + 3600 / 320)


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.booleans(), st.booleans(), st.floats(0.0, 9.0)), max_size=60))
def test_never_more_than_one_question_at_a_time_nor_more_often_nor_for_nothing(
    happenings: list[tuple[float, bool, bool, float]],
) -> None:
    line, now, last, drawn = SlowLine(), 0.0, -math.inf, False
    for passed, draws, answers, blocked in happenings:
        now += passed
        if draws:
            line.wrote(blocked)
            drawn = True
        if answers:
            line.answered(now)
        asks = line.look(now)
        if asks:
            assert drawn
            assert line.asked_at is None
            assert now - last >= EVERY
            line.asked(now)
            last, drawn = now, False


@given(st.sampled_from(("slow", "fast")), st.lists(st.floats(0.0, 60.0), max_size=20))
def test_what_was_set_holds_and_nothing_is_asked(setting: str, delays: list[float]) -> None:
    line, now = SlowLine(setting), 0.0
    for delay in delays:
        line.wrote(delay)
        line.asked(now)
        now += delay
        line.answered(now)
        assert not line.look(now)
        assert line.slow == (setting == "slow")


def test_a_terminal_that_never_answers_is_asked_once_and_is_slow_only_if_writing_to_it_takes_long() -> None:
    line = Simulated(1e6, 1e9, 1000.0).go(600)
    assert len(line.questions) == 1
    assert line.changes == []
    line.line.wrote(2.0)
    line.go(1)
    assert line.line.slow
    line.go(CALM + 1)
    assert not line.line.slow


def test_at_the_end_an_answer_is_waited_for_where_there_may_be_one() -> None:
    line = SlowLine()
    assert line.last_wait(0.0) == 0
    line.asked(10.0)
    assert [line.last_wait(now) for now in (10.0, 10.25, 11.0, 3600.0)] == [LAST_WAIT, LAST_WAIT - 0.25, 0, 0]
    line.answered(3600.0)
    assert line.last_wait(3600.0) == 0
    line.asked(3700.0)
    assert line.last_wait(3800.0) == LAST_WAIT


def test_an_answer_that_does_not_come_is_enough() -> None:
    line = Simulated(1e6, 0.1, 1000.0).go(10)
    line.latency = 1e9
    line.go(EVERY + LOST + 2)
    assert line.line.slow


def test_a_machine_that_slept_says_nothing_of_the_line() -> None:
    line = Simulated(1e6, 0.1, 1000.0).go(10)
    line.line.wrote(0.0)
    line.line.look(line.now + 1)
    line.line.asked(line.now + 1)
    assert not line.line.look(line.now + 1 + GAP + 3600)
    assert not line.line.slow
    line.line.answered(line.now + 2 + GAP + 3600)
    line.line.look(line.now + 2 + GAP + 3600)
    assert not line.line.slow
    assert SOON < LATE < LOST < AGAIN


def test_an_answer_nobody_asked_for_is_none() -> None:
    line = SlowLine()
    line.answered(100.0)
    line.look(101.0)
    assert not line.slow
