"""What may change when a run goes on: the future, never the past."""

from typing import Any

from workbench.base.errors import UserError
from workbench.profile import Profile
from workbench.runs.settings import flat

FREE = frozenset(
    {
        "name",
        "recipe",
        "train.epochs",
        "train.device",
        "train.threads",
        "train.flush_seconds",
        "train.early_stopping",
        "train.on_nan",
        "train.micro_batch",
        "train.cuda_graph",
        "train.compile",
        "train.channels_last",
        "train.tf32",
        "train.deterministic",
        "data.root",
        "data.workers",
        "checkpoint.every_epochs",
        "checkpoint.every_minutes",
        "checkpoint.every_steps",
        "checkpoint.keep",
        "checkpoint.best",
        "checkpoint.save_model",
    }
)
"""Keys that say how long, where and how often saved; the steps already made would have been the same."""


def differences(old: Profile, new: Profile) -> dict[str, tuple[Any, Any]]:
    """Each dotted key whose value differs, with the old value and the new one; None where there is none."""
    return _between(flat(_settings(old)), flat(_settings(new)))


def changed_since(began: dict[str, Any], now: Profile) -> dict[str, Any]:
    """What differs from run.json's copy of the profile, which is never rewritten: dotted key -> value of today."""
    return {key: new for key, (_, new) in _between(flat(began), flat(_settings(now))).items()} if began else {}


def _between(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = [*before, *(key for key in after if key not in before)]
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def refuse_another_past(run: str, changed: dict[str, tuple[Any, Any]]) -> None:
    """UserError, with the list, if a change would make the steps already done those of another run."""
    wrong = [f"{key} was {old} and would be {new}" for key, (old, new) in changed.items() if key not in FREE]
    if wrong:
        raise UserError(
            f"{run} cannot go on with another past: {'; '.join(wrong)}; --fork {run} starts a new run from its profile"
        )


def _settings(profile: Profile) -> dict[str, Any]:
    return profile.model_dump(exclude={"extends"}, exclude_none=True)
