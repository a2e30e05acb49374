"""Summaries for tests: a finished ResNet-18 on the digits with a constant learning rate, unless told otherwise."""

from dataclasses import replace
from typing import Any

from workbench.runs.summary import Summary

SETTINGS: dict[str, Any] = {
    "name": "quick",
    "seed": 0,
    "model.arch": "resnet18",
    "data.dataset": "digits",
    "data.image_size": 224,
    "data.batch_size": 128,
    "data.augment": "standard",
    "optim.name": "adam",
    "optim.lr": 0.001,
    "optim.beta1": 0.9,
    "schedule.name": "constant",
    "sam.rho": 0.0,
    "train.epochs": 10,
    "train.device": "auto",
    "checkpoint.keep": 2,
}
"""A short base profile, flat; `make_summary` starts from it."""

_FINISHED = Summary(
    id="20261122-100000-quick-aaaaaa",
    created="2026-11-22T10:00:00+00:00",
    state="finished",
    detail="",
    name="quick",
    arch="resnet18",
    dataset="digits",
    recipe="base",
    seed=0,
    device="cpu",
    host="anvil",
    parent="",
    parameters=11_175_370,
    macs=35_400_000,
    epoch=10,
    epochs=10,
    step=120,
    steps=120,
    test_top1=0.9,
    test_top5=0.99,
    test_loss=0.25,
    val_top1=None,
    val_loss=None,
    train_top1=0.97,
    train_loss=0.1,
    best_top1=0.92,
    best_epoch=8,
    best_split="test",
    images_per_second=205.4,
    peak_memory=1_530_000_000,
    seconds=3723.0,
    eta=None,
    tags=(),
    note="",
    pinned=False,
    archived=False,
    settings=SETTINGS,
)


def make_summary(number: int = 0, *, settings: dict[str, Any] | None = None, **changes: Any) -> Summary:
    """Run `number`, started `number` minutes after ten o'clock; `settings` lie over `SETTINGS`."""
    hours, minutes = divmod(number, 60)
    minute = f"{10 + hours:02}:{minutes:02}"
    own = {
        "id": f"20261122-{minute.replace(':', '')}00-quick-{number:06}",
        "created": f"2026-11-22T{minute}:00+00:00",
        **changes,
    }
    about = {"model.arch": own.get("arch", "resnet18"), "data.dataset": own.get("dataset", "digits"),
             "seed": own.get("seed", 0)}  # fmt: skip
    return replace(_FINISHED, **own, settings={**SETTINGS, **about, **(settings or {})})


def damaged_summary(number: int = 0) -> Summary:
    """What is known of a run whose files are beyond reading: that it is there."""
    nothing: dict[str, Any] = dict.fromkeys(
        [
            "seed",
            "parameters",
            "macs",
            "epochs",
            "steps",
            "test_top1",
            "test_top5",
            "test_loss",
            "train_top1",
            "train_loss",
            "best_top1",
            "best_epoch",
            "images_per_second",
            "peak_memory",
            "seconds",
        ]
    )
    texts = dict.fromkeys(["created", "name", "arch", "dataset", "recipe", "device", "host", "best_split"], "")
    run = make_summary(number, state="unknown", detail="run.json cannot be read", epoch=0, step=0, **nothing)
    return replace(run, **texts, settings={})
