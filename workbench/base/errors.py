"""Errors that a user can mend.

Rooms raise `UserError` with one complete line (what, where, what to do); the command line prints
it without a traceback and exits with its `exit_code`.
"""


class UserError(Exception):
    """A mistake in a profile, a command or the machine's set-up; nothing was started. Exit code 2."""

    exit_code = 2


def did_you_mean(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """`' (did you mean "resnet18"?)'` for a near miss, else an empty string."""
    from difflib import get_close_matches  # rarely needed, and start-up time is a promise

    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""
