"""Figures in the words of people."""

from workbench.runs.units import clock


def test_times_are_read_as_a_clock() -> None:
    assert [clock(seconds) for seconds in (0.4, 59.6, 3599, 7509)] == ["00:00", "01:00", "59:59", "2:05:09"]
    assert clock(2 * 86_400 + 11_045) == "2d 03:04:05"
