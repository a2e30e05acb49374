"""From the files of a run to its row. A value of the wrong kind counts as not there: nothing is believed to fit."""

import math
from collections.abc import Mapping
from typing import Any

from workbench.runs.liveness import State
from workbench.runs.settings import Settings
from workbench.runs.summary import Summary
from workbench.runs.user import User


def summarise(
    run_id: str,
    facts: dict[str, Any],
    status: dict[str, Any],
    user: User,
    state: State,
    profile: dict[str, Any] | None = None,
) -> Summary:
    """The row of a run. `profile`: profile.toml where it was read; else run.json's copy, which is quicker to read,
    with what a later attempt changed."""
    kept = profile if profile is not None else _copy_of_profile(facts, status)
    model, data, training = (_table(kept, section) for section in ("model", "data", "train"))
    last, best, train = _table(status, "last"), _table(status, "best"), _table(status, "train")
    return Summary(
        id=run_id,
        created=_text(facts, "created"),
        state=state.name,
        detail=state.detail,
        name=_text(kept, "name"),
        arch=_text(facts, "arch") or _text(model, "arch"),
        dataset=_text(_table(facts, "data"), "dataset") or _text(data, "dataset"),
        recipe=_text(kept, "recipe") or _text(kept, "name"),
        seed=_integer(kept, "seed") if "seed" in kept else _integer(facts, "seed"),
        device=_text(facts, "device"),
        host=_text(facts, "host"),
        parent=_text(facts, "parent"),
        parameters=_integer(facts, "parameters"),
        macs=_integer(facts, "macs"),
        epoch=_integer(status, "epoch") or 0,
        epochs=_integer(status, "epochs") or _integer(training, "epochs"),
        step=_integer(status, "step") or 0,
        steps=_integer(status, "steps"),
        test_top1=_number(last, "test_top1"),
        test_top5=_number(last, "test_top5"),
        test_loss=_number(last, "test_loss"),
        val_top1=_number(last, "val_top1"),
        val_loss=_number(last, "val_loss"),
        train_top1=_first(_number(last, "train_top1"), _number(train, "top1")),
        train_loss=_first(_number(last, "train_loss"), _number(train, "loss")),
        best_top1=_number(best, "top1"),
        best_epoch=_integer(best, "epoch"),
        best_split=_text(best, "split"),
        images_per_second=_number(status, "images_per_second"),
        peak_memory=_integer(status, "peak_memory"),
        seconds=_number(status, "seconds"),
        eta=_number(status, "eta") if state.name in ("running", "paused") else None,
        tags=user.tags,
        note=user.note_line,
        pinned=user.pinned,
        archived=user.archived,
        settings=Settings(kept),
    )


def _copy_of_profile(facts: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    settings = _table(facts, "profile")
    for key, value in _table(status, "changed").items():
        section, _, name = key.partition(".")
        if name:
            settings[section] = {**_table(settings, section), name: value}
        else:
            settings[section] = value
    return settings


def _table(source: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = source.get(key)
    return dict(value) if isinstance(value, dict) else {}


def _text(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    return value if isinstance(value, str) else ""


def _integer(source: Mapping[str, Any], key: str) -> int | None:
    value = source.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _number(source: Mapping[str, Any], key: str) -> float | None:
    """A figure; the strings that stand for what JSON cannot say are figures too."""
    value = source.get(key)
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
